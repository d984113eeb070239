"""How long work tells its caller how far it is, and how the caller stops it."""

from collections.abc import Callable

# Called with a fraction in 0..1 and a short text for the user; raises errors.Cancelled to stop the work.
Progress = Callable[[float, str], None]


def no_progress(fraction: float, text: str) -> None:
    """The progress of a caller that does not want to know."""


def part_of(progress: Progress, start: float, stop: float) -> Progress:
    """Progress that maps a stage's 0..1 into ``start``..``stop`` of the whole."""

    def report(fraction: float, text: str) -> None:
        progress(start + (stop - start) * fraction, text)

    return report
