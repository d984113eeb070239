"""A measurement of the insert as files."""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path

import coronary_calcium
from coronary_calcium.errors import not_written
from coronary_calcium.phantom.measure import Measurement
from coronary_calcium.simulation.dicom_series import write_slices
from coronary_calcium.statements import RESEARCH_USE
from coronary_calcium.volume import CTVolume


def write_measurement(volume: CTVolume, measurement: Measurement, folder: Path, *, with_scan: bool) -> None:
    """Write selftest.json, and with ``with_scan`` the scan as ``dicom/``, one file a slice.

    Raises InputRefused("output") when the folder cannot be written to.
    """
    acquisition = volume.acquisition
    content = {
        "intended_use": RESEARCH_USE,
        "version": coronary_calcium.__version__,
        "scan": {
            "manufacturer": acquisition.manufacturer,
            "model": acquisition.model,
            "kvp": acquisition.kvp,
            "kernel": acquisition.kernel,
            "slice_thickness_mm": acquisition.slice_thickness_mm,
            "spacing_mm": list(volume.spacing),
        },
        "rules": measurement.rules.name,
        "calibration": dataclasses.asdict(measurement.calibration),
        "cylinders": [
            {"name": measured.cylinder.name} | measurement.values_of(measured) for measured in measurement.cylinders
        ],
        "total": measurement.totals,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if with_scan:
            _write_scan(volume, folder)
        (folder / "selftest.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise not_written("The results", folder, error) from error


def _write_scan(volume: CTVolume, folder: Path) -> None:
    """Write the slices; they appear when the series is complete, and replace an earlier one."""
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        partial = Path(scratch) / "dicom"
        partial.mkdir()
        write_slices(
            volume,
            partial,
            identity=("Digital^Insert", "QRM"),
            description="Digital QRM cardiac calcification insert",
            entropy=f"coronary-calcium digital insert {volume.spacing} {volume.acquisition}",
        )
        shutil.rmtree(folder / "dicom", ignore_errors=True)
        partial.rename(folder / "dicom")
