"""The differences of a consensus as a table: what differs, both scores, the effect, and what was decided."""

import html
from collections.abc import Callable, Sequence

import qt
from coronary_calcium.cohort.consensus import EDITED, TAKEN_FIRST, TAKEN_SECOND, UNDECIDED, ConsensusCase
from coronary_calcium.cohort.reading_differences import ONLY_FIRST, ONLY_SECOND, OTHER_ARTERY, Difference
from coronary_calcium.formatting import number, signed
from CoronaryCalciumScoringLib.consensus import OUTLINE_COLORS
from slicer.i18n import tr as _

from .controls import FittedColumns

# The widest choice of columns that fits: the two scores go first, and their difference stays.
_COLUMNS = ((0, 1, 2, 3, 4), (0, 3, 4))
# Longer names are cut in titles and buttons; the tooltips have them whole.
MOST_LETTERS = 10


def short(name: str) -> str:
    """A reader's name for a title or a button."""
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"


def legend(case: ConsensusCase) -> str:
    """Both readers with the colors of their outlines, as rich text."""
    parts = []
    for reader, color in zip(case.readers, OUTLINE_COLORS, strict=True):
        red, green, blue = (round(255 * part) for part in color)
        parts.append(f'<span style="color: rgb({red}, {green}, {blue})">&#9632;</span>&nbsp;{html.escape(reader)}')
    return f"{html.escape(case.id)}: {' &nbsp; '.join(parts)}"


class ConsensusTable:
    """Fills a table, and calls ``selected(difference)`` when the reader selects one."""

    def __init__(self, table, selected: Callable[[Difference], object]) -> None:
        self._table, self._selected = table, selected
        self._differences: Sequence[Difference] = ()
        self._filling = False
        self._columns = FittedColumns(table, _COLUMNS)
        self.show(("", ""), (), ())
        table.connect("itemSelectionChanged()", self._on_selection)

    @property
    def current(self) -> Difference | None:
        """The difference that is selected, or None."""
        row = self._table.currentRow()
        chosen = self._table.selectedItems() and 0 <= row < len(self._differences)
        return self._differences[row] if chosen else None

    def show(self, readers: tuple[str, str], differences: Sequence[Difference], states: Sequence[str]) -> None:
        """Show differences and what became of each; the selected one stays selected, and the views where they are."""
        before = self.current
        self._filling = True
        try:
            self._differences = differences
            table = self._table
            titles = (_("Difference"), short(readers[0]), short(readers[1]), _("Effect"), _("Decided"))
            table.setHorizontalHeaderLabels(titles)
            table.clearSelection()
            table.setRowCount(len(differences))
            for row, (one, state) in enumerate(zip(differences, states, strict=True)):
                for column, text in enumerate(_cells(readers, one, state)):
                    table.setItem(row, column, _item(text, _tip(readers, one), number=column in (1, 2, 3)))
            self._columns.fit()
            if before in differences:
                table.selectRow(differences.index(before))
        finally:
            self._filling = False

    def select(self, place: int) -> None:
        """Select a difference, and tell that it is."""
        self._table.selectRow(place)

    def step(self, by: int) -> None:
        """Select the next difference (1) or the one before (-1), around the ends."""
        count = len(self._differences)
        if count:
            place = self._differences.index(self.current) if self.current is not None else (-1 if by > 0 else 0)
            self.select((place + by) % count)

    def _on_selection(self) -> None:
        if not self._filling and self.current is not None:
            self._selected(self.current)


def _cells(readers: tuple[str, str], one: Difference, state: str) -> tuple[str, ...]:
    decided = {
        UNDECIDED: _("undecided"),
        TAKEN_FIRST: short(readers[0]),
        TAKEN_SECOND: short(readers[1]),
        EDITED: _("edited"),
    }
    scores = number(one.first_agatston), number(one.second_agatston)
    return (_what(readers, one), *scores, signed(one.effect) if one.effect else "0", decided[state])


def _what(readers: tuple[str, str], one: Difference) -> str:
    """A difference in a few words."""
    arteries = [", ".join(sorted({lesion.artery for lesion in lesions})) for lesions in (one.first, one.second)]
    if one.kind in (ONLY_FIRST, ONLY_SECOND):
        place = 0 if one.kind == ONLY_FIRST else 1
        return _("{arteries}: only {reader}").format(arteries=arteries[place], reader=short(readers[place]))
    if one.kind == OTHER_ARTERY:
        return _("{first} or {second}").format(first=arteries[0] or "–", second=arteries[1] or "–")
    return _("{arteries}: border").format(arteries=arteries[0] or arteries[1])


def _tip(readers: tuple[str, str], one: Difference) -> str:
    """All that is known of a difference, a line per reader and one for the effect."""
    lines = []
    for reader, lesions in zip(readers, (one.first, one.second), strict=True):
        scores = ", ".join(f"{lesion.artery} {lesion.agatston:.1f}" for lesion in lesions)
        lines.append(f"{reader}: {scores or _('nothing that counts')}")
    change = ", ".join(f"{artery} {points:+.1f}" for artery, points in one.effect_by_artery.items())
    lines.append(_("From the first to the second: {change}").format(change=change or _("no change")))
    return "\n".join(lines)


def _item(text: str, tip: str, *, number: bool):
    item = qt.QTableWidgetItem(text)
    item.setToolTip(tip)
    if number:
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return item
