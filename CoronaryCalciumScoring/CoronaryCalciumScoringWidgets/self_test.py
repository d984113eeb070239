"""The module's test in the application; the module file offers it under the name that Slicer looks for."""

import time

import numpy as np
import slicer
from coronary_calcium.arteries import BY_NAME
from CoronaryCalciumScoringLib.logic import engine_score_case
from CoronaryCalciumScoringLib.made_up_ct import MADE_UP_AGATSTON, add_made_up_ct
from CoronaryCalciumScoringLib.score_table import score_rows
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

# The made-up CT takes a fraction of a second; a busy machine, some seconds.
RUN_SECONDS = 60


class CoronaryCalciumScoringTest(ScriptedLoadableModuleTest):
    """The module's work in the application, on a made-up CT with a given label map: no network, no download."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run all tests."""
        for test in (self.test_logic, self.test_refusal, self.test_panel, self.test_cancel):
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

    def test_panel(self) -> None:
        """Run in the panel ends with the scores in the table."""
        volumeNode, labels = add_made_up_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode, labels)
        widget._start()
        self._wait(widget)
        self.assertIn("Scored", widget.ui.statusLabel.text)
        self.assertEqual(widget.ui.scoreTable.rowCount, len(BY_NAME) + 1)

    def test_cancel(self) -> None:
        """Cancel in the panel leaves the scene as it was."""
        volumeNode, labels = add_made_up_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode, labels)
        before = slicer.mrmlScene.GetNumberOfNodes()
        widget._start()
        widget.onApplyButton()
        self._wait(widget)
        self.assertIn("Cancelled", widget.ui.statusLabel.text)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def _logic(self):
        """The module's logic, as other scripts get it."""
        from CoronaryCalciumScoring import CoronaryCalciumScoringLogic

        return CoronaryCalciumScoringLogic()

    def _widget(self, volumeNode, labels: np.ndarray | None = None):
        """The panel with a CT selected; the label map stands in for the network's."""
        # Makes the panel, also where the application runs without a main window.
        slicer.modules.coronarycalciumscoring.widgetRepresentation()
        widget = slicer.modules.CoronaryCalciumScoringWidget
        widget.enter()
        widget.ensurePackages = lambda: None
        widget.logic.engine = lambda volume, **options: engine_score_case(volume, **{**options, "labels": labels})
        widget._parameterNode.inputVolume = volumeNode
        slicer.app.processEvents()
        return widget

    def _wait(self, widget) -> None:
        """Let the panel's run come to its end."""
        end = time.monotonic() + RUN_SECONDS
        while time.monotonic() < end:
            slicer.app.processEvents()
            if not widget._run:
                return
            time.sleep(0.02)
        self.fail(f"the run did not end within {RUN_SECONDS} s")
