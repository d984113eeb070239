"""Train from the command line: ``python -m coronary_calcium.training RECIPE --data DIR --output DIR``."""

import argparse
import logging
import sys
from pathlib import Path

from coronary_calcium.errors import InputRefused
from coronary_calcium.training.loop import train
from coronary_calcium.training.recipe import load_recipe

EXIT_REFUSED = 3


def main(arguments: list[str] | None = None) -> int:
    """Run the training; 0 when it ends, 3 when recipe or data are refused."""
    parser = argparse.ArgumentParser(prog="python -m coronary_calcium.training", description=train.__doc__)
    parser.add_argument("recipe", help="a TOML file, or the name of one that comes with the program")
    parser.add_argument("--data", type=Path, required=True, help="folder of training cases; it may grow meanwhile")
    parser.add_argument("--validation", type=Path, help="folder of cases held out for validation")
    parser.add_argument("--output", type=Path, required=True, help="folder for weights, checkpoint and metrics")
    parser.add_argument("--initialise", type=Path, metavar="WEIGHTS", help="start from these weights (.safetensors)")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    log = logging.getLogger("coronary_calcium.training")

    def report(fraction: float, text: str) -> None:
        log.info("%5.1f %%  %s", 100 * fraction, text)

    try:
        train(load_recipe(chosen.recipe), chosen.data, chosen.validation, chosen.output, report, chosen.initialise)
    except InputRefused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
