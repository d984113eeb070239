"""All outputs of a case, written together or not at all (atomically)."""

import json
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coronary_calcium.atomic_write import hidden_folder, move_into, new_parents
from coronary_calcium.errors import InputError, not_written
from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.reports.html_report import write_report
from coronary_calcium.reports.identity import Identity
from coronary_calcium.reports.lesions_csv import write_lesions
from coronary_calcium.reports.pictures import CasePictures, ViewPicture, draw_pictures
from coronary_calcium.reports.scores_json import scores, write_scores
from coronary_calcium.reports.segmentation_file import write_segmentation
from coronary_calcium.volume import CaseWarning

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

SCORES = "scores.json"
LESIONS = "lesions.csv"
SEGMENTATION = "segmentation.seg.nrrd"
REPORT = "report.html"
PDF = "report.pdf"
OVERVIEW = "overview.png"
DICOM_SEGMENTATION = "segmentation.dcm"
DICOM_REPORT = "report-sr.dcm"
# What tells in scores.json whose scores they are.
_WHOSE = ("agatston", "lesions", "acquisition")


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
    overview : overview.png, the heart from the front with its calcium, where there is such a picture.
    paper : ``"a4"`` or ``"letter"``, of the PDF; by default what is usual in the country.

    """

    dicom_seg: bool = False
    dicom_sr: bool = False
    pdf: bool = False
    identity: Identity | None = None
    views: tuple[ViewPicture, ...] = ()
    overview: bool = False
    paper: str | None = None


NOTHING_MORE = Extras()


@dataclass(frozen=True)
class WrittenCase:
    """Where the report is, the result with the warnings that writing added, and the names of files that went away.

    Those are ``extras`` of an earlier run whose scores were others.
    """

    report: Path
    result: "CaseResult"
    removed: tuple[str, ...] = ()


def write_case(
    result: "CaseResult", folder: str | Path, progress: Progress = no_progress, extras: Extras = NOTHING_MORE
) -> Path:
    """``write_results``, of which only the report's path is wanted."""
    return write_results(result, folder, progress, extras).report


