"""A GPU machine that is there for minutes: one command that trains, validates and measures on it, and stops in time.

``python -m coronary_calcium.training.gpu_session --bundle BUNDLE --minutes 10 --out DIR``

The machine needs numpy, scipy, torch and safetensors alone; ``gpu_bundle`` packs what travels there. The weights come
out in parts of at most 15 MiB, which ``weights_parts`` joins, with their card, ``session.json`` with all measurements,
and the metrics.
"""

import argparse
import json
import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from coronary_calcium.atomic_write import write_whole
from coronary_calcium.errors import InputError
from coronary_calcium.inference.device import DEVICES
from coronary_calcium.network.denseraunet import NEIGHBORS, DenseRAUNet
from coronary_calcium.network.model_card import default_weights
from coronary_calcium.network.precision import usable_precision
from coronary_calcium.network.preprocessing import INPUT_SIZE, normalize
from coronary_calcium.training.checkpoint import WEIGHTS
from coronary_calcium.training.config import Recipe, changed, load_recipe
from coronary_calcium.training.distributed import Distributed
from coronary_calcium.training.gpu_bundle import BACKGROUNDS, CASES, HELD_OUT, unpack_bundle
from coronary_calcium.training.stream_training import StreamTrainer, case_makers, most_cases_for
from coronary_calcium.training.trainer import Clock
from coronary_calcium.training.weights_parts import split_file

SESSION = "session.json"
# How many slices of a chest CT the network looks at, and how many at a time.
CHEST_SLICES, _INFERENCE_BATCH = 350, 8
# Training begins when so many cases are there; more come meanwhile.
_FIRST_CASES = 24
# Training goes on for at least so long, also where the first cases came late.
_LEAST_MINUTES = 0.08
# Sides of the matrices whose product is the yardstick; smaller ones do not reach a device's rate.
_MATRIX = {"cuda": 8192, "cpu": 1024, "mps": 4096}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What of a machine a session uses.

    Attributes
    ----------
    device : as the command line has it.
    workers : processes that make cases; 0 for all cores but one.
    work : folder for scratch files, None for the system's.
    """

    device: str = "auto"
    workers: int = 0
    work: Path | None = None


def run_session(
    bundle: Path,
    minutes: float,
    out: Path,
    recipe: Recipe,
    *,
    weights: Path | None = None,
    first_seed: int = 200_000,
    machine: Machine = Machine(),
) -> dict[str, Any]:
    """Train for so many minutes in all, from unpacking to the last file; returns what ``session.json`` holds.

    ``weights`` are those to start from, the shipped ones by default; the cases that are made have the seeds from
    ``first_seed`` on. Raises InputError for a bundle without backgrounds.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    ranks = Distributed.alone(machine.device)
    workers = machine.workers or max((os.cpu_count() or 2) - 1, 1)
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-session-", dir=machine.work) as scratch:
        place = Path(scratch)
        found = unpack_bundle(bundle, place)
        if not found[BACKGROUNDS]:
            raise InputError("background", f"{bundle.name} holds no backgrounds; pack it again.")
        with case_makers(found[BACKGROUNDS], place / CASES, first_seed, workers):
            while len(list((place / CASES).glob("*.npz"))) <= len(found[CASES]):
                time.sleep(0.2)
            report = _train(place, minutes, started, recipe, ranks, weights)
        report |= {"workers": workers, "unpacked_files": {kind: len(paths) for kind, paths in found.items()}}
        _write_out(place / "run", out)
    report["minutes_in_all"] = round((time.monotonic() - started) / 60, 2)
    write_whole(out / SESSION, json.dumps(report, indent=2) + "\n")
    return report


