"""What makes a sample unlike the case it comes from: deformation, thicker slices, kernel, calibration and noise."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from coronary_calcium.network.denseraunet import NEIGHBOURS
from coronary_calcium.network.preprocessing import neighbour_indices
from coronary_calcium.rules import LITERATURE
from coronary_calcium.training.cases import TrainingCase

if TYPE_CHECKING:
    from coronary_calcium.training.samples import SampleOptions

# The finest structure that a blur may leave and the coarsest: standard deviation in pixels of 0.375 mm.
_BLUR_PIXELS = (0.4, 1.4)
# A sharp kernel raises what differs from its surroundings of this size, and with it the noise, up to twofold.
_SHARPEN_PIXELS, _SHARPEN_AMOUNT = (0.8, 2.0), (0.3, 1.0)
# Control points of a deformation over a patch: a quarter of the patch bends one way, the next quarter another.
_CONTROL_POINTS = 5
# How many slices a thicker one is made of, and the thickest spacing in mm that the simulator and scanners use.
_MERGED_SLICES, _THICKEST_MM = (2, 3), 5.0

# Side of a narrow field of view in mm, and how far its centre is from the heart's.
_ZOOMED_FIELD_MM, _ZOOMED_SHIFT_MM = (150.0, 200.0), 12.0


def slice_stack(
    case: TrainingCase, k: int, options: "SampleOptions", generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The nine slices around slice ``k``, (9, j, i), and the labels of the middle one, (j, i).

    A share ``thicken`` of the stacks is that of a coarser scan: each slice is the mean of two or three, and
    calcium is what any of them holds (the caller removes what is below 130 HU in the mean).
    """
    merged = 1
    if options.thicken > 0 and generator.random() < options.thicken:
        possible = [n for n in _MERGED_SLICES if n * case.spacing[0] <= _THICKEST_MM]
        merged = int(generator.choice(possible)) if possible else 1
    if merged == 1:
        return case.hu[neighbour_indices(k, len(case.hu))], case.labels[k]
    middles = k + (np.arange(NEIGHBOURS) - NEIGHBOURS // 2) * merged
    chosen = np.clip(middles[:, None] + np.arange(merged) - merged // 2, 0, len(case.hu) - 1)
    thick = case.hu[chosen[:, 0]].astype(np.float32)
    for column in chosen.T[1:]:
        thick += case.hu[column]
    return thick / np.float32(merged), case.labels[chosen[len(chosen) // 2]].max(axis=0)


def bend(
    j: np.ndarray,
    i: np.ndarray,
    spacing_ji: tuple[float, ...],
    largest_mm: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Voxel indices (rows, columns) moved by a smooth random field of up to ``largest_mm`` along each axis."""
    control = generator.uniform(-largest_mm, largest_mm, (1, 2, _CONTROL_POINTS, _CONTROL_POINTS)).astype(np.float32)
    moves = functional.interpolate(torch.from_numpy(control), size=j.shape, mode="bicubic", align_corners=True)
    # Between control points a cubic overshoots a little.
    down, right = moves[0].clamp(-largest_mm, largest_mm).numpy()
    return j + down / np.float32(spacing_ji[0]), i + right / np.float32(spacing_ji[1])


def beyond_field(j: np.ndarray, i: np.ndarray, case: TrainingCase, generator: np.random.Generator) -> np.ndarray:
    """(rows, columns) bool: what lies outside a narrow square field of view, drawn about the heart.

    ``j`` and ``i`` are voxel indices. Cardiac scans are reconstructed on 150 to 200 mm, less than the network's window.
    """
    half = generator.uniform(*_ZOOMED_FIELD_MM) / 2
    middle = generator.uniform(-_ZOOMED_SHIFT_MM, _ZOOMED_SHIFT_MM, 2)
    down = (j - case.field_center[0]) * case.spacing[1] - middle[0]
    right = (i - case.field_center[1]) * case.spacing[2] - middle[1]
    return np.maximum(np.abs(down), np.abs(right)) > half


def degrade(hu: np.ndarray, options: "SampleOptions", generator: np.random.Generator) -> np.ndarray:
    """Another calibration, tube voltage, kernel and noise; the same for all nine slices but the noise itself."""
    hu = hu * np.float32(1 + generator.uniform(-options.gain, options.gain))
    hu += np.float32(generator.uniform(-options.offset_hu, options.offset_hu))
    if options.bright_gain > 0:
        # About the threshold, so that no pixel passes it.
        factor = np.float32(1 + generator.uniform(-options.bright_gain, options.bright_gain))
        threshold = np.float32(LITERATURE.threshold_hu)
        hu = np.where(hu > threshold, threshold + (hu - threshold) * factor, hu)
    kernel = generator.random()
    if kernel < options.blur:
        sigma = generator.uniform(*_BLUR_PIXELS)
        hu = ndimage.gaussian_filter(hu, (0, sigma, sigma), mode="nearest")
    elif kernel < options.blur + options.sharpen:
        sigma, amount = generator.uniform(*_SHARPEN_PIXELS), np.float32(generator.uniform(*_SHARPEN_AMOUNT))
        hu = hu + amount * (hu - ndimage.gaussian_filter(hu, (0, sigma, sigma), mode="nearest"))
    if generator.random() < 0.5 and options.noise_hu > 0:
        noise = generator.standard_normal(hu.shape, dtype=np.float32)
        # A CT's noise is correlated over about a millimetre; unfiltered noise would look like no kernel at all.
        sigma = generator.uniform(0.5, 1.5)
        noise = ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap")
        hu += noise * np.float32(generator.uniform(0, options.noise_hu) / max(float(noise.std()), 1e-6))
    return hu
