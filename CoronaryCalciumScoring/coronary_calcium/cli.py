"""The ``coronary-calcium`` command."""

import argparse
import sys
from collections.abc import Sequence

from coronary_calcium import __version__
from coronary_calcium.commands.score import add_score
from coronary_calcium.commands.simulate import add_simulate
from coronary_calcium.commands.usage import INTERRUPTED, REFUSED
from coronary_calcium.errors import Cancelled, InputRefused
from coronary_calcium.terminal import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 2 wrong usage, 3 input refused, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputRefused as refusal:
        say(f"Refused: {refusal}")
        return REFUSED
    except (KeyboardInterrupt, Cancelled):
        say("Interrupted; nothing was written.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coronary-calcium",
        description="Coronary calcium scoring on non-contrast CT. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"coronary-calcium {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_score(commands)
    add_simulate(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
