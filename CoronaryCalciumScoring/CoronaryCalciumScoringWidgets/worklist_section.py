"""The worklist's section: folder, reader, order and filter, the list, and the buttons and keys to go through it."""

import html
import time
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from coronary_calcium.cohort.readings import DONE, NOT_GRADABLE, SECOND_LOOK
from coronary_calcium.cohort.worklist import (
    STATUSES,
    Blinding,
    PlacedRow,
    Worklist,
    checked_reader,
    neighbor,
    next_to_read,
    orders_for,
)
from coronary_calcium.cohort.worklist_folder import cohort_of
from coronary_calcium.errors import InputError
from CoronaryCalciumScoringLib.background_run import Failed, Finished
from CoronaryCalciumScoringLib.review import Review
from CoronaryCalciumScoringLib.worklist import OpenCase
from slicer.i18n import tr as _

from .application import askFolder
from .controls import Explained, disabledShortcuts, removeShortcuts
from .run_control import RunControl
from .worklist_form import FILTERS, ORDER_TITLES, build_form
from .worklist_reading import WorklistReading
from .worklist_table import STATUS_TITLES, WorklistTable, row_text

FOLDER_SETTING = "CoronaryCalciumScoring/WorklistFolder"
READER_SETTING = "CoronaryCalciumScoring/Reader"
HIDE_AI_SETTING, HIDE_READERS_SETTING = "CoronaryCalciumScoring/HideAI", "CoronaryCalciumScoring/HideReaders"
FIND_DELAY_MS = 150
# A mark opens the next case at once: the second click of a double click is not meant for that one.
MARK_PAUSE_SECONDS = 0.6


