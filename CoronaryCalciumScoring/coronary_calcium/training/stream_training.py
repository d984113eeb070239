"""Training beside the machines that make its cases: workers insert and simulate, the device draws and learns.

``case_makers`` are processes that write new cases into a folder for as long as training lasts. ``DeviceCases`` takes
them from there into the device's memory, and ``StreamTrainer`` draws batches of them in a thread of its own and learns
from them. How long the device waited for samples is measured.
"""

import logging
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coronary_calcium.datasets.case_format import load_case
from coronary_calcium.errors import InputError
from coronary_calcium.training.batches import stage_of, staged_samples
from coronary_calcium.training.cases import CaseOptions
from coronary_calcium.training.config import Recipe
from coronary_calcium.training.device_samples import DeviceCase, draw_on_device
from coronary_calcium.training.samples import Batch
from coronary_calcium.training.trainer import Trainer

# BatchLoader that wait for the network.
_AHEAD = 4
# How often the folder is looked at for new cases, and a worker for the request to end, seconds.
_LOOK_SECONDS = 0.5
# How long the first cases may take.
_FIRST_CASES_SECONDS = 300.0
# Every so many-th case is a simulated patient; the others are inserted. Of the patients, every so many-th has a cardiac
# scan, and every so many-th a detailed body, which takes no longer to make. Calcium and metal on the heart's surface
# are made so much likelier: they are rare, and lie where the arteries do.
_SIMULATED_EVERY, _CARDIAC_EVERY, _DETAILED_EVERY = 4, 5, 2
_MORE_ON_SURFACE = 2.5
_LOG = logging.getLogger(__name__)


def _make_cases(backgrounds: list[Path], folder: Path, first_seed: int, step: int, stop: Any) -> None:
    """A worker: cases of every ``step``-th seed from ``first_seed`` on, until it is asked to stop."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    from coronary_calcium.simulation.backgrounds import load_background  # noqa: PLC0415 (in the worker)
    from coronary_calcium.simulation.inserted_lesions import TRAINING, inserted_case  # noqa: PLC0415
    from coronary_calcium.simulation.training_cases import BodyStyle, make_cases  # noqa: PLC0415

    scans = [load_background(path) for path in backgrounds]
    parent = os.getppid()
    for made, seed in enumerate(range(first_seed, 2**31, step)):
        if stop.is_set() or os.getppid() != parent:
            return
        if not scans or made % _SIMULATED_EVERY == _SIMULATED_EVERY - 1:
            patient = made // _SIMULATED_EVERY
            kind = "cardiac" if patient % _CARDIAC_EVERY == _CARDIAC_EVERY - 1 else "chest"
            style = BodyStyle(_MORE_ON_SURFACE, detailed=patient % _DETAILED_EVERY == _DETAILED_EVERY - 1)
            make_cases(seed % 800_000, kind, folder, style=style)
        else:
            inserted_case(scans[int(np.random.default_rng(seed).integers(len(scans)))], seed, folder, TRAINING)


@contextmanager
def case_makers(backgrounds: list[Path], folder: Path, first_seed: int, workers: int) -> Iterator[None]:
    """Processes that write cases into ``folder`` while the block runs; their seeds start at ``first_seed``."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    processes = [
        context.Process(target=_make_cases, args=(backgrounds, folder, first_seed + n, workers, stop), daemon=True)
        for n in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        stop.set()
        for process in processes:
            process.join(timeout=20)
            if process.is_alive():
                process.terminate()
                process.join()


