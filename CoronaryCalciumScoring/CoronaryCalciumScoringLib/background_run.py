"""Work in a thread beside the window: progress and outcome come back through a queue, and Cancel stops it."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coronary_calcium.errors import Cancelled
from coronary_calcium.progress import Progress

# How long a poll lets the thread run. In the application, PythonQt holds Python's lock while its event loop waits, so
# that a thread gets on only while the main thread waits for it: without these turns, a work that gives the lock away
# 100 times, as a network does for each of its layers, needs 100 polls. Short enough that the window does not falter.
TURN_SECONDS = 0.02


@dataclass(frozen=True)
class Finished:
    """The work is done; ``result`` is what it returned."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """The work raised ``error``."""

    error: Exception


@dataclass(frozen=True)
class Stopped:
    """The work was cancelled."""


Outcome = Finished | Failed | Stopped


@dataclass(frozen=True)
class Status:
    """How far the work is: fraction in 0..1, a text for the user, elapsed seconds, and the outcome when it is over."""

    fraction: float
    text: str
    seconds: float
    outcome: Outcome | None


class BackgroundRun:
    """One run of ``work(progress)`` in a thread of its own.

    ``work`` must touch neither MRML nor Qt. Its progress callback raises ``Cancelled`` once ``cancel`` was called.
    The owner calls ``poll`` from a timer in the main thread as often as its event loop has nothing else to do: the
    thread runs during the polls. The outcome is given exactly once. Whoever cancelled gets ``Stopped``, also when the
    work was done in the same moment.
    """

    def __init__(self, work: Callable[[Progress], Any]) -> None:
        self._work = work
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._fraction, self._text = 0.0, ""
        self._over = False
        self._started = time.monotonic()
        # A daemon: a run that nobody waits for must not keep a closed application alive.
        self._thread = threading.Thread(target=self._run, name="coronary-calcium-scoring", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            outcome = Finished(self._work(self._progress))
        except Cancelled:
            outcome = Stopped()
        except Exception as error:  # noqa: BLE001 the thread's owner raises or shows it
            outcome = Failed(error)
        self._messages.put(outcome)

    def _progress(self, fraction: float, text: str) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        self._messages.put((fraction, text))

    @property
    def cancelling(self) -> bool:
        """Whether the run was asked to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next report of progress."""
        self._cancelled.set()

    def poll(self) -> Status | None:
        """Let the thread run a little; what happened since the last call, None when the outcome was given before."""
        if self._over:
            return None
        self.wait(TURN_SECONDS)
        outcome = None
        while not self._messages.empty():
            message = self._messages.get()
            if isinstance(message, tuple):
                self._fraction, self._text = message
            else:
                outcome = Stopped() if self.cancelling else message
                self._over = True
        return Status(self._fraction, self._text, time.monotonic() - self._started, outcome)

    def wait(self, seconds: float) -> bool:
        """Wait for the thread's end, at most so long; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()
