"""Samples drawn on the device that trains: cases wait in its memory, and a GPU is never kept waiting by the draws.

A CPU core draws some 40 samples per second, a large GPU trains on a thousand. What a sample is, is said by
``samples`` and ``augment``; here the same is done for a whole batch with the device's own operations.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from coronary_calcium.datasets.case_format import UNJUDGED, TrainingCase
from coronary_calcium.network.denseraunet import NEIGHBORS
from coronary_calcium.network.preprocessing import OUTSIDE_HU, neighbor_indices
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.training.samples import (
    BLUR_PIXELS,
    CONTROL_POINTS,
    MERGED_SLICES,
    SHARPEN_AMOUNT,
    SHARPEN_PIXELS,
    THICKEST_MM,
    ZOOMED_FIELD_MM,
    ZOOMED_SHIFT_MM,
    Batch,
    SampleOptions,
    View,
    draw_view,
)

# A Gaussian reaches so many of its standard deviations, as in scipy.
_REACH_SD = 4.0
# Noise is correlated over this many pixels (standard deviation).
_NOISE_PIXELS = (0.5, 1.5)


@dataclass(frozen=True, eq=False)
class DeviceCase:
    """A training case whose voxels lie in the device's memory: HU int16 and marks uint8, (k, j, i)."""

    case: TrainingCase
    hu: torch.Tensor
    marks: torch.Tensor

    @classmethod
    def of(cls, case: TrainingCase, device: torch.device) -> "DeviceCase":
        """The case with a copy of its voxels on the device."""
        marks = case.labels
        if case.unjudged is not None:
            marks = marks.copy()
            marks[tuple(case.unjudged.T)] = UNJUDGED
        return cls(case, torch.from_numpy(case.hu).to(device), torch.from_numpy(marks).to(device))


