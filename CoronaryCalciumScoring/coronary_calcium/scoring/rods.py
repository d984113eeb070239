"""Mass calibration from a phantom in the scan: a rod of known density and water, where the user marked them."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.errors import InputRefused
from coronary_calcium.scoring.mass import (
    PLAUSIBLE_MG_PER_CM3_HU,
    MassCalibration,
    calibration_from_rods,
    is_plausible,
)
from coronary_calcium.volume import CTVolume

# The rods of calibration phantoms have 200 mg/cm3 (McCollough et al., Radiology 2007;243:527) unless told otherwise.
ROD_MG_PER_CM3 = 200.0
# A disc of this radius in mm is measured around a mark, in slices as far: rods are wider than 10 mm, and longer.
RADIUS_MM = 5.0
# A disc reaches over the edge when its inner half and all of it differ by more than this share of the contrast.
# Noise of 60 HU in slices of 3 mm moves it by about 2 %; a water disc, a fifth of it in plastic of 75 HU, by 6 %.
_EVENNESS = 0.05


@dataclass(frozen=True)
class MarkedRods:
    """Where the user marked rod and water: LPS positions in mm, the rod's density, the discs' radius in mm."""

    rod: tuple[float, float, float]
    water: tuple[float, float, float]
    mg_per_cm3: float = ROD_MG_PER_CM3
    radius_mm: float = RADIUS_MM


def calibration_from_marks(volume: CTVolume, marks: MarkedRods) -> MassCalibration:
    """The calibration from marked rods, each measured in a disc in the slices about its mark.

    Raises InputRefused("mass-rods") when a mark lies outside the scan or at an edge, or when the two do not differ as
    a rod of this density and water do.
    """
    rod, water = _mean(volume, marks.rod, marks.radius_mm), _mean(volume, marks.water, marks.radius_mm)
    if rod is None or water is None:
        name = "rod" if rod is None else "water"
        raise _refusal(f"The mark of the {name} lies outside the scan: give its position in mm in patient coordinates.")
    factor = marks.mg_per_cm3 / (rod - water) if rod > water else None
    if not is_plausible(factor):
        lowest, highest = PLAUSIBLE_MG_PER_CM3_HU
        raise _refusal(
            f"The marked rod has {rod:.0f} HU and the water {water:.0f} HU, which gives no factor of {lowest:g} to "
            f"{highest:g} mg/cm3/HU for {marks.mg_per_cm3:g} mg/cm3: check both marks and the rod's density."
        )
    for name, mark, whole in (("rod", marks.rod, rod), ("water", marks.water, water)):
        inner = _mean(volume, mark, marks.radius_mm / 2)
        if inner is None or abs(inner - whole) > _EVENNESS * (rod - water):
            raise _refusal(
                f"The disc of {marks.radius_mm:g} mm around the mark of the {name} is not even: mark the middle, or "
                "give a smaller radius."
            )
    return calibration_from_rods(rod, water, marks.mg_per_cm3)


def mean_in_disc(volume: CTVolume, position: np.ndarray, radius: float) -> float | None:
    """Mean HU of the slice at a position (LPS, mm) within a radius in mm; None outside the scan."""
    x, y, z = volume.direction.T @ (np.asarray(position, dtype=float) - np.asarray(volume.origin))
    k, j, i = z / volume.spacing[0], y / volume.spacing[1], x / volume.spacing[2]
    if not 0 <= round(k) < volume.shape[0]:
        return None
    rows, columns = np.mgrid[: volume.shape[1], : volume.shape[2]]
    inside = np.hypot((rows - j) * volume.spacing[1], (columns - i) * volume.spacing[2]) <= radius
    return float(volume.hu[round(k)][inside].mean()) if inside.any() else None


def _mean(volume: CTVolume, mark: tuple[float, float, float], radius: float) -> float | None:
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


def _refusal(message: str) -> InputRefused:
    return InputRefused("mass-rods", message)
