"""Requests to end a run: Ctrl-C (SIGINT) and SIGTERM."""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# After this time, in seconds, the callback that swallowed an interrupt has returned: each lasts microseconds.
ASKED_AGAIN = 0.01


@contextmanager
def handled(handler: Callable[[int, object], None], *numbers: int) -> Iterator[None]:
    """Let ``handler`` take these signals inside the block; outside the main thread Python allows it to nobody."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def every_request_to_end_heard() -> Iterator[None]:
    """Make SIGTERM clean up as Ctrl-C does, for an unpacked ZIP holds the patient's images, and let neither be lost.

    What is raised in a finaliser or in a weak reference's callback, and every import calls one, Python prints and
    forgets: there the run is asked once more to end, a moment later. While a class is made, Python turns it into
    another error, and so may a library: whatever ends a run that was asked to end is an interruption. Raises
    KeyboardInterrupt then.
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

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # ignored where a shell put it in the background
        numbers.append(signal.SIGINT)
    hook = sys.unraisablehook
    with handled(interrupt, *numbers):
        sys.unraisablehook = unraisable
        try:
            yield
        except Exception as error:
            if asked:
                raise KeyboardInterrupt from error
            raise
        finally:
            sys.unraisablehook = hook
