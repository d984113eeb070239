"""The review in the panel: lesions, clicks, keys and the editor on one side, the live scores on the other."""

import functools
from collections.abc import Callable

import qt
import slicer
from coronary_calcium.arteries import LAD, LCX, LM, RCA, Artery
from coronary_calcium.errors import InputError
from coronary_calcium.heart.field import Window
from coronary_calcium.heart.find import find_heart
from CoronaryCalciumScoringLib.background_run import Failed, Finished
from CoronaryCalciumScoringLib.candidates import find_candidates
from CoronaryCalciumScoringLib.edits import Edit, EditResult
from CoronaryCalciumScoringLib.review import Review
from CoronaryCalciumScoringLib.score_table import LesionRow, is_score_of
from CoronaryCalciumScoringLib.slice_views import center_on, heart_center, hide_mark, jump_to
from CoronaryCalciumScoringLib.stored_prediction import prediction_node
from CoronaryCalciumScoringLib.surfaces import heart_surface, hide_surfaces, lesion_surfaces, show_surfaces
from slicer.i18n import tr as _

from .application import acquisitionOf
from .controls import Explained, FittedColumns, disabledShortcuts, removeShortcuts
from .lesion_list import LesionList
from .run_control import RunControl
from .score_view import COLUMNS, artery_color, change_text, no_review_text, showScores
from .segment_editor import SegmentEditor
from .slice_clicks import SliceClicks

# A stroke fires several events; the scores follow once, and still before the reader looks up.
UPDATE_DELAY_MS = 30
# Surfaces follow when no edit has come for so long, so that no stroke waits for them.
SURFACE_DELAY_MS = 400
SWATCH_PIXELS = 12


