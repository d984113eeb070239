"""The ``coronary-calcium`` command."""

import _thread
import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from coronary_calcium import __version__
from coronary_calcium.commands.evaluate import add_evaluate
from coronary_calcium.commands.prepare import add_prepare
from coronary_calcium.commands.score import add_score
from coronary_calcium.commands.selftest import add_selftest
from coronary_calcium.commands.simulate import add_simulate
from coronary_calcium.commands.train import add_train
from coronary_calcium.commands.usage import INTERRUPTED, REFUSED, SCORED
from coronary_calcium.errors import NOT_ENOUGH_MEMORY, Cancelled, InputRefused
from coronary_calcium.terminal import say

# After this time, in seconds, the callback that swallowed an interrupt has returned: each lasts microseconds.
ASKED_AGAIN = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 2 wrong usage, 3 input refused, 130 interrupted."""
    try:
        with _every_request_to_end_heard():
            options = _parser().parse_args(arguments)
            code = options.run(options)
            sys.stdout.flush()
        return code
    except InputRefused as refusal:
        say(f"Refused: {refusal}")
    except MemoryError:
        say(f"Refused: {NOT_ENOUGH_MEMORY}")
    except BrokenPipeError:
        # Whoever reads the terminal's text has gone, as in `... | head`; the results are in their folder.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SCORED
    except OSError as error:
        say(f"Refused: A file or folder cannot be used ({error.strerror or error}): check its name and permissions.")
    except (KeyboardInterrupt, Cancelled):
        say("Interrupted; nothing unfinished was left behind.")
        return INTERRUPTED
    return REFUSED


@contextmanager
def _every_request_to_end_heard() -> Iterator[None]:
    """Make SIGTERM clean up as Ctrl-C does, for an unpacked ZIP holds the patient's images, and let neither be lost.

    What is raised in a finaliser or in a weak reference's callback, and every import calls one, Python prints and
    forgets: there the run is asked once more to end, a moment later. While a class is made, Python turns it into
    another error, and so may a library: whatever ends a run that was asked to end is an interruption.
    """
    asked = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    def unraisable(forgotten: "sys.UnraisableHookArgs") -> None:
        if issubclass(forgotten.exc_type, KeyboardInterrupt):
            threading.Timer(ASKED_AGAIN, _thread.interrupt_main, [signal.SIGTERM]).start()
        else:
            hook(forgotten)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}, sys.unraisablehook
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # ignored where a shell put it in the background
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = unraisable
    try:
        yield
    except Exception as error:
        if asked:
            raise KeyboardInterrupt from error
        raise
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coronary-calcium",
        description="Coronary calcium scoring on non-contrast CT. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"coronary-calcium {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_score(commands)
    add_simulate(commands)
    add_prepare(commands)
    add_train(commands)
    add_evaluate(commands)
    add_selftest(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
