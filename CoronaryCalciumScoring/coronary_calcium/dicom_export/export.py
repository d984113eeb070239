"""Writing a result's DICOM objects to files."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from coronary_calcium.dicom_export.sources import Sources, read_sources
from coronary_calcium.errors import InputError
from coronary_calcium.volume import CaseWarning

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult


def write_dicom(
    result: "CaseResult", segmentation_file: Path | None = None, report_file: Path | None = None
) -> tuple[CaseWarning, ...]:
    """Write the SEG, the SR or both; with both, the SR refers to the SEG's segments.

    Patient and study are those of the CT's images, because a DICOM object belongs to its patient; the returned warnings
    say which of their values had to be changed. Raises InputError (see ``sources.read_sources``, and
    ``"source-incomplete"`` when no object can be made of the headers), and OSError when a file cannot be written.
    """
    sources = read_sources(result.volume)
    result = replace(result, warnings=(*result.warnings, *sources.warnings))
    try:
        _write(result, sources, segmentation_file, report_file)
    except OSError:
        raise
    except Exception as first:  # noqa: BLE001 - the libraries raise whatever a value of the header makes them
        try:
            _write(result, sources.bare(), segmentation_file, report_file)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - see above
            raise InputError(
                "source-incomplete",
                f"No DICOM object can be made from the headers of the CT's images ({type(first).__name__}): export the "
                "series again from the archive, or leave out the DICOM objects.",
            ) from first
    return sources.warnings


def _write(result: "CaseResult", sources: Sources, segmentation_file: Path | None, report_file: Path | None) -> None:
    # highdicom takes a second to import, and most runs make no DICOM objects.
    from coronary_calcium.dicom_export.segmentation import segmentation  # noqa: PLC0415
    from coronary_calcium.dicom_export.structured_report import structured_report  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd values that the source images have and the objects repeat
        segments = None if segmentation_file is None else segmentation(result, sources)
        if segments is not None and segmentation_file is not None:
            segments.save_as(segmentation_file)
        if report_file is not None:
            structured_report(result, sources, segments).save_as(report_file)
