"""Calcium volume, interpolated volume and mass, and the calibration that mass needs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.components import Components, find_components
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.rules import INTERPOLATED, RuleSet, is_covered, thresholds_at
from coronary_calcium.volume import Acquisition, CTVolume

_ROUNDING = 1e-9
HU_DECIMALS = 6


def interpolated_pixels(volume: CTVolume, labels: np.ndarray, rules: RuleSet) -> tuple[dict[str, int], float]:
    """Number of pixels that count in each artery after resampling, and the volume of one of them in mm3.

    Slices are made by straight lines between the CT's, from the lowest on, a pixel's size apart, as in
    github.com/nwerf/FQM_Analysis; the rules' threshold, connectivity and minimum area then hold in each of them. A
    pixel can count when it is labeled in the slice below or above; where these name two arteries, the nearer slice
    decides. Slices that are no further apart than a pixel is wide stay as they are.

    ``labels`` is a (k, j, i) array as ``find_components`` takes it.
    """
    step = math.sqrt(volume.spacing[1] * volume.spacing[2])
    spacing = volume.spacing[0]
    if spacing <= step:
        return _count(volume, labels, rules), volume.voxel_volume_mm3
    pixels = dict.fromkeys((artery.name for artery in ARTERIES), 0)
    occupied = np.flatnonzero(labels.any(axis=(1, 2)))
    for k in sorted({*occupied.tolist(), *(occupied - 1).tolist()}):
        if 0 <= k < volume.shape[0]:
            between = _between(volume, labels, k, step)
            for name, count in _count(*between, rules).items() if between else ():
                pixels[name] += count
    return pixels, step * volume.spacing[1] * volume.spacing[2]


def _between(volume: CTVolume, labels: np.ndarray, k: int, step: float) -> tuple[CTVolume, np.ndarray] | None:
    """The resampled slices from slice ``k`` up to the next one, which they leave out, around what is labeled."""
    spacing, last = volume.spacing[0], volume.shape[0] - 1
    first = math.ceil(k * spacing / step - _ROUNDING)
    stop = (
        math.ceil((k + 1) * spacing / step - _ROUNDING) if k < last else math.floor(k * spacing / step + _ROUNDING) + 1
    )
    if stop <= first:
        return None
    upper = min(k + 1, last)
    marked = np.nonzero(labels[k] | labels[upper])
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in marked)
    share = np.clip(np.arange(first, stop) * step / spacing - k, 0.0, 1.0)[:, None, None]
    below, above = volume.hu[k][box].astype(np.float64), volume.hu[upper][box].astype(np.float64)
    near = np.where(share < 0.5, labels[k][box], labels[upper][box])
    far = np.where(share < 0.5, labels[upper][box], labels[k][box])
    # Rounded, so that what lies on the threshold is found on it from below as from above.
    hu = np.round(below + share * (above - below), HU_DECIMALS)
    return replace(volume, hu=hu, spacing=(step, *volume.spacing[1:])), np.where(near > 0, near, far)


def _count(volume: CTVolume, labels: np.ndarray, rules: RuleSet) -> dict[str, int]:
    components = find_components(volume, labels, rules)
    return {artery.name: int(components.pixels[components.labels == artery.label].sum()) for artery in ARTERIES}


# 130 HU at 120 kVp are about 100 mg/cm3 of hydroxyapatite, the convention behind the ideal scores of the QRM insert.
# At other voltages, the published thresholds (rules.py) are what the same calcium has there.
TYPICAL_MG_PER_CM3 = 100.0
REFERENCE_KVP = 120.0
# Factors that a scanner can have, in mg/cm3/HU. Scanners state about 0.8 at 120 kVp; at 70 kVp calcium is 1.6 times as
# bright (rules.py). What lies outside is in other units or no factor.
PLAUSIBLE_MG_PER_CM3_HU = (0.3, 1.2)


@dataclass(frozen=True)
class MassCalibration:
    """The mass of hydroxyapatite that an intensity stands for.

    Attributes
    ----------
    mg_per_cm3_hu : the factor in mg/cm3/HU, as DICOM (0018,9351) and (0018,9352) state it.
    calibrated : whether it holds for this scanner; False for the typical factor.
    source : where it comes from, a phrase for the reader.
    water_hu : what material without calcium has in HU, as measured beside the rod; 0 by definition of the scale.

    """

    mg_per_cm3_hu: float
    calibrated: bool
    source: str
    water_hu: float = 0.0

    @property
    def mg_per_mm3_hu(self) -> float:
        """The factor in mg/mm3/HU."""
        return self.mg_per_cm3_hu / 1000.0

    def hu_of(self, mg_per_cm3: float) -> float:
        """HU of hydroxyapatite of this density in mg/cm3."""
        return self.water_hu + mg_per_cm3 / self.mg_per_cm3_hu

    def mass_of(self, lesion: Lesion) -> float:
        """Mass in mg of a lesion's voxels, those that count for the Agatston score."""
        return lesion.mean_hu * lesion.volume_mm3 * self.mg_per_mm3_hu


