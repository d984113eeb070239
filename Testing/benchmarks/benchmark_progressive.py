"""Progressive and plain training at equal processor time: which is better on held-out cases?

Run by hand (``python Testing/benchmarks/benchmark_progressive.py --data CASES --validation CASES --minutes 30``); not a
test. Plain training samples patches of the fine window all the time, and finishes with whole windows. Progressive
training starts with whole windows of 256 x 256 pixels, a quarter of the work each, goes on as the plain one does and
finishes in the same way. Both start from the same weights or the same random ones, and stop after the same processor
time, which other programs do not disturb; the learning rate falls along the same cosine.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from coronary_calcium.training.config import changed, load_recipe
from coronary_calcium.training.trainer import Clock, Trainer
from coronary_calcium.training.validation import validate

VARIANTS = {"plain": {}, "progressive": {"coarse_pixels": 256, "coarse_share": 0.5}}


class ProcessorClock(Clock):
    """Processor time of this process in place of the time of day."""

    def __post_init__(self) -> None:
        """Begin to count."""
        self._started = time.process_time()

    @property
    def minutes(self) -> float:
        """Processor minutes until now."""
        return self.before + (time.process_time() - self._started) / 60


def run(recipe, options, output):
    """Train one variant; returns a row of the table."""
    trainer = Trainer(recipe, options.data, None, output, options.weights)
    trainer.clock = ProcessorClock()
    trainer.run()
    found = validate(trainer.average, trainer_cases(trainer, options), options.slices, trainer.device)
    row = {
        "variant": recipe.name,
        "iterations": trainer.iteration,
        "processor_minutes": round(trainer.clock.minutes, 2),
    }
    return {**row, **found.as_dict()}


def trainer_cases(trainer, options):
    """The held-out cases, as a trainer would hold them."""
    return type(trainer.train_cases)(options.validation)


def main():
    """Train each variant and print its figures, one line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="processor minutes of each variant")
    parser.add_argument("--weights", type=Path, help="weights to start from (default: random ones)")
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--slices", type=int, default=60, help="held-out slices (default: %(default)s)")
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="those to train (default: both)"
    )
    options = parser.parse_args()
    ends = {"minutes": options.minutes, "iterations": 0, "threads": 1, "checkpoint_minutes": 1e6}
    recipe = changed(load_recipe(options.recipe, options.settings), "plain", {**ends, "validation_minutes": 1e6})
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-progressive-") as scratch:
        for name in options.variants:
            row = run(changed(recipe, name, VARIANTS[name]), options, Path(scratch) / name)
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
