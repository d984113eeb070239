"""The cases of a worklist as a table that stays smooth with thousands: only the rows on view have cells."""

from collections.abc import Callable, Sequence

import qt
from coronary_calcium.cohort.worklist import (
    DONE,
    IN_PROGRESS,
    NOT_GRADABLE,
    SECOND_LOOK,
    UNREAD,
    PlacedRow,
    sort_rows,
)
from slicer.i18n import tr as _

from .controls import onResize

ROW_PIXELS, SHOWN_ROWS, SWATCH_PIXELS = 22, 7, 10
STATUS_TITLES = {
    UNREAD: _("unread"),
    IN_PROGRESS: _("in progress"),
    DONE: _("done"),
    SECOND_LOOK: _("second look"),
    NOT_GRADABLE: _("not gradable"),
}
# Seen from the corner of the eye; the words beside them say the same.
_STATUS_COLORS = {
    UNREAD: (0, 0, 0, 0),
    IN_PROGRESS: (86, 156, 214, 255),
    DONE: (78, 160, 80, 255),
    SECOND_LOOK: (230, 160, 40, 255),
    NOT_GRADABLE: (140, 140, 140, 255),
}
# Each column: what it is sorted by, and its title.
_COLUMNS = (
    ("id", _("Case")),
    ("status", _("Status")),
    ("agatston", _("Agatston")),
    ("category", _("Category")),
    ("uncertainty", _("Uncertain")),
    ("warnings", _("Warnings")),
    ("readers", _("Read by")),
    ("why", _("Why here")),
)
# The widest choice that fits; the last column takes what is left, and is worth it from so many pixels on.
_CHOICES = ((0, 1, 2, 3, 4, 5, 6, 7), (0, 1, 2, 3, 7), (0, 1, 2, 7), (0, 1, 2, 3), (0, 1, 2))
# Where no row has a reason to show.
_WITHOUT_WHY = ((0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 4), (0, 1, 2, 3), (0, 1, 2))
_STATUS, _WHY, _NUMBERS, WHY_PIXELS = 1, 7, (2, 4, 5), 110


