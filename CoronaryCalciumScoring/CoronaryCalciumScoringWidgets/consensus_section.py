"""The consensus' section: two readers of the worklist's case compared, and their differences decided one by one."""

import functools
from collections.abc import Callable
from pathlib import Path

import slicer
from coronary_calcium.cohort.consensus import (
    TAKEN_FIRST,
    TAKEN_SECOND,
    UNDECIDED,
    ConsensusCase,
    cases_without_consensus,
    read_consensus,
)
from coronary_calcium.cohort.reading_differences import Difference
from coronary_calcium.cohort.readings import AI, readers_of
from coronary_calcium.cohort.worklist import Worklist
from coronary_calcium.cohort.worklist_case import WorklistCase
from coronary_calcium.errors import InputError
from CoronaryCalciumScoringLib.background_run import Failed, Finished
from CoronaryCalciumScoringLib.consensus import Consensus, consensus_worklist_case
from CoronaryCalciumScoringLib.review import Review
from slicer.i18n import tr as _

from .consensus_form import build_form
from .consensus_table import ConsensusTable, legend, short
from .controls import Explained, disabledShortcuts, removeShortcuts
from .run_control import RunControl
from .worklist_reading import WorklistReading
from .worklist_section import WorklistSection


class ConsensusSection:
    """Adds its controls to ``section``; compares readers of the cohort that is open in the worklist.

    ``show``, ``current`` and ``whyNot`` are as for ``WorklistSection``; ``edit()`` turns to the review's tools; the
    keys work in ``shortcutParent``.
    """

    def __init__(
        self,
        section,
        shortcutParent,
        worklist: WorklistSection,
        show: Callable[[object], object],
        current: Callable[[], Review | None],
        whyNot: Callable[[], str],
        edit: Callable[[], object],
    ) -> None:
        self.form = form = build_form(section.layout())
        self._worklist, self._whyNot, self._edit = worklist, whyNot, edit
        self._entered = self._filling = False
        self._settings: tuple | None = None  # of the list that was read last
        self._cases: dict[str, ConsensusCase] = {}
        self._waiting: list[str] = []  # cases that are to be agreed on
        self._offered_of: Worklist | None = None  # whose readers are offered
        self._offered: list[str] = []
        self._followed: Review | None = None
        self.consensus: Consensus | None = None
        self.run = RunControl(form.answer, self._runChanged)
        self.reading = WorklistReading(self.run, show, current, form.answer.say, self._caseChanged)
        self.table = ConsensusTable(form.table, self._jump)
        self._compare = Explained(form.compareButton)
        self._next = Explained(form.nextCaseButton)
        self._decisions = Explained(form.firstButton, form.secondButton, form.editButton)
        self._steps = Explained(form.previousButton, form.nextButton)
        self._finish = Explained(form.finishButton)
        for button, action in (
            (form.compareButton, self.compare),
            (form.nextCaseButton, self.compareNext),
            (form.firstButton, lambda: self.take(TAKEN_FIRST)),
            (form.secondButton, lambda: self.take(TAKEN_SECOND)),
            (form.editButton, self.edit),
            (form.previousButton, lambda: self.table.step(-1)),
            (form.nextButton, lambda: self.table.step(1)),
            (form.finishButton, self.finish),
            (form.answer.cancelButton, self.run.cancel),
        ):
            button.connect("clicked(bool)", lambda _checked=False, action=action: action())
        for combo in (form.firstComboBox, form.secondComboBox):
            combo.connect("currentIndexChanged(int)", lambda _index=0: self._allow())
        self.shortcuts = self._makeShortcuts(shortcutParent)
        worklist.onChanged.append(self._followWorklist)
        self._show()

    def _makeShortcuts(self, parent) -> dict:
        """The keys, which work wherever the mouse is while a consensus is open in the module."""
        # Slicer has Ctrl and a digit for windows of its own, and a key that two listen to reaches neither.
        choices = {"Shift+A": TAKEN_FIRST, "Shift+B": TAKEN_SECOND}
        actions = {key: functools.partial(self.take, choice) for key, choice in choices.items()}
        return disabledShortcuts(parent, actions, repeat=False)

    def enter(self) -> None:
        """The module is on the screen: listen to keys."""
        self._entered = True
        self._allow()

    def exit(self) -> None:
        """Another module is on the screen: keys are left alone."""
        self.reading.keep()
        self._entered = False
        self._allow()

    def letGo(self, seconds: float = 0.0) -> None:
        """The scene closes: keep what was done, and forget the case, whose nodes go with the scene."""
        self.reading.keep()
        self.run.abandon(seconds)
        self.form.answer.showRunning(False)
        self.reading.forget()
        self.consensus = self._followed = None
        self._show()

    def dispose(self) -> None:
        """Take the keys off the window; the section is gone after this."""
        removeShortcuts(self.shortcuts)
        self.shortcuts = {}

    def leave(self) -> None:
        """Keep and close the consensus, such as when a case of the worklist is opened."""
        if self.reading.case is not None:
            self.reading.leave()

    def update(self) -> None:
        """Follow the panel's review."""
        self.reading.update()
        review, case = self.reading.review(), self.reading.case
        if case is None:
            self.consensus = self._followed = None
        elif review is not None and review is not self._followed:
            self._followed = review
            if self.consensus is None or self.consensus.opened is not case:
                self.consensus = Consensus(case, self._cases[case.id], self.reading.review)
                self.consensus.show_outlines()
            review.onChanged.append(lambda _score: self._edited())
        if self.consensus is not None:
            self.consensus.set_visible(review is not None)
        self._show()

    # Readers and cases.

    @property
    def readers(self) -> tuple[str, str]:
        """The two readers that are chosen."""
        return self.form.firstComboBox.currentText, self.form.secondComboBox.currentText

    def _followWorklist(self) -> None:
        """Offer the readers of the worklist's cohort, and the network where it has scored.

        With another list, such as of a reader who does not want to see the AI, the consensus that is open is left.
        """
        worklist = self._worklist.reading.worklist
        if worklist is not self._offered_of:
            self._offered_of = worklist
            self.leave()
        known = self._readersToOffer()
        if known != self._offered:
            self._offered = known
            name = self.form.nameEdit.text.strip()
            offered = [one for one in known if one != name]
            # The same one twice is what was left while there was no other.
            chosen = self.readers if self.readers[0] != self.readers[1] else ("", "")
            for place, combo in enumerate((self.form.firstComboBox, self.form.secondComboBox)):
                combo.blockSignals(True)  # one after the other: the two lists belong together
                combo.clear()
                for one in offered:
                    combo.addItem(one)
                here = offered.index(chosen[place]) if chosen[place] in offered else min(place, len(offered) - 1)
                combo.setCurrentIndex(here)
                combo.blockSignals(False)
        self._allow()

    def _readersToOffer(self) -> list[str]:
        worklist = self._worklist.reading.worklist
        if worklist is None or worklist.blinding.readers:
            return []
        scored = any(row.ai is not None for row in worklist.rows.values())
        return readers_of(worklist.folder) + ([AI] if scored else [])

    def compare(self) -> None:
        """Compare the readers in the case that the worklist is at."""
        self._open(self._worklist.reading.id or self.reading.id)

    def compareNext(self) -> None:
        """Compare the readers in the next case that both have done and that has no consensus."""
        self._open(None)

    def _open(self, case_id: str | None) -> None:
        """Compare the readers in a case, or in the next one; whatever case was open is kept and left."""
        form, folder = self.form, self._worklist.reading.worklist.folder
        readers, name, points = self.readers, form.nameEdit.text.strip(), form.pointsSpinBox.value
        settings = (folder, readers, name, points, self._worklist.reading.worklist.blinding)
        try:
            if case_id is not None:  # before the open case is left for nothing
                read_consensus(folder, case_id, readers, name, points)
        except InputError as rejection:
            form.answer.say(_("Not compared: {reason}").format(reason=rejection))
            return
        reason = self._whyNot()
        if reason or not self._worklist.leaveCase():
            form.answer.say(reason)
            return
        self.leave()

        def work(progress) -> tuple[Worklist, list[str]]:
            return Worklist(folder, name, settings[-1], progress), cases_without_consensus(folder, readers, name)

        if settings == self._settings:
            self._openCase(case_id)
            return
        self.reading.begin(None)
        self.run.start(work, lambda outcome, _seconds: self._listed(outcome, settings, case_id))

    def _listed(self, outcome, settings: tuple, case_id: str | None) -> None:
        """Take the cohort's list, or say why there is none."""
        self.form.answer.say("")
        if isinstance(outcome, Failed):
            with slicer.util.tryWithErrorDisplay(_("The readers could not be compared.")):
                self._rejected(outcome.error)
            return
        if not isinstance(outcome, Finished):
            self.form.answer.say(_("Cancelled."))
            return
        self._settings, self._cases = settings, {}
        worklist, self._waiting = outcome.result
        self.reading.begin(worklist, self._following, functools.partial(self._read, settings))
        self._openCase(case_id)

    def _rejected(self, error: Exception) -> None:
        try:
            raise error
        except InputError as rejection:
            self.form.answer.say(_("Not compared: {reason}").format(reason=rejection))

    def _read(self, settings: tuple, worklist: Worklist, case_id: str, progress) -> WorklistCase:
        """Read a case for the consensus; touches neither MRML nor Qt."""
        folder, readers, name, points, blinding = settings
        case = read_consensus(Path(folder), case_id, readers, name, points)
        self._cases[case_id] = case
        return consensus_worklist_case(worklist.folder, case, blinding, progress)

    def _following(self) -> str | None:
        """The case to be agreed on after this one, or None."""
        waiting = [one for one in self._waiting if one != self.reading.id]
        after = [one for one in waiting if self.reading.id is not None and one > self.reading.id]
        return next(iter([*after, *waiting]), None)

    def _openCase(self, case_id: str | None) -> None:
        case_id = case_id or self._following()
        if case_id is None:
            self.form.answer.say(_("There is no other case that both have done and that has no consensus."))
        else:
            self.reading.open(case_id)

    # Differences.

    def _caseChanged(self) -> None:
        """Another case is open, or none, or it was kept."""
        if self.reading.case is None:
            self.consensus = self._followed = None
        self._show()

    def _jump(self, difference: Difference) -> None:
        if self.consensus is not None:
            with slicer.util.tryWithErrorDisplay(_("The difference cannot be shown.")):
                self.consensus.jump(difference)
        self._allow()

    def take(self, choice: str) -> None:
        """Decide the selected difference for a reader, and go to the next undecided one."""
        difference = self.table.current
        if self.consensus is None or difference is None:
            return
        with slicer.util.tryWithErrorDisplay(_("The difference could not be decided.")):
            try:
                self.consensus.take(difference, choice)
            except InputError as rejection:
                self.form.answer.say(_("Not decided: {reason}").format(reason=rejection))
                return
        self.form.answer.say("")
        self._show()
        self._selectUndecided()

    def edit(self) -> None:
        """Turn to the review's tools for the selected difference."""
        self._jump(self.table.current)
        self._edit()
        self.form.answer.say(_("Correct it with the keys 1 to 4 and a click, or with the brush: it is edited then."))

    def finish(self) -> None:
        """Keep the consensus as a done case."""
        try:
            self.consensus.finish()
        except InputError as rejection:
            self.form.answer.say(_("Not finished: {reason}").format(reason=rejection))
            return
        self._waiting = [one for one in self._waiting if one != self.reading.id]
        self.form.answer.say(
            _("{case} is done as the reading of {name}.").format(
                case=self.reading.id, name=self.reading.worklist.reader
            )
        )
        self._show()

    def _edited(self) -> None:
        """The segments have changed, by whatever tool."""
        if self.consensus is not None:
            try:
                self.consensus.edited()
            except InputError as rejection:
                self.form.answer.say(_("Not kept: {reason}").format(reason=rejection))
        self._show()

    def _selectUndecided(self) -> None:
        """Select the next difference after the selected one that is undecided; else stay."""
        states = self.consensus.states()
        count, here = len(states), self.consensus.case.differences.index(self.table.current)
        for place in ((here + by) % count for by in range(1, count + 1)):
            if states[place] == UNDECIDED:
                self.table.select(place)
                return

    # What is shown.

    def _show(self) -> None:
        consensus = self.consensus
        if consensus is None:
            self.table.show(("", ""), (), ())
        else:
            self.table.show(consensus.case.readers, consensus.case.differences, consensus.states())
        self.form.legendLabel.text = "" if consensus is None else legend(consensus.case)
        self.form.scoreLabel.text = "" if consensus is None else self._score_text(consensus)
        for label in (self.form.legendLabel, self.form.scoreLabel):
            label.visible = bool(label.text)
        self._allow()

    def _score_text(self, consensus: Consensus) -> str:
        first, second, own = consensus.agatston()
        names = consensus.case.readers
        total = len(consensus.case.differences)
        left = consensus.undecided()
        lines = [
            _("{left} of {total} differences undecided.").format(left=left, total=total)
            if total
            else _("They do not differ by more than the borders: finish to keep what {name} has.").format(name=names[0])
        ]
        own_text = "–" if own is None else f"{own:.1f}"
        lines.append(
            _("Agatston: {first} {a}, {second} {b}, consensus {own}.").format(
                first=names[0], a=f"{first:.1f}", second=names[1], b=f"{second:.1f}", own=own_text
            )
        )
        if consensus.case.changed:
            lines.append(
                _("Since the last visit, {names} read this case again: look at it anew.").format(
                    names=" and ".join(consensus.case.changed)
                )
            )
        return "\n".join(lines)

    def _runChanged(self) -> None:
        self.form.answer.showRunning(self.run.running)
        self._allow()

    def _allow(self) -> None:
        """Switch on what can be done, and say of the rest why not."""
        form, consensus = self.form, self.consensus
        why = self._why_not_compare()
        at = self._worklist.reading.id or self.reading.id
        self._compare.allow(why or ("" if at else _("Open a case of the worklist first.")))
        self._next.allow(why)
        closed = "" if consensus is not None else _("Compare two readers first.")
        unchosen = "" if self.table.current is not None else _("Select a difference first.")
        self._decisions.allow(closed or unchosen)
        self._steps.allow(closed)
        undecided = consensus.undecided() if consensus is not None else 0
        self._finish.allow(
            closed or (_("{count} differences are undecided.").format(count=undecided) if undecided else "")
        )
        names = consensus.case.readers if consensus is not None else (_("the first"), _("the second"))
        for button, name in ((form.firstButton, names[0]), (form.secondButton, names[1])):
            button.text = _("Take {reader}").format(reader=short(name))
        for shortcut in self.shortcuts.values():
            shortcut.enabled = self._entered and consensus is not None

    def _why_not_compare(self) -> str:
        worklist = self._worklist.reading.worklist
        if worklist is None:
            return _("Open a cohort in the worklist first.")
        if worklist.blinding.readers:
            return _("Other readers are hidden from you in the worklist.")
        if self.form.firstComboBox.count < 2:
            return _("Nobody else has read this cohort yet: a consensus is between two readers.")
        if self.readers[0] == self.readers[1]:
            return _("Choose two different readers.")
        return _("Wait for the work that is running, or cancel it.") if self.run.running else ""
