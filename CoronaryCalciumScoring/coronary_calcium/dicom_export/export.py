"""Writing a result's DICOM objects to files."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from coronary_calcium.dicom_export.sources import read_sources

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult


def write_dicom(result: "CaseResult", segmentation_file: Path | None = None, report_file: Path | None = None) -> None:
    """Write the SEG, the SR or both; with both, the SR refers to the SEG's segments.

    Patient and study are those of the CT's images, because a DICOM object belongs to its patient. Raises InputError
    (see ``sources.read_sources``), and OSError when a file cannot be written.
    """
    sources = read_sources(result.volume)
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
