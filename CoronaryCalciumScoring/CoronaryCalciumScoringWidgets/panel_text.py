"""The words and numbers that the panel shows."""

import html
from collections.abc import Iterable

from coronary_calcium.rules import LITERATURE
from coronary_calcium.volume import CaseWarning
from CoronaryCalciumScoringLib.score_table import TOTAL, ScoreRow
from slicer.i18n import tr as _


def total_html(rows: list[ScoreRow], rules: str = "") -> str:
    """The total Agatston score, and below it the risk category, as rich text; empty without scores.

    ``rules`` are named where they are not the literature's.
    """
    for row in rows:
        if row.artery == TOTAL:
            score = _("Agatston {score}").format(score=f"{row.agatston:.1f}")
            category = _("Risk category {category}").format(category=html.escape(row.risk_category))
            if rules and rules != LITERATURE.name:
                category += "<br>" + _("{rules} rules").format(rules=html.escape(rules))
            return f"<span style='font-size: x-large; font-weight: bold'>{score}</span><br>{category}"
    return ""


def table_cells(row: ScoreRow) -> tuple[str, ...]:
    """One row of the score table: artery, lesions, Agatston, volume in mm3; with a proposal, its score and change."""
    cells = (row.artery, str(row.lesions), f"{row.agatston:.1f}", f"{row.volume_mm3:.1f}")
    if row.proposed is None:
        return cells
    return (*cells, f"{row.proposed:.1f}", signed(row.difference))


def signed(change: float) -> str:
    """A difference of scores with its sign; a dash where there is none."""
    return f"{change:+.1f}" if change else "–"


def warnings_html(warnings: Iterable[CaseWarning]) -> str:
    """The warnings as a list in rich text; empty without warnings."""
    items = "".join(f"<br>• {html.escape(warning.message)}" for warning in warnings)
    return f"<b>{_('Check before relying on this score')}</b>{items}" if items else ""


def no_review_text() -> str:
    """Why nothing that belongs to a review can be done yet."""
    return _("Press Run or Start without AI first.")


def volume_text(dimensions: tuple[int, int, int], spacing: tuple[float, float, float]) -> str:
    """A CT in a few words; ``dimensions`` and ``spacing`` (mm) in Slicer's order (i, j, k)."""
    return _("Ready. {slices} slices {distance} mm apart, {columns} x {rows} pixels of {pixel} mm.").format(
        slices=dimensions[2],
        distance=f"{spacing[2]:.2f}",
        columns=dimensions[0],
        rows=dimensions[1],
        pixel=f"{spacing[0]:.2f}",
    )


def device_text(device: str) -> str:
    """The engine's name of where the network ran, in words; a name that is not known is shown as it is."""
    names = {
        "cpu": _("the processor"),
        "cuda": _("the graphics card"),
        "mps": _("the graphics card"),
        "none": _("given labels"),
    }
    return names.get(device.split(":", maxsplit=1)[0], device)
