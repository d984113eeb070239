"""The controls of the consensus' section, made in code."""

from types import SimpleNamespace

import qt
from coronary_calcium.cohort.consensus import CONSENSUS_READER
from coronary_calcium.cohort.reading_differences import BORDER_POINTS
from slicer.i18n import tr as _

from .controls import Answer, addRow, comboBox, listTable, pushButton, textLabel

SHOWN_ROWS = 6
MOST_POINTS = 1000.0


def build_form(layout) -> SimpleNamespace:
    """Add the controls to the section's layout; returns them by name."""
    form = SimpleNamespace()
    _who(form, layout)
    form.legendLabel = textLabel(layout, _("The colors of the outlines in the slice views."))
    form.table = _table(layout)
    _steps(form, layout)
    form.scoreLabel = textLabel(layout, _("What is left to decide, and the three total scores."))
    form.answer = Answer(layout)
    return form


def _who(form, layout) -> None:
    form.firstComboBox = comboBox(_("One reader. The consensus begins with what this reader has marked."))
    form.secondComboBox = comboBox(_("The other reader; AI is the network."))
    form.nameEdit = qt.QLineEdit(CONSENSUS_READER)
    form.nameEdit.toolTip = _("The consensus is kept as the reading of a reader of this name.")
    form.pointsSpinBox = qt.QDoubleSpinBox()
    form.pointsSpinBox.toolTip = _(
        "Borders of the same lesion are listed when a score differs by more than so many points."
    )
    form.pointsSpinBox.setDecimals(1)
    form.pointsSpinBox.setRange(0.0, MOST_POINTS)
    form.pointsSpinBox.setPrefix(_("over "))
    form.pointsSpinBox.setSuffix(_(" points apart"))
    form.pointsSpinBox.value = BORDER_POINTS
    grid = qt.QGridLayout()
    grid.setColumnStretch(1, 1)
    for row, (title, control) in enumerate(
        (
            (_("Compare:"), form.firstComboBox),
            (_("with:"), form.secondComboBox),
            (_("Keep as:"), form.nameEdit),
            (_("Borders:"), form.pointsSpinBox),
        )
    ):
        grid.addWidget(qt.QLabel(title), row, 0)
        grid.addWidget(control, row, 1)
    layout.addLayout(grid)
    form.compareButton = pushButton(
        _("Compare this case"), _("Outline both readers' lesions in the worklist's case, and list what differs.")
    )
    form.nextCaseButton = pushButton(
        _("Next case"), _("Compare the next case that both have done and that has no consensus yet.")
    )
    row = qt.QHBoxLayout()
    row.addWidget(form.compareButton, 1)
    row.addWidget(form.nextCaseButton)
    layout.addLayout(row)


def _table(layout):
    tip = _("What differs, the largest effect first. Click a row to see it in the slice views.")
    table = listTable(layout, tip)
    table.setColumnCount(5)
    table.horizontalHeader().setHighlightSections(False)
    height = table.verticalHeader().defaultSectionSize * (SHOWN_ROWS + 1)
    table.setMinimumHeight(height)
    table.setMaximumHeight(height)
    return table


def _steps(form, layout) -> None:
    form.firstButton = pushButton(
        _("Take the first"), _("Decide for the first reader, and go to the next undecided difference (Shift+A).")
    )
    form.secondButton = pushButton(
        _("Take the second"), _("Decide for the second reader, and go to the next undecided difference (Shift+B).")
    )
    form.editButton = pushButton(
        _("Edit"), _("Decide otherwise: correct the lesion with the keys 1 to 4 and a click, or the brush.")
    )
    form.previousButton = pushButton(_("Previous"), _("Show the difference before this one."))
    form.nextButton = pushButton(_("Next"), _("Show the difference after this one."))
    form.finishButton = pushButton(_("Finish"), _("Keep the consensus as a done case of its reader."))
    addRow(layout, form.previousButton, form.nextButton, form.editButton)
    addRow(layout, form.firstButton, form.secondButton)
    addRow(layout, form.finishButton)
