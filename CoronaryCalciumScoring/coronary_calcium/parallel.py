"""The same work on many things in several processes, and requests to end it: Ctrl-C (SIGINT) and SIGTERM."""

import _thread
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

Thing = TypeVar("Thing")
Outcome = TypeVar("Outcome")


def outcomes(
    work: Callable[[Thing], Outcome],
    things: Sequence[Thing],
    jobs: int,
    start: Callable[[int], None] | None = None,
) -> Generator[tuple[Thing, Outcome], None, None]:
    """Each thing with what ``work`` makes of it, as they are finished; ``jobs`` processes when there is work for them.

    ``start`` is called in every process with the number of processes. What ``work`` raises is raised here. Close the
    generator to end the processes at once.
    """
    jobs = min(jobs, len(things))
    if jobs <= 1:
        for thing in things:
            yield thing, work(thing)
        return
    # A fork of a process in which torch has run can hang.
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=partial(_start_worker, jobs, start)) as pool:
        thing_of: dict[Future, Thing] = {pool.submit(_worked, work, thing): thing for thing in things}
        try:
            for future in as_completed(thing_of):
                yield thing_of[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            raise


def _start_worker(jobs: int, start: Callable[[int], None] | None) -> None:
    # Ctrl-C goes to every process of a terminal; the one that started the others ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    if start is not None:
        start(jobs)


def _end(number: int, frame: object) -> None:
    raise SystemExit(1)


def _worked(work: Callable[[Thing], Outcome], thing: Thing) -> Outcome:
    try:
        return work(thing)
    except SystemExit:
        # Temporary folders are gone by now; without this the process would take the next thing up.
        os._exit(1)


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
