"""One more table below the score, on demand: every quantity by artery, which follows every edit."""

from collections.abc import Callable
from dataclasses import replace

import qt
import slicer
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.quantity_table import TOTAL, QuantityTable, quantity_table
from CoronaryCalciumScoringLib.live_quantities import LiveQuantities
from CoronaryCalciumScoringLib.review import Review
from slicer.i18n import tr as _

from .controls import FittedColumns
from .score_view import no_review_text


class QuantitiesSection:
    """Adds its controls to ``layout`` and follows the review that ``current()`` gives, or None.

    While its box is checked, reports and tables of the review hold the quantities as well.
    """

    def __init__(self, layout, current: Callable[[], Review | None]) -> None:
        self._current = current
        self._review: Review | None = None
        self._live: LiveQuantities | None = None
        self._showing = False
        self.checkBox = qt.QCheckBox(_("More quantities"))
        self.table = qt.QTableWidget()
        self.table.toolTip = _(
            "One row per quantity; its tooltip says what it is and who defined it. A narrow panel shows the total only."
        )
        self.table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        self.table.verticalHeader().hide()
        self.table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        self.table.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        self._columns = FittedColumns(self.table, ((0,),), whole=True)
        self.notes = qt.QLabel()
        self.notes.setWordWrap(True)
        self.notes.toolTip = _("What to know about these quantities.")
        for control in (self.checkBox, self.table, self.notes):
            layout.addWidget(control)
        self.checkBox.connect("toggled(bool)", lambda _checked=False: self._choose())
        self.update()

    def update(self) -> None:
        """Show the review as it is, and say why nothing can be shown."""
        review = self._current()
        if review is not self._review:
            self._review = review
            self._live = None if review is None else LiveQuantities(review)
            if review is not None:
                review.onChanged.append(lambda _score: self.update())
        reason = no_review_text() if review is None else ""
        self.checkBox.enabled = not reason
        self.checkBox.toolTip = reason or _(
            "Integrated mass, which includes what blur carries beyond a lesion's edge, volume fraction, density and "
            "what else studies report beside the Agatston score. They go into the saved results, too."
        )
        self._showing = True
        try:
            self.checkBox.checked = review is not None and review.options.all_quantities
        finally:
            self._showing = False
        self._show()

    def _choose(self) -> None:
        if self._showing or self._review is None:
            return
        with slicer.util.tryWithErrorDisplay(_("The quantities could not be measured.")):
            options = replace(self._review.options, all_quantities=self.checkBox.checked)
            self._review.use(self._review.rules_name, options)
        self.update()

    def _show(self) -> None:
        """Measure and show the quantities, if they are asked for."""
        table, notes = None, ""
        if self._live is not None and self._review.options.all_quantities:
            try:
                quantities = self._live.measure()
                table = None if quantities is None else quantity_table(quantities)
                notes = "\n".join(table.notes) if table else ""
            except InputError as rejection:
                notes = str(rejection)
        self.table.visible, self.notes.visible = table is not None, bool(notes)
        self.notes.text = notes
        if table is not None:
            self._fill(table)

    def _fill(self, content: QuantityTable) -> None:
        table = self.table
        titles = [_("Quantity"), *content.columns]
        if table.columnCount != len(titles) or table.rowCount != len(content.rows):
            table.setColumnCount(len(titles))
            table.setRowCount(len(content.rows))
        table.setHorizontalHeaderLabels(titles)
        for index, row in enumerate(content.rows):
            tip = f"{row.definition}. {row.source}".strip()
            for column, text in enumerate((row.title, *row.cells)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(tip)
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(index, column, item)
        total = 1 + content.columns.index(TOTAL)
        self._columns.fit((tuple(range(len(titles))), (0, total)))
