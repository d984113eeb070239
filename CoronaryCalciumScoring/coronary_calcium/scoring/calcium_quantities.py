"""Every quantity of the calcium, lesion by lesion and artery by artery, that command line, panel and reports show.

They stand beside the Agatston score and replace nothing: the score, volume and mass of the counted voxels are those of
``CaseScore``. A quantity is one ``CalciumQuantity``: its name, unit, definition and source, and a function.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.scoring.calcium_distribution import arteries_with_calcium, density_score, diffusivity
from coronary_calcium.scoring.lesion_region import (
    LesionRegion,
    bounds,
    farthest_voxels,
    lesion_region,
    why_no_region,
)
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.spatially_weighted import HALF_WEIGHT_MG_PER_CM3, SPATIALLY_WEIGHTED_SOURCE
from coronary_calcium.scoring.volume_mass import ROD_MG_PER_CM3, MassCalibration
from coronary_calcium.volume import CTVolume

_BLACK = "Black, Xiao and Molloi, J Med Imaging 2023;10:043502"
# A lesion's own HU must lie this many SD of the noise above its background before a volume is made of both.
_LEAST_CONTRAST_SD = 1.0


@dataclass(frozen=True)
class Value:
    """A number, and its SD from image noise and background, where that is known."""

    number: float
    sd: float | None = None


@dataclass(frozen=True)
class LesionMeasurement:
    """What a lesion's quantities are computed from; ``region`` is None where it has no usable background."""

    lesion: Lesion
    region: LesionRegion | None
    voxel_mm3: float
    calibration: MassCalibration


@dataclass(frozen=True)
class CalciumQuantity:
    """One way to say how much calcium there is.

    Attributes
    ----------
    name : key in files, with the unit.
    title, unit : for the reader.
    definition, source : what it is, and who defined it.
    of_lesion : its value for a lesion, or None where the lesion has none.
    """

    name: str
    title: str
    unit: str
    definition: str
    source: str
    of_lesion: Callable[[LesionMeasurement], Value | None]


def _integrated_mass(measured: LesionMeasurement) -> Value | None:
    if measured.region is None:
        return None
    unit = measured.voxel_mm3 * measured.calibration.mg_per_mm3_hu
    return Value(measured.region.excess_hu * unit, measured.region.excess_sd_hu * unit)


def _volume_fraction_mass(measured: LesionMeasurement) -> Value | None:
    region = measured.region
    if region is None:
        return None
    contrast = measured.calibration.hu_of(ROD_MG_PER_CM3) - region.background_hu
    if contrast <= 0:
        return None
    unit = measured.voxel_mm3 * ROD_MG_PER_CM3 / 1000.0 / contrast
    return Value(region.excess_hu * unit, region.excess_sd_hu * unit)


def _integrated_volume(measured: LesionMeasurement) -> Value | None:
    region = measured.region
    if region is None or region.brightest_hu - region.background_hu <= _LEAST_CONTRAST_SD * region.noise_hu:
        return None
    unit = measured.voxel_mm3 / (region.brightest_hu - region.background_hu)
    return Value(region.excess_hu * unit, region.excess_sd_hu * unit)


def _spatially_weighted(measured: LesionMeasurement) -> Value | None:
    return None if measured.region is None else Value(measured.region.weighted_voxels * measured.voxel_mm3)


