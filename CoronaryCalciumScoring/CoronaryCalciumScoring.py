"""The module as 3D Slicer sees it: its entry in the menu, its panel, its logic and its test in the application."""

import functools
import importlib
import sys

import qt
import slicer
import vtk
from coronary_calcium.errors import InputRefused
from coronary_calcium.statements import RESEARCH_USE
from CoronaryCalciumScoringLib import logic as scene_logic
from CoronaryCalciumScoringLib.background_run import BackgroundRun, Failed, Finished
from CoronaryCalciumScoringLib.score_table import is_score_of
from CoronaryCalciumScoringWidgets.application import acquisitionOf, ensurePackages
from CoronaryCalciumScoringWidgets.device import Device
from CoronaryCalciumScoringWidgets.panel_text import volume_text
from CoronaryCalciumScoringWidgets.score_view import showScores
from CoronaryCalciumScoringWidgets.self_test import CoronaryCalciumScoringTest
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

# Often enough that the seconds run smoothly, seldom enough to cost nothing.
POLL_INTERVAL_MS = 100
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
        self.parent.helpText = _("""
Finds calcified plaque of the coronary arteries on a non-contrast CT of the chest or heart and gives the Agatston score.
Select the CT and press Run. Research use only: check every lesion against the images.
""")
        self.parent.acknowledgementText = _("""
The network follows the DenseRAUnet paper; the score follows Agatston et al., J Am Coll Cardiol 1990;15:827.
""")


@parameterNodeWrapper
class CoronaryCalciumScoringParameterNode:
    """What the panel remembers with the scene.

    inputVolume - the CT to score.
    device - where the network runs.
    segmentation - the last result's segments.
    scoreTable - the last result's scores; the panel shows them.
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
        self._run = None
        self._runningCase = None
        self._runningVolume = None
        self._message = ""  # how the last run ended, for the CT that is shown
        self._shownVolume = None

    def setup(self) -> None:
        """Build the panel; called when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/CoronaryCalciumScoring.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui.scoreTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self.ui.intendedUseLabel.text = _(RESEARCH_USE)

        self.logic = CoronaryCalciumScoringLogic()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self._timer.connect("timeout()", self.onPoll)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called when the application closes and the module widget is destroyed."""
        run = self._run
        self._abandonRun()
        if run:
            run.wait(CLEANUP_WAIT_SECONDS)
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user opens a different module; a run goes on."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._updatePanel)

    def onSceneStartClose(self, caller, event) -> None:
        """Called just before the scene is closed: what runs is for a CT that goes away."""
        self._abandonRun()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onReload(self) -> None:
        """Reload the module with its libraries, which Slicer's reload alone would leave as they were."""
        self._abandonRun()
        for name in [name for name in sys.modules if name.split(".")[0] in LIBRARIES]:
            del sys.modules[name]
        importlib.invalidate_caches()
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self) -> None:
        """Ensure that the parameter node exists and is observed, and that a CT is selected if there is one."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            firstVolumeNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
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
        if self._run:
            self._run.cancel()
            self._updatePanel()
            return
        with slicer.util.tryWithErrorDisplay(_("The CT could not be scored."), waitCursor=True):
            self._start()

    def ensurePackages(self) -> None:
        """Install what the network needs and Slicer does not ship."""
        ensurePackages(self.resourcePath("requirements.txt"))

    def _start(self) -> None:
        volumeNode = self._parameterNode.inputVolume
        self._message = ""
        try:
            self.ensurePackages()
            self._runningCase = self.logic.prepare(
                volumeNode, device=self._parameterNode.device.value, acquisition=acquisitionOf(volumeNode)
            )
        except InputRefused as refusal:
            self._sayNotScored(refusal)
        else:
            self._runningVolume = volumeNode
            self._run = BackgroundRun(functools.partial(self.logic.compute, self._runningCase))
            self._timer.start()
        self._updatePanel()

    def _sayNotScored(self, error: Exception) -> None:
        """Say why, and show no earlier score beside it; its table stays in the scene."""
        self._message = _("Not scored: {reason}").format(reason=error)
        self._parameterNode.scoreTable = None

    def onPoll(self) -> None:
        """Show how far the run is, and take its outcome."""
        status = self._run.poll() if self._run else None
        if status is None:
            return
        if status.outcome:
            self._finish(status.outcome, status.seconds)
            return
        self.ui.progressBar.value = round(100 * status.fraction)
        self.ui.progressBar.format = _("%p %, {seconds} s").format(seconds=int(status.seconds))
        if not self._run.cancelling:
            self.ui.statusLabel.text = status.text or _("Starting ...")

    def _finish(self, outcome, seconds: float) -> None:
        """Take the outcome of the run; the first thing is that the panel can run again, whatever comes after."""
        case, volumeNode = self._runningCase, self._runningVolume
        self._abandonRun()
        self._message = _("Cancelled. The scene is as it was.")
        with slicer.util.tryWithErrorDisplay(_("The CT could not be scored.")):
            try:
                if isinstance(outcome, Finished):
                    scored = self.logic.show(volumeNode, case, outcome.result)
                    self._message = _("Scored in {seconds} s.").format(seconds=round(seconds))
                    self._parameterNode.segmentation = scored.segmentationNode
                    self._parameterNode.scoreTable = scored.tableNode
                elif isinstance(outcome, Failed):
                    raise outcome.error
            except InputRefused as refusal:
                self._sayNotScored(refusal)
            except Exception as error:
                self._sayNotScored(error)
                raise
            finally:
                self._updatePanel()

    def _abandonRun(self) -> None:
        """Stop the run, if there is one, and forget it."""
        if self._run:
            self._run.cancel()
        self._run = self._runningCase = self._runningVolume = None
        self._timer.stop()

    def _updatePanel(self, caller=None, event=None) -> None:
        """Make the panel say what can be done, and why not."""
        if not self._parameterNode:
            return
        volumeNode = self._parameterNode.inputVolume
        if volumeNode is not self._shownVolume:
            self._shownVolume, self._message = volumeNode, ""
        reason = self._whyNot(volumeNode)
        running = self._run is not None
        cancelling = running and self._run.cancelling
        self.ui.inputSelector.enabled = self.ui.deviceComboBox.enabled = not running
        self.ui.progressBar.visible = running
        self.ui.applyButton.text = _("Cancel") if running else _("Run")
        self.ui.applyButton.enabled = not cancelling if running else not reason
        if running:
            self.ui.applyButton.toolTip = _("Stop scoring; the scene stays as it was.")
            if cancelling:
                self.ui.applyButton.toolTip = _("Scoring stops at the end of the step that it is in.")
                self.ui.statusLabel.text = _("Cancelling ...")
        else:
            self.ui.applyButton.toolTip = reason or _("Find and score coronary calcium on this CT.")
            self.ui.statusLabel.text = reason or self._message or self._readyText(volumeNode)
        tableNode = self._parameterNode.scoreTable
        showScores(self.ui, tableNode if is_score_of(tableNode, volumeNode) else None)

    def _whyNot(self, volumeNode) -> str:
        """Why the CT cannot be scored, as far as it can be told without looking at its voxels; else empty."""
        if not volumeNode:
            return _("Select a CT to score.")
        return self.logic.whyRefused(volumeNode) or ""

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
