"""What a review gives beside its score: rules by choice, calibrated mass, DICOM objects and reports."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from coronary_calcium.atomic_write import move_into, new_hidden_folder
from coronary_calcium.errors import InputError, not_written
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring.options import DEFAULT_OPTIONS, ScoringOptions
from coronary_calcium.scoring.risk import RISK_SCHEMES
from coronary_calcium.scoring.rules import LITERATURE, RULE_SETS, RuleSet, adapted_to, is_covered
from coronary_calcium.scoring.volume_mass import CalibrationInserts, is_plausible
from coronary_calcium.volume import Acquisition, CTVolume, SeriesReference

from .json_attribute import json_attribute

if TYPE_CHECKING:
    from coronary_calcium.phantom.measurement import Measurement
    from coronary_calcium.pipeline import CaseResult

# The options are kept with the segmentation, as JSON, so that a saved scene opens with the score that it was saved
# with.
OPTIONS_ATTRIBUTE = "CoronaryCalcium.Choices"
# An image lies in its slice when it is nearer to it than this part of the spacing.
_SAME_SLICE = 0.1


def rules_for(name: str, options: ScoringOptions, acquisition: Acquisition) -> RuleSet:
    """The rule set of a name, adapted to the tube voltage if that is chosen; raises InputError if it cannot be."""
    rules = RULE_SETS[name]
    return adapted_to(rules, acquisition.kvp, acquisition.tin_filter) if options.kvp_adapted else rules


def store_options(segmentationNode, name: str, options: ScoringOptions, acquisition: Acquisition) -> None:
    """Keep the options with the segmentation, and what adapted thresholds depend on.

    Risk factors, which are about the patient, are not kept.
    """
    segmentationNode.SetAttribute(
        OPTIONS_ATTRIBUTE,
        json.dumps(
            {
                "rules": name,
                "kvp_adapted": options.kvp_adapted,
                "mass_factor": options.mass_factor,
                "risk_scheme": options.risk_scheme.name,
                "all_quantities": options.all_quantities,
                "kvp": acquisition.kvp,
                "tin_filter": acquisition.tin_filter,
            }
        ),
    )


def with_stored_voltage(segmentationNode, acquisition: Acquisition | None) -> Acquisition | None:
    """How the scan was made, its tube voltage as it was kept where the header does not tell.

    So a scene opens with the score that it was saved with, also where the DICOM files are not at hand.
    """
    kept = json_attribute(segmentationNode, OPTIONS_ATTRIBUTE, dict)
    kvp = kept.get("kvp")
    known = acquisition is not None and acquisition.kvp is not None
    if known or isinstance(kvp, bool) or not isinstance(kvp, int | float) or not is_covered(kvp):
        return acquisition
    return replace(acquisition or Acquisition(), kvp=float(kvp), tin_filter=kept.get("tin_filter") is True)


def stored_options(segmentationNode, acquisition: Acquisition) -> tuple[str, ScoringOptions]:
    """The rule set's name and the options that were kept; the defaults where there are none or they do not hold."""
    try:
        kept = json_attribute(segmentationNode, OPTIONS_ATTRIBUTE, dict)
        factor = kept.get("mass_factor")
        options = ScoringOptions(
            kvp_adapted=bool(kept.get("kvp_adapted", False)),
            mass_factor=float(factor) if factor is not None and is_plausible(float(factor)) else None,
            risk_scheme=RISK_SCHEMES[kept.get("risk_scheme", DEFAULT_OPTIONS.risk_scheme.name)],
            all_quantities=bool(kept.get("all_quantities", False)),
        )
        name = kept.get("rules", LITERATURE.name)
        rules_for(name, options, acquisition)
    except (InputError, KeyError, OverflowError, TypeError, ValueError):
        return LITERATURE.name, DEFAULT_OPTIONS
    return name, options


def rods_of(pointsNode) -> CalibrationInserts:
    """Rod and water as the first two points of a point list; raises InputError("mass-rods") without them."""
    if pointsNode is None or pointsNode.GetNumberOfControlPoints() < 2:
        raise InputError(
            "mass-rods", "Mark the middle of the rod and then that of the water as two points of a point list first."
        )
    marks = []
    for index in range(2):
        ras = [0.0, 0.0, 0.0]
        pointsNode.GetNthControlPointPositionWorld(index, ras)
        marks.append((-ras[0], -ras[1], ras[2]))
    return CalibrationInserts(*marks)


