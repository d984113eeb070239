"""Training cases made of simulated patients: the part of the scan around the heart, as ``training.cases`` reads it.

``python -m coronary_calcium.simulation.training_cases --count 200 --first-seed 1000 --output DIR``
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from coronary_calcium.errors import InputRefused
from coronary_calcium.simulation.patient import simulate_patient
from coronary_calcium.simulation.protocol import KERNELS, draw_protocol
from coronary_calcium.training.cases import save_case

# The square around the heart that a case keeps: a window of 192 mm with room for shifts and scales.
BOX_MM = 250.0
# The heart's reach below and above its centre, where slices are drawn for training.
HEART_Z_MM = (-82.0, 78.0)
# Seeds from here on belong to the test set (100 chest patients from 900000, 44 cardiac ones from 900100); training must
# never see one of them.
FIRST_TEST_SEED = 900_000
# Thin-slice cases keep a random stretch of this many slices: more patients teach more than more slices of one.
MOST_SLICES = 40


def make_case(
    seed: int, kind: str, folder: Path, kernel: str | None = None, noise: tuple[float, float] | None = None
) -> Path:
    """Simulate the patient of one seed around the heart and write ``<kind>-<kernel->seed.npz``.

    ``kernel`` and a range of the ``noise`` in HU replace those that the protocol draws.
    Raises InputRefused("test-seed") for a seed of the test set.
    """
    refuse_test_seed(seed)
    path = folder / f"{kind}-{kernel + '-' if kernel else ''}{seed:06d}.npz"
    if path.exists():
        return path
    r = np.random.default_rng([seed, 99])
    drawn = draw_protocol(np.random.default_rng([seed, 98]), kind)
    length = min(MOST_SLICES * drawn.spacing, HEART_Z_MM[1] - HEART_Z_MM[0])
    bottom = r.uniform(HEART_Z_MM[0], HEART_Z_MM[1] - length)
    changes: dict[str, Any] = {"kernel": kernel} if kernel else {}
    patient = simulate_patient(
        seed,
        kind,
        box=BOX_MM,
        z_range=(bottom, bottom + length),
        spacing=drawn.spacing,
        thickness=drawn.thickness,
        noise=float(r.uniform(*noise)) if noise else drawn.noise,
        **changes,
    )
    protocol = patient.protocol
    facts = {
        "source": "simulated patient",
        "seed": seed,
        "kind": kind,
        "kernel": protocol.kernel,
        "noise_hu": round(protocol.noise, 1),
        "thickness_mm": protocol.thickness,
        "kvp": protocol.kvp,
    }
    save_case(path, patient.volume.hu, patient.labels, patient.volume.spacing, patient.heart_center[1:], facts)
    return path


def refuse_test_seed(seed: int) -> None:
    """Raise InputRefused("test-seed") when the seed belongs to the test set."""
    if seed >= FIRST_TEST_SEED:
        raise InputRefused(
            "test-seed", f"Seed {seed} is kept for the test set; train on seeds below {FIRST_TEST_SEED} only."
        )


def main(arguments: list[str] | None = None) -> int:
    """Write the cases of consecutive seeds; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kind", choices=("chest", "cardiac"), default="chest")
    parser.add_argument("--kernel", choices=sorted(KERNELS), help="default: as the protocol draws")
    parser.add_argument("--noise", type=float, nargs=2, metavar=("LOW", "HIGH"), help="range of the noise in HU")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.count)
    make = partial(make_case, kind=options.kind, folder=options.output, kernel=options.kernel, noise=options.noise)
    with ProcessPoolExecutor(options.workers) as pool:
        made = pool.map(make, seeds)
        for _ in tqdm(made, total=len(seeds), desc="Simulating", unit="patient"):
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