def is_plausible(factor: float | None) -> bool:
    """Whether a number can be a calibration factor in mg/cm3/HU."""
    lowest, highest = PLAUSIBLE_MG_PER_CM3_HU
    return factor is not None and lowest <= factor <= highest


def calibration_of(acquisition: Acquisition, given: float | None = None) -> MassCalibration:
    """The calibration of a scan: the factor that was given, the header's, or the typical one.

    Of the header's, the patient's factor (0018,9351) comes before the device's (0018,9352). The typical one is that of
    the scan's tube voltage where thresholds are published for it, else that of 120 kVp.
    """
    if given is not None:
        return MassCalibration(given, True, "factor given by the user")
    stated = (
        (acquisition.mass_factor_patient, "DICOM (0018,9351), factor of the patient"),
        (acquisition.mass_factor_device, "DICOM (0018,9352), factor of the device for a medium-sized patient"),
    )
    for factor, source in stated:
        if factor is not None and is_plausible(factor):
            return MassCalibration(factor, True, source)
    kvp = acquisition.kvp if acquisition.kvp is not None and is_covered(acquisition.kvp) else REFERENCE_KVP
    hu = thresholds_at(kvp)[0]
    return MassCalibration(
        TYPICAL_MG_PER_CM3 / hu,
        False,
        f"typical factor at {kvp:g} kVp: {hu:.0f} HU for {TYPICAL_MG_PER_CM3:.0f} mg/cm3",
    )


def calibration_from_inserts(rod_hu: float, water_hu: float, rod_mg_per_cm3: float = 200.0) -> MassCalibration:
    """The calibration from a rod of known density and water in the same scan.

    The factor is density / (HU of the rod - HU of the water): McCollough et al., Radiology 2007;243:527. Raises
    ValueError when the rod is not brighter than the water.
    """
    if not rod_hu > water_hu:
        raise ValueError(f"the rod ({rod_hu:g} HU) must be brighter than the water ({water_hu:g} HU)")
    return MassCalibration(
        rod_mg_per_cm3 / (rod_hu - water_hu),
        True,
        f"rod of {rod_mg_per_cm3:g} mg/cm3 ({rod_hu:.1f} HU) and water ({water_hu:.1f} HU) in the scan",
        water_hu,
    )


# The rods of calibration phantoms have 200 mg/cm3 (McCollough et al., Radiology 2007;243:527) unless told otherwise.
ROD_MG_PER_CM3 = 200.0
# A disc of this radius in mm is measured around a mark, in slices as far: rods are wider than 10 mm, and longer.
RADIUS_MM = 5.0
# A disc reaches over the edge when its inner half and all of it differ by more than this share of the contrast.
# Noise of 60 HU in slices of 3 mm moves it by about 2 %; a water disc, a fifth of it in plastic of 75 HU, by 6 %.
_EVENNESS = 0.05


@dataclass(frozen=True)
class CalibrationInserts:
    """Where the user marked rod and water: LPS positions in mm, the rod's density, the discs' radius in mm."""

    rod: tuple[float, float, float]
    water: tuple[float, float, float]
    mg_per_cm3: float = ROD_MG_PER_CM3
    radius_mm: float = RADIUS_MM