def with_series(volume: CTVolume, files: Sequence[str]) -> CTVolume:
    """The CT with the DICOM images that it was loaded from, in the order of its slices.

    ``files`` are the images' paths in any order. Raises InputError("no-dicom-source") when they are not this CT's.
    """
    if len(files) == 1 and volume.shape[0] > 1:
        return replace(volume, series=_multi_frame(volume, files[0]))
    found: dict[int, tuple[str, str]] = {}
    series = set()
    for path in files:
        dataset = _header(path)
        along = (np.array(dataset.ImagePositionPatient, float) - volume.origin) @ volume.direction[:, 2]
        k = round(along / volume.spacing[0])
        if abs(along / volume.spacing[0] - k) > _SAME_SLICE or k in found:
            raise _other_images()
        found[k] = (str(dataset.SOPInstanceUID), str(path))
        series.add(str(dataset.SeriesInstanceUID))
    if sorted(found) != list(range(volume.shape[0])) or len(series) != 1:
        raise _other_images()
    uids, paths = zip(*(found[k] for k in sorted(found)))
    return replace(volume, series=SeriesReference(series.pop(), uids, paths))


def _multi_frame(volume: CTVolume, path: str) -> SeriesReference:
    dataset = _header(path)
    if int(dataset.get("NumberOfFrames", 1)) != volume.shape[0]:
        raise _other_images()
    frames = volume.shape[0]
    return SeriesReference(str(dataset.SeriesInstanceUID), (str(dataset.SOPInstanceUID),) * frames, (path,) * frames)


def _header(path: str):
    import pydicom

    tags = ["SOPInstanceUID", "SeriesInstanceUID", "ImagePositionPatient", "NumberOfFrames"]
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
        for keyword in tags[:2]:
            dataset[keyword]
        if "NumberOfFrames" not in dataset:
            dataset["ImagePositionPatient"]
    except (OSError, KeyError, pydicom.errors.InvalidDicomError):
        raise _other_images() from None
    return dataset


def _other_images() -> InputError:
    return InputError(
        "no-dicom-source",
        "The images in the DICOM database are not the slices of this CT (it was cropped or resampled, or files were "
        "moved): load the series again from the database and score that.",
    )


def write_dicom_files(
    result: "CaseResult", folder: str | Path, names: Sequence[str], progress: Progress = no_progress
) -> Path:
    """Write ``segmentation.dcm`` and ``report-sr.dcm``, those of ``names``, into a folder; returns the first's path.

    Files of these names are replaced once the new ones are complete. Raises InputError: "output", and those of
    ``dicom_export.sources.read_sources``.
    """
    from coronary_calcium.dicom_export.export import write_dicom
    from coronary_calcium.reports.case_files import DICOM_REPORT, DICOM_SEGMENTATION

    folder = Path(folder)
    progress(0.1, "Writing DICOM objects")
    try:
        # A folder that is gone is not made anew: the reader chose one that was there.
        with new_hidden_folder(folder) as partial:
            files = [partial / name if name in names else None for name in (DICOM_SEGMENTATION, DICOM_REPORT)]
            write_dicom(result, *files)
            progress(0.9, "Writing DICOM objects")
            move_into(partial, folder)
    except OSError as error:
        raise not_written("The files", folder, error) from error
    return folder / names[0]


def write_signed_report(
    result: "CaseResult", folder: str | Path, *, with_identity: bool, progress: Progress = no_progress
) -> Path:
    """Write the report as page and as PDF, with the tables that belong to it, into a folder; returns the PDF's path.

    Raises InputError as ``reports.write_case`` does, and "no-identity".
    """
    from coronary_calcium.reports import Extras, write_case
    from coronary_calcium.reports.case_files import PDF
    from coronary_calcium.reports.identity import read_identity

    identity = read_identity(result.volume) if with_identity else None
    return write_case(result, folder, progress, Extras(pdf=True, identity=identity)).with_name(PDF)


def measure_digital_insert(
    thickness_mm: float, kernel: str, dose: float, kvp: int, progress: Progress = no_progress
) -> "Measurement":
    """Scan the digital QRM insert and measure it, as ``coronary-calcium selftest`` does."""
    from coronary_calcium.phantom.digital_scan import Scan, noise_at, scan_insert
    from coronary_calcium.phantom.measurement import measure_insert

    scan = Scan(thickness_mm, thickness_mm, kernel, noise_at(dose, thickness_mm, kernel), kvp)
    volume, placement = scan_insert(scan, progress)
    return measure_insert(volume, placement)
