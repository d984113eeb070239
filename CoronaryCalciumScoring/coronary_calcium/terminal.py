"""What the command says on the terminal: progress and refusals on stderr, the scores on stdout."""

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.statements import RESEARCH_USE

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult
    from coronary_calcium.reading import OpenedCT, SeriesSummary

_STEPS = 1000


def say(text: str) -> None:
    """One line for the user on stderr."""
    sys.stderr.write(f"{text}\n")


class TerminalProgress:
    """A progress bar on stderr with the stage's name and the elapsed time; quiet when stderr is not a terminal."""

    def __init__(self) -> None:
        self._bar = tqdm(
            total=_STEPS,
            disable=None,
            leave=False,
            bar_format="{desc:<44} {percentage:3.0f}% |{bar:30}| {elapsed}",
            file=sys.stderr,
        )

    def __enter__(self) -> "TerminalProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, fraction: float, text: str) -> None:
        """Show the fraction done and what is being done."""
        self._bar.set_description_str(text[:44], refresh=False)
        self._bar.update(max(round(fraction * _STEPS) - self._bar.n, 0))


def print_series(opened: "OpenedCT") -> None:
    """Which series was scored, and which others there were and why they were not."""
    if opened.chosen is None or not opened.others:
        return
    say(f"Scored series {_facts(opened.chosen)}")
    for other in opened.others:
        say(f"  not scored: {_facts(other)}; {other.reason}")
    say("  Choose another with --series UID.")


def _facts(series: "SeriesSummary") -> str:
    """A series in a few words."""
    thickness = "" if series.slice_thickness_mm is None else f", {series.slice_thickness_mm:g} mm"
    kernel = "" if series.kernel is None else f", kernel {series.kernel}"
    return f"{series.series_uid} ({series.description or series.modality}, {series.slices} slices{thickness}{kernel})"


def print_result(result: "CaseResult", report: Path) -> None:
    """The scores as a table, the warnings, and where the report is."""
    score = result.score
    lines = ["", f"{'Artery':<12}{'Lesions':>8}{'Agatston':>12}{'Volume mm3':>13}"]
    for artery in ARTERIES:
        tally = score.by_artery[artery.name]
        lines.append(f"{artery.name:<12}{tally.lesions:>8}{tally.agatston:>12.2f}{tally.volume_mm3:>13.1f}")
    total = score.total
    lines.append(f"{'Total':<12}{total.lesions:>8}{total.agatston:>12.2f}{total.volume_mm3:>13.1f}")
    lines += ["", f"Risk category {score.risk_category} (Agatston, {score.rules.name} rules)"]
    lines += [f"Warning: {warning.message}" for warning in result.warnings]
    lines += [RESEARCH_USE, "", f"Report: {report.resolve()}", ""]
    sys.stdout.write("\n".join(lines))
