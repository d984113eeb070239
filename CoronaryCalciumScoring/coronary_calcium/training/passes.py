"""Epochs: passes over every slice of every case, each in an order of its own."""

import math
from collections.abc import Sequence

import numpy as np


class Passes:
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