QUANTITIES = (
    CalciumQuantity(
        "agatston",
        "Agatston",
        "",
        "Area of the counted voxels of a slice x weight 1 to 4 by their maximum x slice spacing / 3 mm",
        "Agatston et al., J Am Coll Cardiol 1990;15:827",
        lambda measured: Value(measured.lesion.agatston),
    ),
    CalciumQuantity(
        "volume_mm3",
        "Volume",
        "mm³",
        "Volume of the counted voxels",
        "github.com/nwerf/FQM_Analysis (number of voxels x their volume)",
        lambda measured: Value(measured.lesion.volume_mm3),
    ),
    CalciumQuantity(
        "mass_mg",
        "Mass",
        "mg",
        "HU of the counted voxels x their volume x calibration factor",
        "McCollough et al., Radiology 2007;243:527",
        lambda measured: Value(measured.calibration.mass_of(measured.lesion)),
    ),
    CalciumQuantity(
        "integrated_mass_mg",
        "Integrated mass",
        "mg",
        "HU above the lesion's background, summed over a region that is wider than the lesion, x voxel volume x "
        "calibration factor",
        f"{_BLACK} (integrated calcium mass); background ring as here defined",
        _integrated_mass,
    ),
    CalciumQuantity(
        "volume_fraction_mass_mg",
        "Volume-fraction mass",
        "mg",
        "Each voxel's share of 200 mg/cm3 between the background's HU and that of 200 mg/cm3, summed over the same "
        "region, x voxel volume x 200 mg/cm3",
        f"{_BLACK} (volume fraction calcium mass)",
        _volume_fraction_mass,
    ),
    CalciumQuantity(
        "integrated_volume_mm3",
        "Integrated volume",
        "mm³",
        "HU above the background, summed over the same region, / (the lesion's own HU, the 95th percentile of its "
        "counted voxels, - background) x voxel volume: a volume corrected for partial volume",
        "Molloi et al., doi:10.1007/s10554-016-1007-9 (integrated intensity)",
        _integrated_volume,
    ),
    CalciumQuantity(
        "spatially_weighted_mm3",
        "Spatially weighted",
        "mm³",
        "Voxels near the artery's lesions, without those that a network takes for another artery, each weighted by how "
        "likely its HU is that of 100 mg/cm3 or more, averaged with its four neighbors, x voxel volume; no threshold",
        SPATIALLY_WEIGHTED_SOURCE,
        _spatially_weighted,
    ),
)


@dataclass(frozen=True)
class LesionQuantities:
    """The quantities of one lesion by name; ``reason`` says in a sentence why some are None, else it is empty."""

    lesion: Lesion
    region: LesionRegion | None
    values: dict[str, Value | None]
    density_mg_per_cm3: float
    density_score: float | None
    reason: str


@dataclass(frozen=True)
class GroupQuantities:
    """The quantities of an artery, or of all.

    Attributes
    ----------
    lesions, not_measured : number of lesions, and of those without a usable background, which are not in the sums of
        what needs one.
    values : sums by name; None where there is no lesion to sum, so that no artery's course is made up.
    mean_hu, maximum_hu : over the counted voxels; None without any.
    density_mg_per_cm3 : mass / volume of the counted voxels; None without any.
    density_score : mean Agatston weight over the area, 1 to 4; None without any.
    """

    lesions: int
    not_measured: int
    values: dict[str, Value | None]
    mean_hu: float | None
    maximum_hu: float | None
    density_mg_per_cm3: float | None
    density_score: float | None


@dataclass(frozen=True)
class CaseQuantities:
    """All quantities of a case.

    Attributes
    ----------
    lesions : in the order of the score's lesions.
    by_artery : by the names of ``arteries.ARTERIES``.
    total : over all arteries.
    arteries_with_calcium : of LM, LAD, LCX and RCA; None while some calcium has no artery.
    diffusivity : the diffusivity index, or None as ``calcium_distribution.diffusivity`` says.
    calibration : what turned intensities into mass.
    """

    lesions: tuple[LesionQuantities, ...]
    by_artery: dict[str, GroupQuantities]
    total: GroupQuantities
    arteries_with_calcium: int | None
    diffusivity: float | None
    calibration: MassCalibration