def _train(
    place: Path,
    minutes: float,
    started: float,
    recipe: Recipe,
    ranks: Distributed,
    weights: Path | None,
) -> dict[str, Any]:
    """Train until the clock leaves what validation and measurements take; returns the measurements."""
    device = ranks.device
    torch.backends.cudnn.benchmark = True
    matrix = _matrix_rate(device, usable_precision(recipe.precision, device))
    held_out = place / HELD_OUT if (place / HELD_OUT).is_dir() else None
    ends = {"iterations": 0, "minutes": minutes, "checkpoint_minutes": 1e6, "validation_minutes": 1e6}
    recipe = changed(recipe, recipe.name, ends)
    trainer = StreamTrainer(
        recipe,
        place / CASES,
        held_out,
        place / "run",
        weights or default_weights(),
        ranks,
        most_cases=most_cases_for(device, recipe),
        first_cases=_FIRST_CASES,
    )
    try:
        trainer.start()
        # Validation, inference and files get a fifth of a short session, at most a minute and a half.
        left = minutes - (time.monotonic() - started) / 60 - min(0.2 * minutes, 1.5)
        trainer.recipe = changed(recipe, recipe.name, {"minutes": max(left, _LEAST_MINUTES)})
        trainer.clock = Clock()
        trainer.run()
        seconds = 60 * trainer.minutes
    finally:
        trainer.stop()
    work = trainer.pixels * _work_per_pixel(trainer.network, recipe, device)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "precision": trainer.precision,
        "iterations": trainer.iteration,
        "training_seconds": round(seconds, 1),
        "samples": trainer.drawn,
        "samples_per_second": round(trainer.drawn / seconds, 2),
        "share_of_time_waiting_for_samples": round(trainer.waited / seconds, 4),
        "cases_taken": trainer.device_cases.taken,
        "matrix_tflops": round(matrix / 1e12, 3),
        "training_share_of_matrix_rate": round(work / seconds / matrix, 4),
        "inference": _inference(trainer.average, device, trainer.precision, matrix),
        "validation": trainer.validation.as_dict() if trainer.validation else None,
    }


def _synchronised(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _seconds(work: Callable[[], Any], device: torch.device, repeats: int = 5) -> float:
    """Median time of a call after a first one."""
    work()
    times = []
    for _ in range(repeats):
        _synchronised(device)
        start = time.perf_counter()
        work()
        _synchronised(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _matrix_rate(device: torch.device, precision: str) -> float:
    """Multiplications and additions a second in a large matrix product in the training's precision."""
    side = _MATRIX.get(device.type, 1024)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / _seconds(lambda: a @ b, device)


def _work_per_pixel(network: DenseRAUNet, recipe: Recipe, device: torch.device) -> float:
    """Multiplications and additions of training on a pixel: three times those of the forward pass."""
    patch = recipe.samples.patch
    inputs = torch.zeros(1, NEIGHBORS, patch, patch, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(inputs)
    network.train()
    return 3.0 * counter.get_total_flops() / patch**2


@torch.inference_mode()
def _inference(network: DenseRAUNet, device: torch.device, precision: str, matrix: float) -> dict[str, float]:
    """How long the network takes for a chest CT of ``CHEST_SLICES`` slices, as training's precision allows."""
    batch = _INFERENCE_BATCH if device.type == "cuda" else 1
    inputs = normalize(torch.randn(batch, NEIGHBORS, INPUT_SIZE, INPUT_SIZE, device=device) * 100)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with FlopCounterMode(display=False) as counter:
        network(inputs)
    mixed = precision == "bfloat16"

    def look() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            network(inputs)

    seconds = _seconds(look, device, 10 if device.type == "cuda" else 1) / batch
    return {
        "slices_per_second": round(1 / seconds, 2),
        f"network_seconds_of_{CHEST_SLICES}_slices": round(CHEST_SLICES * seconds, 3),
        "share_of_matrix_rate": round(counter.get_total_flops() / batch / seconds / matrix, 4),
    }


def _write_out(run: Path, out: Path) -> None:
    """Weights in parts, card, metrics and the last picture, in few files of limited size."""
    split_file(run / WEIGHTS, out)
    for path in (run / WEIGHTS).with_suffix(".json"), run / "metrics.csv", run / "validation.csv":
        if path.exists():
            shutil.copyfile(path, out / path.name)
    pictures = sorted((run / "pictures").glob("*.png"))
    if pictures:
        shutil.copyfile(pictures[-1], out / "predictions.png")


def main(arguments: list[str] | None = None) -> int:
    """Run a session; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True, help="what gpu_bundle packed")
    parser.add_argument("--minutes", type=float, required=True, help="for all of it, from the start to the last file")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is to be brought back")
    parser.add_argument("--weights", type=Path, help="weights to start from (default: the shipped ones)")
    parser.add_argument("--recipe", default="gpu", help="default: %(default)s")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--workers", type=int, default=0, help="processes that make cases (default: cores less one)")
    parser.add_argument("--first-seed", type=int, default=200_000, help="others than an earlier session's")
    parser.add_argument("--work", type=Path, help="folder for scratch files (default: the system's)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    report = run_session(
        options.bundle,
        options.minutes,
        options.out,
        load_recipe(options.recipe, options.settings),
        weights=options.weights,
        first_seed=options.first_seed,
        machine=Machine(options.device, options.workers, options.work),
    )
    _LOG.info("%s", json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
