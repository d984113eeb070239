"""Volume as the rule set measures it, interpolated volume, and calcium mass."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.rules import INTERPOLATED, RuleSet
from coronary_calcium.scoring.interpolated import interpolated_pixels
from coronary_calcium.scoring.mass import MassCalibration
from coronary_calcium.scoring.parts import Parts, find_parts
from coronary_calcium.volume import CTVolume


@dataclass(frozen=True)
class Quantity:
    """A number for all arteries together, and for each of them by name."""

    total: float
    by_artery: dict[str, float]


@dataclass(frozen=True)
class Quantities:
    """What a case holds beside its Agatston score.

    Attributes
    ----------
    volume_mm3 : as the rule set measures it.
    interpolated_mm3 : volume after resampling z to the pixel size.
    mass_mg : calcium mass as hydroxyapatite, in mg.
    calibration : what turned intensities into mass.
    """

    volume_mm3: Quantity
    interpolated_mm3: Quantity
    mass_mg: Quantity
    calibration: MassCalibration


def measure(volume: CTVolume, labels: np.ndarray, rules: RuleSet, calibration: MassCalibration) -> Quantities:
    """Volumes and mass of a label map on its CT, by the rules; arguments as for ``score_labels``.

    Mass is the sum of intensity x voxel volume over the voxels that count, times the calibration factor (McCollough
    et al., Radiology 2007;243:527). Pixels and whole HU are summed as whole numbers and multiplied once.
    """
    rules = rules.for_volume
    parts = find_parts(volume, labels, rules)
    pixels = _by_artery(parts, np.ones(parts.hu.shape, dtype=np.int64))
    whole = np.issubdtype(parts.hu.dtype, np.integer)
    intensity = _by_artery(parts, parts.hu.astype(np.int64 if whole else np.float64))
    resampled, resampled_voxel_mm3 = interpolated_pixels(volume, labels, rules)
    interpolated = _quantity(resampled, resampled_voxel_mm3)
    plain = _quantity(pixels, volume.voxel_volume_mm3)
    return Quantities(
        volume_mm3=interpolated if rules.volume_method == INTERPOLATED else plain,
        interpolated_mm3=interpolated,
        mass_mg=_quantity(intensity, volume.voxel_volume_mm3 * calibration.mg_per_mm3_hu),
        calibration=calibration,
    )


def _by_artery(parts: Parts, values: np.ndarray) -> dict[str, float]:
    """Sums of ``values``, one a voxel of the parts, by artery."""
    label_of_voxel = np.repeat(parts.labels, parts.pixels)
    return {artery.name: values[label_of_voxel == artery.label].sum().item() for artery in ARTERIES}


def _quantity(sums: Mapping[str, float], unit: float) -> Quantity:
    return Quantity(sum(sums.values()) * unit, {name: value * unit for name, value in sums.items()})
