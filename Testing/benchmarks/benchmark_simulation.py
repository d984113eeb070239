"""How fast training samples come from the simulator: ``python Testing/benchmarks/benchmark_simulation.py``.

Prints the seconds that a case takes on one core, and samples per second.
"""

import argparse
import time

import numpy as np
import torch
from coronary_calcium.datasets.case_format import TrainingCase
from coronary_calcium.simulation.training_cases import VARIANTS, draw_patients
from coronary_calcium.training.samples import SampleOptions, draw_sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=("chest", "cardiac"), default="chest")
    parser.add_argument("--anatomies", type=int, default=2)
    parser.add_argument("--samples", type=int, default=16, help="samples drawn of each case")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, cases = time.process_time(), []
    for seed in range(options.anatomies):
        for patient in draw_patients(seed, options.kind, VARIANTS):
            volume = patient.volume
            cases.append(TrainingCase(volume.hu, patient.labels, volume.spacing, patient.heart_center[1:], {}))
    per_case = (time.process_time() - start) / len(cases)
    random, start = np.random.default_rng(0), time.process_time()
    for case in cases:
        draw_sample(case, SampleOptions(), random)
    per_sample = (time.process_time() - start) / len(cases)
    rate = 1 / (per_case / options.samples + per_sample)
    print(f"{options.kind}: {per_case:.2f} CPU s per case, {1000 * per_sample:.0f} ms per sample of it")
    print(f"{rate:.1f} samples/s per core with {options.samples} samples of each case")


if __name__ == "__main__":
    main()