def write_results(
    result: "CaseResult", folder: str | Path, progress: Progress = no_progress, extras: Extras = NOTHING_MORE
) -> WrittenCase:
    """Write scores.json, lesions.csv, segmentation.seg.nrrd and report.html into a folder.

    The folder is made when it is not there. Either all files, those of ``extras`` too, are written and replace earlier
    ones, or, when the disk fails or the user stops it, the folder is as it was before. DICOM objects or a PDF that
    cannot be made are left out with a warning: the scores never go with them. ``extras`` of an earlier run with other
    scores, such as another patient's, do not stay beside the new ones. Other files in the folder are left alone.

    Raises InputError("output") when the folder cannot be written to, ``"pdf-missing"`` without the package for the PDF,
    and what ``progress`` raises.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError("output", f"{folder} is a file, so no results can be written there; name a folder.")
    if extras.pdf:
        require_pdf(extras.identity)
    try:
        with new_parents(folder), hidden_folder(folder) as partial:
            progress(0.0, "Writing scores")
            # What can fail comes first, so that the other files can say so.
            if extras.dicom_seg or extras.dicom_sr:
                progress(0.02, "Writing DICOM objects")
                result = _with_dicom(result, extras, partial)
            progress(0.2, "Writing segmentation")
            write_segmentation(result.volume, result.labels, partial / SEGMENTATION)
            pictures = draw_pictures(result, part_of(progress, 0.3, 0.8))
            if extras.overview and pictures.overview:
                (partial / OVERVIEW).write_bytes(pictures.overview[0].png)
            if extras.pdf:
                progress(0.8, "Writing PDF")
                result = _with_pdf(result, pictures, partial / PDF, extras)
            progress(0.95, "Writing report")
            content = scores(result)
            write_scores(content, partial / SCORES)
            write_lesions(result.score, result.quantities.calibration, partial / LESIONS, result.all_quantities)
            write_report(result, content, pictures, partial / REPORT, extras.identity, extras.views)
            progress(1.0, "Results written")
            removed = _outdated(extras, partial, folder, content)
            move_into(partial, folder, removed)
    except OSError as error:
        raise not_written("The results", folder, error) from error
    return WrittenCase(folder / REPORT, result, removed)


def require_pdf(identity: Identity | None = None) -> None:
    """Reject a PDF that cannot be written, to be told before any work.

    Raises InputError: ``"pdf-missing"`` without its package, ``"pdf-letters"`` when it cannot print the identity.
    """
    # Slicer does not ship reportlab, and imports this module at its start.
    try:
        import_module("coronary_calcium.reports.pdf_report")
        from coronary_calcium.reports.pdf_fonts import reject_unprintable  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "pdf-missing", "The package reportlab, which writes the PDF, is not installed: pip install reportlab."
        ) from None
    if identity is not None:
        reject_unprintable(tuple(value for _, value in identity.rows()))


def _with_pdf(result: "CaseResult", pictures: CasePictures, path: Path, extras: Extras) -> "CaseResult":
    """Write the PDF; a result with a warning when there is none."""
    from coronary_calcium.reports.pdf_report import write_report_pdf  # noqa: PLC0415 - see require_pdf

    try:
        write_report_pdf(result, scores(result), pictures, path, extras.identity, extras.paper)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library raises on a text, the scores are written
        path.unlink(missing_ok=True)
        return _warned(result, CaseWarning("pdf-not-written", f"The PDF cannot be written: {_reason(error)}"))
    return result


def _with_dicom(result: "CaseResult", extras: Extras, partial: Path) -> "CaseResult":
    """Write the DICOM objects that were asked for; a result with warnings of changed values, or why there are none."""
    # pydicom and highdicom are slow to import, and most runs need them no more.
    from coronary_calcium.dicom_export.export import write_dicom  # noqa: PLC0415

    files = [
        partial / name if wanted else None
        for name, wanted in ((DICOM_SEGMENTATION, extras.dicom_seg), (DICOM_REPORT, extras.dicom_sr))
    ]
    try:
        return _warned(result, *write_dicom(result, *files))
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise on a header, the scores are written
        for file in files:
            if file is not None:
                file.unlink(missing_ok=True)
        return _warned(result, no_dicom_objects(error))


def no_dicom_objects(error: Exception) -> CaseWarning:
    """The warning that DICOM objects were asked for and cannot be made."""
    return CaseWarning("dicom-not-written", f"The DICOM objects cannot be written: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Why something was not written; what a library says may quote the header, so only its kind is told."""
    return str(error) if isinstance(error, InputError) else f"an unforeseen {type(error).__name__}."


def _warned(result: "CaseResult", *warnings: CaseWarning) -> "CaseResult":
    """The result with more warnings."""
    known = {warning.code for warning in result.warnings}
    new = tuple(warning for warning in warnings if warning.code not in known)
    return replace(result, warnings=(*result.warnings, *new)) if new else result


def _outdated(extras: Extras, partial: Path, folder: Path, content: dict[str, Any]) -> tuple[str, ...]:
    """The files in the folder that would stand beside scores that are not theirs.

    Those that were asked for and could not be made; and, when the scores in the folder are others than ``content``
    (scores.json), those that were not asked for. A DICOM object that is younger than the folder's scores was written by
    itself, of a review, and stays.
    """
    asked = {
        DICOM_SEGMENTATION: extras.dicom_seg,
        DICOM_REPORT: extras.dicom_sr,
        PDF: extras.pdf,
        OVERVIEW: extras.overview,
    }
    there = [name for name in asked if (folder / name).is_file() and not (partial / name).exists()]
    others = bool(there) and _holds_other_scores(folder / SCORES, content)
    return tuple(name for name in there if asked[name] or (others and not _written_later(folder, name)))


def _written_later(folder: Path, name: str) -> bool:
    alone = name in (DICOM_SEGMENTATION, DICOM_REPORT)
    return alone and (folder / name).stat().st_mtime > (folder / SCORES).stat().st_mtime


def _holds_other_scores(path: Path, content: dict[str, Any]) -> bool:
    """Whether a scores.json is there and is of another CT or of other lesions than ``content``."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    new = json.loads(json.dumps(content))
    return not isinstance(earlier, dict) or any(earlier.get(key) != new[key] for key in _WHOSE)
