"""What the command says on the terminal, its exit codes, and what every command checks before it starts."""

import argparse
import math
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tqdm import tqdm

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.inference.device import DEVICES

if TYPE_CHECKING:
    from coronary_calcium.io import OpenedCT, SeriesSummary
    from coronary_calcium.pipeline import CaseResult

_STEPS = 1000
# How often a long run writes a line where there is no terminal, in seconds.
_LINE_EVERY_S = 60.0


def say(text: str) -> None:
    """One line for the user on stderr; control characters, which a header may contain, do not reach the terminal."""
    sys.stderr.write("".join(letter if letter.isprintable() else "?" for letter in text) + "\n")


class _Bar:
    """A bar on stderr that goes when its ``with`` block ends."""

    _bar: tqdm

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()


class TerminalProgress(_Bar):
    """A progress bar on stderr with the stage's name and the elapsed time; quiet when stderr is not a terminal."""

    def __init__(self) -> None:
        self._bar = tqdm(
            total=_STEPS,
            disable=None,
            leave=False,
            bar_format="{desc:<44} {percentage:3.0f}% |{bar:30}| {elapsed}",
            file=sys.stderr,
        )

    def __call__(self, fraction: float, text: str) -> None:
        """Show the fraction done and what is being done."""
        self._bar.set_description_str(text[:44], refresh=False)
        self._bar.update(max(round(fraction * _STEPS) - self._bar.n, 0))