class WorklistTable:
    """Fills a table; ``opened(id)`` is called for a double click or Enter, ``sorted()`` after a click on a title."""

    def __init__(self, table, opened: Callable[[str], object], resorted: Callable[[], object]) -> None:
        self._table, self._opened, self._resorted = table, opened, resorted
        self._placed: Sequence[PlacedRow] = ()
        self._column: int | None = None  # that the reader has sorted by
        self._descending = False
        self._widths = [0] * len(_COLUMNS)
        table.setColumnCount(len(_COLUMNS))
        table.setHorizontalHeaderLabels([title for _by, title in _COLUMNS])
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Fixed)
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setDefaultAlignment(qt.Qt.AlignLeft | qt.Qt.AlignVCenter)
        table.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        table.setIconSize(qt.QSize(SWATCH_PIXELS, SWATCH_PIXELS))
        table.setMinimumHeight(ROW_PIXELS * (SHOWN_ROWS + 1) + 4)
        table.setMaximumHeight(ROW_PIXELS * (SHOWN_ROWS + 1) + 4)
        header.connect("sectionClicked(int)", self._sortBy)
        table.connect("cellActivated(int,int)", self._activated)
        table.verticalScrollBar().connect("valueChanged(int)", lambda _value=0: self._fit())
        self._filter = onResize(table.viewport(), self._fit)

    @property
    def placed(self) -> Sequence[PlacedRow]:
        """The rows as they are shown."""
        return self._placed

    def show(self, placed: Sequence[PlacedRow], current: str | None) -> None:
        """Show these rows, sorted by the column that the reader has chosen, with the current case selected."""
        if self._column is not None:
            placed = sort_rows(placed, _COLUMNS[self._column][0], descending=self._descending)
        before = [one.row.id for one in self._placed]
        self._placed = placed
        table = self._table
        self._widths = [0] * len(_COLUMNS)
        table.clearSelection()
        table.clearContents()
        table.setRowCount(len(placed))
        self._fit()
        ids = [one.row.id for one in placed]
        if current in ids:
            table.selectRow(ids.index(current))
        elif ids != before:
            table.scrollToTop()

    def unsort(self) -> None:
        """Leave the rows in the order that they are given in."""
        self._column = None
        self._table.horizontalHeader().setSortIndicatorShown(False)

    def _sortBy(self, column: int) -> None:
        # Numbers are looked at from the highest one.
        self._descending = not self._descending if column == self._column else column in (2, 3, 4, 5)
        self._column = column
        header = self._table.horizontalHeader()
        header.setSortIndicatorShown(True)
        header.setSortIndicator(column, qt.Qt.DescendingOrder if self._descending else qt.Qt.AscendingOrder)
        self._resorted()

    def _activated(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._placed):
            self._opened(self._placed[row].row.id)

    def _fit(self) -> None:
        """Fill the rows on view, and show the columns that fit."""
        self._fill()
        table, columns = self._table, range(len(_COLUMNS))
        for column in columns:
            table.setColumnHidden(column, False)
        table.resizeColumnsToContents()
        # While the reader scrolls, a column grows and does not shrink again.
        self._widths = [max(known, table.columnWidth(column)) for column, known in enumerate(self._widths)]
        widths = [*self._widths[:_WHY], WHY_PIXELS]
        room = table.viewport().width
        choices = _CHOICES if any(one.why or one.row.reason for one in self._placed) else _WITHOUT_WHY
        fitting = [choice for choice in choices if sum(widths[column] for column in choice) <= room]
        shown = fitting[0] if fitting else _CHOICES[-1]
        for column in columns:
            table.setColumnHidden(column, column not in shown)
            table.setColumnWidth(column, widths[column])

    def _on_view(self) -> Sequence[PlacedRow]:
        first = self._table.verticalScrollBar().value
        return self._placed[first : first + SHOWN_ROWS + 2]

    def _fill(self) -> None:
        """Give cells to the rows on view that have none."""
        first = self._table.verticalScrollBar().value
        for place, one in enumerate(self._on_view(), start=first):
            if self._table.item(place, 0) is None:
                for column, text in enumerate(_cells(one)):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(row_text(one))
                    if column in _NUMBERS:
                        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                    self._table.setItem(place, column, item)
                color = qt.QColor(*_STATUS_COLORS[one.row.status])
                self._table.item(place, _STATUS).setData(qt.Qt.DecorationRole, color)


def _cells(placed: PlacedRow) -> tuple[str, ...]:
    row, score = placed.row, placed.row.score
    return (
        row.id,
        STATUS_TITLES[row.status],
        f"{score.agatston:.1f}" if score else "–",
        score.category if score else "–",
        f"{100 * row.uncertainty:.0f} %" if row.uncertainty is not None else "–",
        str(len(row.warnings)) if row.warnings else "–",
        ", ".join(sorted(row.others)) or "–",
        placed.why or row.reason,
    )


def row_text(placed: PlacedRow) -> str:
    """All that is known of a case, a sentence per line."""
    row = placed.row
    status = STATUS_TITLES[row.status]
    lines = [f"{row.id}: {status} ({row.reason})" if row.reason else f"{row.id}: {status}"]
    for who, score in ((_("You"), row.own), (_("AI"), row.ai)):
        if score is not None:
            lines.append(f"{who}: {score.agatston:.1f} ({score.category})")
    if row.others:
        lines.append(_("Read by {names}").format(names=", ".join(sorted(row.others))))
    if row.uncertainty_reason:
        lines.append(row.uncertainty_reason)
    if placed.why and placed.why != row.uncertainty_reason:
        lines.append(_("Here because: {why}").format(why=placed.why))
    lines += [f"• {warning.message}" for warning in row.warnings]
    if row.seconds is not None:
        minutes, seconds = divmod(round(row.seconds), 60)
        lines.append(
            _("{minutes} min {seconds} s, {clicks} clicks").format(
                minutes=minutes, seconds=seconds, clicks=row.clicks or 0
            )
        )
    return "\n".join(lines)
