"""What the reader takes away: the table, the results as files, and the training case."""

from collections.abc import Callable

import slicer
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress
from CoronaryCalciumScoringLib.background_run import Failed, Finished
from CoronaryCalciumScoringLib.review import Review
from CoronaryCalciumScoringLib.score_table import TABLE_FILE, table_lines, table_text, write_table
from CoronaryCalciumScoringLib.training_case import training_case, write_training_case
from slicer.i18n import tr as _

from .application import askFolder
from .controls import Explained
from .review_panel import ReviewPanel
from .rules_and_outputs_work import RESULT_FILES
from .run_control import RunControl


class Saving:
    """The buttons for tables and files; files are written beside the window, with progress and Cancel.

    ``run`` writes, while the panel's ``scoring`` is idle; ``say`` shows a sentence beside the buttons; ``prepare()``
    installs what the report needs.
    """

    def __init__(
        self,
        ui,
        reviewPanel: ReviewPanel,
        run: RunControl,
        scoring: RunControl,
        say: Callable[[str], object],
        prepare: Callable[[], object],
    ) -> None:
        self._ui = ui
        self._reviewPanel = reviewPanel
        self._run = run
        self._scoring = scoring
        self._say = say
        self._prepare = prepare
        self._controls = Explained(ui.resultsButton, ui.trainingButton)
        ui.copyButton.connect("clicked(bool)", lambda _checked=False: self.copy())
        ui.resultsButton.connect("clicked(bool)", lambda _checked=False: self.saveResults())
        ui.trainingButton.connect("clicked(bool)", lambda _checked=False: self.saveTrainingCase())

    def update(self) -> None:
        """Make the buttons say whether they can be used now."""
        waiting = ""
        if self._scoring.running:
            waiting = _("Wait for the run, or cancel it.")
        elif self._run.running:
            waiting = _("Wait for the work that is running, or cancel it.")
        self._controls.allow(self._reviewPanel.whyNot or waiting)

    def copy(self) -> None:
        """Copy the score table as text for a spreadsheet."""
        review = self._reviewPanel.review
        review.live.update()
        if review.score is None:
            self._say(review.live.reason)
            return
        slicer.app.clipboard().setText(table_text(review.tableNode))
        self._say(_("The table is on the clipboard."))

    def saveResults(self) -> None:
        """Ask for a folder and write report, tables and segmentation into it."""
        self._save(_("Folder for the results"), self._results, (*RESULT_FILES, TABLE_FILE))

    def saveTrainingCase(self) -> None:
        """Ask for a folder and write a training case into it."""
        self._save(_("Folder of the training cases"), self._trainingCase)

    def _results(self, review: Review, folder: str) -> Callable[[Progress], object]:
        """Take the results out of the scene; returns the work of writing them."""
        self._prepare()
        from coronary_calcium.reports import Extras
        from coronary_calcium.reports.case_files import write_results

        result, extras, table = (
            review.case_result(),
            Extras(views=review.view_pictures()),
            table_lines(review.tableNode),
        )

        def write(progress: Progress):
            written = write_results(result, folder, progress, extras)
            write_table(table, folder)
            if not written.removed:
                return written.report
            gone = _("removed from the folder, because of earlier scores: {files}")
            return f"{written.report}; {gone.format(files=', '.join(written.removed))}"

        return write

    def _trainingCase(self, review: Review, folder: str) -> Callable[[Progress], object]:
        """Take the training case out of the scene; returns the work of writing it."""
        case = training_case(review)
        return lambda progress: write_training_case(case, folder, progress)

    def _save(
        self, title: str, take: Callable[[Review, str], Callable[[Progress], object]], names: tuple[str, ...] = ()
    ) -> None:
        """Ask for a folder and write files, of these names if they are fixed, into it.

        Nothing happens when the user closes the question.
        """
        folder = askFolder(self._ui.saveCollapsibleButton, title, names)
        if not folder:
            return
        with slicer.util.tryWithErrorDisplay(_("The files could not be written."), waitCursor=True):
            try:
                write = take(self._reviewPanel.review, folder)
            except InputError as rejection:
                self._say(_("Not saved: {reason}").format(reason=rejection))
            else:
                self._run.start(write, self._saved)

    def _saved(self, outcome, _seconds: float) -> None:
        """Say what came of it; a rejection is said, any other error is shown."""
        if isinstance(outcome, Finished):
            self._say(_("Saved: {path}").format(path=outcome.result))
        elif not isinstance(outcome, Failed):
            self._say(_("Cancelled: nothing was saved."))
        elif isinstance(outcome.error, InputError):
            self._say(_("Not saved: {reason}").format(reason=outcome.error))
        else:
            self._say(_("Not saved."))
            with slicer.util.tryWithErrorDisplay(_("The files could not be written.")):
                raise outcome.error
