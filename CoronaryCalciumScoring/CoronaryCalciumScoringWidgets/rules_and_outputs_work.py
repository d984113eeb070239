"""The work of the sections for rules and for reports: comparison, report, DICOM objects, self-test, their tables."""

from collections.abc import Callable
from dataclasses import replace

import qt
import slicer
from coronary_calcium.errors import InputError
from CoronaryCalciumScoringLib import rules_and_outputs
from CoronaryCalciumScoringLib.background_run import Failed, Finished
from CoronaryCalciumScoringLib.review import Review
from slicer.i18n import tr as _

from .application import addToDicomDatabase, askFolder, dicomFilesOf
from .controls import Answer
from .run_control import RunControl


def show_rules(form, compared) -> None:
    """The same lesions by every rule set; ``compared`` is what ``CaseResult.compared`` gives."""
    titles = (_("Rules"), _("Minimum"), _("Lesions"), _("Agatston"), _("mm³"), _("mg"))
    rows = [
        (
            scored.rules.title,
            f"{scored.minimum_pixels} px",
            str(scored.score.total.lesions),
            f"{scored.score.total.agatston:.1f}",
            f"{scored.quantities.volume_mm3.total:.1f}",
            f"{scored.quantities.mass_mg.total:.1f}",
        )
        for scored in compared
    ]
    _fill(form.rulesTable, titles, rows)
    form.rulesColumns.fit()


def show_insert(form, measurement) -> None:
    """Truth and measurement of every cylinder, and of all."""
    titles = (_("Insert"), _("Agatston"), _("ideal"), _("mg"), _("true"))
    rows = [
        _values(f"{item.cylinder.diameter_mm:g} mm, {item.cylinder.density}", measurement.values_of(item))
        for item in measurement.cylinders
    ]
    rows.append(_values(_("Total"), measurement.totals))
    _fill(form.insertTable, titles, rows)
    form.insertColumns.fit()


def _values(name: str, values: dict[str, float]) -> tuple[str, ...]:
    numbers = ("agatston", "agatston_ideal", "mass_mg", "mass_true_mg")
    return (name, *(f"{values[number]:.1f}" for number in numbers))