class ReviewPanel:
    """Follows the panel's nodes: opens the review that belongs to them, and closes it when they change.

    ``shortcutParent`` is the window in which the keys work; ``run`` does what takes seconds. The functions of
    ``onClosing`` are called before a review closes.
    """

    def __init__(self, ui, shortcutParent, run: RunControl) -> None:
        self._ui = ui
        self._run = run
        self.review: Review | None = None
        self.onClosing: list[Callable[[], object]] = []
        self._reason = ""  # why there is no review of nodes that are there
        self._followed: tuple = ()
        self._entered = False
        self._editing = False  # an edit of the panel's own
        self._artery: Artery | None = LAD  # None removes
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(UPDATE_DELAY_MS)
        self._timer.connect("timeout()", self.update)
        self._surfaceTimer = qt.QTimer()
        self._surfaceTimer.setSingleShot(True)
        self._surfaceTimer.setInterval(SURFACE_DELAY_MS)
        self._surfaceTimer.connect("timeout()", self._refreshSurfaces)
        self.editor = SegmentEditor(ui.segmentEditorWidget)
        self.clicks = SliceClicks(self.onClick)
        self._scoreColumns = FittedColumns(ui.scoreTable, COLUMNS)
        self._lesions = LesionList(ui.lesionTable, self._showLesion)
        self._buttons = {
            LM: ui.lmButton,
            LAD: ui.ladButton,
            LCX: ui.lcxButton,
            RCA: ui.rcaButton,
            None: ui.removeButton,
        }
        for artery, button in self._buttons.items():
            button.connect("clicked(bool)", lambda _checked=False, artery=artery: self.choose(artery))
            if artery is not None:
                swatch = qt.QPixmap(SWATCH_PIXELS, SWATCH_PIXELS)
                swatch.fill(artery_color(artery.name))
                button.setIcon(qt.QIcon(swatch))
                button.setIconSize(qt.QSize(SWATCH_PIXELS, SWATCH_PIXELS))
        ui.previousButton.connect("clicked(bool)", lambda _checked=False: self._lesions.step(-1))
        ui.nextButton.connect("clicked(bool)", lambda _checked=False: self._lesions.step(1))
        ui.undoButton.connect("clicked(bool)", lambda _checked=False: self.undo())
        ui.redoButton.connect("clicked(bool)", lambda _checked=False: self.redo())
        ui.clickCheckBox.connect("toggled(bool)", lambda _checked=False: self._listen())
        ui.candidatesCheckBox.connect("toggled(bool)", self._showCandidates)
        ui.predictionCheckBox.connect("toggled(bool)", self._showPrediction)
        ui.surfacesCheckBox.connect("toggled(bool)", self._showSurfaces)
        self._controls = Explained(
            *self._buttons.values(),
            ui.lesionTable,
            ui.previousButton,
            ui.nextButton,
            ui.clickCheckBox,
            ui.undoButton,
            ui.redoButton,
            ui.candidatesCheckBox,
            ui.surfacesCheckBox,
            ui.copyButton,
        )
        self._predictionControl = Explained(ui.predictionCheckBox)
        self.shortcuts = self._makeShortcuts(shortcutParent)
        self._show()

    def _makeShortcuts(self, parent) -> dict:
        """The keys, which work wherever the mouse is while the module is open, but not while text is typed."""
        actions = {
            "1": lambda: self.choose(LM),
            "2": lambda: self.choose(LAD),
            "3": lambda: self.choose(LCX),
            "4": lambda: self.choose(RCA),
            "0": lambda: self.choose(None),
            "N": lambda: self._lesions.step(1),
            "P": lambda: self._lesions.step(-1),
            "Ctrl+Z": self.undo,
            "Ctrl+Y": self.redo,
        }
        return disabledShortcuts(parent, actions)

    def enter(self) -> None:
        """The module is on the screen: listen to views and keys."""
        self._entered = True
        self.editor.enter()
        self._listen()

    def exit(self) -> None:
        """Another module is on the screen: leave views and keys alone; the scores go on following."""
        self._entered = False
        self.editor.exit()
        self._listen()
        if slicer.mrmlScene:
            hide_mark(slicer.mrmlScene)

    def dispose(self) -> None:
        """Take the keys off the window; the panel is gone after this."""
        removeShortcuts(self.shortcuts)
        self.shortcuts = {}

    @property
    def whyNot(self) -> str:
        """Why there is nothing to review; empty while there is a review."""
        return "" if self.review is not None else no_review_text()

    def follow(self, segmentationNode, volumeNode, tableNode) -> None:
        """Review these nodes, if they belong together; any may be None."""
        nodes = (segmentationNode, volumeNode, tableNode)
        if nodes == self._followed:
            return
        self.close()
        self._followed = nodes
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        drawn_on = segmentationNode.GetNodeReference(role) if segmentationNode is not None else None
        if is_score_of(tableNode, volumeNode) and drawn_on is volumeNode:
            self._open(segmentationNode, volumeNode, tableNode)
        self._show()

    def _open(self, segmentationNode, volumeNode, tableNode) -> None:
        self.editor.open(segmentationNode, volumeNode)
        try:
            self.review = Review(
                segmentationNode,
                volumeNode,
                self.editor,
                self._timer.start,
                tableNode=tableNode,
                acquisition=acquisitionOf(volumeNode),
            )
        except InputError as rejection:
            self._reason = str(rejection)
            self.editor.close()
            return
        self.review.onChanged.append(lambda _score: self._followReview())
        self.editor.markFrom(self.review.marking_threshold_hu)
        self.choose(self._artery)
        self._unfold(True)
        self._listen()

    def _unfold(self, open: bool) -> None:
        """Unfold the sections of a review when there is one; the reader may fold them as they like."""
        for group in (self._ui.reviewCollapsibleButton, self._ui.saveCollapsibleButton):
            group.collapsed = not open

    def close(self) -> None:
        """End the review, if there is one; what the reader did stays in the scene."""
        for callback in self.onClosing if self.review is not None else ():
            callback()
        review, self.review = self.review, None
        self._reason, self._followed = "", ()
        self._timer.stop()
        self._surfaceTimer.stop()
        self._listen()
        if review is not None:
            self._ui.candidatesCheckBox.checked = self._ui.surfacesCheckBox.checked = False
            review.close()
            self.editor.close()
            if slicer.mrmlScene:  # there is none any more when the application ends
                hide_mark(slicer.mrmlScene)
        self._unfold(False)
        self._ui.editLabel.text = ""
        self._show()

    def update(self) -> None:
        """Bring the scores up to date after an edit that somebody made."""
        if self.review is not None:
            with slicer.util.tryWithErrorDisplay(_("The scores could not be computed.")):
                self.review.live.update()

    def choose(self, artery: Artery | None) -> None:
        """Let clicks and strokes go to an artery; None lets clicks remove."""
        self._artery = artery
        self._buttons[artery].checked = True
        if self.review is None:
            return
        if artery is None:
            self._say(_("A click removes a lesion."))
            return
        self.editor.choose(self.review.segmentationNode, artery.name)
        self._say(_("A click on a bright spot assigns the lesion to {artery}.").format(artery=artery.name))

    def onClick(self, ras: tuple[float, float, float], shift: bool) -> None:
        """A click in a slice view."""
        if self.editor.effectActive:
            self._say(_("A tool of the editor below takes the clicks: switch it off to assign lesions."))
            return
        if shift or self._artery is None:
            self._edit(lambda: self.review.remove(ras))
        else:
            self._edit(lambda: self.review.assign(ras, self._artery))

    def undo(self) -> None:
        """Undo the last click or stroke."""
        self._step(self.review.undo, _("Undone"), _("There is nothing to undo."))

    def redo(self) -> None:
        """Redo what was undone last."""
        self._step(self.review.redo, _("Redone"), _("There is nothing to redo."))

    def useCandidates(self, candidates) -> None:
        """Show candidates that were found before, such as for a start without the network."""
        if self.review is not None:
            self.review.use_candidates(candidates)
            self._ui.candidatesCheckBox.checked = True

    def showHighest(self, windows: tuple[Window, ...] = ()) -> None:
        """Go to the lesion or candidate with the highest score; without any, to the heart, by its search's windows."""
        if self.review is None or self._lesions.selectHighest():
            return
        center = heart_center(self.review.ct.volume, windows)
        if center is not None:
            center_on(slicer.mrmlScene, center)

    def _step(self, step, done: str, nothing: str) -> None:
        """Go a step back or forth in the history, and say what came of it."""

        def edit() -> EditResult:
            before = self.review.score
            if not step():
                return EditResult(Edit.NOTHING, nothing)
            changes = change_text(before, self.review.score)
            return EditResult(Edit.NOTHING, f"{done}: {changes}." if changes else f"{done}.")

        self._edit(edit)

    def _edit(self, edit) -> None:
        self._editing = True
        with slicer.util.tryWithErrorDisplay(_("The segmentation could not be changed.")):
            try:
                self._say(edit().message)
            except InputError as rejection:
                self._say(str(rejection))
            finally:
                self._editing = False

    def _say(self, message: str) -> None:
        self._ui.editLabel.text = message

    def _listen(self) -> None:
        """Listen to clicks and keys while there is something to review on the screen."""
        active = self._entered and self.review is not None
        for shortcut in self.shortcuts.values():
            shortcut.enabled = active
        self.clicks.switch(active and self._ui.clickCheckBox.checked)

    def _showLesion(self, row: LesionRow) -> None:
        jump_to(slicer.mrmlScene, row.ras, row.radius_mm)

    def _showCandidates(self, shown: bool) -> None:
        """Show or hide the candidates; the first time they are searched for beside the window."""
        review = self.review
        if review is None:
            return
        with slicer.util.tryWithErrorDisplay(_("The candidates could not be shown.")):
            try:
                if not shown or review.knows_candidates:
                    review.show_candidates(shown)
                    self._show()
                elif self._run.running:
                    self._withoutCandidates(_("Wait for the run, or cancel it."))
                else:
                    ct = review.ct
                    self._run.start(
                        functools.partial(find_candidates, ct.volume, rules=review.rules),
                        lambda outcome, _seconds: self._foundCandidates(review, ct, outcome),
                    )
            except InputError as rejection:
                self._withoutCandidates(str(rejection))

    def _foundCandidates(self, review: Review, ct, outcome) -> None:
        if review is not self.review:
            return
        with slicer.util.tryWithErrorDisplay(_("The candidates could not be shown.")):
            try:
                if isinstance(outcome, Finished):
                    ct.check_unchanged(review.volumeNode)
                    review.use_candidates(outcome.result)
                    review.show_candidates(True)
                    self._show()
                    self._say(
                        _("Red: what reaches {threshold} HU in the heart's region and belongs to no artery.").format(
                            threshold=f"{review.marking_threshold_hu:g}"
                        )
                    )
                elif isinstance(outcome, Failed):
                    self._withoutCandidates("")
                    raise outcome.error
                else:
                    self._withoutCandidates(_("Cancelled: no candidates are shown."))
            except InputError as rejection:
                self._withoutCandidates(str(rejection))

    def _withoutCandidates(self, message: str) -> None:
        self._ui.candidatesCheckBox.checked = False
        self._say(message)

    def _showPrediction(self, shown: bool) -> None:
        if self.review is not None and self.review.prediction is not None:
            prediction_node(self.review.segmentationNode).GetDisplayNode().SetVisibility(shown)

    def _showSurfaces(self, shown: bool) -> None:
        """Show lesions and heart in the 3D views, or take them away; the heart is searched for beside the window."""
        if not shown:
            if slicer.mrmlScene:
                hide_surfaces(slicer.mrmlScene)
            return
        self._refreshSurfaces()
        if self.review is None or self._run.running:
            return
        volume = self.review.ct.volume

        def work(progress):
            field = find_heart(volume, progress)
            return heart_surface(field.region, volume) if field.found else None

        self._run.start(work, lambda outcome, _seconds: self._foundHeart(outcome))

    def _foundHeart(self, outcome) -> None:
        """Add the heart to the lesions; without it, the lesions stay alone."""
        if isinstance(outcome, Finished) and outcome.result is not None and self._ui.surfacesCheckBox.checked:
            self._refreshSurfaces(outcome.result)
        elif isinstance(outcome, Failed):
            with slicer.util.tryWithErrorDisplay(_("The heart could not be shown.")):
                raise outcome.error

    def _refreshSurfaces(self, heart=None) -> None:
        review = self.review
        if review is None or review.score is None or not self._ui.surfacesCheckBox.checked:
            return
        show_surfaces(slicer.mrmlScene, lesion_surfaces(review.score, review.ct.volume), heart)

    def _followReview(self) -> None:
        """The scores have changed, or the rules."""
        if not self._editing:
            self._say("")  # what was said of the last click is out of date
        if self._ui.surfacesCheckBox.checked:
            self._surfaceTimer.start()
        if self.review is not None:
            self.editor.markFrom(self.review.marking_threshold_hu)
        self._show()

    def _show(self) -> None:
        """Make the panel show the review as it is."""
        ui, review = self._ui, self.review
        scored = review is not None and review.score is not None
        reason = review.live.reason if review is not None else self._reason
        why = self.whyNot
        for group in (ui.reviewCollapsibleButton, ui.saveCollapsibleButton):
            group.enabled, group.toolTip = review is not None, why
        self._controls.allow(why)
        showScores(ui, self._scoreColumns, review.tableNode if scored else None, reason)
        self._lesions.show([*review.lesion_rows(), *review.candidate_rows()] if review is not None else [])
        has_prediction = review is not None and review.prediction is not None
        self._predictionControl.allow(
            why or ("" if has_prediction else _("There is no AI prediction: the review was started without AI."))
        )
        if has_prediction:
            ui.predictionCheckBox.checked = bool(
                prediction_node(review.segmentationNode).GetDisplayNode().GetVisibility()
            )
