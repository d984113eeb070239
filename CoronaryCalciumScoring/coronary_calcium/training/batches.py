"""The batches of a run, each known by its place in it, and the epochs' order of slices.

Of the recipe ``best``, a loop that waits for each batch draws 42 samples per second, and two threads on two cores 70.
"""

import math
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from coronary_calcium.training.cases import CaseFolder
from coronary_calcium.training.config import Recipe
from coronary_calcium.training.distributed import Distributed
from coronary_calcium.training.samples import Batch, SampleOptions, draw_batch


class EpochSampler:
    """The order in which a run takes its samples: ``slices`` (case and slice), all once, then all once more."""

    def __init__(self, slices: Sequence[tuple[str, int]], seed: int) -> None:
        self._slices = slices
        self._seed = seed

    def iterations(self, epochs: int, samples: int) -> int:
        """How many iterations of ``samples`` samples the epochs take."""
        return math.ceil(epochs * len(self._slices) / samples)

    def samples(self, first: int, count: int) -> list[tuple[str, int]]:
        """Case and slice of the samples ``first`` .. ``first + count - 1`` of the run, counted from 0."""
        chosen = []
        for sample in range(first, first + count):
            epoch, place = divmod(sample, len(self._slices))
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._slices))
            chosen.append(self._slices[order[place]])
        return chosen


# Two threads on two cores draw 1.7 times as many samples as one; how far more of them help was not measured.
MOST_THREADS = 8
# BatchLoader that wait for the network, for each thread, so that one whose case must first be read holds up nothing.
_WAITING = 2


# Coarse windows come first, the largest patches last; a recipe may leave out either.
STAGES = ("coarse", "main", "final")


def stage_of(recipe: Recipe, fraction: float) -> str:
    """The stage of a run of which ``fraction`` is over."""
    if recipe.coarse_pixels and fraction < recipe.coarse_share:
        return "coarse"
    return "final" if recipe.final_patch and fraction >= 1 - recipe.final_patch_share else "main"


def staged_samples(recipe: Recipe, stage: str) -> tuple[SampleOptions, int]:
    """How samples of a stage are drawn, and how many make a batch: about as many pixels in each stage."""
    options = recipe.samples
    if stage == "coarse":
        staged = replace(options, pixels=recipe.coarse_pixels, patch=recipe.coarse_pixels)
    elif stage == "final":
        staged = replace(options, patch=recipe.final_patch)
    else:
        return options, recipe.batch
    return staged, max(1, recipe.batch * options.patch**2 // staged.patch**2)


class Place(NamedTuple):
    """A batch among those of a process: its iteration, part of that, and which ``STAGES`` of the run it is of."""

    iteration: int
    part: int
    stage: str = "main"


def loader_threads(ranks: Distributed) -> int:
    """How many threads draw ahead: none on a CPU, which the network keeps busy by itself.

    On a GPU, the computer's cores are shared by the processes that ``torchrun`` started there.
    """
    if ranks.device.type == "cpu":
        return 0
    cores, processes = os.cpu_count() or 1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_THREADS, cores // processes - 1))


class BatchLoader:
    """Draws the batches of a process; what a batch holds depends on its place, the recipe and the files alone.

    With ``threads``, the batches that follow the one that is taken are drawn meanwhile.
    """

    def __init__(
        self, cases: CaseFolder, recipe: Recipe, ranks: Distributed, passes: EpochSampler | None, threads: int
    ) -> None:
        self._cases, self._recipe, self._ranks, self._passes = cases, recipe, ranks, passes
        self._ahead = threads * _WAITING
        self._pool = ThreadPoolExecutor(threads, "drawing") if threads else None
        self._waiting: dict[Place, Future[Batch]] = {}

    def take(self, place: Place) -> Batch:
        """The batch of a place. Raises InputError("no-training-data") when no case is left."""
        if self._pool is None:
            return self._draw(place)
        wanted = self._following(place)
        # Others than those were foreseen before the run came to its larger patches, or went back to a checkpoint.
        for other in self._waiting.keys() - set(wanted):
            self._waiting.pop(other).cancel()
        for each in wanted:
            if each not in self._waiting:
                self._waiting[each] = self._pool.submit(self._draw, each)
        return self._waiting.pop(place).result()

    def close(self) -> None:
        """End the threads; batches that nobody took are dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _following(self, place: Place) -> list[Place]:
        """The place and those after it, as far as batches are drawn ahead."""
        parts = self._recipe.accumulate
        first = place.iteration * parts + place.part
        return [Place(number // parts, number % parts, place.stage) for number in range(first, first + 1 + self._ahead)]

    def _draw(self, place: Place) -> Batch:
        recipe = self._recipe
        options, size = staged_samples(recipe, place.stage)
        number = self._ranks.rank + self._ranks.size * place.part
        generator = np.random.default_rng((recipe.seed, place.iteration, number))
        return draw_batch(self._cases, size, options, generator, self._slices(place, size, number))

    def _slices(self, place: Place, size: int, number: int) -> Sequence[tuple[str, int]]:
        """Which slices the batch is of, in a run of epochs; none named in the others."""
        if self._passes is None:
            return ()
        first = (place.iteration * self._recipe.accumulate * self._ranks.size + number) * size
        return self._passes.samples(first, size)
