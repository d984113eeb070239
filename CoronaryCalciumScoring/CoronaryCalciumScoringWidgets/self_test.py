"""The module's test in the application; the module file offers it under the name that Slicer looks for."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import slicer
import vtk
from coronary_calcium.arteries import BY_NAME, LCX, RCA
from CoronaryCalciumScoringLib.logic import engine_score_case
from CoronaryCalciumScoringLib.made_up_ct import MADE_UP_AGATSTON, PLAQUES, add_made_up_ct
from CoronaryCalciumScoringLib.score_table import score_rows, table_text
from CoronaryCalciumScoringLib.segmentation import artery_segments
from CoronaryCalciumScoringLib.training_case import save_training_case
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

# The made-up CT takes a fraction of a second; a busy machine, some seconds.
RUN_SECONDS = 60
# Where to put a picture of the window after each step; none are made without it.
SCREENSHOTS_VARIABLE = "CORONARY_CALCIUM_SCREENSHOTS"


class CoronaryCalciumScoringTest(ScriptedLoadableModuleTest):
    """The module's work in the application, on a made-up CT with a given label map: no network, no download."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run all tests."""
        for test in (
            self.test_logic,
            self.test_refusal,
            self.test_panel,
            self.test_cancel,
            self.test_workflow,
            self.test_without_ai,
        ):
            self.setUp()
            test()
        self.delayDisplay("Test passed")

    def test_logic(self) -> None:
        """The logic makes segments and a table with the score that the plaques' size tells."""
        self.delayDisplay("Scoring a made-up CT")
        volumeNode, labels = add_made_up_ct(slicer.mrmlScene)
        scored = self._logic().score(volumeNode, labels=labels)
        self.assertEqual(score_rows(scored.tableNode)[-1].agatston, MADE_UP_AGATSTON)
        self.assertEqual(scored.segmentationNode.GetSegmentation().GetNumberOfSegments(), len(BY_NAME))
        again = self._logic().score(volumeNode, maskSegmentation=scored.segmentationNode)
        self.assertEqual(again.result.score, scored.result.score)

    def test_refusal(self) -> None:
        """A CT under a transform is refused in words, and the button says why."""
        volumeNode, _labels = add_made_up_ct(slicer.mrmlScene)
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        widget = self._widget(volumeNode)
        self.assertFalse(widget.ui.applyButton.enabled)
        self.assertIn("transform", widget.ui.applyButton.toolTip)
        self._picture("refused")

    def test_panel(self) -> None:
        """Run in the panel ends with the scores in the table."""
        widget = self._scored()
        self.assertIn("Scored", widget.ui.statusLabel.text)
        self.assertEqual(widget.ui.scoreTable.rowCount, len(BY_NAME) + 1)
        self._picture("scored")

    def test_cancel(self) -> None:
        """Cancel in the panel leaves the scene as it was."""
        volumeNode, labels = add_made_up_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode, labels)
        before = slicer.mrmlScene.GetNumberOfNodes()
        widget.ui.applyButton.click()
        widget.onApplyButton()
        self._wait(widget)
        self.assertIn("Cancelled", widget.ui.statusLabel.text)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_workflow(self) -> None:
        """Jump to a lesion, move, remove, undo, redo, an edit from outside, table, training case, save and reload."""
        widget = self._scored()
        panel, ui = widget.reviewPanel, widget.ui
        segmentationNode = panel.review.segmentationNode
        ui.nextButton.click()
        self._picture("lesion")
        panel.choose(LCX)
        panel.onClick(self._place(0), False)
        self.assertEqual(self._agatston("LCX"), MADE_UP_AGATSTON - self._agatston("RCA"))
        self._picture("moved")
        panel.onClick(self._place(1), True)
        self.assertEqual(self._agatston("RCA"), 0.0)
        ui.undoButton.click()
        self.assertEqual(self._agatston("Total"), MADE_UP_AGATSTON)
        ui.redoButton.click()
        self.assertEqual(self._agatston("RCA"), 0.0)
        panel.choose(RCA)
        panel.onClick(self._place(1), False)
        self.assertEqual(self._agatston("Total"), MADE_UP_AGATSTON)
        slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(
            segmentationNode, artery_segments(segmentationNode)["LCX"]
        )
        self._until(lambda: self._agatston("LCX") == 0.0)
        ui.undoButton.click()
        ui.copyButton.click()
        self.assertEqual(slicer.app.clipboard().text(), table_text(widget._parameterNode.scoreTable))
        ui.candidatesCheckBox.checked = True
        ui.proposalCheckBox.checked = True
        self._picture("review")
        with tempfile.TemporaryDirectory() as folder:
            self.assertTrue(save_training_case(panel.review, folder).is_file())

    def test_without_ai(self) -> None:
        """Start without AI shows candidates, and clicks make the score."""
        volumeNode, _labels = add_made_up_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode)
        widget.ui.startButton.click()
        self._wait(widget)
        self.assertEqual(self._agatston("Total"), 0.0)
        self.assertTrue(widget.ui.candidatesCheckBox.checked)
        self._picture("candidates")
        for plaque in range(len(PLAQUES)):
            widget.reviewPanel.onClick(self._place(plaque), False)
        self.assertEqual(self._agatston("Total"), MADE_UP_AGATSTON)

    def _scored(self):
        """The panel after a run on the made-up CT, whose plaques are the proposal."""
        volumeNode, labels = add_made_up_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode, labels)
        widget.ui.applyButton.click()
        self._wait(widget)
        return widget

    def _place(self, plaque: int) -> tuple[float, float, float]:
        """RAS position of the corner voxel of one of the made-up CT's plaques."""
        matrix = vtk.vtkMatrix4x4()
        slicer.modules.CoronaryCalciumScoringWidget._parameterNode.inputVolume.GetIJKToRASMatrix(matrix)
        k, j, i = PLAQUES[plaque][1]
        return matrix.MultiplyPoint((i, j, k, 1.0))[:3]

    def _agatston(self, artery: str) -> float:
        """The score of an artery, or the total, in the table that the panel shows."""
        table = slicer.modules.CoronaryCalciumScoringWidget._parameterNode.scoreTable
        return next(row.agatston for row in score_rows(table) if row.artery == artery)

    def _logic(self):
        """The module's logic, as other scripts get it."""
        from CoronaryCalciumScoring import CoronaryCalciumScoringLogic

        return CoronaryCalciumScoringLogic()

    def _widget(self, volumeNode, labels: np.ndarray | None = None):
        """The panel with a CT selected; the label map stands in for the network's."""
        # Makes the panel, also where the application runs without a main window.
        slicer.modules.coronarycalciumscoring.widgetRepresentation()
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("CoronaryCalciumScoring")
        widget = slicer.modules.CoronaryCalciumScoringWidget
        widget.enter()
        widget.ensurePackages = lambda: None
        widget.logic.engine = lambda volume, **options: engine_score_case(volume, **{**options, "labels": labels})
        widget._parameterNode.inputVolume = volumeNode
        slicer.app.processEvents()
        return widget

    def _wait(self, widget) -> None:
        """Let the panel's run come to its end."""
        self._until(lambda: not widget.run.running)

    def _until(self, condition) -> None:
        """Let the application live until a condition holds."""
        end = time.monotonic() + RUN_SECONDS
        while time.monotonic() < end:
            slicer.app.processEvents()
            if condition():
                return
            time.sleep(0.02)
        self.fail(f"it did not get there within {RUN_SECONDS} s")

    def _picture(self, step: str) -> None:
        """Save a picture of the window, if pictures are wanted and there is a window."""
        folder, window = os.environ.get(SCREENSHOTS_VARIABLE), slicer.util.mainWindow()
        if folder and window is not None:
            slicer.util.forceRenderAllViews()
            slicer.app.processEvents()
            window.grab().save(str(Path(folder) / f"{step}.png"))
