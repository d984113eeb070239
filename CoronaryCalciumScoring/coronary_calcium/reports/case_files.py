"""All outputs of a case, written together or not at all (atomically)."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coronary_calcium.errors import InputError, not_written
from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.reports.html_report import write_report
from coronary_calcium.reports.identity import Identity
from coronary_calcium.reports.lesions_csv import write_lesions
from coronary_calcium.reports.pictures import CasePictures, ViewPicture, draw_pictures
from coronary_calcium.reports.scores_json import scores, write_scores
from coronary_calcium.reports.segmentation_file import write_segmentation

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

SCORES = "scores.json"
LESIONS = "lesions.csv"
SEGMENTATION = "segmentation.seg.nrrd"
REPORT = "report.html"
PDF = "report.pdf"
DICOM_SEGMENTATION = "segmentation.dcm"
DICOM_REPORT = "report-sr.dcm"


@dataclass(frozen=True)
class Extras:
    """What is written besides the four files, only when asked for.

    Attributes
    ----------
    dicom_seg : segmentation.dcm, a DICOM segmentation; it carries patient and study of the CT's images.
    dicom_sr : report-sr.dcm, a DICOM Structured Report; so does it.
    pdf : report.pdf, the report to print and sign.
    identity : patient and study, put into report.html and report.pdf and nowhere else.
    views : a reader's slice views, put into report.html.

    """

    dicom_seg: bool = False
    dicom_sr: bool = False
    pdf: bool = False
    identity: Identity | None = None
    views: tuple[ViewPicture, ...] = ()


NOTHING_MORE = Extras()


def write_case(
    result: "CaseResult", folder: str | Path, progress: Progress = no_progress, extras: Extras = NOTHING_MORE
) -> Path:
    """Write scores.json, lesions.csv, segmentation.seg.nrrd and report.html into a folder; returns the report's path.

    The folder is made when it is not there. Either all files, those of ``extras`` too, are written and replace earlier
    ones, or, when anything goes wrong or the user stops it, the folder is as it was before. Other files in it are left
    alone.

    Raises InputError("output") when the folder cannot be written to, those of ``dicom_export.sources.read_sources`` for
    DICOM objects, and what ``progress`` raises.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError("output", f"{folder} is a file, so no results can be written there; name a folder.")
    try:
        with _new_parents(folder), _hidden_folder(folder) as partial:
            progress(0.0, "Writing scores")
            content = scores(result)
            write_scores(content, partial / SCORES)
            write_lesions(result.score, result.quantities.calibration, partial / LESIONS, result.all_quantities)
            progress(0.05, "Writing segmentation")
            write_segmentation(result.volume, result.labels, partial / SEGMENTATION)
            pictures = draw_pictures(result, part_of(progress, 0.3, 0.8))
            write_report(result, content, pictures, partial / REPORT, extras.identity, extras.views)
            if extras.pdf:
                progress(0.8, "Writing PDF")
                _write_pdf(result, content, pictures, partial / PDF, extras.identity)
            if extras.dicom_seg or extras.dicom_sr:
                progress(0.85, "Writing DICOM objects")
                _write_dicom(result, extras, partial)
            progress(1.0, "Results written")
            _move(partial, folder)
    except OSError as error:
        raise not_written("The results", folder, error) from error
    return folder / REPORT


def _write_pdf(
    result: "CaseResult", content: dict[str, Any], pictures: CasePictures, path: Path, identity: Identity | None
) -> None:
    # Slicer does not ship reportlab, and imports this module at its start.
    try:
        from coronary_calcium.reports.pdf_report import write_report_pdf  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "pdf-missing", "The package reportlab, which writes the PDF, is not installed: pip install reportlab."
        ) from None
    write_report_pdf(result, content, pictures, path, identity)


def _write_dicom(result: "CaseResult", extras: Extras, partial: Path) -> None:
    """Write the DICOM objects that were asked for."""
    # pydicom and highdicom are slow to import, and most runs need them no more.
    from coronary_calcium.dicom_export.export import write_dicom  # noqa: PLC0415

    write_dicom(
        result,
        partial / DICOM_SEGMENTATION if extras.dicom_seg else None,
        partial / DICOM_REPORT if extras.dicom_sr else None,
    )


@contextlib.contextmanager
def _new_parents(folder: Path) -> Iterator[None]:
    """Make the folders above ``folder``; on an error, those that were made go again."""
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


@contextlib.contextmanager
def _hidden_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write into, on the same disk as ``folder``; it is gone afterwards.

    It lies inside a folder that exists, since that may be a disk of its own (a mount), and beside one that does not.
    """
    partial = (folder if folder.is_dir() else folder.absolute().parent) / f".partial-{uuid.uuid4().hex}"
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move(partial: Path, folder: Path) -> None:
    """Move the finished files to their place; when it fails halfway, earlier files come back."""
    if not folder.is_dir():
        partial.rename(folder)
        return
    names = sorted(path.name for path in partial.iterdir())
    taken = [name for name in names if (folder / name).is_dir()]
    if taken:
        raise InputError(
            "output", f"{folder} holds a folder named {taken[0]}, where a result must go; name another folder."
        )
    earlier = partial / "earlier"
    earlier.mkdir()
    moved: list[str] = []
    try:
        for name in names:
            moved.append(name)
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder / name, earlier / name)
            os.replace(partial / name, folder / name)
    except BaseException:
        for name in moved:
            if (earlier / name).exists():
                os.replace(earlier / name, folder / name)
            elif not (partial / name).exists():
                (folder / name).unlink(missing_ok=True)
        raise