def calibration_from_marks(volume: CTVolume, marks: CalibrationInserts) -> MassCalibration:
    """The calibration from marked rods, each measured in a disc in the slices about its mark.

    Raises InputError("mass-rods") when a mark lies outside the scan or at an edge, or when the two do not differ as
    a rod of this density and water do.
    """
    rod, water = _mean_on_grid(volume, marks.rod, marks.radius_mm), _mean_on_grid(volume, marks.water, marks.radius_mm)
    if rod is None or water is None:
        name = "rod" if rod is None else "water"
        raise _rejection(
            f"The mark of the {name} lies outside the scan: give its position in mm in patient coordinates."
        )
    factor = marks.mg_per_cm3 / (rod - water) if rod > water else None
    if not is_plausible(factor):
        lowest, highest = PLAUSIBLE_MG_PER_CM3_HU
        raise _rejection(
            f"The marked rod has {rod:.0f} HU and the water {water:.0f} HU, which gives no factor within {lowest:g} to "
            f"{highest:g} mg/cm3/HU for {marks.mg_per_cm3:g} mg/cm3: check both marks and the rod's density."
        )
    for name, mark, whole in (("rod", marks.rod, rod), ("water", marks.water, water)):
        inner = _mean_on_grid(volume, mark, marks.radius_mm / 2)
        if inner is None or abs(inner - whole) > _EVENNESS * (rod - water):
            raise _rejection(
                f"The disk of {marks.radius_mm:g} mm around the mark of the {name} is not uniform: mark its center, "
                "or give a smaller radius."
            )
    return calibration_from_inserts(rod, water, marks.mg_per_cm3)


def mean_in_disc(volume: CTVolume, position: np.ndarray, radius: float) -> float | None:
    """Mean HU of the slice at a position (LPS, mm) within a radius in mm; None outside the scan."""
    x, y, z = volume.direction.T @ (np.asarray(position, dtype=float) - np.asarray(volume.origin))
    k, j, i = z / volume.spacing[0], y / volume.spacing[1], x / volume.spacing[2]
    if not 0 <= round(k) < volume.shape[0]:
        return None
    rows, columns = np.mgrid[: volume.shape[1], : volume.shape[2]]
    inside = np.hypot((rows - j) * volume.spacing[1], (columns - i) * volume.spacing[2]) <= radius
    return float(volume.hu[round(k)][inside].mean()) if inside.any() else None


def _mean_on_grid(volume: CTVolume, mark: tuple[float, float, float], radius: float) -> float | None:
    """Mean HU within a radius around a mark, over the slices that lie as near to it; None outside the scan."""
    x, y, z = volume.direction.T @ (np.asarray(mark, dtype=float) - np.asarray(volume.origin))
    k, j, i = round(z / volume.spacing[0]), round(y / volume.spacing[1]), round(x / volume.spacing[2])
    if not all(0 <= index < size for index, size in zip((k, j, i), volume.shape)):
        return None
    reach = int(radius / volume.spacing[0])
    slices = range(max(k - reach, 0), min(k + reach, volume.shape[0] - 1) + 1)
    axis = volume.direction[:, 2] * volume.spacing[0]
    means = [mean_in_disc(volume, np.asarray(mark) + (other - k) * axis, radius) for other in slices]
    known = [mean for mean in means if mean is not None]
    return float(np.mean(known)) if known else None


def _rejection(message: str) -> InputError:
    return InputError("mass-rods", message)


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
    components = find_components(volume, labels, rules)
    pixels = _by_artery(components, np.ones(components.hu.shape, dtype=np.int64))
    whole = np.issubdtype(components.hu.dtype, np.integer)
    intensity = _by_artery(components, components.hu.astype(np.int64 if whole else np.float64))
    resampled, resampled_voxel_mm3 = interpolated_pixels(volume, labels, rules)
    interpolated = _quantity(resampled, resampled_voxel_mm3)
    plain = _quantity(pixels, volume.voxel_volume_mm3)
    return Quantities(
        volume_mm3=interpolated if rules.volume_method == INTERPOLATED else plain,
        interpolated_mm3=interpolated,
        mass_mg=_quantity(intensity, volume.voxel_volume_mm3 * calibration.mg_per_mm3_hu),
        calibration=calibration,
    )


def _by_artery(components: Components, values: np.ndarray) -> dict[str, float]:
    """Sums of ``values``, one per voxel of the components, by artery."""
    label_of_voxel = np.repeat(components.labels, components.pixels)
    return {artery.name: values[label_of_voxel == artery.label].sum().item() for artery in ARTERIES}


def _quantity(sums: Mapping[str, float], unit: float) -> Quantity:
    return Quantity(sum(sums.values()) * unit, {name: value * unit for name, value in sums.items()})
