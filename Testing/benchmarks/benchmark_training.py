"""How fast training is: samples per second of drawing, of a training step and of inference, and of what the device can.

Run by hand (``python Testing/benchmarks/benchmark_training.py --threads 1``); not a test. The network's multiplications
and additions are counted by PyTorch and set against the rate of a large matrix product in the same precision. Drawing
samples is no matrix product: it is set against the step that it has to feed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from coronary_calcium.datasets.case_format import TrainingCase, save_case
from coronary_calcium.inference.device import DEVICES, resolve_device
from coronary_calcium.network.preprocessing import INPUT_SIZE, normalize
from coronary_calcium.training.batches import BatchLoader, Place, loader_threads
from coronary_calcium.training.cases import CaseFolder
from coronary_calcium.training.config import changed, load_recipe
from coronary_calcium.training.distributed import Distributed
from coronary_calcium.training.trainer import Trainer
from torch.utils.flop_counter import FlopCounterMode

# Sides of the matrices; smaller ones do not reach a device's rate.
MATRIX = {"cpu": 2048, "cuda": 8192, "mps": 4096}
# What a case keeps of a scan: 250 mm of 0.7 mm pixels, 40 slices.
CASE_SHAPE, CASE_SPACING = (40, 356, 356), (3.0, 0.7, 0.7)


def seconds(work, device, repeats):
    """Median time of a call. CPU time with one thread, which other programs do not disturb."""
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    work()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
    return statistics.median(times)


def drawing_seconds(batches, count):
    """Mean time of a batch when nothing else is waited for: what the threads, if there are any, can keep up with."""
    batches.take(Place(0, 0))
    start = time.perf_counter()
    for iteration in range(1, count + 1):
        batches.take(Place(iteration, 0))
    passed = time.perf_counter() - start
    batches.close()
    return passed / count


def matrix_rate(device, dtype, repeats):
    """Multiplications and additions per second in a large matrix product."""
    side = MATRIX[device.type]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds(lambda: a @ b, device, repeats)


def counted(work):
    """Multiplications and additions of a call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def synthetic_case(folder):
    """A case of the usual size; its content does not matter to the time."""
    hu = (40 + 30 * np.random.default_rng(0).standard_normal(CASE_SHAPE)).astype(np.int16)
    labels = np.zeros(CASE_SHAPE, np.uint8)
    hu[15:25, 170:176, 150:158], labels[15:25, 170:176, 150:158] = 500, 2
    save_case(folder / "case.npz", TrainingCase(hu, labels, CASE_SPACING, (178.0, 178.0), {"source": "synthetic"}))
    return folder


def show(name, rate, share):
    """One line of the table."""
    sys.stdout.write(f"{name:<44}{rate:>10.2f} samples/s   {share}\n")
    sys.stdout.flush()


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="best", help="default: best")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--data", type=Path, help="training cases; default: a synthetic one of the usual size")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--drawers", type=int, help="threads that draw ahead; default: as training takes on the device")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(resolve_device(options.device))
    recipe = changed(load_recipe(options.recipe, options.settings), "benchmark", {"threads": options.threads})
    patch, batch = recipe.samples.patch, recipe.batch
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-benchmark-") as scratch:
        data = options.data or synthetic_case(Path(scratch))
        ranks = Distributed(0, 1, device)
        drawers = loader_threads(ranks) if options.drawers is None else options.drawers
        drawing = batch / drawing_seconds(
            BatchLoader(CaseFolder(data), recipe, ranks, None, drawers), 8 * options.repeats
        )
        trainer = Trainer(recipe, data, None, Path(scratch) / "run", ranks=ranks)
        drawn = trainer._draw(0, 0.0)
        trainer._draw = lambda part, fraction: drawn
        work = counted(trainer.step)
        step = seconds(trainer.step, device, options.repeats)
    mixed = torch.bfloat16 if trainer.precision == "bfloat16" else torch.float32
    rates = {dtype: matrix_rate(device, dtype, options.repeats) for dtype in {mixed, torch.float32}}
    for dtype, rate in rates.items():
        sys.stdout.write(f"Matrix product, {str(dtype).removeprefix('torch.')}: {rate / 1e9:.0f} GFLOP/s\n")
    training = batch * recipe.accumulate / step
    show(
        f"Drawing, {patch} x {patch} pixels, {drawers or 'no'} threads",
        drawing,
        f"{drawing / training:.1f} x the training step's rate",
    )
    reached = work / step / rates[mixed]
    show(f"Training step, batch {batch} of {patch} x {patch}, {trainer.precision}", training, f"{100 * reached:.0f} %")
    network = trainer.average
    inputs = normalize(torch.randn(1, 9, INPUT_SIZE, INPUT_SIZE, device=device) * 100)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        work = counted(lambda: network(inputs))
        inference = seconds(lambda: network(inputs), device, options.repeats)
    reached = work / inference / rates[torch.float32]
    show(f"Inference, {INPUT_SIZE} x {INPUT_SIZE} pixels, float32", 1 / inference, f"{100 * reached:.0f} %")
    sys.stdout.write("Percentages are of the matrix product's rate in the same precision.\n")


if __name__ == "__main__":
    main()