class WorklistSection:
    """Adds its controls to ``section`` and opens cases in the panel.

    ``show(volumeNode)`` has the panel show a CT with its review, or none; ``current()`` gives the panel's review;
    ``whyNot()`` says why no other case can be opened now, else it is empty; the keys work in ``shortcutParent``.

    Attributes
    ----------
    onChanged : functions that are called when another list or case is open, or the list shows something else.
    """

    def __init__(
        self,
        section,
        shortcutParent,
        show: Callable[[object], object],
        current: Callable[[], Review | None],
        whyNot: Callable[[], str],
    ) -> None:
        self.form = form = build_form(section.layout())
        self._section, self._whyNot = section, whyNot
        self._folder = ""
        self._marked = 0.0  # when a case was marked last, s
        self._again = False  # whether the folder waits for another name
        self._entered = self._filling = False
        self.onChanged: list[Callable[[], object]] = []
        self.run = RunControl(form.answer, self._runChanged)
        self.reading = WorklistReading(self.run, show, current, form.answer.say, self._list)
        self.table = WorklistTable(form.table, self.open, self._list)
        self._findTimer = qt.QTimer()
        self._findTimer.setSingleShot(True)
        self._findTimer.setInterval(FIND_DELAY_MS)
        self._findTimer.connect("timeout()", self._list)
        self._steps = Explained(form.previousButton, form.nextButton, form.unreadButton)
        self._lists = Explained(form.orderComboBox, form.filterComboBox, form.findEdit, form.table)
        self._marks = Explained(form.doneButton, form.lookButton)
        self._notGradable = Explained(form.notGradableButton, form.reasonComboBox)
        self._takeSettings()
        self._connect()
        self.shortcuts = self._makeShortcuts(shortcutParent)
        self._showOrders()
        self._list()

    def _takeSettings(self) -> None:
        settings, form = qt.QSettings(), self.form
        form.readerEdit.text = settings.value(READER_SETTING) or ""
        form.hideAICheckBox.checked = settings.value(HIDE_AI_SETTING) == "hidden"
        form.hideReadersCheckBox.checked = settings.value(HIDE_READERS_SETTING) == "hidden"

    def _connect(self) -> None:
        form = self.form
        for button, action in (
            (form.openButton, self.ask),
            (form.previousButton, lambda: self.step(-1)),
            (form.nextButton, lambda: self.step(1)),
            (form.unreadButton, self.openNextToRead),
            (form.doneButton, lambda: self.mark(DONE)),
            (form.lookButton, lambda: self.mark(SECOND_LOOK)),
            (form.notGradableButton, self.markNotGradable),
            (form.answer.cancelButton, self.run.cancel),
        ):
            button.connect("clicked(bool)", lambda _checked=False, action=action: action())
        form.readerEdit.connect("editingFinished()", self._readerChanged)
        for box in (form.hideAICheckBox, form.hideReadersCheckBox):
            box.connect("toggled(bool)", lambda _checked=False: self._readerChanged())
        form.orderComboBox.connect("currentIndexChanged(int)", lambda _index=0: self._orderChosen())
        form.filterComboBox.connect("currentIndexChanged(int)", lambda _index=0: self._list())
        form.findEdit.connect("textChanged(QString)", lambda _text="": self._findTimer.start())

    def _makeShortcuts(self, parent) -> dict:
        """The keys, which work wherever the mouse is while the module is open, but not while text is typed."""
        actions = {
            "Shift+P": lambda: self.step(-1),
            "Shift+N": lambda: self.step(1),
            "Shift+U": self.openNextToRead,
            "Shift+D": lambda: self.mark(DONE),
            "Shift+L": lambda: self.mark(SECOND_LOOK),
            "Shift+G": self.markNotGradable,
        }
        return disabledShortcuts(parent, actions, repeat=False)

    def enter(self) -> None:
        """The module is on the screen: listen to keys."""
        self._entered = True
        self._allow()

    def exit(self) -> None:
        """Another module is on the screen: what was done is kept, and keys are left alone."""
        self.reading.keep()
        self._entered = False
        self._allow()

    def update(self) -> None:
        """Follow the panel's review: what is edited in the open case is kept."""
        self.reading.update()

    def letGo(self, seconds: float = 0.0) -> None:
        """The scene closes: keep what was done, and forget the case, whose nodes go with the scene."""
        self.reading.keep()
        self.run.abandon(seconds)
        self.form.answer.showRunning(False)
        self.reading.forget()
        self._list()

    def leaveCase(self) -> bool:
        """Keep and close the case that is open, and be at none; False, and it stays, if it cannot be kept."""
        if not self.reading.leave():
            return False
        self.reading.forget()
        self._list()
        return True

    def dispose(self) -> None:
        """Take the keys off the window; the section is gone after this."""
        self._findTimer.stop()
        removeShortcuts(self.shortcuts)
        self.shortcuts = {}

    # The folder and the reader.

    @property
    def blinding(self) -> Blinding:
        """What the reader does not want to see."""
        return Blinding(self.form.hideAICheckBox.checked, self.form.hideReadersCheckBox.checked)

    def whyNoRun(self, volumeNode, consensusCase: OpenCase | None) -> str:
        """Why the network cannot be run on this CT: its case is read, or agreed on, without. Empty where it can."""
        cases = (self.reading.case, consensusCase)
        if not self.blinding.ai or not any(case is not None and volumeNode is case.volumeNode for case in cases):
            return ""
        return _("This case is read without the AI (Hide the AI in the worklist).")

    def ask(self) -> None:
        """Ask for a folder and open it."""
        if not self._hasReader():
            return
        folder = askFolder(self._section, _("Folder of a cohort, or of CTs"), setting=FOLDER_SETTING)
        if folder:
            self.openFolder(folder)

    def openFolder(self, folder: str) -> bool:
        """Open a cohort's folder or a folder of CTs, for the reader who is named; whether it is being opened."""
        if not self._hasReader() or self._busy() or not self.reading.leave():
            return False
        self._folder, self._again = folder, False
        self.reading.begin(None)
        reader, blinding = self.form.readerEdit.text.strip(), self.blinding
        self._list()

        def work(progress) -> Worklist:
            return Worklist(cohort_of(Path(folder), progress), reader, blinding, progress)

        self.run.start(work, lambda outcome, _seconds: self._opened(outcome))
        return True

    def _hasReader(self) -> bool:
        """Whether there is a name that readings can be kept under; what is wrong with it is said."""
        name = self.form.readerEdit.text.strip()
        try:
            if name:
                return bool(checked_reader(name))
            self.form.answer.say(_("Type your name under Reader first: your readings are kept under it."))
        except InputError as rejection:
            self.form.answer.say(str(rejection))
        self.form.readerEdit.setFocus()
        return False

    def _opened(self, outcome) -> None:
        """Take the list that was read, or say why there is none."""
        if not isinstance(outcome, Finished):
            self._again = isinstance(outcome, Failed) and getattr(outcome.error, "code", "") == "cohort-id"
            self._sayFailed(outcome, _("The folder could not be opened: {reason}"))
            return
        if (outcome.result.reader, outcome.result.blinding) != self._named():
            self._again = not self.openFolder(self._folder)  # another name or blinding was chosen meanwhile
            return
        self.reading.begin(outcome.result, lambda: next_to_read(self.table.placed, self.reading.id))
        self.table.unsort()
        self.form.answer.say("")
        self._showOrders()
        self._list()

    def _sayFailed(self, outcome, sentence: str) -> None:
        if not isinstance(outcome, Failed):
            self.form.answer.say(_("Cancelled."))
        elif isinstance(outcome.error, InputError):
            self.form.answer.say(sentence.format(reason=outcome.error))
        else:
            self.form.answer.say(sentence.format(reason=_("the error is in the log.")))
            with slicer.util.tryWithErrorDisplay(_("The worklist could not go on.")):
                raise outcome.error

    def _readerChanged(self) -> None:
        """Another reader, or another blinding: it is remembered, and the list is read again."""
        worklist, form = self.reading.worklist, self.form
        if self._filling or (worklist is not None and (worklist.reader, worklist.blinding) == self._named()):
            return
        if self._again and worklist is None:
            self.openFolder(self._folder)  # the name was what was wrong
        elif worklist is not None and not self.openFolder(self._folder):
            # What is done goes on being kept under the name of before: the panel must not show another.
            self._filling = True
            form.readerEdit.text = worklist.reader
            form.hideAICheckBox.checked, form.hideReadersCheckBox.checked = (
                worklist.blinding.ai,
                worklist.blinding.readers,
            )
            self._filling = False
            return
        settings = qt.QSettings()
        settings.setValue(READER_SETTING, form.readerEdit.text.strip())
        settings.setValue(HIDE_AI_SETTING, "hidden" if form.hideAICheckBox.checked else "")
        settings.setValue(HIDE_READERS_SETTING, "hidden" if form.hideReadersCheckBox.checked else "")

    def _named(self) -> tuple[str, Blinding]:
        return self.form.readerEdit.text.strip(), self.blinding

    def _isReader(self) -> bool:
        """Whether the list is of the reader who is named: a name may be typed and its field not left yet."""
        if self.reading.worklist is None:
            return False
        same = self.reading.worklist.reader == self.form.readerEdit.text.strip()
        if not same:
            self._readerChanged()
        return same

    # The list.

    def _showOrders(self) -> None:
        """Offer the orders that the reader may have."""
        combo = self.form.orderComboBox
        offered = orders_for(self.reading.worklist.blinding if self.reading.worklist else self.blinding)
        self._filling = True
        try:
            if [ORDER_TITLES[order] for order in offered] != [combo.itemText(n) for n in range(combo.count)]:
                combo.clear()
                for order in offered:
                    combo.addItem(ORDER_TITLES[order])
        finally:
            self._filling = False

    def _orderChosen(self) -> None:
        if not self._filling:
            self.table.unsort()
            self._list()

    def _list(self) -> None:
        """Show the list in its order and by its filter."""
        form, worklist = self.form, self.reading.worklist
        placed: list[PlacedRow] = []
        if worklist is not None:
            order = orders_for(worklist.blinding)[max(form.orderComboBox.currentIndex, 0)]
            statuses = FILTERS[max(form.filterComboBox.currentIndex, 0)][1]
            placed = worklist.shown(order, statuses, form.findEdit.text, keep=self.reading.id)
        self.table.show(placed, self.reading.id)
        self._showCounts()
        self._allow()
        for callback in self.onChanged:
            callback()

    def _showCounts(self) -> None:
        form, worklist = self.form, self.reading.worklist
        if worklist is None:
            form.countLabel.text = _("Open the folder of a cohort, or any folder of CTs.")
        else:
            counts = worklist.counts()
            parts = [f"{counts[status]:,} {STATUS_TITLES[status]}" for status in STATUSES if counts[status]]
            shown, total = len(self.table.placed), len(worklist.rows)
            cases = (
                f"{total:,}"
                if shown == total
                else _("{shown} of {total}").format(shown=f"{shown:,}", total=f"{total:,}")
            )
            form.countLabel.text = _("{cases} cases: {parts}").format(cases=cases, parts=", ".join(parts))
        form.caseLabel.text = self._caseText()
        form.caseLabel.visible = bool(form.caseLabel.text)

    def _caseText(self) -> str:
        if self.reading.worklist is None or self.reading.id is None:
            return ""
        placed = next((one for one in self.table.placed if one.row.id == self.reading.id), None)
        first, *rest = row_text(placed or PlacedRow(self.reading.worklist.rows[self.reading.id])).splitlines()
        return "<br>".join([f"<b>{html.escape(first)}</b>", *map(html.escape, rest)])

    def _allow(self) -> None:
        """Switch on what can be done, and say of the rest why not."""
        nothing = _("Open a folder first.") if self.reading.worklist is None else ""
        working = _("Wait for the work that is running, or cancel it.") if self.run.running else ""
        self._lists.allow(nothing)
        self._steps.allow(nothing or working)
        unopened = "" if self.reading.case is not None else _("Open a case first.")
        self._marks.allow(nothing or working or unopened)
        self._notGradable.allow(nothing or working or ("" if self.reading.id is not None else unopened))
        self.form.openButton.enabled = not self.run.running
        for shortcut in self.shortcuts.values():
            shortcut.enabled = self._entered and self.reading.worklist is not None

    # Cases.

    def step(self, by: int) -> None:
        """Open the next case of the list (1) or the one before (-1)."""
        nothing = _("This is the last case of the list.") if by > 0 else _("This is the first case.")
        self._go(neighbor(self.table.placed, self.reading.id, by), nothing)

    def openNextToRead(self) -> None:
        """Open the next case that is not marked yet."""
        nothing = _("There is no other unread case in this list.")
        self._go(next_to_read(self.table.placed, self.reading.id), nothing)

    def _go(self, found: str | None, nothing: str) -> None:
        if self.reading.worklist is None or self.run.running:
            return
        if found is None:
            self.form.answer.say(nothing)
        else:
            self.open(found)

    def open(self, case_id: str) -> None:
        """Keep and leave the case that is open, and open this one."""
        if self._isReader() and not self._busy():
            self.reading.open(case_id)

    def _busy(self) -> bool:
        reason = self._whyNot() or (_("Wait for the work that is running, or cancel it.") if self.run.running else "")
        if reason:
            self.form.answer.say(reason)
        return bool(reason)

    def mark(self, mark: str, reason: str = "") -> bool:
        """Mark the case that the reader is at, and open the next unread one; whether it is marked."""
        shown = self.table.placed
        if time.monotonic() - self._marked < MARK_PAUSE_SECONDS:
            return False
        if not self._isReader() or self._busy() or not self.reading.mark(mark, reason):
            return False
        # By the list as it was shown: the filter may have taken the marked case away.
        rows = self.reading.worklist.rows
        following = next_to_read([PlacedRow(rows[one.row.id], one.why) for one in shown], self.reading.id)
        self._go(following, _("Marked. There is no other unread case in this list."))
        self._marked = time.monotonic()
        return True

    def markNotGradable(self) -> None:
        """Mark the case as not gradable, for the reason that is given, which is asked for anew for the next one."""
        reason = self.form.reasonComboBox.currentText.strip()
        if not reason:
            self.form.answer.say(_("Choose or type why the case is not gradable."))
            self.form.reasonComboBox.setFocus()
        elif self.mark(NOT_GRADABLE, reason):
            self.form.reasonComboBox.setCurrentIndex(-1)
            self.form.reasonComboBox.setEditText("")

    def _runChanged(self) -> None:
        self.form.answer.showRunning(self.run.running)
        self._allow()
