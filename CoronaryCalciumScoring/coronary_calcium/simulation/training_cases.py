"""Training cases made of simulated patients.

``python -m coronary_calcium.simulation.training_cases --count 200 --first-seed 1000 --output DIR``
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from coronary_calcium.datasets.case_format import BOX_MM, TrainingCase, save_case
from coronary_calcium.errors import InputError
from coronary_calcium.simulation.anatomy import Anatomy, draw_anatomy
from coronary_calcium.simulation.detailed_body import with_details
from coronary_calcium.simulation.heart_anatomy import BRANCH_LABEL
from coronary_calcium.simulation.ostial_calcium import proximal_disease
from coronary_calcium.simulation.painting import MOTION_FORMS, PaintedBody, scan_grid
from coronary_calcium.simulation.patient import (
    FIRST_TEST_SEED,
    DrawnPatient,
    SimulatedPatient,
    body_of,
    draw_deposits,
    scan_patient,
)
from coronary_calcium.simulation.protocol import KERNELS, Protocol, draw_protocol
from coronary_calcium.simulation.tissue import Deposit

# The heart's reach below and above its center, where slices are drawn for training.
HEART_Z_MM = (-82.0, 78.0)
# A case keeps a random stretch of at most this many slices: more patients teach more than more slices of one.
MOST_SLICES = 28
# The anatomy is painted this finely (mm, drawn for each) and this many sheets of it; the scans' slices are their means.
SHEET_STEPS_MM = (0.6, 0.75, 1.0, 1.0, 1.25, 1.5)
SHEETS = 72
VARIANTS = 4
# How many patients have disease at and behind the ostia, and how many scans strong motion: real scans lost most there.
PROXIMAL_SHARE, BLURRED_SHARE = 0.35, 0.3
# What must be told from coronary calcium is this much likelier than in life: at 1, the network's false lesions were
# those of aortic root, valves, annulus and pericardium (33 of 65 on 39 patients, and 94 % of the false score).
MORE_OTHER_CALCIUM = 1.8


def reject_test_seed(seed: int) -> None:
    """Raise InputError("test-seed") when the seed belongs to the test set."""
    if seed >= FIRST_TEST_SEED:
        raise InputError(
            "test-seed", f"Seed {seed} is kept for the test set; train on seeds below {FIRST_TEST_SEED} only."
        )


@dataclass(frozen=True)
class BodyStyle:
    """How bodies are drawn: ``more_on_surface`` as ``other_calcium`` has it, ``detailed`` as ``simulate_patient``."""

    more_on_surface: float = 1.0
    detailed: bool = False


PLAIN_BODY = BodyStyle()


def draw_patients(
    seed: int, kind: str, variants: int = VARIANTS, style: BodyStyle = PLAIN_BODY, **changes: Any
) -> Iterator[SimulatedPatient]:
    """Patients of one anatomy, around the heart: each with its own calcium, slices, kernel, noise and tube voltage.

    Painting the anatomy is what costs, so several patients share it. ``changes`` replace what the protocol draws.
    Raises InputError("test-seed") for a seed of the test set.
    """
    reject_test_seed(seed)
    r = np.random.default_rng([seed, 99 if kind == "chest" else 100])
    anatomy = draw_anatomy(r)
    if style.detailed:
        anatomy = with_details(anatomy)
    step = float(r.choice(SHEET_STEPS_MM))
    reach = SHEETS * step
    bottom = HEART_Z_MM[0] + r.uniform() * max(HEART_Z_MM[1] - HEART_Z_MM[0] - reach, 0)
    frame = draw_protocol(r, kind)
    grid = scan_grid(replace(frame, z_range=(bottom, bottom)), BOX_MM)
    # Lung vessels need to know how far the scan reaches.
    reached = replace(grid, z=np.array([bottom, bottom + reach]))
    body = PaintedBody(body_of(anatomy, reached, [seed, 94 if kind == "chest" else 93]), bottom, step, SHEETS)
    # A stream of its own: all else is drawn as before there was such disease and motion.
    more = np.random.default_rng([seed, 97 if kind == "chest" else 95])
    for _ in range(variants):
        drawn = replace(draw_protocol(r, kind), field_of_view=frame.field_of_view, center=frame.center)
        thickness, spacing = (max(round(value / step), 1) * step for value in (drawn.thickness, drawn.spacing))
        protocol = replace(drawn, thickness=thickness, spacing=spacing, **_strong_motion(more, drawn), **changes)
        room = reach - thickness
        count = int(min(room // spacing + 1, MOST_SLICES))
        # On whole sheets, so that a slice is the mean of those inside of it.
        first = int(r.integers(0, max(int((room - (count - 1) * spacing) / step) + 1, 1)))
        z = bottom + first * step + (thickness - step) / 2 + np.arange(count) * spacing
        deposits = draw_deposits(r, anatomy, MORE_OTHER_CALCIUM, style.more_on_surface)
        deposits += _proximal(more, anatomy)
        yield scan_patient(r, DrawnPatient(seed, anatomy, tuple(deposits)), body, protocol, replace(grid, z=z))


def _proximal(r: np.random.Generator, anatomy: Anatomy) -> list[Deposit]:
    """Disease at and behind the ostia of a share of the patients."""
    if r.random() >= PROXIMAL_SHARE:
        return []
    heart = anatomy.heart
    deposits = proximal_disease(r, heart.arteries, heart.vessel_radius, heart.aorta[:10], BRANCH_LABEL)
    return [replace(deposit, shape=anatomy.pose.shape(deposit.shape)) for deposit in deposits]


def _strong_motion(r: np.random.Generator, protocol: Protocol) -> dict[str, Any]:
    """Double contours and arcs, in a share of the scans that are not gated."""
    if protocol.gated or r.random() >= BLURRED_SHARE:
        return {}
    return {"motion": float(r.uniform(1.5, 6.0)), "motion_form": str(r.choice(MOTION_FORMS[1:]))}


def make_cases(
    seed: int,
    kind: str,
    folder: Path,
    kernel: str | None = None,
    noise: tuple[float, float] | None = None,
    variants: int = VARIANTS,
    style: BodyStyle = PLAIN_BODY,
) -> list[Path]:
    """Write ``<kind>-<kernel->seed-variant.npz`` for the patients of one seed; cases that are there are kept.

    ``kernel`` and a range of the ``noise`` in HU replace those that the protocol draws.
    """
    reject_test_seed(seed)
    name = f"{kind}-{'detailed-' if style.detailed else ''}{kernel + '-' if kernel else ''}{seed:06d}"
    paths = [folder / f"{name}-{variant}.npz" for variant in range(variants)]
    if all(path.exists() for path in paths):
        return paths
    changes: dict[str, Any] = {"kernel": kernel} if kernel else {}
    if noise:
        changes["noise"] = float(np.random.default_rng([seed, 98]).uniform(*noise))
    for path, patient in zip(paths, draw_patients(seed, kind, variants, style, **changes)):
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
        volume = patient.volume
        center = patient.heart_center[1:]
        save_case(path, TrainingCase(volume.hu, patient.labels, volume.spacing, center, facts, patient.other))
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Write the cases of consecutive seeds; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, required=True, help="how many anatomies")
    parser.add_argument("--variants", type=int, default=VARIANTS, help="cases of each anatomy (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kind", choices=("chest", "cardiac"), default="chest")
    parser.add_argument("--kernel", choices=sorted(KERNELS), help="default: as the protocol draws")
    parser.add_argument("--noise", type=float, nargs=2, metavar=("LOW", "HIGH"), help="range of the noise in HU")
    # With weights of cases at 1, of 114 test patients 13 of the 18 with calcium of the pericardium had false lesions of
    # 20 or more in all, and 3 of the 7 with a stent.
    parser.add_argument(
        "--surface", type=float, default=1.0, help="how much likelier pericardial calcium, stents, leads and clips are"
    )
    parser.add_argument("--detailed", action="store_true", help="bodies that look like real ones")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    seeds = range(options.first_seed, options.first_seed + options.count)
    try:
        reject_test_seed(seeds[-1])
    except InputError as rejection:
        parser.error(str(rejection))
    options.output.mkdir(parents=True, exist_ok=True)
    make = partial(
        make_cases,
        kind=options.kind,
        folder=options.output,
        kernel=options.kernel,
        noise=options.noise,
        variants=options.variants,
        style=BodyStyle(options.surface, options.detailed),
    )
    with ProcessPoolExecutor(options.workers) as pool:
        made = pool.map(make, seeds)
        for _ in tqdm(made, total=len(seeds), desc="Simulating", unit="anatomy"):
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
