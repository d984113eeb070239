"""How long work tells its caller how far it is, how the caller stops it, and where the time went."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)

# Called with a fraction in 0..1 and a short text for the user; raises errors.Cancelled to stop the work.
Progress = Callable[[float, str], None]


def no_progress(fraction: float, text: str) -> None:
    """The progress of a caller that does not want to know."""


def part_of(progress: Progress, start: float, stop: float) -> Progress:
    """Progress that maps a stage's 0..1 into ``start``..``stop`` of the whole."""

    def report(fraction: float, text: str) -> None:
        progress(start + (stop - start) * fraction, text)

    return report


class Timing:
    """Collects the seconds of named stages in the order in which they ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time the block under ``name``; a repeated name adds up."""
        start = time.perf_counter()
        yield
        took = time.perf_counter() - start
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
        _log.debug("%s: %.3f s", name, took)