@torch.no_grad()
def draw_on_device(cases: list[DeviceCase], options: SampleOptions, generator: np.random.Generator) -> Batch:
    """A sample of each case, on their device; drawn as ``samples.draw_sample`` does."""
    views = [draw_view(each.case, options, generator) for each in cases]
    j, i = _coordinates(cases, views, options, generator)
    hu, labels = zip(*(_sampled(*one, options, generator) for one in zip(cases, views, j, i)))
    batch, marks = _degraded(torch.stack(hu), options, generator), torch.stack(labels)
    _cut_field(batch, cases, (j, i), options, generator)
    marks[(batch[:, NEIGHBORS // 2] < LITERATURE.threshold_hu) & (marks != UNJUDGED)] = 0
    return Batch(batch, marks)


def _coordinates(
    cases: list[DeviceCase], views: list[View], options: SampleOptions, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Voxel index j and i of every pixel, float32 (b, rows, columns) each: ``window_coordinates`` and ``bend``."""
    device = cases[0].hu.device
    side = views[0].patch[2]

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]

    size, angle = column([view.size_mm for view in views]), column([view.angle for view in views])
    spacing_j, spacing_i = (column([each.case.spacing[axis] for each in cases]) for axis in (1, 2))
    steps = torch.arange(side, dtype=torch.float32, device=device) + 0.5
    down = (steps[None, :, None] + column([view.patch[0] for view in views])) * (size / options.pixels) - size / 2
    right = (steps[None, None, :] + column([view.patch[1] for view in views])) * (size / options.pixels) - size / 2
    j = column([view.center[0] for view in views]) + (angle.cos() * down + angle.sin() * right) / spacing_j
    i = column([view.center[1] for view in views]) + (angle.cos() * right - angle.sin() * down) / spacing_i
    if options.elastic_mm > 0:
        largest = options.elastic_mm
        control = generator.uniform(-largest, largest, (len(cases), 2, CONTROL_POINTS, CONTROL_POINTS))
        moves = functional.interpolate(
            torch.tensor(control, dtype=torch.float32, device=device),
            size=(side, side),
            mode="bicubic",
            align_corners=True,
        ).clamp(-largest, largest)
        j, i = j + moves[:, 0] / spacing_j, i + moves[:, 1] / spacing_i
    return j, i


def _sampled(
    each: DeviceCase,
    view: View,
    j: torch.Tensor,
    i: torch.Tensor,
    options: SampleOptions,
    generator: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """HU float32 (9, rows, columns) and marks uint8 (rows, columns) at the coordinates: ``slice_stack`` and
    ``sample_planes``.
    """
    planes, marks = _stack(each, view.k, options, generator)
    height, width = planes.shape[1:]
    grid = torch.stack(((2 * i + 1) / width - 1, (2 * j + 1) / height - 1), dim=-1)[None]
    hu = functional.grid_sample(planes[None], grid, "bilinear", "border", align_corners=False)[0]
    marked = functional.grid_sample(marks[None, None].float(), grid, "nearest", "border", align_corners=False)[0, 0]
    beyond = (j < -0.5) | (j > height - 0.5) | (i < -0.5) | (i > width - 0.5)
    return torch.where(beyond, OUTSIDE_HU, hu), torch.where(beyond, 0.0, marked).to(torch.uint8)


def _stack(
    each: DeviceCase, k: int, options: SampleOptions, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    count, merged = len(each.hu), 1
    if options.thicken > 0 and generator.random() < options.thicken:
        possible = [n for n in MERGED_SLICES if n * each.case.spacing[0] <= THICKEST_MM]
        merged = int(generator.choice(possible)) if possible else 1
    if merged == 1:
        return each.hu[torch.from_numpy(neighbor_indices(k, count)).to(each.hu.device)].float(), each.marks[k]
    middles = k + (np.arange(NEIGHBORS) - NEIGHBORS // 2) * merged
    chosen = np.clip(middles[:, None] + np.arange(merged) - merged // 2, 0, count - 1)
    places = torch.from_numpy(chosen).to(each.hu.device)
    return each.hu[places].float().mean(dim=1), each.marks[places[NEIGHBORS // 2]].amax(dim=0)


def _degraded(hu: torch.Tensor, options: SampleOptions, generator: np.random.Generator) -> torch.Tensor:
    """Another calibration, tube voltage, kernel and noise for each sample: ``samples.degrade``."""
    count, device = len(hu), hu.device

    def drawn(low: float, high: float) -> torch.Tensor:
        values = generator.uniform(low, high, (count, 1, 1, 1))
        return torch.tensor(values, dtype=torch.float32, device=device)

    hu = hu * (1 + drawn(-options.gain, options.gain)) + drawn(-options.offset_hu, options.offset_hu)
    threshold = float(LITERATURE.threshold_hu)
    brighter = 1 + drawn(-options.bright_gain, options.bright_gain)
    hu = torch.where(hu > threshold, threshold + (hu - threshold) * brighter, hu)
    kernel = generator.random(count)
    blurred = np.flatnonzero(kernel < options.blur)
    if blurred.size:
        places = torch.from_numpy(blurred).to(device)
        hu[places] = gaussian(hu[places], generator.uniform(*BLUR_PIXELS, blurred.size))
    sharper = np.flatnonzero((kernel >= options.blur) & (kernel < options.blur + options.sharpen))
    if sharper.size:
        places = torch.from_numpy(sharper).to(device)
        amount = torch.tensor(generator.uniform(*SHARPEN_AMOUNT, (sharper.size, 1, 1, 1)), device=device).float()
        part = hu[places]
        hu[places] = part + amount * (part - gaussian(part, generator.uniform(*SHARPEN_PIXELS, sharper.size)))
    noisy = np.flatnonzero(generator.random(count) < 0.5)
    if noisy.size and options.noise_hu > 0:
        places = torch.from_numpy(noisy).to(device)
        noise = torch.randn(noisy.size, *hu.shape[1:], device=device, generator=_seeded(device, generator))
        noise = gaussian(noise, generator.uniform(*_NOISE_PIXELS, noisy.size), "circular")
        wanted = torch.tensor(generator.uniform(0, options.noise_hu, (noisy.size, 1, 1, 1)), device=device).float()
        hu[places] += noise * (wanted / noise.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6))
    return hu


def _seeded(device: torch.device, generator: np.random.Generator) -> torch.Generator:
    return torch.Generator(device).manual_seed(int(generator.integers(2**31)))


def gaussian(images: torch.Tensor, sigmas: np.ndarray, mode: str = "replicate") -> torch.Tensor:
    """(b, c, j, i) float32, each of the b blurred within the plane by its own standard deviation in pixels."""
    count = len(images)
    reach = int(np.ceil(_REACH_SD * float(np.max(sigmas))))
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps / np.asarray(sigmas)[:, None]) ** 2)
    weights[np.abs(steps) > np.ceil(_REACH_SD * np.asarray(sigmas))[:, None]] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    kernels = torch.tensor(weights, dtype=torch.float32, device=images.device)
    # Each sample is a group of its own; its channels are the batch.
    flat = images.transpose(0, 1)
    rows = functional.pad(flat, (0, 0, reach, reach), mode=mode)
    flat = functional.conv2d(rows, kernels[:, None, :, None], groups=count)
    columns = functional.pad(flat, (reach, reach, 0, 0), mode=mode)
    return functional.conv2d(columns, kernels[:, None, None, :], groups=count).transpose(0, 1)


def _cut_field(
    hu: torch.Tensor,
    cases: list[DeviceCase],
    where: tuple[torch.Tensor, torch.Tensor],
    options: SampleOptions,
    generator: np.random.Generator,
) -> None:
    """Air beyond a narrow field of view in a share of the samples, in place: ``samples.beyond_field``."""
    for n in np.flatnonzero(generator.random(len(cases)) < options.zoom):
        case = cases[n].case
        half = generator.uniform(*ZOOMED_FIELD_MM) / 2
        middle = generator.uniform(-ZOOMED_SHIFT_MM, ZOOMED_SHIFT_MM, 2)
        down = (where[0][n] - case.field_center[0]) * case.spacing[1] - float(middle[0])
        right = (where[1][n] - case.field_center[1]) * case.spacing[2] - float(middle[1])
        hu[n] = torch.where(torch.maximum(down.abs(), right.abs()) > half, OUTSIDE_HU, hu[n])