class DeviceCases:
    """Cases of a folder in the device's memory, taken in as they appear; at most ``most``, the oldest go first.

    ``shares`` are as in ``CaseOptions``. Labeled cases, of which there are few, stay.
    """

    def __init__(self, folder: Path, device: torch.device, options: CaseOptions, most: int) -> None:
        self._folder, self._device, self._most = folder, device, most
        self._shares = options.shares
        self._groups: dict[str, list[DeviceCase]] = {}
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self.taken = 0

    def look(self) -> int:
        """Take in what has appeared since; returns how many cases there are."""
        for path in sorted(self._folder.glob("*.npz")):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            try:
                case = load_case(path)
            except InputError as rejection:
                _LOG.warning("%s", rejection)
                continue
            self._add(DeviceCase.of(case, self._device))
        with self._lock:
            return sum(len(cases) for cases in self._groups.values())

    def _add(self, each: DeviceCase) -> None:
        source = str(each.case.facts.get("source", ""))
        group = next((start for start in self._shares if source.startswith(start)), "")
        with self._lock:
            cases = self._groups.setdefault(group, [])
            cases.append(each)
            self.taken += 1
            if sum(len(others) for others in self._groups.values()) > self._most:
                largest = max(self._groups.values(), key=len)
                gone = largest.pop(0)
                (self._folder / gone.case.name).unlink(missing_ok=True)

    def draw(self, count: int, generator: np.random.Generator) -> list[DeviceCase]:
        """Cases at random, each kind with its share."""
        with self._lock:
            rest = max(0.0, 1.0 - sum(self._shares.values()))
            groups = [(self._shares.get(name, rest), cases) for name, cases in self._groups.items() if cases]
            weights = np.array([share for share, _ in groups]) + 1e-9
            chosen = generator.choice(len(groups), size=count, p=weights / weights.sum())
            return [groups[n][1][int(generator.integers(len(groups[n][1])))] for n in chosen]


class StreamTrainer(Trainer):
    """A ``Trainer`` whose batches are drawn on its device of cases that keep coming.

    Unlike a ``Trainer``'s, its batches depend on when cases came, so a run does not repeat exactly.
    """

    def __init__(self, *args: Any, most_cases: int = 2000, first_cases: int = 24, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waited, self.drawn, self.pixels = 0.0, 0, 0
        self.device_cases = DeviceCases(self.train_cases.folder, self.device, self.recipe.cases, most_cases)
        self._first_cases = first_cases
        self._ready: queue.Queue[tuple[str, Batch] | Exception] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._stage = stage_of(self.recipe, self.fraction)
        self._threads = [
            threading.Thread(target=self._look, name="cases", daemon=True),
            threading.Thread(target=self._fill, name="drawing", daemon=True),
        ]

    def start(self) -> None:
        """Wait for the first cases, then begin to draw. Raises InputError("no-training-data") when none come."""
        until = time.monotonic() + _FIRST_CASES_SECONDS
        while self.device_cases.look() < self._first_cases:
            if time.monotonic() > until:
                raise InputError(
                    "no-training-data", f"No cases came within {_FIRST_CASES_SECONDS:.0f} s; look at the backgrounds."
                )
            time.sleep(_LOOK_SECONDS)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.device_cases.look()

    def _fill(self) -> None:
        generator = np.random.default_rng((self.recipe.seed, self.iteration, 7))
        side = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        while not self._stop.is_set():
            stage = self._stage
            try:
                options, size = staged_samples(self.recipe, stage)
                with torch.cuda.stream(side) if side else nullcontext():
                    batch = draw_on_device(self.device_cases.draw(size, generator), options, generator)
                if side:
                    side.synchronize()
                made: tuple[str, Batch] | Exception = (stage, batch)
            except Exception as error:  # noqa: BLE001 (it is raised where the batch is taken)
                made = error
            while not self._stop.is_set():
                try:
                    self._ready.put(made, timeout=_LOOK_SECONDS)
                    break
                except queue.Full:
                    continue

    def _draw(self, part: int, fraction: float) -> Batch:
        self._stage = stage_of(self.recipe, fraction)
        start = time.perf_counter()
        while True:
            made = self._ready.get()
            if isinstance(made, Exception):
                raise made
            # A batch of an earlier stage was drawn ahead.
            if made[0] == self._stage:
                break
        self.waited += time.perf_counter() - start
        batch = made[1]
        self.drawn, self.pixels = self.drawn + len(batch.hu), self.pixels + batch.labels.numel()
        if self.device.type == "cuda":
            # The memory is the drawing's; it must not be used again before the network has read it.
            for tensor in (batch.hu, batch.labels):
                tensor.record_stream(torch.cuda.current_stream(self.device))
        return batch


def most_cases_for(device: torch.device, recipe: Recipe) -> int:
    """How many cases a device holds beside the training itself: 12 MB each, in a third of a GPU's memory."""
    if device.type != "cuda":
        return recipe.cases_in_memory
    return int(torch.cuda.get_device_properties(device).total_memory / 3 / 12e6)
