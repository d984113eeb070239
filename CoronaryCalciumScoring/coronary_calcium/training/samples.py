"""Training samples: a random patch of a random window of a random slice, deformed, blurred and noised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from coronary_calcium.datasets.case_format import UNJUDGED, TrainingCase
from coronary_calcium.heart.field import FIELD_SIZE_MM
from coronary_calcium.network.denseraunet import NEIGHBORS
from coronary_calcium.network.preprocessing import (
    INPUT_SIZE,
    OUTSIDE_HU,
    neighbor_indices,
    sample_planes,
    window_coordinates,
)
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.training.cases import CaseFolder

# The finest structure that a blur may leave and the coarsest: standard deviation in pixels of 0.375 mm.
BLUR_PIXELS = (0.4, 1.4)
# A sharp kernel raises what differs from its surroundings of this size, and with it the noise, up to twofold.
SHARPEN_PIXELS, SHARPEN_AMOUNT = (0.8, 2.0), (0.3, 1.0)
# Control points of a deformation over a patch: a quarter of the patch bends one way, the next quarter another.
CONTROL_POINTS = 5
# How many slices a thicker one is made of, and the thickest spacing in mm that the simulator and scanners use.
MERGED_SLICES, THICKEST_MM = (2, 3), 5.0

# Side of a narrow field of view in mm, and how far its center is from the heart's.
ZOOMED_FIELD_MM, ZOOMED_SHIFT_MM = (150.0, 200.0), 12.0


def slice_stack(
    case: TrainingCase, k: int, options: "SampleOptions", generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The nine slices around slice ``k``, (9, j, i), and the labels of the middle one, (j, i).

    A share ``thicken`` of the stacks is that of a coarser scan: each slice is the mean of two or three, and
    calcium is what any of them holds (the caller removes what is below 130 HU in the mean). Labels are ``UNJUDGED``
    where nobody has judged.
    """
    merged = 1
    if options.thicken > 0 and generator.random() < options.thicken:
        possible = [n for n in MERGED_SLICES if n * case.spacing[0] <= THICKEST_MM]
        merged = int(generator.choice(possible)) if possible else 1
    if merged == 1:
        return case.hu[neighbor_indices(k, len(case.hu))], case.marked(k)
    middles = k + (np.arange(NEIGHBORS) - NEIGHBORS // 2) * merged
    chosen = np.clip(middles[:, None] + np.arange(merged) - merged // 2, 0, len(case.hu) - 1)
    thick = case.hu[chosen[:, 0]].astype(np.float32)
    for column in chosen.T[1:]:
        thick += case.hu[column]
    return thick / np.float32(merged), np.max([case.marked(k) for k in chosen[len(chosen) // 2]], axis=0)


def bend(
    j: np.ndarray,
    i: np.ndarray,
    spacing_ji: tuple[float, ...],
    largest_mm: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Voxel indices (rows, columns) moved by a smooth random field of up to ``largest_mm`` along each axis."""
    control = generator.uniform(-largest_mm, largest_mm, (1, 2, CONTROL_POINTS, CONTROL_POINTS)).astype(np.float32)
    moves = functional.interpolate(torch.from_numpy(control), size=j.shape, mode="bicubic", align_corners=True)
    # Between control points a cubic overshoots a little.
    down, right = moves[0].clamp(-largest_mm, largest_mm).numpy()
    return j + down / np.float32(spacing_ji[0]), i + right / np.float32(spacing_ji[1])


def beyond_field(j: np.ndarray, i: np.ndarray, case: TrainingCase, generator: np.random.Generator) -> np.ndarray:
    """(rows, columns) bool: what lies outside a narrow square field of view, drawn about the heart.

    ``j`` and ``i`` are voxel indices. Cardiac scans are reconstructed on 150 to 200 mm, less than the network's window.
    """
    half = generator.uniform(*ZOOMED_FIELD_MM) / 2
    middle = generator.uniform(-ZOOMED_SHIFT_MM, ZOOMED_SHIFT_MM, 2)
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
        sigma = generator.uniform(*BLUR_PIXELS)
        hu = ndimage.gaussian_filter(hu, (0, sigma, sigma), mode="nearest")
    elif kernel < options.blur + options.sharpen:
        sigma, amount = generator.uniform(*SHARPEN_PIXELS), np.float32(generator.uniform(*SHARPEN_AMOUNT))
        hu = hu + amount * (hu - ndimage.gaussian_filter(hu, (0, sigma, sigma), mode="nearest"))
    if generator.random() < 0.5 and options.noise_hu > 0:
        noise = generator.standard_normal(hu.shape, dtype=np.float32)
        # A CT's noise is correlated over about a millimeter; unfiltered noise would look like no kernel at all.
        sigma = generator.uniform(0.5, 1.5)
        noise = ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap")
        hu += noise * np.float32(generator.uniform(0, options.noise_hu) / max(float(noise.std()), 1e-6))
    return hu


# The paper (section 2.2) names the largest crop, 256 pixels, and no smallest: no structure is enlarged beyond fourfold.
SMALLEST_CROP = 128


@dataclass(frozen=True)
class SampleOptions:
    """How samples are drawn.

    Attributes
    ----------
    pixels : side of the whole window in pixels; 512 as inference takes it, 256 for the coarse start of a run.
    patch : side of the square in pixels, a multiple of 32; ``pixels`` is the whole window.
    calcium_slices, bright_slices : shares of samples from a slice with calcium, and from one with something bright
        near the heart; the rest are any slices.
    focus : share of patches that are centered near calcium or, where there is none, near something bright.
    shift_mm : the window's center is off by up to this along both axes.
    window_mm : smallest and largest side of the window, for other scales and sizes of hearts.
    crop_pixels : when not 0, the window is not about the heart: it is a random square of 128 to this many of the scan's
        own pixels, anywhere in the image, as the paper cuts its samples (section 2.2).
    rotation_degrees : largest rotation either way. Never flips: the arteries have a side.
    elastic_mm : largest displacement of a smooth deformation within the slice.
    thicken : share of samples as from a scan of two or three times thicker slices, up to 5 mm.
    zoom : share of samples as from a scan whose field of view is a narrow square about the heart, air beyond.
    gain, offset_hu : largest relative and absolute error of the HU.
    bright_gain : largest relative change of what exceeds 130 HU, which other tube voltages change by up to a third.
    noise_hu : largest standard deviation of the added noise.
    blur, sharpen : shares of samples that are blurred, and sharpened, as softer and sharper kernels do.

    """

    pixels: int = INPUT_SIZE
    patch: int = 256
    calcium_slices: float = 0.5
    bright_slices: float = 0.3
    focus: float = 0.6
    shift_mm: float = 20.0
    window_mm: tuple[float, float] = (165.0, 220.0)
    crop_pixels: int = 0
    rotation_degrees: float = 10.0
    elastic_mm: float = 0.0
    thicken: float = 0.0
    zoom: float = 0.0
    gain: float = 0.05
    offset_hu: float = 10.0
    bright_gain: float = 0.0
    noise_hu: float = 25.0
    blur: float = 0.2
    sharpen: float = 0.0


@dataclass(frozen=True, eq=False)
class Batch:
    """``hu`` float32 (b, 9, j, i); ``labels`` uint8 (b, j, i), the arteries of the center slice's calcium.

    Labels are ``UNJUDGED`` where a pixel takes no part.
    """

    hu: torch.Tensor
    labels: torch.Tensor

    @property
    def center_hu(self) -> torch.Tensor:
        """(b, 1, j, i): the slice to which the labels belong."""
        return self.hu[:, self.hu.shape[1] // 2, None]


class View(NamedTuple):
    """The middle slice of a sample, its window's center (voxel j, i), side in mm and angle in radians, and the patch
    (first row, first column, side) in the window's pixels.
    """

    k: int
    center: tuple[float, float]
    size_mm: float
    angle: float
    patch: tuple[int, int, int]


def draw_batch(
    folder: CaseFolder,
    size: int,
    options: SampleOptions,
    generator: np.random.Generator,
    slices: Sequence[tuple[str, int]] = (),
) -> Batch:
    """Draw ``size`` samples; the same generator state and the same files give the same batch.

    ``slices``, when there are any, names the case and the middle slice of each of the samples.
    """
    if slices:
        drawn = [draw_sample(folder.case(name), options, generator, k) for name, k in slices]
    else:
        drawn = [draw_sample(folder.draw(generator), options, generator) for _ in range(size)]
    return Batch(
        torch.from_numpy(np.stack([hu for hu, _ in drawn])), torch.from_numpy(np.stack([labels for _, labels in drawn]))
    )


def draw_sample(
    case: TrainingCase, options: SampleOptions, generator: np.random.Generator, k: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One sample of a case: float32 (9, patch, patch) HU and uint8 (patch, patch) artery labels.

    ``k`` is the middle slice; None draws one. Labels are the nearest voxel's and are removed where the resampled HU is
    below 130 (the paper, section 2.2).
    """
    view = draw_view(case, options, generator, k)
    k = view.k
    j, i = window_coordinates(case.spacing[1:], view.center, view.size_mm, options.pixels, view.angle, view.patch)
    if options.elastic_mm > 0:
        j, i = bend(j, i, case.spacing[1:], options.elastic_mm, generator)
    planes, marked = slice_stack(case, k, options, generator)
    hu = sample_planes(planes, j, i)
    labels = sample_planes(marked[None], j, i, outside=0.0, nearest=True)[0].astype(np.uint8)
    hu = degrade(hu, options, generator)
    if options.zoom > 0 and generator.random() < options.zoom:
        hu[:, beyond_field(j, i, case, generator)] = OUTSIDE_HU
    labels[(hu[len(hu) // 2] < LITERATURE.threshold_hu) & (labels != UNJUDGED)] = 0
    return hu, labels


def draw_view(case: TrainingCase, options: SampleOptions, generator: np.random.Generator, k: int | None = None) -> View:
    """What a sample looks at: slice, window and patch; ``k`` as for ``draw_sample``."""
    if k is None:
        k = _draw_slice(case, options, generator)
    window = (_draw_crop if options.crop_pixels else _draw_window)(case, options, generator)
    return View(k, *window, _draw_patch(case, k, window, options, generator))


def whole_window(case: TrainingCase, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The undisturbed window of slice ``k``, as inference sees it, with its labels; shapes as in ``draw_sample``."""
    j, i = window_coordinates(case.spacing[1:], case.field_center, FIELD_SIZE_MM)
    hu = sample_planes(case.hu[neighbor_indices(k, len(case.hu))], j, i)
    labels = sample_planes(case.marked(k)[None], j, i, outside=0.0, nearest=True)[0].astype(np.uint8)
    labels[(hu[len(hu) // 2] < LITERATURE.threshold_hu) & (labels != UNJUDGED)] = 0
    return hu, labels


def _draw_slice(case: TrainingCase, options: SampleOptions, generator: np.random.Generator) -> int:
    kind = generator.random()
    slices = np.arange(len(case.hu))
    if kind < options.calcium_slices:
        slices = case.calcium_slices if case.calcium_slices.size else case.bright_slices
    elif kind < options.calcium_slices + options.bright_slices:
        slices = case.bright_slices
    return int(generator.choice(slices if slices.size else np.arange(len(case.hu))))


def _draw_window(
    case: TrainingCase, options: SampleOptions, generator: np.random.Generator
) -> tuple[tuple[float, float], float, float]:
    shift = generator.uniform(-options.shift_mm, options.shift_mm, 2)
    center = (case.field_center[0] + shift[0] / case.spacing[1], case.field_center[1] + shift[1] / case.spacing[2])
    angle = np.deg2rad(generator.uniform(-options.rotation_degrees, options.rotation_degrees))
    return center, float(generator.uniform(*options.window_mm)), float(angle)


def _draw_crop(
    case: TrainingCase, options: SampleOptions, generator: np.random.Generator
) -> tuple[tuple[float, float], float, float]:
    """A random square of the scan's own pixels, inside the image; its center, side in mm and angle (0)."""
    shape = case.hu.shape[1:]
    largest = min(options.crop_pixels, *shape)
    side = int(generator.integers(min(SMALLEST_CROP, largest), largest + 1))
    first = generator.integers(0, np.array(shape) - side + 1)
    center = (float(first[0]) + (side - 1) / 2, float(first[1]) + (side - 1) / 2)
    return center, side * case.spacing[1], 0.0


def _draw_patch(
    case: TrainingCase,
    k: int,
    window: tuple[tuple[float, float], float, float],
    options: SampleOptions,
    generator: np.random.Generator,
) -> tuple[int, int, int]:
    """(first row, first column, side) of the patch in the window."""
    last = options.pixels - options.patch
    first = generator.integers(0, last + 1, 2)
    if last > 0 and generator.random() < options.focus:
        targets = case.calcium_pixels(k)
        if not len(targets) or generator.random() < 0.25:
            bright = case.bright_pixels(k)
            targets = bright if len(bright) else targets
        if len(targets):
            target = _pixel_of(targets[generator.integers(len(targets))], case, window, options.pixels)
            jitter = generator.uniform(-0.35, 0.35, 2) * options.patch
            first = np.clip(np.round(target + jitter - options.patch / 2), 0, last).astype(int)
    return int(first[0]), int(first[1]), options.patch


def _pixel_of(
    voxel: np.ndarray, case: TrainingCase, window: tuple[tuple[float, float], float, float], pixels: int
) -> np.ndarray:
    """The window pixel (row, column) of a voxel index (j, i): window_coordinates' inverse."""
    center, size_mm, angle = window
    j, i = (voxel - np.asarray(center)) * np.asarray(case.spacing[1:])
    down, right = np.cos(angle) * j - np.sin(angle) * i, np.sin(angle) * j + np.cos(angle) * i
    return (np.array([down, right]) / size_mm + 0.5) * pixels - 0.5
