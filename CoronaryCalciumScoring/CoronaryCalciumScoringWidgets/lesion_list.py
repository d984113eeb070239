"""The list of lesions: sortable, and always showing the lesion that the slice views are at."""

from collections.abc import Callable

import numpy as np
import qt
from CoronaryCalciumScoringLib.score_table import LesionRow

from .controls import FittedColumns
from .score_view import artery_color

# After an edit the selection stays with the lesion that is within so many mm of where the selected one was.
SAME_LESION_MM = 5.0
# Of an Agatston score with one decimal; no lesion comes near a million.
AGATSTON_WIDTH = 8
NOT_PROPOSED = "–"
# The widest choice of columns that fits: the maximum HU goes first, then the slice.
_COLUMNS = ((0, 1, 2, 3, 4), (0, 1, 2, 4), (0, 2, 4))


class LesionList:
    """Fills the table and calls ``selected(row)`` when the reader selects a lesion."""

    def __init__(self, table, selected: Callable[[LesionRow], object]) -> None:
        self._table = table
        self._selected = selected
        self._rows: dict[int, LesionRow] = {}
        self._current: LesionRow | None = None
        self._filling = False
        self._columns = FittedColumns(table, _COLUMNS)
        table.horizontalHeader().setHighlightSections(False)
        table.sortByColumn(2, qt.Qt.DescendingOrder)
        table.connect("itemSelectionChanged()", self._on_selection)

    def show(self, rows: list[LesionRow]) -> None:
        """Show these lesions; the selected one stays selected if it is still there. The views stay where they are."""
        self._filling = True
        self._rows = {row.id: row for row in rows}
        self._current = self._same(self._current)
        table = self._table
        # While it is sorted, a table moves a row as soon as its first cell is set.
        table.setSortingEnabled(False)
        table.clearSelection()
        table.setRowCount(len(rows))
        for index, row in enumerate(rows):
            for column, value in enumerate(_cells(row)):
                table.setItem(index, column, _item(value, row.id, number=column > 0))
            table.item(index, 0).setData(qt.Qt.DecorationRole, artery_color(row.artery))
        table.setSortingEnabled(True)
        self._columns.fit()
        if self._current is not None:
            table.selectRow(self._place(self._current))
        self._filling = False

    def step(self, by: int) -> None:
        """Select the next lesion in the list (1) or the one before (-1), around the ends."""
        count = self._table.rowCount
        if not count:
            return
        # Before any selection, the next lesion is the first of the list, and the one before is the last.
        place = self._place(self._current) if self._current is not None else (-1 if by > 0 else 0)
        self._table.selectRow((place + by) % count)

    def selectHighest(self) -> bool:
        """Select the lesion with the highest score; whether there is one."""
        highest = max(self._rows.values(), key=lambda row: row.agatston, default=None)
        if highest is not None:
            self._table.selectRow(self._place(highest))
        return highest is not None

    def _on_selection(self) -> None:
        items = self._table.selectedItems()
        if self._filling or not items:
            return
        self._current = self._rows[items[0].data(qt.Qt.UserRole)]
        self._selected(self._current)

    def _place(self, row: LesionRow) -> int:
        ids = [self._table.item(index, 0).data(qt.Qt.UserRole) for index in range(self._table.rowCount)]
        return ids.index(row.id)

    def _same(self, before: LesionRow | None) -> LesionRow | None:
        """The lesion of the new rows that lies where one lay before."""
        if before is None or not self._rows:
            return None
        distances = {row.id: np.linalg.norm(np.subtract(row.ras, before.ras)) for row in self._rows.values()}
        nearest = min(distances, key=distances.get)
        return self._rows[nearest] if distances[nearest] <= SAME_LESION_MM else None


def _cells(row: LesionRow) -> tuple:
    """What a row shows, in a form that sorts: whole numbers, and text that leading spaces keep in order."""
    probability = NOT_PROPOSED if row.probability is None else f"{row.probability:.2f}"
    return row.artery, row.slice_number, f"{row.agatston:{AGATSTON_WIDTH}.1f}", round(row.maximum_hu), probability


def _item(value, lesion_id: int, *, number: bool):
    item = qt.QTableWidgetItem()
    item.setData(qt.Qt.DisplayRole, value)
    item.setData(qt.Qt.UserRole, lesion_id)
    if number:
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return item
