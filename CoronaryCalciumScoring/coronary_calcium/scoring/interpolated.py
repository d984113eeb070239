"""Volume after resampling z to the pixel size: calcium no longer ends in steps as thick as a slice."""

import math
from dataclasses import replace

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.rules import RuleSet
from coronary_calcium.scoring.parts import find_parts
from coronary_calcium.volume import CTVolume

_ROUNDING = 1e-9
HU_DECIMALS = 6


def interpolated_pixels(volume: CTVolume, labels: np.ndarray, rules: RuleSet) -> tuple[dict[str, int], float]:
    """Number of pixels that count in each artery after resampling, and the volume of one of them in mm3.

    Slices are made by straight lines between the CT's, from the lowest on, a pixel's size apart, as in
    github.com/nwerf/FQM_Analysis; the rules' threshold, connectivity and minimum area then hold in each of them. A
    pixel can count when it is labelled in the slice below or above; where these name two arteries, the nearer slice
    decides. Slices that are no further apart than a pixel is wide stay as they are.

    ``labels`` is a (k, j, i) array as ``find_parts`` takes it.
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
    """The resampled slices from slice ``k`` up to the next one, which they leave out, around what is labelled."""
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
    parts = find_parts(volume, labels, rules)
    return {artery.name: int(parts.pixels[parts.labels == artery.label].sum()) for artery in ARTERIES}
