"""The ``coronary-calcium`` command."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from coronary_calcium import __version__
from coronary_calcium.cli.agreement import add_agreement
from coronary_calcium.cli.cohort import add_cohort
from coronary_calcium.cli.console import INTERRUPTED, REJECTED, SCORED, say
from coronary_calcium.cli.evaluate import add_evaluate
from coronary_calcium.cli.prepare import add_prepare
from coronary_calcium.cli.score import OVERRULING, add_score
from coronary_calcium.cli.selftest import add_selftest
from coronary_calcium.cli.simulate import add_simulate
from coronary_calcium.cli.train import add_train
from coronary_calcium.errors import NOT_ENOUGH_MEMORY, Cancelled, InputError
from coronary_calcium.parallel import every_request_to_end_heard


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 2 wrong usage, 3 input rejected, 130 interrupted."""
    try:
        with every_request_to_end_heard():
            options = _parser().parse_args(arguments)
            with _log_shown(options.verbose):
                code = options.run(options)
            sys.stdout.flush()
        return code
    except InputError as rejection:
        flag, _ = OVERRULING.get(rejection.code, ("", ""))
        say(f"Rejected: {rejection}" + (f" To score it all the same, add {flag}." if flag else ""))
    except MemoryError:
        say(f"Rejected: {NOT_ENOUGH_MEMORY}")
    except BrokenPipeError:
        # Whoever reads the terminal's text has gone, as in `... | head`; the results are in their folder.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SCORED
    except OSError as error:
        say(f"Rejected: A file or folder cannot be used ({error.strerror or error}): check its name and permissions.")
    except (KeyboardInterrupt, Cancelled):
        say("Interrupted; nothing unfinished was left behind.")
        return INTERRUPTED
    return REJECTED


class _OnTerminal(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.name.partition('.')[2]}: {record.getMessage()}")


@contextmanager
def _log_shown(verbose: bool) -> Iterator[None]:
    """Show the log of this package alone, if wanted; other packages' could name files and patients."""
    log, handler = logging.getLogger("coronary_calcium"), _OnTerminal()
    level = log.level
    if verbose:
        log.setLevel(logging.DEBUG)
        log.addHandler(handler)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coronary-calcium",
        description="Coronary calcium scoring on non-contrast CT. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"coronary-calcium {__version__}")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say on stderr what is done: stages, sizes, choices; no identity"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_score(commands)
    add_cohort(commands)
    add_agreement(commands)
    add_simulate(commands)
    add_prepare(commands)
    add_train(commands)
    add_evaluate(commands)
    add_selftest(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
