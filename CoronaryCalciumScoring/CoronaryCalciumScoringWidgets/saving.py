"""What the reader takes away: the table, the results as files, and the training case."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from coronary_calcium.errors import InputRefused
from CoronaryCalciumScoringLib.review import Review
from CoronaryCalciumScoringLib.score_table import table_text, write_table
from CoronaryCalciumScoringLib.training_case import save_training_case
from slicer.i18n import tr as _


class Saving:
    """The buttons of the section Save.

    ``current()`` gives the review or None; ``say`` shows a sentence; ``prepare()`` installs what the report needs.
    """

    def __init__(
        self,
        ui,
        current: Callable[[], Review | None],
        say: Callable[[str], object],
        prepare: Callable[[], object],
    ) -> None:
        self._ui = ui
        self._current = current
        self._say = say
        self._prepare = prepare
        ui.copyButton.connect("clicked(bool)", lambda _checked=False: self.copy())
        ui.resultsButton.connect("clicked(bool)", lambda _checked=False: self.saveResults())
        ui.trainingButton.connect("clicked(bool)", lambda _checked=False: self.saveTrainingCase())

    def copy(self) -> None:
        """Copy the score table as text for a spreadsheet."""
        review = self._current()
        review.live.update()
        if review.score is None:
            self._say(review.live.reason)
            return
        slicer.app.clipboard().setText(table_text(review.tableNode))
        self._say(_("The table is on the clipboard."))

    def saveResults(self) -> None:
        """Ask for a folder and write report, tables and segmentation into it."""
        self._save(_("Folder for the results"), self._writeResults)

    def saveTrainingCase(self) -> None:
        """Ask for a folder and write a training case into it."""
        self._save(_("Folder of the training cases"), save_training_case)

    def _writeResults(self, review: Review, folder: str) -> Path:
        self._prepare()
        from coronary_calcium.reports import Extras, write_case

        path = write_case(review.case_result(), folder, extras=Extras(views=review.view_pictures()))
        write_table(review.tableNode, folder)
        return path

    def _save(self, title: str, write: Callable[[Review, str], Path]) -> None:
        """Ask for a folder and write into it; a refusal is said, nothing happens when the user closes the question."""
        folder = qt.QFileDialog.getExistingDirectory(self._ui.saveCollapsibleButton, title)
        if not folder:
            return
        with slicer.util.tryWithErrorDisplay(_("The files could not be written."), waitCursor=True):
            try:
                path = write(self._current(), folder)
            except InputRefused as refusal:
                self._say(_("Not saved: {reason}").format(reason=refusal))
            else:
                self._say(_("Saved: {path}").format(path=path))