def _fill(table, titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.setRowCount(len(rows))
    for place, row in enumerate(rows):
        for column, text in enumerate(row):
            item = qt.QTableWidgetItem(text)
            if column:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            table.setItem(place, column, item)
    table.visible = True


SEGMENTATION_FILE, REPORT_FILE = "segmentation.dcm", "report-sr.dcm"
# What ``reports.case_files`` writes; importing it needs packages that are installed at the moment of need.
RESULT_FILES = ("report.html", "lesions.csv", "scores.json", "segmentation.seg.nrrd")
PDF_FILE = "report.pdf"
SELF_TEST_KVP = 120


class RulesAndOutputsWork:
    """One piece of work at a time; ``current()`` gives the review, ``changed()`` is called at its start and end.

    ``ensureReport()`` installs what a report needs.
    """

    def __init__(
        self,
        form,
        current: Callable[[], Review | None],
        changed: Callable[[], object],
        ensureReport: Callable[[], object],
    ) -> None:
        self.form = form
        self._current = current
        self._ensureReport = ensureReport
        self._show: Callable[[object], object] = lambda result: None
        self._answers = (form.rulesAnswer, form.outputsAnswer, form.selfTestAnswer)
        self._answer: Answer = form.rulesAnswer  # of the work that was started last here
        self._runs = {answer: RunControl(answer, lambda: self._changed(changed)) for answer in self._answers}
        for button, action in (
            (form.compareButton, self.compareRules),
            (form.reportButton, self.saveReport),
            (form.segButton, lambda: self.saveDicom(SEGMENTATION_FILE)),
            (form.srButton, lambda: self.saveDicom(REPORT_FILE)),
            (form.selfTestButton, self.selfTest),
            *((answer.cancelButton, run.cancel) for answer, run in self._runs.items()),
        ):
            button.connect("clicked(bool)", lambda _checked=False, action=action: action())

    @property
    def running(self) -> bool:
        """Whether something is running."""
        return any(run.running for run in self._runs.values())

    @property
    def outputs(self) -> RunControl:
        """The run that writes files."""
        return self._runs[self.form.outputsAnswer]

    def abandon(self, seconds: float = 0.0) -> None:
        """Stop what runs, and wait for its end at most so long."""
        for answer, run in self._runs.items():
            run.abandon(seconds)
            answer.showRunning(False)

    def say(self, message: str) -> None:
        """Show a sentence beside the button of the work that was started last."""
        self._answer.say(message)

    def sayNothing(self) -> None:
        """Take away what was said before."""
        for answer in (*self._answers, self.form.massAnswer):
            answer.say("")

    def _changed(self, changed: Callable[[], object]) -> None:
        for answer, run in self._runs.items():
            answer.showRunning(run.running)
        changed()

    def compareRules(self) -> None:
        """Score the same lesions by every rule set, and show them side by side."""
        self._answer = self.form.rulesAnswer
        score = self._current().score

        def show(compared) -> None:
            review = self._current()
            if review is not None and review.score is score:
                show_rules(self.form, compared)
            else:
                self.say(_("The scores have changed in the meantime: compare again."))

        self._startWithResult(
            lambda result, _progress: replace(result, options=replace(result.options, compare_rules=True)).compared,
            show,
        )

    def saveReport(self) -> None:
        """Ask for a folder and write the report into it, as a page and as a PDF."""
        self._answer = self.form.outputsAnswer
        folder = self._folder(_("Folder for the report"), (*RESULT_FILES, PDF_FILE))
        if not folder:
            return
        with slicer.util.tryWithErrorDisplay(_("The report could not be written.")):
            try:
                self._ensureReport()
            except InputError as rejection:
                self.say(str(rejection))
                return
            withIdentity = self.form.identityCheckBox.checked
            files = dicomFilesOf(self._current().volumeNode)[0] if withIdentity else []
            self._startWithResult(
                lambda result, progress: rules_and_outputs.write_signed_report(
                    _with_images(result, files), folder, with_identity=withIdentity, progress=progress
                ),
                self._saySaved,
            )

    def saveDicom(self, name: str) -> None:
        """Ask for a folder and write a DICOM object of this name into it."""
        self._answer = self.form.outputsAnswer
        files, unknown = dicomFilesOf(self._current().volumeNode)
        folder = "" if unknown else self._folder(_("Folder for the DICOM object"), (name,))
        if not folder:
            return
        self._startWithResult(
            lambda result, progress: rules_and_outputs.write_dicom_files(
                _with_images(result, files), folder, [name], progress
            ),
            self._saveInDatabase,
        )

    def selfTest(self) -> None:
        """Scan the digital insert and show truth beside measurement."""
        form = self.form
        self._answer = form.selfTestAnswer
        form.insertTable.visible = False  # what it shows was measured with other settings
        thickness, kernel, dose = form.thicknessSpinBox.value, form.kernelComboBox.currentText, form.doseSpinBox.value
        self._start(
            lambda progress: rules_and_outputs.measure_digital_insert(thickness, kernel, dose, SELF_TEST_KVP, progress),
            lambda measurement: show_insert(form, measurement),
        )

    def _startWithResult(self, work, show) -> None:
        """Start work on the reader's result, which has its own copy of the voxels; what cannot be scored is said."""
        try:
            result = self._current().case_result()
        except InputError as rejection:
            self.say(str(rejection))
            return
        self._start(lambda progress: work(result, progress), show)

    def _folder(self, title: str, names: tuple[str, ...]) -> str:
        return askFolder(self.form.reportButton, title, names)

    def _start(self, work, show) -> None:
        self.say("")
        self._show = show
        self._runs[self._answer].start(work, self._finish)

    def _finish(self, outcome, _seconds: float) -> None:
        """Show what came of the work; an unforeseen error is shown as every other of the panel is."""
        with slicer.util.tryWithErrorDisplay(_("The work could not be finished.")):
            if isinstance(outcome, Finished):
                self.say("")
                self._show(outcome.result)
            elif isinstance(outcome, Failed) and isinstance(outcome.error, InputError):
                self.say(str(outcome.error))
            elif isinstance(outcome, Failed):
                self.say("")
                raise outcome.error
            else:
                self.say(_("Cancelled."))

    def _saveInDatabase(self, path) -> None:
        """Say where a DICOM object was saved, and add it to the database if that is wanted."""
        self._saySaved(path)
        if self.form.databaseCheckBox.checked:
            addToDicomDatabase(str(path))
            self.say(_("Saved: {path}, and added to Slicer's DICOM database.").format(path=path))

    def _saySaved(self, path) -> None:
        self.say(_("Saved: {path}").format(path=path))


def _with_images(result, files: list[str]):
    """The result with the CT's DICOM images, where they are needed."""
    return replace(result, volume=rules_and_outputs.with_series(result.volume, files)) if files else result
