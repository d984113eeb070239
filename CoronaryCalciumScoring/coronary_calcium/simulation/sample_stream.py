"""Training samples straight from the simulator: no files, as many workers as the machine has cores."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from coronary_calcium.simulation.training_cases import VARIANTS, draw_patients, refuse_test_seed
from coronary_calcium.training.cases import TrainingCase, case_of
from coronary_calcium.training.samples import SampleOptions, draw_sample

# Patients in a worker's memory, from which samples are drawn in turn: neighbours in a batch are of different patients.
POOL = 8


class SimulatedSamples(IterableDataset):
    """Endless samples of simulated patients: float32 (9, patch, patch) HU and uint8 (patch, patch) artery labels.

    Every patient gives ``samples`` of them and makes room for the next. Anatomies come from consecutive seeds up to
    the test set's; with a ``DataLoader``, worker w of n takes every n-th. The same arguments and the same number of
    workers give the same samples.
    """

    def __init__(
        self, first_seed: int, kind: str = "chest", options: SampleOptions | None = None, samples: int = 16
    ) -> None:
        refuse_test_seed(first_seed)
        self.first_seed, self.kind, self.samples = first_seed, kind, samples
        self.options = options or SampleOptions()

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        random = np.random.default_rng([self.first_seed, number, 96])
        patients = self._cases(self.first_seed + number, workers)
        pool, left = [next(patients) for _ in range(POOL)], [self.samples] * POOL
        while True:
            place = int(random.integers(POOL))
            hu, labels = draw_sample(pool[place], self.options, random)
            yield torch.from_numpy(hu), torch.from_numpy(labels)
            left[place] -= 1
            if not left[place]:
                pool[place], left[place] = next(patients), self.samples

    def _cases(self, seed: int, step: int) -> Iterator[TrainingCase]:
        while True:
            for number, patient in enumerate(draw_patients(seed, self.kind, VARIANTS)):
                volume, center = patient.volume, patient.heart_center[1:]
                name = f"{self.kind}-{seed}-{number}"
                yield case_of(name, volume.hu, patient.labels, volume.spacing, center, {}, patient.other)
            seed += step