class LongProgress(_Bar):
    """Progress over hours: a bar with the time that remains, or a line per minute where stderr is not a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._written = -math.inf
        self._bar = tqdm(
            total=_STEPS,
            disable=True if quiet else None,
            smoothing=0.0,
            # The bar takes the room that is left: a narrow terminal shows the time and the text, not half a line.
            bar_format="{percentage:3.0f}% {elapsed}, {remaining} left  {desc} {bar}",
            file=sys.stderr,
        )

    def __call__(self, fraction: float, text: str) -> None:
        """Show the fraction done and what is being done."""
        if self._bar.disable:
            self._write_line(fraction, text)
            return
        step = round(fraction * _STEPS)
        if not self._bar.n and not self._bar.initial:
            # What an earlier run did says nothing of this one's speed.
            self._bar.initial = self._bar.n = step
        self._bar.set_description_str(text, refresh=False)
        self._bar.update(max(step - self._bar.n, 0))
        self._bar.refresh()

    def _write_line(self, fraction: float, text: str) -> None:
        now = time.monotonic()
        if not self._quiet and (fraction == 1 or now - self._written >= _LINE_EVERY_S):
            self._written = now
            say(f"{100 * fraction:5.1f} %  {text}")


class PatientProgress(_Bar):
    """A bar over many patients on stderr with the time left; a line per patient when stderr is not a terminal."""

    def __init__(self, patients: int) -> None:
        # Patients differ tenfold in their slices: the time left follows the mean, not the last ones.
        self._bar = tqdm(total=patients, disable=None, unit="patient", leave=False, smoothing=0, file=sys.stderr)
        self._done = 0

    def __call__(self, text: str, kept: bool) -> None:
        """One patient more is done; those ``kept`` from an earlier run say nothing about the time left."""
        self._done += 1
        if self._bar.disable:
            say(f"{self._done} of {self._bar.total}: {text}")
        elif kept:
            self._bar.initial += 1
            self._bar.n += 1
            self._bar.last_print_n = self._bar.n
            self._bar.refresh()
        else:
            self._bar.update()


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


def _all_quantities(result: "CaseResult") -> list[str]:
    """Every quantity, a line each, where they were asked for."""
    if result.all_quantities is None:
        return []
    from coronary_calcium.scoring.quantity_table import quantity_table  # noqa: PLC0415 (brings numpy and scipy)

    table = quantity_table(result.all_quantities)
    lines = ["", f"{'Quantity':<28}" + "".join(f"{name:>11}" for name in table.columns)]
    lines += [f"{row.title:<28}" + "".join(f"{cell:>11}" for cell in row.cells) for row in table.rows]
    return [*lines, *table.notes, ""]


def _comparison(result: "CaseResult") -> list[str]:
    """The same lesions by every rule set, a line each; nothing when it was not asked for."""
    if not result.compared:
        return []
    width = max(len(scored.rules.title) for scored in result.compared) + 1
    columns = (
        f"{'Rules':<{width}}{'Min. component':>15}{'Neighbors':>12}{'Lesions':>9}{'Agatston':>11}{'Volume mm3':>12}"
    )
    lines = ["", f"{columns}{'Mass mg':>9}  Volume by"]
    for scored in result.compared:
        rules, total = scored.rules, scored.score.total
        pixels = f"{scored.minimum_pixels} pixel{'' if scored.minimum_pixels == 1 else 's'}"
        lines.append(
            f"{rules.title:<{width}}{pixels:>15}{rules.connectivity:>12}{total.lesions:>9}{total.agatston:>11.2f}"
            f"{scored.quantities.volume_mm3.total:>12.1f}{scored.quantities.mass_mg.total:>9.1f}"
            f"  {rules.volume_method} from {rules.for_volume.threshold_hu:g} HU"
        )
    return [*lines, ""]


def _difference(result: "CaseResult") -> list[str]:
    """The reader's scores beside the AI's; nothing when there is no prediction to compare with."""
    difference = result.difference
    if difference is None:
        return []
    lines = ["", f"{'Artery':<12}{'AI':>10}{'Reader':>10}{'Change':>10}"]
    rows = [(artery.name, *difference.of_artery(artery.name)) for artery in ARTERIES]
    for name, predicted, change in [*rows, ("Total", *difference.of_total)]:
        lines.append(f"{name:<12}{predicted:>10.2f}{predicted + change:>10.2f}{change:>+10.2f}")
    return [*lines, difference.summary, ""]


def print_result(result: "CaseResult", report: Path) -> None:
    """The scores as a table, their interpretation, the warnings, and where the report is."""
    score, interpretation, quantities = result.score, result.interpretation, result.quantities
    volume, mass = quantities.volume_mm3, quantities.mass_mg
    lines = ["", f"{'Artery':<12}{'Lesions':>8}{'Agatston':>12}{'Volume mm3':>13}{'Mass mg':>10}"]
    rows = [(artery.name, volume.by_artery[artery.name], mass.by_artery[artery.name]) for artery in ARTERIES]
    for name, volume_mm3, mass_mg in [*rows, ("Total", volume.total, mass.total)]:
        tally = score.by_artery.get(name, score.total)
        lines.append(f"{name:<12}{tally.lesions:>8}{tally.agatston:>12.2f}{volume_mm3:>13.1f}{mass_mg:>10.1f}")
    lines += [
        "",
        f"Risk category {interpretation.category} (rules: {score.rules.title}); CAC-DRS {interpretation.cac_drs}",
    ]
    if not score.total.lesions:
        found = (
            "none of the voxels that the mask marks counts"
            if result.mask_given
            else "the network found no coronary calcium"
        )
        lines.append(f"The score is 0: {found}.")
    if not quantities.calibration.calibrated:
        lines.append(f"Mass is not calibrated ({quantities.calibration.source}).")
    if result.mesa is not None:
        lines.append(
            f"10-year risk of coronary heart disease (MESA): {100 * result.mesa.with_calcium:.1f} % with the calcium "
            f"score, {100 * result.mesa.without_calcium:.1f} % from the risk factors alone"
        )
    if interpretation.repeatability_limit is not None:
        lines.append(
            f"95 % repeatability limit: +/- {interpretation.repeatability_limit:.0f} "
            "(two cardiac scans on the same day)"
        )
    lines += _all_quantities(result)
    lines += _comparison(result)
    lines += _difference(result)
    lines += [f"Warning: {warning.message}" for warning in result.warnings]
    lines += [result.how_marked, RESEARCH_USE, "", f"Report: {report.resolve()}", ""]
    text = "\n".join(lines)
    # A path may contain letters that the terminal's encoding lacks.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


# As documented in docs/command-line.md.
SCORED, WRONG_USAGE, REJECTED, INTERRUPTED = 0, 2, 3, 130
# In bytes; the limit of the file systems in use.
_LONGEST_NAME = 255


def named_path(text: str) -> Path:
    """A path argument. An empty one, from a variable that is not set, is not taken for the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def add_device(parser: argparse.ArgumentParser, doing: str) -> None:
    """Add ``--device``; ``doing`` says what is done on it, such as "where the network runs"."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help=f"{doing} (default: auto)")


def add_cohort_folder(parser: argparse.ArgumentParser) -> None:
    """Add the folder of a cohort."""
    parser.add_argument("cohort", type=named_path, help="the cohort's folder")


def usable_output(folder: Path) -> bool:
    """Whether results can be written there, checked before minutes of work rather than after; creates nothing."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        say(f"--output {folder}: {existing} is not a folder; name a folder.")
        return False
    if len(os.fsencode(folder.name)) > _LONGEST_NAME or not os.access(existing, os.W_OK | os.X_OK):
        say(f"--output {folder} cannot be written; name a folder that you may write to.")
        return False
    return True
