"""The scores of a table node, shown in the panel."""

import qt
from coronary_calcium.arteries import BY_NAME
from CoronaryCalciumScoringLib.score_table import RULES_ATTRIBUTE, TOTAL, score_rows, score_warnings
from slicer.i18n import tr as _

from CoronaryCalciumScoringWidgets.artery_chart import artery_color, draw_chart
from CoronaryCalciumScoringWidgets.panel_text import table_cells, total_html, warnings_html

# The columns that only a proposal fills.
PROPOSAL_COLUMNS = (4, 5)


def showScores(ui, tableNode, nothing: str = "") -> None:
    """Show what a score table node holds, or that there is no score (None) and why, if that is known."""
    rows = score_rows(tableNode) if tableNode else []
    warnings = warnings_html(score_warnings(tableNode)) if tableNode else ""
    rules = (tableNode.GetAttribute(RULES_ATTRIBUTE) or "") if tableNode else ""
    ui.totalLabel.text = total_html(rows, rules) or nothing or _("No score yet.")
    ui.warningsLabel.text = warnings
    ui.warningsLabel.visible = bool(warnings)
    draw_chart(ui.chartLabel, rows)
    table = ui.scoreTable
    table.visible = bool(rows)
    for column in PROPOSAL_COLUMNS:
        table.setColumnHidden(column, not rows or rows[-1].proposed is None)
    table.setRowCount(len(rows))
    for index, row in enumerate(rows):
        for column, text in enumerate(table_cells(row)):
            table.setItem(index, column, _tableItem(text, number=column > 0, bold=row.artery == TOTAL))
        if row.artery in BY_NAME:
            table.item(index, 0).setData(qt.Qt.DecorationRole, artery_color(row.artery))
    table.resizeRowsToContents()
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
