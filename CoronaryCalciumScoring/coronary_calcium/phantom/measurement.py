"""What a scan of the insert measures, cylinder by cylinder, beside the truth; and as files."""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import coronary_calcium
from coronary_calcium.arteries import UNASSIGNED
from coronary_calcium.atomic_write import hidden_folder, write_whole
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.errors import not_written
from coronary_calcium.phantom.qrm_insert import CALIBRATION_RADIUS_MM, CYLINDERS, ROD_MG_PER_CM3, Cylinder, Placement
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import LITERATURE, RuleSet
from coronary_calcium.scoring.volume_mass import (
    MassCalibration,
    calibration_from_inserts,
    calibration_of,
    mean_in_disc,
    measure,
)
from coronary_calcium.simulation.dicom_series import write_slices
from coronary_calcium.volume import CTVolume

# Half the side of the box that is searched around a cylinder: its radius and room for blur, in mm. On the scan that
# the published scores are of, 4.4 to 5.3 mm and 3 to 15 mm along the axis give these scores for the large cylinders.
_BLUR_MM = 2.4
_HALF_HEIGHT_MM = 9.0


@dataclass(frozen=True)
class MeasuredCylinder:
    """What was measured of one cylinder, by the rules."""

    cylinder: Cylinder
    agatston: float
    volume_mm3: float
    interpolated_mm3: float
    mass_mg: float


@dataclass(frozen=True)
class Measurement:
    """What was measured of the insert: its nine cylinders, and what turned intensities into mass."""

    cylinders: tuple[MeasuredCylinder, ...]
    calibration: MassCalibration
    rules: RuleSet

    def values_of(self, measured: MeasuredCylinder) -> dict[str, float]:
        """Truth and measurement of a cylinder by name; the ideal score is that of the literature's rules."""
        cylinder = measured.cylinder
        return {
            "agatston_ideal": cylinder.ideal_agatston(),
            "agatston": measured.agatston,
            "volume_true_mm3": cylinder.volume_mm3,
            "volume_mm3": measured.volume_mm3,
            "volume_interpolated_mm3": measured.interpolated_mm3,
            "mass_true_mg": cylinder.mass_mg,
            "mass_mg": measured.mass_mg,
        }

    @property
    def totals(self) -> dict[str, float]:
        """Truth and measurement of all cylinders together."""
        values = [self.values_of(measured) for measured in self.cylinders]
        return {name: sum(value[name] for value in values) for name in values[0]}


def calibrate(volume: CTVolume, placement: Placement) -> MassCalibration:
    """The calibration by rod and water in the scan; the header's or the typical one where they are not in it."""
    rod = mean_in_disc(volume, placement.rod, CALIBRATION_RADIUS_MM)
    water = mean_in_disc(volume, placement.water, CALIBRATION_RADIUS_MM)
    if rod is None or water is None or rod - water < LITERATURE.threshold_hu:
        return calibration_of(volume.acquisition)
    return calibration_from_inserts(rod, water, ROD_MG_PER_CM3)


def measure_insert(
    volume: CTVolume, placement: Placement, rules: RuleSet = LITERATURE, calibration: MassCalibration | None = None
) -> Measurement:
    """Score every cylinder by itself; ``calibration`` is that of rod and water unless given."""
    calibration = calibration or calibrate(volume, placement)
    return Measurement(
        tuple(_measured(volume, placement, cylinder, rules, calibration) for cylinder in CYLINDERS), calibration, rules
    )


def _measured(
    volume: CTVolume, placement: Placement, cylinder: Cylinder, rules: RuleSet, calibration: MassCalibration
) -> MeasuredCylinder:
    labels = box_labels(volume, placement, cylinder)
    quantities = measure(volume, labels, rules, calibration)
    return MeasuredCylinder(
        cylinder,
        score_labels(volume, labels, rules).total.agatston,
        quantities.volume_mm3.total,
        quantities.interpolated_mm3.total,
        quantities.mass_mg.total,
    )


def box_labels(volume: CTVolume, placement: Placement, cylinder: Cylinder) -> np.ndarray:
    """Labels (k, j, i), uint8, of the box around a cylinder; a box beyond the scan's end is cut there."""
    x, y, z = volume.direction.T @ (placement.position(cylinder) - np.asarray(volume.origin))
    half = cylinder.diameter_mm / 2 + _BLUR_MM
    labels = np.zeros(volume.shape, dtype=np.uint8)
    box = []
    for coordinate, reach, step in zip((z, y, x), (_HALF_HEIGHT_MM, half, half), volume.spacing):
        middle, pixels = round(coordinate / step), round(reach / step)
        box.append(slice(max(middle - pixels, 0), max(middle + pixels + 1, 0)))
    labels[tuple(box)] = UNASSIGNED.label
    return labels


def write_measurement(volume: CTVolume, measurement: Measurement, folder: Path, *, with_scan: bool) -> None:
    """Write selftest.json, and with ``with_scan`` the scan as ``dicom/``, one file per slice.

    Raises InputError("output") when the folder cannot be written to.
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
        write_whole(folder / "selftest.json", json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise not_written("The results", folder, error) from error


def _write_scan(volume: CTVolume, folder: Path) -> None:
    """Write the slices; they appear when the series is complete, and replace an earlier one."""
    with hidden_folder(folder) as partial:
        write_slices(
            volume,
            partial,
            identity=("Digital^Insert", "QRM"),
            description="Digital QRM cardiac calcification insert",
            entropy=f"coronary-calcium digital insert {volume.spacing} {volume.acquisition}",
        )
        shutil.rmtree(folder / "dicom", ignore_errors=True)
        partial.rename(folder / "dicom")
