"""The network over a whole CT: where calcium is, and with what probability."""

import copy
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from coronary_calcium.errors import InputError
from coronary_calcium.heart.field import HeartField, Window
from coronary_calcium.inference.device import is_out_of_memory
from coronary_calcium.inference.prediction import FOR_A_SCORE, Prediction, RunExtent
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.preprocessing import (
    INPUT_SIZE,
    neighbor_indices,
    normalize,
    sample_planes,
    window_coordinates,
    window_to_slice,
)
from coronary_calcium.network.weights import LoadedModel
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring.components import find_components
from coronary_calcium.scoring.rules import LITERATURE, RuleSet
from coronary_calcium.volume import CaseWarning, CTVolume

_log = logging.getLogger(__name__)

# Slices in one pass. On a CPU a larger batch is no faster and makes progress coarser.
_BATCH = {"cpu": 1, "mps": 4, "cuda": 8}


@dataclass(frozen=True)
class _Task:
    """One pass: slice ``k`` seen through a window."""

    k: int
    window: Window


def predict(
    volume: CTVolume,
    field: HeartField,
    model: LoadedModel,
    rules: RuleSet = LITERATURE,
    progress: Progress = no_progress,
    extent: RunExtent = FOR_A_SCORE,
    pixels: int = INPUT_SIZE,
) -> Prediction:
    """Run the network on the heart's windows, slice by slice.

    Only pixels that could count matter: in ``field.region`` and a window, at or above the threshold, in an in-slice
    component of at least the minimum area. Whatever the network says of any other pixel cannot change a score, so the
    result is 0 there, and a window without such a pixel in a slice is not run, unless ``extent`` asks for it. Where
    windows overlap, the higher probability stands. ``pixels`` is the windows' side as the network sees them; another
    one than that of its training is there to be measured.

    ``progress`` may raise Cancelled. When a GPU's memory does not suffice, smaller batches are tried and then the
    CPU, with a warning. Raises ValueError when ``field`` is not of the volume's shape (a programming error), and
    InputError("weights-output") when the network answers with NaN or infinite values.
    """
    if field.region.shape != volume.shape:
        raise ValueError(f"the heart's region has the shape {field.region.shape}, the CT {volume.shape}")
    started = time.perf_counter()
    countable = countable_voxels(volume, field, rules)
    tasks = [
        _Task(k, window)
        for window in field.windows
        for k in range(window.k0, window.k1)
        if extent.every_slice or countable[(k, *_pixels_of(volume, field, window))].any()
    ]
    probability = np.zeros(volume.shape, np.float16)
    artery, artery_map = np.zeros(volume.shape, np.uint8), np.zeros(volume.shape, np.uint8)
    kept = np.ones(volume.shape, bool) if extent.keep_raw else countable
    runner = _Runner(model.network, model.device)
    done = 0
    for batch in runner.run(_Planes(volume, field.size_mm, pixels), tasks):
        for task, values in batch:
            _store(volume, field, task, values, (kept, probability, artery, artery_map))
        done += len(batch)
        progress(done / len(tasks), f"Looking for calcium: slice {done} of {len(tasks)}")
    covered = {k for window in field.windows for k in range(window.k0, window.k1)}
    run = {task.k for task in tasks}
    raw = probability if extent.keep_raw else None
    _log.debug(
        "%d windows in %d slices on %s; %d slices need none", len(tasks), len(run), runner.device, len(covered - run)
    )
    if extent.keep_raw:
        probability = np.where(countable, probability, np.float16(0))
        artery = np.where(countable, artery, np.uint8(0))
    return Prediction(
        probability=probability,
        artery=artery,
        slices_run=len(run),
        slices_skipped=len(covered - run),
        windows_run=len(tasks),
        covered=field,
        device=runner.device,
        seconds=time.perf_counter() - started,
        warnings=tuple(runner.warnings),
        artery_map=artery_map,
        raw=raw,
    )


def countable_voxels(volume: CTVolume, field: HeartField, rules: RuleSet) -> np.ndarray:
    """(k, j, i) bool array of the voxels that could count; see ``predict``.

    Components are looked for over all windows of a slice together, because a lesion may lie across two of them.
    """
    # Any label will do: every component that can be labeled is inside one of these, whatever its arteries.
    candidates = (seen_voxels(volume, field) & (volume.hu >= rules.for_volume.threshold_hu)).view(np.uint8)
    countable = np.zeros(volume.shape, bool)
    countable.reshape(-1)[find_components(volume, candidates, rules.for_volume).voxels] = True
    return countable


def seen_voxels(volume: CTVolume, field: HeartField) -> np.ndarray:
    """(k, j, i) bool array of the voxels where calcium may be found: in a window and in ``field.region``."""
    covered = np.zeros(volume.shape, bool)
    for window in field.windows:
        covered[(slice(window.k0, window.k1), *_pixels_of(volume, field, window))] = True
    return covered & field.region


