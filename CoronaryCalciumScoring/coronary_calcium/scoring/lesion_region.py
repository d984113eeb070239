"""The region that holds all of a lesion's calcium, blur included, and the ring of tissue that is its background.

Both are grown from the lesion's counted voxels. The region is wider than the lesion, so that what blur and partial
volume carry over its edge is still inside; the ring around it says what the tissue would have without calcium. Other
lesions, lung, fat, bone and metal stop both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from coronary_calcium.arteries import BY_NAME, UNASSIGNED
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.spatially_weighted import weighted_voxels
from coronary_calcium.volume import CTVolume

# How far, in mm, the region reaches beyond the counted voxels of a slice. Black et al. (J Med Imaging 2023;10:043502)
# dilate the insert's known mask by 1 to 3 pixels of 0.5 mm; a lesion's counted voxels can be smaller than the lesion.
# Blurred spheres of 200 to 800 mg/cm3 keep 99.5 % of their mass in 2.5 mm up to a blur of 2.4 mm (FWHM); with 2.0 mm,
# 98.2 %; on the real insert, 1.5, 2.0, 2.5 and 3.0 mm miss the six larger masses by 5.4, 4.3, 3.9 and 6.0 % on average.
REACH_MM = 2.5
# Where the blur is heavier, the shell around the region still holds calcium, and the region grows by this much at a
# time while the shell adds more than so large a share, and more than so many standard errors, of what is inside.
GROWTH_MM, FARTHEST_MM = 0.5, 5.0
GROWTH_SHARE, GROWTH_ERRORS = 0.001, 4.0
# How thick the ring is.
RING_MM = 3.0
# Slices above and below that the region reaches into: as thick as a slice is, and at least this far.
REACH_ACROSS_MM = 2.0
# Where more than this share of the ring is fat or lung, no one number is the background: a voxel's is then the mean of
# the ring's voxels of its slice, weighted by a Gaussian of their distance, and the region reaches less far, so that the
# vessel's own wall lies in the ring. Chosen on six simulated hearts, whose calcium is known: 24 lesions of 2 to 10, 10
# to 30 and more mg were missed by 18, 9 and 11 % (medians); with a reach of 1.0 mm, by 52, 22 and 5 %; with 2.5 mm and
# one background, by 113, 41 and 30 %. On 44 lesions of 14 other patients: 43, 9 and 8 %, and the counted voxels' mass
# by 49, 35 and 26 % (Testing/tools/measure_mass_in_simulated_hearts.py). With 35 % of the mass added to the SD, 77 % of
# them lie within one SD and 89 % within two.
UNEVEN_SHARE = 0.1
UNEVEN_REACH_MM, UNEVEN_SMOOTHING_MM, UNEVEN_ERROR = 0.5, 2.0, 0.35
# The mean of 3 x 3 pixels of a slice, in HU, below which tissue is fat (-100) rather than blood (42) or muscle, below
# which it is lung rather than fat, and from which on it is bright; a voxel is bright when it is so itself as well.
FAT_HU, LUNG_HU, BRIGHT_HU = -30.0, -300.0, 130.0
# Bright voxels this near to the counted ones are of the same lesion, whoever left them out; further away, of another.
BORDER_MM = 1.0
# An artery is looked at for the spatially weighted score as far as this from its lesions; where a network has named the
# arteries there and names the lesion's own as the reader does, without what it takes for another artery.
ARTERY_REACH_MM = 5.0
# What lies further from the ring's median than this many (robust) SD is left out of an even background.
CLIP_SD, CLIP_PASSES = 3.0, 3
_ROBUST_SD = 1.4826  # of a normal distribution, in median absolute deviations
# The ring is cut in sectors, in each slice, whose means tell how well the background is known. With fewer directions
# from the lesion, or fewer voxels, a ring is too small to say what the tissue is.
SECTORS, MINIMUM_SECTORS = 8, 3
MINIMUM_RING_VOXELS, MINIMUM_BLOCK_VOXELS, MINIMUM_BLOCKS = 40, 5, 3
_SQUARE = (1, 3, 3)

NO_INTENSITY_HU = -2000.0
# A lesion and its surroundings of more voxels than this (a heart has as many) are no lesion, and would take seconds.
MOST_VOXELS = 4_000_000

TOO_LARGE = "It is too large to be one lesion."
NO_RING = "There is too little tissue around it to measure a background in: other calcium, lung or bone is too near."


@dataclass(frozen=True)
class LesionRegion:
    """A lesion's region and what it adds to its background.

    Attributes
    ----------
    reach_mm : how far the region reaches beyond the counted voxels in their slices.
    voxels : number of voxels in the region.
    ring_voxels : number of voxels that the background was measured in.
    even : whether one background holds for the whole region; otherwise each voxel has its own.
    background_hu : mean of the ring, or of the voxels' own backgrounds, in HU.
    noise_hu : SD of the ring's voxels in HU.
    excess_hu : sum over the region of HU above the background.
    excess_sd_hu : its SD, from noise and from how well the background is known.
    brightest_hu : 95th percentile of the counted voxels in HU, the lesion's own HU where blur leaves a plateau.
    weighted_voxels : the spatially weighted score, in voxels, of what lies within ``ARTERY_REACH_MM``.
    artery_named : whether a map of arteries has narrowed what that score looks at.
    """

    reach_mm: float
    voxels: int
    ring_voxels: int
    even: bool
    background_hu: float
    noise_hu: float
    excess_hu: float
    excess_sd_hu: float
    brightest_hu: float
    weighted_voxels: float
    artery_named: bool = False


def lesion_region(
    volume: CTVolume,
    lesion: Lesion,
    others: Sequence[Lesion],
    half_weight_hu: float,
    artery_map: np.ndarray | None = None,
) -> LesionRegion | None:
    """The region of a lesion; None where no background can be measured (``why_no_region`` says why).

    ``others`` are the lesions that may be near: a voxel belongs to the region of the lesion that it is nearest to.
    ``half_weight_hu`` is the HU of 100 mg/cm3, for the spatially weighted score, and ``artery_map`` a uint8 (k, j, i)
    array of the labels of arteries, 0 where none is known.
    """
    if _is_too_large(volume, lesion):
        return None
    # Nearly all regions stay narrow, and so can what is looked at: it takes a third of the time.
    around = partial(_Surroundings, volume, lesion, others, half_weight_hu, artery_map)
    found, growing = around(REACH_MM + GROWTH_MM).grown()
    if growing:
        found, _ = around(FARTHEST_MM).grown()
    return found


def near_lesions(volume: CTVolume, labels: np.ndarray) -> np.ndarray:
    """Where the spatially weighted score may look around the voxels of a label map, and a little more; bool (k, j, i).

    It is what a map of arteries must cover.
    """
    near = np.zeros(labels.shape, dtype=bool)
    found = ndimage.find_objects((labels != 0).view(np.uint8))
    if found:
        reach = farthest_voxels(volume)
        reach[1:] = [math.ceil(ARTERY_REACH_MM / step) for step in volume.spacing[1:]]
        box = tuple(slice(max(0, side.start - n), side.stop + n) for side, n in zip(found[0], reach))
        near[box] = ndimage.maximum_filter(labels[box] != 0, tuple(2 * reach + 1), mode="constant")
    return near


def _of_artery(arteries: np.ndarray, lesion: Lesion, own: np.ndarray) -> np.ndarray | None:
    """Where a map of arteries allows a lesion's artery; None where it calls the lesion another's, or nothing.

    ``arteries`` (uint8) and the lesion's ``own`` voxels (bool) are (k, j, i). Where the map names none, any is allowed.
    """
    named = np.bincount(arteries[own], minlength=UNASSIGNED.label + 1)[1:]
    label = BY_NAME[lesion.artery].label
    if not named.any() or named.argmax() + 1 != label:
        return None
    return (arteries == label) | (arteries == 0) | own


def why_no_region(volume: CTVolume, lesion: Lesion) -> str:
    """Why a lesion has no region, in a sentence."""
    return TOO_LARGE if _is_too_large(volume, lesion) else NO_RING


def _is_too_large(volume: CTVolume, lesion: Lesion) -> bool:
    low, high = bounds(volume, lesion)
    return float(np.prod(high - low + 1 + 2 * farthest_voxels(volume), dtype=float)) > MOST_VOXELS


def slices_reached(volume: CTVolume, reach_mm: float) -> int:
    """How many slices above and below a lesion's own its calcium reaches into."""
    thickness = volume.acquisition.slice_thickness_mm or volume.spacing[0]
    return max(1, math.ceil(max(thickness, reach_mm) / volume.spacing[0] - 1e-6))


