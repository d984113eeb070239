"""The scores of a table node in the panel: texts, table, and the arteries' shares as a bar."""

import html
from collections.abc import Iterable

import qt
from coronary_calcium.arteries import BY_NAME
from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.scoring.rules import LITERATURE, title_of
from coronary_calcium.volume import CaseWarning
from CoronaryCalciumScoringLib.candidates import CANDIDATE, COLOR
from CoronaryCalciumScoringLib.score_table import RULES_ATTRIBUTE, TOTAL, ScoreRow, score_rows, score_warnings
from slicer.i18n import tr as _

from .controls import FittedColumns

LEAST_WIDTH, MOST_WIDTH, BAR_HEIGHT, GAP, TITLE_WIDTH = 240, 600, 16, 6, 40


def artery_color(name: str):
    """The color of an artery, or of a candidate, as Qt's."""
    color = COLOR if name == CANDIDATE else BY_NAME[name].color
    return qt.QColor(*(round(255 * part) for part in color))


def draw_chart(label, rows: list[ScoreRow]) -> None:
    """Draw the rows of a score table into a label; nothing when there is no calcium."""
    bars = [(_("You"), [(row.artery, row.agatston) for row in rows if row.artery != TOTAL])]
    if rows and rows[-1].predicted is not None:
        bars.append((_("AI"), [(row.artery, row.predicted) for row in rows if row.artery != TOTAL]))
    longest = max((sum(score for _name, score in parts) for _title, parts in bars), default=0.0)
    label.visible = longest > 0
    if not longest:
        return
    width = min(max(label.width, LEAST_WIDTH), MOST_WIDTH)
    picture = qt.QPixmap(width, len(bars) * (BAR_HEIGHT + GAP))
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(picture)
    for index, (title, parts) in enumerate(bars):
        top, left = index * (BAR_HEIGHT + GAP), TITLE_WIDTH
        painter.setPen(label.palette.color(qt.QPalette.WindowText))
        painter.drawText(qt.QRect(0, top, TITLE_WIDTH, BAR_HEIGHT), int(qt.Qt.AlignVCenter), title)
        for name, score in parts:
            # The ends are rounded, not the lengths, so that the parts leave no gap.
            right = left + score / longest * (width - TITLE_WIDTH)
            painter.fillRect(qt.QRect(round(left), top, round(right) - round(left), BAR_HEIGHT), artery_color(name))
            left = right
    painter.end()
    label.setPixmap(picture)


def total_html(rows: list[ScoreRow], rules: str = "") -> str:
    """The total Agatston score, and below it the risk category, as rich text; empty without scores.

    ``rules``, a rule set's name, are shown where they are not the literature's.
    """
    for row in rows:
        if row.artery == TOTAL:
            score = _("Agatston {score}").format(score=f"{row.agatston:.1f}")
            category = _("Risk category {category}").format(category=html.escape(row.risk_category))
            if rules and rules != LITERATURE.name:
                category += "<br>" + _("Rules: {rules}").format(rules=html.escape(title_of(rules)))
            return f"<span style='font-size: x-large; font-weight: bold'>{score}</span><br>{category}"
    return ""


def table_cells(row: ScoreRow) -> tuple[str, ...]:
    """One row of the score table: artery, lesions, Agatston score and volume in mm3.

    With a prediction, also its score, the change, and both in one.
    """
    cells = (row.artery, str(row.lesions), f"{row.agatston:.1f}", f"{row.volume_mm3:.1f}")
    if row.predicted is None:
        return cells
    predicted = f"{row.predicted:.1f}"
    return (*cells, predicted, signed(row.difference), f"{predicted} ({signed(row.difference)})")


def change_text(before: CaseScore | None, after: CaseScore | None) -> str:
    """By how much the Agatston scores of the arteries differ, such as ``LAD +225.0, LCX -225.0``; else empty."""
    if before is None or after is None:
        return ""
    changes = {name: after.by_artery[name].agatston - before.by_artery[name].agatston for name in BY_NAME}
    return ", ".join(f"{name} {signed(change)}" for name, change in changes.items() if change)


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
    return _("Ready: {slices} slices, {distance} mm apart, {columns} x {rows} pixels of {pixel} mm.").format(
        slices=dimensions[2],
        distance=f"{spacing[2]:.2f}",
        columns=dimensions[0],
        rows=dimensions[1],
        pixel=f"{spacing[0]:.2f}",
    )


def device_text(device: str) -> str:
    """The engine's name of where the network ran, in words; a name that is not known is shown as it is."""
    names = {
        "cpu": _("the CPU"),
        "cuda": _("the GPU"),
        "mps": _("the GPU"),
        "none": _("given labels"),
    }
    return names.get(device.split(":", maxsplit=1)[0], device)


# Which columns the table shows, the widest choice that fits; the last column has both the AI's score and the change.
COLUMNS = ((0, 1, 2, 3), (0, 1, 2), (0, 2))
COLUMNS_WITH_PREDICTION = ((0, 1, 2, 3, 4, 5), (0, 1, 2, 4, 5), (0, 1, 2, 6), (0, 2, 6), (0, 2, 5))


def showScores(ui, columns: FittedColumns, tableNode, nothing: str = "") -> None:
    """Show what a score table node holds, or that there is no score (None) and why, if that is known.

    ``columns`` are those of the panel's table.
    """
    rows = score_rows(tableNode) if tableNode else []
    warnings = warnings_html(score_warnings(tableNode)) if tableNode else ""
    rules = (tableNode.GetAttribute(RULES_ATTRIBUTE) or "") if tableNode else ""
    ui.totalLabel.text = total_html(rows, rules) or nothing or _("No score yet.")
    ui.warningsLabel.text = warnings
    ui.warningsLabel.visible = bool(warnings)
    draw_chart(ui.chartLabel, rows)
    table = ui.scoreTable
    table.visible = bool(rows)
    table.setRowCount(len(rows))
    for index, row in enumerate(rows):
        for column, text in enumerate(table_cells(row)):
            table.setItem(index, column, _tableItem(text, number=column > 0, bold=row.artery == TOTAL))
        if row.artery in BY_NAME:
            table.item(index, 0).setData(qt.Qt.DecorationRole, artery_color(row.artery))
    columns.fit(COLUMNS_WITH_PREDICTION if rows and rows[-1].predicted is not None else COLUMNS)
    table.updateGeometry()


def _tableItem(text: str, *, number: bool, bold: bool):
    """A cell: numbers to the right, the total in bold."""
    item = qt.QTableWidgetItem(text)
    if number:
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    font = item.font()
    font.setBold(bold)
    item.setFont(font)
    return item
