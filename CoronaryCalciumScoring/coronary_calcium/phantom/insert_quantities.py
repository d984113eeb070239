"""Every quantity of the insert's cylinders, truth beside measurement, and how it repeats from scan to scan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from coronary_calcium.arteries import UNASSIGNED
from coronary_calcium.phantom.measurement import box_labels, calibrate
from coronary_calcium.phantom.qrm_insert import CYLINDERS, Cylinder, Placement
from coronary_calcium.scoring import Lesion, score_labels
from coronary_calcium.scoring.calcium_quantities import QUANTITIES, LesionQuantities, Value, case_quantities
from coronary_calcium.scoring.volume_mass import MassCalibration
from coronary_calcium.volume import CTVolume

# What errors and repeatability are averaged over: of the cylinders of 1 mm, noise decides what is seen at all.
SIZES_COMPARED = ("large", "medium")


@dataclass(frozen=True)
class InsertQuantities:
    """The quantities of one cylinder by name; ``counted`` is False where the rules count none of it.

    It was then measured where it is known to lie.
    """

    cylinder: Cylinder
    values: dict[str, Value | None]
    counted: bool


@dataclass(frozen=True)
class QuantityErrors:
    """How one quantity does under one condition, over the larger cylinders.

    Attributes
    ----------
    error : mean over cylinders of the absolute error of their mean, as a share of the truth; None without a truth.
    bias : the same with its sign.
    variation : mean over cylinders of the coefficient of variation between scans; None with a single scan.
    """

    error: float | None
    bias: float | None
    variation: float | None


def insert_quantities(
    volume: CTVolume, placement: Placement, calibration: MassCalibration | None = None
) -> tuple[InsertQuantities, ...]:
    """Measure every cylinder by its highest-scoring lesion.

    ``calibration`` is that of rod and water in the scan unless given.
    """
    calibration = calibration or calibrate(volume, placement)
    boxes = [box_labels(volume, placement, cylinder) for cylinder in CYLINDERS]
    score = score_labels(volume, np.maximum.reduce(boxes))
    lesions = [_lesion_in(score.lesions, box) for box in boxes]
    marked = tuple(lesion or _lesion_at(volume, placement, cylinder) for lesion, cylinder in zip(lesions, CYLINDERS))
    measured = case_quantities(volume, replace(score, lesions=marked), calibration).lesions
    return tuple(
        InsertQuantities(cylinder, _values(one, lesion is not None), lesion is not None)
        for cylinder, one, lesion in zip(CYLINDERS, measured, lesions)
    )


def truth_of(cylinder: Cylinder, name: str) -> float | None:
    """The true value of a quantity, for the score that of the ideal scan; None where there is no such thing."""
    if name == "agatston":
        return cylinder.ideal_agatston()
    if name.endswith("mass_mg"):
        return cylinder.mass_mg
    return cylinder.volume_mm3 if name in ("volume_mm3", "integrated_volume_mm3") else None


def quantity_errors(scans: Sequence[Sequence[InsertQuantities]]) -> dict[str, QuantityErrors]:
    """The errors of each quantity over scans of the same condition, of which each has all cylinders in order."""
    return {quantity.name: _errors(scans, quantity.name) for quantity in QUANTITIES}


def _errors(scans: Sequence[Sequence[InsertQuantities]], name: str) -> QuantityErrors:
    errors, variations = [], []
    for measured in zip(*scans):
        cylinder = measured[0].cylinder
        if cylinder.size not in SIZES_COMPARED:
            continue
        values = [one.values[name] for one in measured]
        numbers = np.array([0.0 if value is None else value.number for value in values])
        true = truth_of(cylinder, name)
        if true is not None:
            errors.append(numbers.mean() / true - 1.0)
        if numbers.size > 1 and numbers.mean() > 0:
            variations.append(numbers.std(ddof=1) / numbers.mean())
    return QuantityErrors(
        error=float(np.mean(np.abs(errors))) if errors else None,
        bias=float(np.mean(errors)) if errors else None,
        variation=float(np.mean(variations)) if variations else None,
    )


def _values(measured: LesionQuantities, counted: bool) -> dict[str, Value | None]:
    """A cylinder's values; of one that is not counted, only those that need no counted voxels."""
    if counted:
        return measured.values
    kept = ("integrated_mass_mg", "volume_fraction_mass_mg", "spatially_weighted_mm3")
    return {name: value if name in kept else Value(0.0) for name, value in measured.values.items()}


def _lesion_in(lesions: Sequence[Lesion], box: np.ndarray) -> Lesion | None:
    """The lesion with the highest score in a box; they are in this order."""
    flat = box.reshape(-1)
    return next((lesion for lesion in lesions if flat[lesion.voxels[0]]), None)


def _lesion_at(volume: CTVolume, placement: Placement, cylinder: Cylinder) -> Lesion:
    """The voxels whose centers lie in a cylinder, and the one at its middle."""
    x, y, z = volume.direction.T @ (placement.position(cylinder) - np.asarray(volume.origin))
    middle = np.array([z, y, x]) / volume.spacing
    reach = np.ceil(cylinder.diameter_mm / 2 / np.array(volume.spacing)).astype(int)
    offsets = np.indices(tuple(2 * reach + 1)).reshape(3, -1).T - reach
    index = np.rint(middle).astype(int) + offsets
    away = (index - middle) * volume.spacing
    inside = (np.hypot(away[:, 1], away[:, 2]) <= cylinder.diameter_mm / 2) & (
        np.abs(away[:, 0]) <= cylinder.diameter_mm / 2
    )
    inside |= (offsets == 0).all(axis=1)
    inside &= ((index >= 0) & (index < volume.shape)).all(axis=1)
    voxels = np.ravel_multi_index(tuple(index[inside].T), volume.shape)
    hu = volume.hu.reshape(-1)[voxels]
    return Lesion(
        id=0,
        artery=UNASSIGNED.name,
        first_slice=int(index[inside, 0].min()),
        last_slice=int(index[inside, 0].max()),
        main_slice=round(float(middle[0])),
        centroid_lps=(float(x), float(y), float(z)),
        area_mm2=0.0,
        volume_mm3=voxels.size * volume.voxel_volume_mm3,
        maximum_hu=float(hu.max()),
        mean_hu=float(hu.mean()),
        agatston=0.0,
        probability=None,
        voxels=np.sort(voxels),
    )
