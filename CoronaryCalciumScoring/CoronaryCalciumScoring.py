"""The module as 3D Slicer sees it: its entry in the menu, its panel, its logic and its test in the application."""

import functools
import importlib
import sys
from dataclasses import replace

import slicer
import vtk
from coronary_calcium.disclaimers import RESEARCH_USE, trained_on
from coronary_calcium.errors import InputError
from coronary_calcium.heart.contrast import OVERRULABLE
from CoronaryCalciumScoringLib import logic as scene_logic
from CoronaryCalciumScoringLib.background_run import Failed, Finished
from CoronaryCalciumScoringLib.reviews import may_be_replaced, replace_review, reviews_of, table_of
from CoronaryCalciumScoringLib.score_table import is_score_of
from CoronaryCalciumScoringWidgets.application import (
    KEEP,
    NEW,
    acquisitionOf,
    askAboutReview,
    confirmScoring,
    ensurePackages,
    ensureRequirements,
    showCT,
    shownVolume,
)
from CoronaryCalciumScoringWidgets.consensus_section import ConsensusSection
from CoronaryCalciumScoringWidgets.controls import Device, keepHeight, keepScrollHeight, leaveWheelToPanel
from CoronaryCalciumScoringWidgets.help_text import helpText
from CoronaryCalciumScoringWidgets.module_test import CoronaryCalciumScoringTest
from CoronaryCalciumScoringWidgets.quantities_section import QuantitiesSection
from CoronaryCalciumScoringWidgets.review_panel import ReviewPanel
from CoronaryCalciumScoringWidgets.review_selector import ReviewSelector
from CoronaryCalciumScoringWidgets.rules_and_outputs_section import RulesAndOutputsSection
from CoronaryCalciumScoringWidgets.run_control import RunControl, showRun
from CoronaryCalciumScoringWidgets.sample_data import registerSampleData
from CoronaryCalciumScoringWidgets.saving import Saving
from CoronaryCalciumScoringWidgets.score_view import device_text, volume_text
from CoronaryCalciumScoringWidgets.worklist_section import WorklistSection
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Slicer looks for the names of the module's parts in this file, also for those that lie in others.
__all__ = [
    "CoronaryCalciumScoring",
    "CoronaryCalciumScoringLogic",
    "CoronaryCalciumScoringTest",
    "CoronaryCalciumScoringWidget",
]

# How long closing the module waits for a cancelled run; a network's slice takes about a second on a slow processor.
CLEANUP_WAIT_SECONDS = 5.0
LIBRARIES = ("coronary_calcium", "CoronaryCalciumScoringLib", "CoronaryCalciumScoringWidgets")


class CoronaryCalciumScoring(ScriptedLoadableModule):
    """The module's entry in the menu."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Coronary Calcium Scoring")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        self.parent.dependencies = []
        self.parent.contributors = ["Coronary Calcium Scoring contributors"]
        self.parent.helpText = helpText()
        self.parent.acknowledgementText = _("""
The network follows the DenseRAUnet paper; the score follows Agatston et al., J Am Coll Cardiol 1990;15:827.
""")
        # Once the application is up; the module Sample Data may be loaded after this one.
        slicer.app.connect("startupCompleted()", registerSampleData)


@parameterNodeWrapper
class CoronaryCalciumScoringParameterNode:
    """What the panel remembers with the scene.

    inputVolume - the CT to score.
    device - where the network runs.
    segmentation - the segments under review.
    scoreTable - their scores; the panel shows them.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    device: Device = Device.AUTO
    segmentation: vtkMRMLSegmentationNode
    scoreTable: vtkMRMLTableNode


class CoronaryCalciumScoringWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)  # needed for parameter node observation
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self.run = None
        self.reviewPanel = None
        self.rulesAndOutputs = None
        self.quantities = None
        self.worklist = None
        self.consensus = None
        self._case = None
        self._volumeNode = None
        self._replaced = None  # the review that the result of the run replaces
        self._selector = None
        self._withAI = True
        self._message = ""  # how the last run ended, for the CT that is shown
        self._shownVolume = None
        self._saving = None
        self._filters = ()

    def setup(self) -> None:
        """Build the panel; called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/CoronaryCalciumScoring.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = CoronaryCalciumScoringLogic()
        self.run = RunControl(self.ui, self._updatePanel)
        self.reviewPanel = ReviewPanel(self.ui, slicer.util.mainWindow() or self.parent, self.run)
        self._selector = ReviewSelector(self.ui.reviewComboBox, self._chooseReview)
        self.rulesAndOutputs = RulesAndOutputsSection(
            self.ui.rulesCollapsibleButton,
            self.ui.saveCollapsibleButton,
            lambda: self.reviewPanel.review,
            self.ensurePdfPackages,
        )
        work = self.rulesAndOutputs.work
        self._saving = Saving(
            self.ui,
            self.reviewPanel,
            work.outputs,
            self.run,
            self.rulesAndOutputs.form.outputsAnswer.say,
            self.ensureReportPackages,
        )
        self.quantities = QuantitiesSection(self.ui.scoreCollapsibleButton.layout(), lambda: self.reviewPanel.review)
        self.worklist = WorklistSection(
            self.ui.worklistCollapsibleButton,
            slicer.util.mainWindow() or self.parent,
            self._showWorklistCase,
            lambda: self.reviewPanel.review,
            self._whyNoOtherCase,
        )
        self.consensus = ConsensusSection(
            self.ui.consensusCollapsibleButton,
            slicer.util.mainWindow() or self.parent,
            self.worklist,
            self._showCase,
            lambda: self.reviewPanel.review,
            self._whyNoOtherCase,
            self._turnToReview,
        )
        # What was done in a case is kept before another CT or review takes its place in the panel.
        self.reviewPanel.onClosing += [self.consensus.reading.keep, self.worklist.reading.keep]
        self._filters = (
            leaveWheelToPanel(uiWidget),
            keepHeight(uiWidget),
            keepScrollHeight(self.ui.editorScrollArea),
        )

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.startButton.connect("clicked(bool)", self.onStartButton)
        self.initializeParameterNode()
        if self.parent.isEntered:  # after a reload, which does not enter the module again
            self.enter()

    def cleanup(self) -> None:
        """Called when the application closes and the module widget is destroyed."""
        self._letGo(CLEANUP_WAIT_SECONDS)
        if self.reviewPanel is not None:
            self.reviewPanel.exit()
            self.reviewPanel.dispose()
        if self.consensus is not None:
            self.consensus.dispose()
            self.worklist.dispose()
        self.setParameterNode(None)
        self.removeObservers()

    def _letGo(self, seconds: float = 0.0) -> None:
        """Stop what runs, wait for its end at most so long, and end the review; nothing after a setup that failed."""
        if self.consensus is not None:
            self.consensus.letGo(seconds)
            self.worklist.letGo(seconds)
            self.run.abandon(seconds)
            self.reviewPanel.close()
            self.rulesAndOutputs.close(seconds)
            self.quantities.update()

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()
        self.reviewPanel.enter()
        self.worklist.enter()
        self.consensus.enter()

    def exit(self) -> None:
        """Called each time the user opens a different module; a run goes on, and so do the live scores."""
        self.consensus.exit()
        self.worklist.exit()
        self.reviewPanel.exit()
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._updatePanel)

    def onSceneStartClose(self, caller, event) -> None:
        """Called just before the scene is closed: what runs is for a CT that goes away."""
        self._letGo()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event) -> None:
        """Called after a scene was loaded: a review that was saved with it goes on."""
        if self.parent.isEntered:
            self.initializeParameterNode()
            self._updatePanel()

    def onReload(self) -> None:
        """Reload the module with its libraries, which Slicer's reload alone would leave as they were."""
        self.cleanup()  # Slicer's reload throws the widgets away without it
        for name in [name for name in sys.modules if name.split(".")[0] in LIBRARIES]:
            del sys.modules[name]
        importlib.invalidate_caches()
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self) -> None:
        """Ensure that the parameter node exists and is observed, and that a CT is selected if there is one."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            firstVolumeNode = shownVolume() or slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if firstVolumeNode:
                self._parameterNode.inputVolume = firstVolumeNode

    def setParameterNode(self, inputParameterNode: CoronaryCalciumScoringParameterNode | None) -> None:
        """Set and observe the parameter node, so that the panel follows it."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            if self.getObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._updatePanel):
                self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._updatePanel)
        self._parameterNode = inputParameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._updatePanel)
            self._updatePanel()

    def onApplyButton(self, checked: bool = False) -> None:
        """Run, or cancel what runs."""
        if self.run.running:
            self.run.cancel()
            self._updatePanel()
            return
        self._start(withAI=True)

    def onStartButton(self, checked: bool = False) -> None:
        """Start the review without the network."""
        self._start(withAI=False)

    def ensurePackages(self) -> None:
        """Install what the network needs and Slicer does not ship."""
        ensurePackages(self.resourcePath("requirements.txt"))

    def ensureReportPackages(self) -> None:
        """Install what the report needs and Slicer does not ship."""
        ensureRequirements(self.resourcePath("requirements.txt"))

    def ensurePdfPackages(self) -> None:
        """Install what the report as a PDF needs and Slicer does not ship."""
        ensureRequirements(self.resourcePath("requirements-pdf.txt"))

    def _start(self, *, withAI: bool) -> None:
        volumeNode = self._parameterNode.inputVolume
        self._message = ""
        if self._opensCase():
            self._say(_("Wait until the case of the worklist is open, or cancel it."))
            return
        if not self._mayStart():
            return
        with slicer.util.tryWithErrorDisplay(_("The CT could not be scored."), waitCursor=True):
            try:
                if withAI and not self._hasPackages():
                    return
                self._case = self.logic.prepare(
                    volumeNode, device=self._parameterNode.device.value, acquisition=acquisitionOf(volumeNode)
                )
            except InputError as rejection:
                self._sayNotScored(rejection)
            else:
                self._volumeNode, self._withAI = volumeNode, withAI
                if withAI:
                    self.run.follow(self.logic.start(self._case), self._finish)
                else:
                    self.run.start(functools.partial(self.logic.computeCandidates, self._case), self._finish)
            self._updatePanel()

    def _hasPackages(self) -> bool:
        """Whether all is installed that the network needs; what is missing is said, and a score on view stays."""
        try:
            self.ensurePackages()
        except InputError as rejection:
            self._say(_("Not scored: {reason}").format(reason=rejection))
            return False
        return True

    def _mayStart(self) -> bool:
        """Whether a run may start: it takes the place of a review that it cannot harm, and asks about any other."""
        review, self._replaced = self.reviewPanel.review, None
        if review is None:
            return True
        node = review.segmentationNode
        answer = None if may_be_replaced(node) else askAboutReview(node.GetName())
        if answer == KEEP:
            self._say(_("Your corrections are kept; nothing was run."))
            return False
        if answer != NEW:
            self._replaced = node
        return True

    def _chooseReview(self, segmentationNode) -> None:
        """Review this segmentation of the CT; None makes room for a new one."""
        self._message = ""
        self._parameterNode.scoreTable = None  # the table of before belongs to the segments of before
        self._parameterNode.segmentation = segmentationNode
        if segmentationNode is not None:
            self._parameterNode.scoreTable = table_of(segmentationNode, self._parameterNode.inputVolume)

    def _followVolume(self, volumeNode) -> None:
        """Another CT is selected: its review is opened again if there is one, and the views show it."""
        self._shownVolume, self._message = volumeNode, ""
        if volumeNode is None:
            return
        reviews = reviews_of(volumeNode)
        node, table = self._parameterNode.segmentation, self._parameterNode.scoreTable
        if node not in reviews or not is_score_of(table, volumeNode):
            self._chooseReview(node if node in reviews else next(reversed(reviews), None))
        if self.parent.isEntered:
            showCT(volumeNode)

    def _sayNotScored(self, error: Exception) -> None:
        """Say why, and show no earlier score beside it; its table stays in the scene."""
        self._message = _("Not scored: {reason}").format(reason=error)
        self._parameterNode.scoreTable = None

    def _say(self, message: str) -> None:
        self._message = message
        self._updatePanel()

    def _finish(self, outcome, seconds: float) -> None:
        """Take the outcome of the run; the panel can run again, whatever comes of it."""
        case, volumeNode = self._case, self._volumeNode
        self._case = self._volumeNode = None
        self._message = _("Cancelled. The scene is as it was.")
        with slicer.util.tryWithErrorDisplay(_("The CT could not be scored.")):
            try:
                if isinstance(outcome, Finished):
                    self._review(case, volumeNode, outcome.result, seconds)
                elif isinstance(outcome, Failed):
                    raise outcome.error
            except InputError as rejection:
                self._sayNotScored(rejection)
                if rejection.code in OVERRULABLE and confirmScoring(str(rejection)):
                    self._rescore(replace(case, allowed=case.allowed | {rejection.code}), volumeNode)
            except Exception as error:
                self._sayNotScored(error)
                raise

    def _rescore(self, case, volumeNode) -> None:
        """Run once more, with a rejection overruled."""
        self._message = ""
        self._case, self._volumeNode = case, volumeNode
        self.run.follow(self.logic.start(case), self._finish)

    def _review(self, case, volumeNode, result, seconds: float) -> None:
        """Show what the run found, and open the review of it."""
        if self._withAI:
            made = self.logic.show(volumeNode, case, result)
            self._message = _("Scored in {seconds} s on {device}.").format(
                seconds=round(seconds), device=device_text(result.device)
            )
        else:
            made = self.logic.showEmpty(volumeNode, case, result)
        message = self._message
        self._chooseReview(None)  # before its nodes may go
        replace_review(self._replaced, made.segmentationNode, volumeNode)
        self._replaced = None
        showCT(volumeNode)
        self._chooseReview(made.segmentationNode)
        if self._withAI:
            prediction = getattr(result, "prediction", None)
            self.reviewPanel.showHighest(prediction.covered.windows if prediction else ())
        else:
            self.reviewPanel.useCandidates(result)
            self.reviewPanel.showHighest(result.windows)
            message = _(
                "Started without AI. Candidates are outlined in red and listed by score: choose an artery below, and "
                "click each candidate that is its calcium."
            )
        self._message = message

    def _updatePanel(self, caller=None, event=None) -> None:
        """Make the panel say what can be done, and why not."""
        if not self._parameterNode:
            return
        volumeNode = self._parameterNode.inputVolume
        if volumeNode is not self._shownVolume:
            self._followVolume(volumeNode)
        shown = self._parameterNode.segmentation if self._parameterNode.scoreTable else None
        self._selector.update(volumeNode, shown)
        self.ui.reviewComboBox.enabled = not self.run.running
        reason = self._whyNot(volumeNode)
        showRun(self.ui, self.run, reason, reason or self._message or self._readyText(volumeNode))
        self.reviewPanel.follow(self._parameterNode.segmentation, volumeNode, self._parameterNode.scoreTable)
        prediction = self.reviewPanel.review and self.reviewPanel.review.prediction
        network = trained_on(prediction.model) if prediction else ""
        self.ui.intendedUseLabel.text = f"{network} {_(RESEARCH_USE)}".strip()
        self.rulesAndOutputs.update()
        self.quantities.update()
        self._saving.update()
        self.worklist.update()
        self.consensus.update()

    def _showCase(self, volumeNode) -> None:
        """Show a worklist's case with its review; None makes room for another."""
        self._chooseReview(None)
        self._parameterNode.inputVolume = volumeNode
        self._updatePanel()
        self.reviewPanel.showHighest()

    def _showWorklistCase(self, volumeNode) -> None:
        """Show a worklist's case; a consensus that is open is kept and left first."""
        self.consensus.leave()
        self._showCase(volumeNode)

    def _turnToReview(self) -> None:
        """Unfold the review and listen to clicks, for a lesion that is to be corrected."""
        self.ui.reviewCollapsibleButton.collapsed = False
        self.ui.clickCheckBox.checked = True

    def _whyNoOtherCase(self) -> str:
        """Why no other case can be shown now: something runs on this one."""
        running = self.run.running or self.rulesAndOutputs.running or self._opensCase()
        return _("Wait for the work that is running, or cancel it.") if running else ""

    def _opensCase(self) -> bool:
        """Whether a case, or a list of cases, is being opened."""
        return self.worklist.run.running or self.consensus.run.running

    def _whyNot(self, volumeNode) -> str:
        """Why the CT cannot be scored, as far as it can be told without looking at its voxels; else empty."""
        if not volumeNode:
            return _("Select a CT to score.")
        return self.logic.whyRejected(volumeNode) or self.worklist.whyNoRun(volumeNode, self.consensus.reading.case)

    def _readyText(self, volumeNode) -> str:
        return volume_text(volumeNode.GetImageData().GetDimensions(), volumeNode.GetSpacing())


class CoronaryCalciumScoringLogic(ScriptedLoadableModuleLogic, scene_logic.CoronaryCalciumScoringLogic):
    """The scene logic with the module's parameter node."""

    def __init__(self, engine: scene_logic.Engine = scene_logic.engine_score_case) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        scene_logic.CoronaryCalciumScoringLogic.__init__(self, engine)

    def getParameterNode(self) -> CoronaryCalciumScoringParameterNode:
        """The wrapped parameter node of the scene."""
        return CoronaryCalciumScoringParameterNode(super().getParameterNode())