def _pixels_of(volume: CTVolume, field: HeartField, window: Window) -> tuple[slice, slice]:
    """The rows and columns of the CT whose centers a window holds."""
    empty = np.zeros((0, INPUT_SIZE, INPUT_SIZE), np.float32)
    rows, columns, _ = window_to_slice(
        empty, volume.spacing[1:], (window.center_j, window.center_i), field.size_mm, volume.shape[1:]
    )
    return rows, columns


def _store(
    volume: CTVolume,
    field: HeartField,
    task: _Task,
    values: np.ndarray,
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Enter a window's probability and artery logits, (1 or 5, pixels, pixels), where they are to be kept."""
    kept, probability, artery, artery_map = arrays
    center = (task.window.center_j, task.window.center_i)
    rows, columns, on_ct = window_to_slice(values, volume.spacing[1:], center, field.size_mm, volume.shape[1:])
    place = (task.k, rows, columns)
    found = on_ct[0].astype(np.float16)
    better = kept[place] & (found > probability[place])
    probability[place][better] = found[better]
    if len(values) > 1:
        named = (on_ct[1:].argmax(axis=0) + 1).astype(np.uint8)
        artery[place][better] = named[better]
        artery_map[place] = np.where(better | (artery_map[place] == 0), named, artery_map[place])


class _Planes:
    """Slices sampled into a window, each only once: nine neighbors share eight of them with the next slice's."""

    def __init__(self, volume: CTVolume, size_mm: float, pixels: int) -> None:
        self._volume = volume
        self._size_mm = size_mm
        self._pixels = pixels
        self._window: Window | None = None
        self._planes: dict[int, torch.Tensor] = {}

    def input_of(self, task: _Task) -> torch.Tensor:
        """The network's input for a slice, float32 (9, pixels, pixels)."""
        if task.window != self._window:
            self._window = task.window
            self._planes = {}
            center = (task.window.center_j, task.window.center_i)
            self._coordinates = window_coordinates(self._volume.spacing[1:], center, self._size_mm, self._pixels)
        wanted = neighbor_indices(task.k, len(self._volume.hu))
        self._planes = {k: plane for k, plane in self._planes.items() if k >= wanted[0]}
        for k in wanted:
            if k not in self._planes:
                plane = sample_planes(self._volume.hu[k : k + 1], *self._coordinates)[0]
                self._planes[k] = normalize(torch.from_numpy(plane))
        return torch.stack([self._planes[k] for k in wanted])


class _Runner:
    """The network on its device, with ever smaller batches and at last the CPU when the GPU's memory is full."""

    def __init__(self, network: DenseRAUNet, device: str) -> None:
        self.warnings: list[CaseWarning] = []
        self._original = network
        self._use(device)

    def _use(self, device: str) -> None:
        self.device = device
        self._network = self._original
        if next(self._network.parameters()).device.type != torch.device(device).type:
            # The model is loaded once for each device; moving it would take it from whoever holds it.
            self._network = copy.deepcopy(self._network).placed_on(device)
        self._size = _BATCH[torch.device(device).type]

    def run(self, planes: _Planes, tasks: list[_Task]) -> Iterator[list[tuple[_Task, np.ndarray]]]:
        """Batches of tasks with the probability and, behind it, the artery logits: (1 or 5, pixels, pixels)."""
        start = 0
        while start < len(tasks):
            batch = tasks[start : start + self._size]
            inputs = torch.stack([planes.input_of(task) for task in batch])
            outputs = self._run_fitting(inputs)
            yield list(zip(batch, outputs, strict=True))
            start += len(batch)

    def _run_fitting(self, inputs: torch.Tensor) -> list[np.ndarray]:
        """The outputs of a batch, run in as small parts as the memory asks for."""
        while True:
            try:
                return [
                    output
                    for part in inputs.split(self._size)
                    for output in _run_network(self._network, part, self.device)
                ]
            except RuntimeError as error:
                if self.device == "cpu" or not is_out_of_memory(error):
                    raise
            # Outside the handler, so that the failed pass's tensors are no longer held by the traceback.
            self._make_smaller()

    def _make_smaller(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        if self._size > 1:
            self._size //= 2
            _log.debug("the GPU's memory is full: batches of %d", self._size)
            return
        self.warnings.append(
            CaseWarning(
                "gpu-memory",
                "The GPU did not have enough memory for the network, so it ran on the CPU; "
                "the result is the same, only slower.",
            )
        )
        self._use("cpu")


@torch.inference_mode()
def _run_network(network: DenseRAUNet, inputs: torch.Tensor, device: str) -> np.ndarray:
    """float32 (b, 1 or 5, j, i): the probability and, with an artery head, the artery logits."""
    calcium, arteries = network(inputs.to(device).contiguous(memory_format=torch.channels_last))
    outputs = [torch.sigmoid(calcium)] + ([arteries] if arteries is not None else [])
    values = torch.cat(outputs, dim=1).float().contiguous().cpu().numpy()
    if not np.isfinite(values).all():
        # Such a pixel is below every threshold and would pass for a score of 0.
        raise InputError(
            "weights-output",
            "The network's answer is not a number: its weights are damaged, or the device computes wrongly; install "
            "the weights again, name others with --weights, or choose --device cpu.",
        )
    return values
