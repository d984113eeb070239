"""The controls of the worklist's section, made in code."""

from types import SimpleNamespace

import qt
from coronary_calcium.cohort.worklist import (
    BY_DISAGREEMENT,
    BY_ID,
    BY_UNCERTAINTY,
    DONE,
    IN_PROGRESS,
    NOT_GRADABLE,
    RANDOM,
    SECOND_LOOK,
    STATUSES,
    TO_READ,
    UNREAD,
)
from slicer.i18n import tr as _

from .controls import Answer, addRow, checkBox, comboBox, listTable, pushButton, textLabel

ORDER_TITLES = {
    BY_ID: _("By case"),
    BY_UNCERTAINTY: _("Most uncertain first"),
    BY_DISAGREEMENT: _("Disagreement with the AI first"),
    RANDOM: _("Random, the same for all"),
}
FILTERS = (
    (_("All"), STATUSES),
    (_("To read"), TO_READ),
    (_("Unread"), (UNREAD,)),
    (_("In progress"), (IN_PROGRESS,)),
    (_("Done"), (DONE,)),
    (_("Second look"), (SECOND_LOOK,)),
    (_("Not gradable"), (NOT_GRADABLE,)),
)
# What is most often wrong with a CT; any other words will do.
REASONS = (_("Motion"), _("Noise"), _("Heart cut off"), _("Contrast medium"), _("Stent or bypass"), _("Metal"))


def build_form(layout) -> SimpleNamespace:
    """Add the controls to the section's layout; returns them by name."""
    form = SimpleNamespace()
    _source(form, layout)
    _choice(form, layout)
    form.table = _table(layout)
    # What changes its height comes last, so that no button moves under the pointer.
    _steps(form, layout)
    _marks(form, layout)
    form.countLabel = textLabel(layout, _("How many cases there are, and how far you are."))
    form.caseLabel = textLabel(layout, _("The case that is open."))
    form.answer = Answer(layout)
    return form


def _source(form, layout) -> None:
    form.openButton = pushButton(
        _("Open folder..."), _("Open a cohort that was scored by `cohort run`, or any folder of CTs, without AI.")
    )
    form.readerEdit = qt.QLineEdit()
    form.readerEdit.placeholderText = _("your name")
    form.readerEdit.toolTip = _("Your readings are kept under this name: letters, digits, '.', '_' and '-'.")
    row = qt.QHBoxLayout()
    row.addWidget(qt.QLabel(_("Reader:")))
    row.addWidget(form.readerEdit, 1)
    row.addWidget(form.openButton)
    layout.addLayout(row)
    form.hideAICheckBox = checkBox(
        _("Hide the AI"), _("Read without the AI's lesions, scores and warnings, and in no order that tells of them.")
    )
    form.hideReadersCheckBox = checkBox(_("Hide other readers"), _("Read without knowing what others have read."))
    row = qt.QHBoxLayout()
    row.addWidget(form.hideAICheckBox)
    row.addWidget(form.hideReadersCheckBox)
    row.addStretch(1)
    layout.addLayout(row)


def _choice(form, layout) -> None:
    form.orderComboBox = comboBox(_("The order of the cases; a click on a column's title sorts by it."))
    form.filterComboBox = comboBox(_("Which cases are shown."))
    for title, _statuses in FILTERS:
        form.filterComboBox.addItem(title)
    form.findEdit = qt.QLineEdit()
    form.findEdit.placeholderText = _("find: id, >400, kvp")
    form.findEdit.toolTip = _("Show cases with these words in their id, category, reason, warnings or other readers.")
    layout.addWidget(form.orderComboBox)
    row = qt.QHBoxLayout()
    form.filterComboBox.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Fixed)
    row.addWidget(form.filterComboBox)
    row.addWidget(form.findEdit, 1)
    layout.addLayout(row)


def _table(layout):
    table = listTable(layout, _("The cases. Double-click one to open it; a click on a title sorts."))
    table.setWordWrap(False)
    return table


def _steps(form, layout) -> None:
    form.previousButton = pushButton(_("Previous"), _("Open the case before this one (Shift+P)."))
    form.nextButton = pushButton(_("Next"), _("Open the case after this one (Shift+N)."))
    form.unreadButton = pushButton(
        _("Next unread"), _("Open the next case that is not marked yet (Shift+U); what you did here is kept.")
    )
    addRow(layout, form.previousButton, form.nextButton, form.unreadButton)


def _marks(form, layout) -> None:
    form.doneButton = pushButton(_("Done"), _("Mark the case as read, and open the next unread one (Shift+D)."))
    form.lookButton = pushButton(
        _("Second look"), _("Mark the case for a second look, and open the next unread one (Shift+L).")
    )
    addRow(layout, form.doneButton, form.lookButton)
    form.notGradableButton = pushButton(
        _("Not gradable"), _("Mark the case as not gradable for this reason, and open the next unread one (Shift+G).")
    )
    form.reasonComboBox = comboBox(_("Why the case is not gradable: choose, or type."))
    form.reasonComboBox.editable = True
    for reason in REASONS:
        form.reasonComboBox.addItem(reason)
    form.reasonComboBox.setCurrentIndex(-1)
    form.reasonComboBox.lineEdit().placeholderText = _("reason")
    row = addRow(layout, form.notGradableButton)
    row.addWidget(form.reasonComboBox, 1)