def bounds(volume: CTVolume, lesion: Lesion) -> np.ndarray:
    """Lowest and highest index (k, j, i) of a lesion's voxels, shape (2, 3)."""
    index = np.stack(np.unravel_index(lesion.voxels, volume.shape))
    return np.stack([index.min(axis=1), index.max(axis=1)])


def farthest_voxels(volume: CTVolume, reach_mm: float = FARTHEST_MM) -> np.ndarray:
    """How far (k, j, i), in voxels, anything that a region of this reach depends on can lie from its lesion."""
    wide = max(reach_mm + RING_MM, ARTERY_REACH_MM)
    slices = slices_reached(volume, REACH_ACROSS_MM + reach_mm - REACH_MM)
    return np.array([slices, *(math.ceil(wide / step) + 1 for step in volume.spacing[1:])])


@dataclass(frozen=True, eq=False)
class _Background:
    """Background in HU (k, j, i), of how many voxels, their SD in HU, and the variance that one adds to a sum."""

    hu: np.ndarray
    ring_voxels: int
    noise_hu: float
    variance_in_sums: float
    even: bool


class _Surroundings:
    """The part of the CT around a lesion, and how far each of its voxels lies from this lesion and from others."""

    def __init__(
        self,
        volume: CTVolume,
        lesion: Lesion,
        others: Sequence[Lesion],
        half_weight_hu: float,
        artery_map: np.ndarray | None,
        farthest_mm: float,
    ) -> None:
        low, high = bounds(volume, lesion)
        margin = farthest_voxels(volume, farthest_mm)
        start, stop = np.maximum(low - margin, 0), np.minimum(high + margin + 1, volume.shape)
        self._volume = volume
        self._half_weight_hu = half_weight_hu
        self._farthest_mm = farthest_mm
        box = tuple(slice(a, b) for a, b in zip(start, stop))
        hu = volume.hu[box].astype(np.float32)
        # Voxels without an intensity stop region and ring, as lung does.
        self._hu = np.nan_to_num(hu, nan=NO_INTENSITY_HU, posinf=NO_INTENSITY_HU, neginf=NO_INTENSITY_HU)
        self._own = self._mask([lesion], start)
        self._other = self._mask(others, start)
        self._of_artery = None if artery_map is None else _of_artery(artery_map[box], lesion, self._own)
        self._middle = np.mean(np.nonzero(self._own), axis=1)
        smooth = ndimage.uniform_filter(self._hu, _SQUARE)
        slices = slices_reached(volume, REACH_ACROSS_MM)
        from_own = self._in_slice(self._own, slices)
        near = from_own <= BORDER_MM
        bright = (self._hu >= BRIGHT_HU) & (smooth >= BRIGHT_HU) & ~near
        self._other |= bright
        self._fat = (smooth < FAT_HU) & ~self._own
        if self._fat.any():
            # Opened: what noise makes dark are specks.
            self._fat = ndimage.binary_opening(self._fat, np.ones(_SQUARE, dtype=bool))
        self._lung = (smooth < LUNG_HU) & ~self._own
        # Beside lung and bone a pixel holds some of them.
        self._beside_lung = ndimage.maximum_filter(self._lung | bright, _SQUARE)
        self._distances = slices, from_own, self._in_slice(self._other, slices)

    def _mask(self, lesions: Sequence[Lesion], start: np.ndarray) -> np.ndarray:
        mask = np.zeros(self._hu.shape, dtype=bool)
        for lesion in lesions:
            index = np.stack(np.unravel_index(lesion.voxels, self._volume.shape)) - start[:, None]
            inside = ((index >= 0) & (index < np.array(self._hu.shape)[:, None])).all(axis=0)
            mask[tuple(index[:, inside])] = True
        return mask

    def grown(self) -> tuple[LesionRegion | None, bool]:
        """The region: in even tissue as wide as the lesion's blur makes it, otherwise narrow.

        And whether it could be wider than what is looked at here.
        """
        reach = REACH_MM
        own, other = self._distance(reach)
        ring = (own > reach) & (own <= reach + RING_MM) & (other > reach)
        if not ring.any() or self._fat[ring].mean() > UNEVEN_SHARE:
            return self._uneven(), False
        found = self._measured(reach)
        while found is not None and reach + GROWTH_MM <= self._farthest_mm:
            wider = self._measured(reach + GROWTH_MM)
            if wider is None:
                return found, False
            # What the shell adds is judged by the wider ring, which holds less of the calcium.
            added = wider.excess_hu - (found.excess_hu + found.voxels * (found.background_hu - wider.background_hu))
            error = wider.excess_sd_hu * math.sqrt(max(1.0 - found.voxels / wider.voxels, 0.0))
            if added <= max(GROWTH_SHARE * found.excess_hu, GROWTH_ERRORS * error):
                return found, False
            reach, found = reach + GROWTH_MM, wider
        return found, found is not None

    def _distance(self, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """In-slice distances in mm (k, j, i) from this lesion and from others, in the slices that they reach into."""
        slices = slices_reached(self._volume, REACH_ACROSS_MM + reach - REACH_MM)
        if self._distances[0] != slices:
            self._distances = slices, self._in_slice(self._own, slices), self._in_slice(self._other, slices)
        return self._distances[1:]

    def _in_slice(self, mask: np.ndarray, slices: int) -> np.ndarray:
        spread = ndimage.maximum_filter1d(mask, 2 * slices + 1, axis=0, mode="constant")
        if not spread.any():
            return np.full(mask.shape, np.inf)
        # A step across slices that is longer than any way within one keeps distances within the slices.
        return ndimage.distance_transform_edt(~spread, sampling=(1e6, *self._volume.spacing[1:]))

    def _measured(self, reach: float) -> LesionRegion | None:
        """The region with one background."""
        own, other = self._distance(reach)
        nearest = (own <= other) & ~self._lung & ~self._other
        region = (own <= reach) & nearest
        ring = (own > reach) & (own <= reach + RING_MM) & (other > reach) & ~self._beside_lung
        index = np.nonzero(ring)
        hu = self._hu[index].astype(np.float64)
        if hu.size < MINIMUM_RING_VOXELS:
            return None
        kept = np.ones(hu.size, dtype=bool)
        for _ in range(CLIP_PASSES):
            median = np.median(hu[kept])
            deviation = np.abs(hu - median)
            kept = deviation <= CLIP_SD * _ROBUST_SD * np.median(deviation[kept])
        mean = float(hu[kept].mean())
        effective = self._variance_in_sums(tuple(axis[kept] for axis in index), hu[kept] - mean)
        if effective is None:
            return None
        background = _Background(
            np.full(self._hu.shape, mean, dtype=np.float32),
            int(kept.sum()),
            float(hu[kept].std()),
            effective,
            even=True,
        )
        return self._region(reach, region, nearest, background)

    def _uneven(self) -> LesionRegion | None:
        """The region in which each voxel has a background of its own."""
        own, other = self._distance(REACH_MM)
        nearest = (own <= other) & ~self._lung & ~self._other
        ring = (
            (own > UNEVEN_REACH_MM)
            & (own <= UNEVEN_REACH_MM + RING_MM)
            & (other > min(UNEVEN_REACH_MM, BORDER_MM))
            & ~self._beside_lung
        )
        index = np.nonzero(ring)
        if index[0].size < MINIMUM_RING_VOXELS:
            return None
        sigma = [0.0, *(UNEVEN_SMOOTHING_MM / step for step in self._volume.spacing[1:])]
        share = ndimage.gaussian_filter(ring.astype(np.float32), sigma, mode="constant")
        weighted = ndimage.gaussian_filter(np.where(ring, self._hu, 0.0), sigma, mode="constant")
        known = share > 1e-4
        hu = np.divide(weighted, share, out=np.zeros_like(self._hu), where=known)
        rest = (self._hu - hu)[index]
        effective = self._variance_in_sums(index, rest)
        if effective is None:
            return None
        region = (own <= UNEVEN_REACH_MM) & nearest & known
        background = _Background(hu, index[0].size, float(rest.std()), effective, even=False)
        return self._region(UNEVEN_REACH_MM, region, nearest, background)

    def _region(self, reach: float, region: np.ndarray, nearest: np.ndarray, background: _Background) -> LesionRegion:
        """What ``region`` adds to its background; ``nearest`` are the voxels that can be this lesion's at all."""
        inside, below = self._hu[region], background.hu[region]
        excess = float((inside - below).sum(dtype=np.float64))
        variance = background.variance_in_sums * (inside.size + inside.size**2 / background.ring_voxels)
        near = (self._distance(reach)[0] <= ARTERY_REACH_MM) & nearest
        if self._of_artery is not None:
            near &= self._of_artery
        return LesionRegion(
            reach_mm=reach,
            voxels=inside.size,
            ring_voxels=background.ring_voxels,
            even=background.even,
            background_hu=float(below.mean(dtype=np.float64)),
            noise_hu=background.noise_hu,
            excess_hu=excess,
            excess_sd_hu=math.hypot(math.sqrt(variance), 0.0 if background.even else UNEVEN_ERROR * excess),
            brightest_hu=float(np.percentile(self._hu[self._own], 95.0)),
            weighted_voxels=weighted_voxels(self._hu, near, self._half_weight_hu, background.noise_hu),
            artery_named=self._of_artery is not None,
        )

    def _variance_in_sums(self, index: tuple[np.ndarray, ...], rest: np.ndarray) -> float | None:
        """The variance that a voxel adds to a sum of many, in HU; None for a ring too small or too narrow to tell.

        ``rest`` is what the ring's voxels at ``index`` differ from their background. Noise of neighbors is correlated
        and tissue is not even: the means of the ring's sectors, slice by slice, know both.
        """
        angle = np.arctan2(
            (index[1] - self._middle[1]) * self._volume.spacing[1],
            (index[2] - self._middle[2]) * self._volume.spacing[2],
        )
        sector = np.floor((angle + math.pi) / (2 * math.pi) * SECTORS).astype(int) % SECTORS
        block = index[0] * SECTORS + sector
        numbers = np.bincount(block)
        means = np.bincount(block, rest) / np.maximum(numbers, 1)
        full = numbers >= MINIMUM_BLOCK_VOXELS
        if full.sum() < MINIMUM_BLOCKS or np.unique(np.flatnonzero(full) % SECTORS).size < MINIMUM_SECTORS:
            return None
        return float((numbers[full] * means[full] ** 2).sum() / (full.sum() - 1))