class QuantityMeter:
    """Measures the quantities of one CT again and again; lesions that nothing near has changed are not looked at again.

    A region depends on its lesion's voxels and on those of the lesions within its reach, and on the CT; with a map of
    arteries (``lesion_region``) on the lesion's artery as well.
    """

    def __init__(self, volume: CTVolume, calibration: MassCalibration, artery_map: np.ndarray | None = None) -> None:
        self._artery_map = artery_map
        self.calibration = calibration
        self._volume = volume
        self._half_weight_hu = calibration.hu_of(HALF_WEIGHT_MG_PER_CM3)
        self._bounds: dict[bytes, np.ndarray] = {}
        self._regions: dict[tuple[bytes, ...], LesionRegion | None] = {}

    def measure(self, score: CaseScore) -> CaseQuantities:
        """The quantities of a score on this CT."""
        regions = self._regions_of(score.lesions)
        voxel = self._volume.voxel_volume_mm3
        slice_factor = self._volume.spacing[0] / score.rules.reference_spacing_mm
        lesions = tuple(
            _lesion_quantities(
                LesionMeasurement(lesion, region, voxel, self.calibration),
                slice_factor,
                "" if region is not None else why_no_region(self._volume, lesion),
            )
            for lesion, region in zip(score.lesions, regions)
        )
        by_artery = {
            artery.name: _group([one for one in lesions if one.lesion.artery == artery.name], slice_factor)
            for artery in ARTERIES
        }
        return CaseQuantities(
            lesions=lesions,
            by_artery=by_artery,
            total=_group(lesions, slice_factor),
            arteries_with_calcium=arteries_with_calcium(score),
            diffusivity=diffusivity(score),
            calibration=self.calibration,
        )

    def _regions_of(self, lesions: tuple[Lesion, ...]) -> list[LesionRegion | None]:
        """The regions of the lesions, those of the last time where nothing within their reach has changed."""
        if not lesions:
            self._bounds, self._regions = {}, {}
            return []
        keys = [lesion.voxels.tobytes() for lesion in lesions]
        self._bounds = {
            key: self._bounds[key] if key in self._bounds else bounds(self._volume, lesion)
            for key, lesion in zip(keys, lesions)
        }
        boxes = np.stack([self._bounds[key] for key in keys])
        reach = farthest_voxels(self._volume)
        near = (
            (boxes[:, None, 0] - reach <= boxes[None, :, 1]) & (boxes[None, :, 0] <= boxes[:, None, 1] + reach)
        ).all(axis=2)
        np.fill_diagonal(near, False)
        known, self._regions = self._regions, {}
        found = []
        for number, lesion in enumerate(lesions):
            others = np.flatnonzero(near[number])
            artery = b"" if self._artery_map is None else lesion.artery.encode()
            key = (artery, keys[number], *sorted(keys[other] for other in others))
            if key in known:
                region = known[key]
            else:
                near_ones = [lesions[other] for other in others]
                region = lesion_region(self._volume, lesion, near_ones, self._half_weight_hu, self._artery_map)
            self._regions[key] = region
            found.append(region)
        return found


def case_quantities(
    volume: CTVolume, score: CaseScore, calibration: MassCalibration, artery_map: np.ndarray | None = None
) -> CaseQuantities:
    """The quantities of a score on its CT; ``artery_map`` as in ``lesion_region``."""
    return QuantityMeter(volume, calibration, artery_map).measure(score)


def _lesion_quantities(measured: LesionMeasurement, slice_factor: float, reason: str) -> LesionQuantities:
    lesion = measured.lesion
    return LesionQuantities(
        lesion=lesion,
        region=measured.region,
        values={quantity.name: quantity.of_lesion(measured) for quantity in QUANTITIES},
        density_mg_per_cm3=measured.calibration.mg_per_cm3_hu * lesion.mean_hu,
        density_score=density_score(lesion.agatston, lesion.area_mm2, slice_factor),
        reason=reason,
    )


def _group(lesions: Sequence[LesionQuantities], slice_factor: float) -> GroupQuantities:
    voxels = sum(one.lesion.voxels.size for one in lesions)
    hu = sum(one.lesion.mean_hu * one.lesion.voxels.size for one in lesions)
    mass = sum(one.density_mg_per_cm3 * one.lesion.volume_mm3 for one in lesions)
    return GroupQuantities(
        lesions=len(lesions),
        not_measured=sum(one.region is None for one in lesions),
        values={quantity.name: _sum([one.values[quantity.name] for one in lesions]) for quantity in QUANTITIES},
        mean_hu=hu / voxels if voxels else None,
        maximum_hu=max((one.lesion.maximum_hu for one in lesions), default=None),
        density_mg_per_cm3=mass / sum(one.lesion.volume_mm3 for one in lesions) if voxels else None,
        density_score=density_score(
            sum(one.lesion.agatston for one in lesions), sum(one.lesion.area_mm2 for one in lesions), slice_factor
        ),
    )


def _sum(values: Sequence[Value | None]) -> Value | None:
    """The sum of the values that are known, their errors independent; None when none is."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    sds = [value.sd for value in known if value.sd is not None]
    return Value(sum(value.number for value in known), math.hypot(*sds) if sds else None)
