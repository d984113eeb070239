"""The module's test in the application: panel, clicks, waiting, pictures; the module file offers it to Slicer."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK
import slicer
import vtk
from coronary_calcium.arteries import BY_NAME, LCX, RCA
from coronary_calcium.cohort.readings import DONE, has_reading, read_status, reading_folder
from coronary_calcium.cohort.worklist_folder import READINGS_FOLDER
from coronary_calcium.scoring.rules import CANON, LITERATURE, RULE_SETS, RuleSet
from CoronaryCalciumScoringLib.logic import engine_score_case
from CoronaryCalciumScoringLib.process_run import ProcessRun
from CoronaryCalciumScoringLib.score_table import score_rows, table_text
from CoronaryCalciumScoringLib.segmentation import artery_segments
from CoronaryCalciumScoringLib.synthetic_ct import PLAQUES, SYNTHETIC_AGATSTON, add_synthetic_ct, synthetic_ct
from CoronaryCalciumScoringLib.training_case import save_training_case
from CoronaryCalciumScoringLib.volume_node import array_of
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

# The synthetic CT takes a fraction of a second; a busy machine, some seconds.
RUN_SECONDS = 60
# Where to put a picture of the window after each step; none are made without it.
SCREENSHOTS_VARIABLE = "CORONARY_CALCIUM_SCREENSHOTS"


class PanelTest(ScriptedLoadableModuleTest):
    """A test that works in the module's panel, on a synthetic CT with a given label map: no network, no download."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        self._restore = contextlib.ExitStack()
        self._step = 0
        slicer.mrmlScene.Clear()

    def tearDown(self) -> None:
        """Give the panel back its own engine, so that whoever tests in a running application can go on working."""
        self._restore.close()

    def _scored(self, volumeNode=None, labels: np.ndarray | None = None):
        """The panel after a run on a CT with the label map for its prediction; without, on the synthetic CT."""
        if volumeNode is None:
            volumeNode, labels = add_synthetic_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode, labels)
        widget.ui.applyButton.click()
        self._wait(widget)
        return widget

    def _waiting(self, volumeNode):
        """The panel with a CT selected and an engine that works until it is cancelled."""
        widget = self._widget(volumeNode)

        def work(volume, *, progress, **options):
            end = time.monotonic() + RUN_SECONDS
            while time.monotonic() < end:
                progress(0.5, "Waiting")
                time.sleep(0.01)
            raise RuntimeError("nobody has cancelled the run")

        widget.logic.engine = work
        return widget

    def _click(self, plaque: int, *, shift: bool = False) -> None:
        """Click on a plaque in the first slice view of the layout; without views, where that view would say it was."""
        ras = self._place(plaque)
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras)
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            slicer.modules.CoronaryCalciumScoringWidget.reviewPanel.onClick(ras, shift)
            return
        slicer.app.processEvents()
        sliceWidget = layoutManager.sliceWidget(layoutManager.sliceViewNames()[0])
        place = [round(value) for value in sliceWidget.sliceView().convertRASToXYZ(ras)[:2]]
        slicer.util.clickAndDrag(sliceWidget, start=place, end=place, steps=1, modifiers=["Shift"] if shift else [])

    def _place(self, plaque: int) -> tuple[float, float, float]:
        """RAS position of a voxel of one of the synthetic CT's plaques."""
        matrix = vtk.vtkMatrix4x4()
        slicer.modules.CoronaryCalciumScoringWidget._parameterNode.inputVolume.GetIJKToRASMatrix(matrix)
        k, j, i = PLAQUES[plaque][1]
        return matrix.MultiplyPoint((i + 1, j, k, 1.0))[:3]

    def _agatston(self, artery: str) -> float:
        """The score of an artery, or the total, in the table that the panel shows; NaN while there is none."""
        table = slicer.modules.CoronaryCalciumScoringWidget._parameterNode.scoreTable
        scores = {row.artery: row.agatston for row in score_rows(table)} if table else {}
        return scores.get(artery, float("nan"))

    def _expect(self, artery: str, agatston: float, what: str) -> None:
        """Wait until the table shows a score; ``what`` says what is tested."""
        self._until(lambda: self._agatston(artery) == agatston, f"{what}: {artery} {agatston}")

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
        self._restore.callback(setattr, widget, "ensurePackages", widget.ensurePackages)
        self._restore.callback(setattr, widget.logic, "engine", widget.logic.engine)
        widget.ensurePackages = lambda: None
        widget.logic.engine = lambda volume, **options: engine_score_case(volume, **{**options, "labels": labels})
        widget._parameterNode.inputVolume = volumeNode
        slicer.app.processEvents()
        return widget

    def _wait(self, widget) -> None:
        """Let what runs in the panel come to its end."""
        self._until(lambda: not (widget.run.running or widget.rulesAndOutputs.running), "the run ends")

    def _until(self, condition, what: str) -> None:
        """Let the application live until a condition holds."""
        end = time.monotonic() + RUN_SECONDS
        while time.monotonic() < end:
            slicer.app.processEvents()
            if condition():
                return
            time.sleep(0.02)
        self._picture("failed")
        widget = slicer.modules.CoronaryCalciumScoringWidget
        scores = {artery: self._agatston(artery) for artery in (*BY_NAME, "Total")}
        outputs = widget.rulesAndOutputs.form.outputsAnswer.statusLabel.text
        self.fail(
            f"not within {RUN_SECONDS} s: {what}; the panel says {widget.ui.statusLabel.text!r}, "
            f"{widget.ui.editLabel.text!r}, {outputs!r} and the scores are {scores}"
        )

    def _picture(self, step: str) -> None:
        """Save a picture of the window, if pictures are wanted and there is a window."""
        folder, window = os.environ.get(SCREENSHOTS_VARIABLE), slicer.util.mainWindow()
        if not folder or window is None:
            return
        self._step += 1
        slicer.util.forceRenderAllViews()
        slicer.app.processEvents()
        path = Path(folder) / f"{self._testMethodName}-{self._step}-{step}.png"
        self.assertTrue(window.grab().save(str(path)), f"the picture {path} could not be written")


PNG_START = b"\x89PNG"
# A lesion of one pixel, which some rules count and others do not: where, its HU, and its score of weight 1.
SPECK, SPECK_HU, SPECK_AGATSTON = (24, 60, 60), 150, 6.25
# Of the self-test with the digital insert: nine cylinders and their total; slices that take long enough to cancel.
INSERT_ROWS, THICK_MM, THIN_MM = 10, 5.0, 0.5
# Of the worklist: who reads, and what the plaque in LAD scores, which the reader leaves out.
READER, PLAQUE_AGATSTON = "self-test", 225.0


class CoronaryCalciumScoringTest(PanelTest):
    """The module's work in the application, on a synthetic CT with a given label map: no network, no download."""

    def runTest(self) -> None:
        """Run all tests."""
        for test in (
            self.test_logic,
            self.test_rejection,
            self.test_panel,
            self.test_cancel,
            self.test_closing_the_scene_while_running,
            self.test_clicks,
            self.test_brush,
            self.test_outputs,
            self.test_saved_scene,
            self.test_without_ai,
            self.test_rules,
            self.test_insert,
            self.test_worklist,
        ):
            self.setUp()
            try:
                test()
            finally:
                self.tearDown()
        self.delayDisplay("Test passed")

    def test_logic(self) -> None:
        """The logic makes segments and a table with the score that the plaques' size tells."""
        volumeNode, labels = add_synthetic_ct(slicer.mrmlScene)
        scored = self._logic().score(volumeNode, labels=labels)
        self.assertEqual(score_rows(scored.tableNode)[-1].agatston, SYNTHETIC_AGATSTON)
        self.assertEqual(scored.segmentationNode.GetSegmentation().GetNumberOfSegments(), len(BY_NAME))
        again = self._logic().score(volumeNode, maskSegmentation=scored.segmentationNode)
        self.assertEqual(again.result.score, scored.result.score)

    def test_rejection(self) -> None:
        """A CT under a transform is rejected in words, and the button says why."""
        volumeNode, _labels = add_synthetic_ct(slicer.mrmlScene)
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        widget = self._widget(volumeNode)
        self.assertFalse(widget.ui.applyButton.enabled)
        self.assertIn("transform", widget.ui.applyButton.toolTip)
        self._picture("rejected")

    def test_panel(self) -> None:
        """Run in the panel ends with the scores in the table."""
        widget = self._scored()
        self.assertIn("Scored", widget.ui.statusLabel.text)
        self.assertEqual(widget.ui.scoreTable.rowCount, len(BY_NAME) + 1)
        self.assertEqual(widget.ui.lesionTable.rowCount, len(PLAQUES))
        self._picture("scored")

    def test_cancel(self) -> None:
        """Cancel in the panel leaves the scene as it was."""
        volumeNode, _labels = add_synthetic_ct(slicer.mrmlScene)
        widget = self._waiting(volumeNode)
        before = slicer.mrmlScene.GetNumberOfNodes()
        widget.ui.applyButton.click()
        self._until(lambda: widget.ui.progressBar.value == 50, "the run shows its progress")
        self._picture("running")
        widget.ui.applyButton.click()
        self._wait(widget)
        self.assertIn("Cancelled", widget.ui.statusLabel.text)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_network_process(self) -> None:
        """The network's process starts with Slicer's own Python, reads the CT and answers: it shows no heart."""
        volumeNode, _labels = add_synthetic_ct(slicer.mrmlScene)
        run = ProcessRun(self._logic().prepare(volumeNode).volume)
        self._restore.callback(run.cancel)
        self._until(lambda: run.wait(0.02), "the network's process answers")
        self.assertEqual(run.poll().outcome.error.code, "no-heart")

    def test_closing_the_scene_while_running(self) -> None:
        """Closing the scene in the middle of a run stops it and empties the panel."""
        volumeNode, _labels = add_synthetic_ct(slicer.mrmlScene)
        widget = self._waiting(volumeNode)
        widget.ui.applyButton.click()
        self._until(lambda: widget.ui.progressBar.value == 50, "the run shows its progress")
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()
        self.assertFalse(widget.run.running)
        widget.enter()
        self.assertFalse(widget.ui.applyButton.enabled)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)

    def test_clicks(self) -> None:
        """Jump to a lesion; move and remove lesions by clicks in a slice view; undo, redo, an edit from outside."""
        widget = self._scored()
        panel, ui = widget.reviewPanel, widget.ui
        ui.nextButton.click()
        self._picture("lesion")
        panel.choose(LCX)
        self._click(0)
        self._expect("LCX", SYNTHETIC_AGATSTON - self._agatston("RCA"), "a click moves a lesion to LCX")
        self._picture("moved")
        self._click(1, shift=True)
        self._expect("RCA", 0.0, "Shift with a click removes a lesion")
        ui.undoButton.click()
        self._expect("Total", SYNTHETIC_AGATSTON, "Undo brings it back")
        ui.redoButton.click()
        self._expect("RCA", 0.0, "Redo removes it again")
        panel.choose(RCA)
        self._click(1)
        self._expect("Total", SYNTHETIC_AGATSTON, "a click marks it anew")
        segmentationNode = panel.review.segmentationNode
        slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(
            segmentationNode, artery_segments(segmentationNode)["LCX"]
        )
        self._expect("LCX", 0.0, "the scores follow an edit from outside")

    def test_brush(self) -> None:
        """A stroke with the eraser of the Segment Editor changes the score, and Undo brings it back."""
        if slicer.util.mainWindow() is None:
            return  # effects need views on the screen
        widget = self._scored()
        editor = widget.ui.segmentEditorWidget
        widget.reviewPanel.choose(RCA)
        before = self._agatston("RCA")
        editor.setActiveEffectByName("Erase")
        self.assertIsNotNone(editor.activeEffect(), "the Segment Editor has no effect Erase")
        self._click(1)
        self._until(lambda: self._agatston("RCA") < before, "the eraser lowers the score of RCA")
        self._picture("erased")
        editor.setActiveEffect(None)
        widget.ui.undoButton.click()
        self._expect("RCA", before, "Undo takes the stroke back")

    def test_outputs(self) -> None:
        """Table, candidates, prediction, pictures of the views, training case."""
        widget = self._scored()
        panel, ui = widget.reviewPanel, widget.ui
        ui.copyButton.click()
        self.assertEqual(slicer.app.clipboard().text(), table_text(widget._parameterNode.scoreTable))
        ui.candidatesCheckBox.checked = True
        self._wait(widget)
        self.assertTrue(ui.candidatesCheckBox.checked, ui.editLabel.text)
        ui.predictionCheckBox.checked = True
        self._picture("review")
        for picture in panel.review.view_pictures():
            self.assertTrue(picture.png.startswith(PNG_START), picture.caption)
        with tempfile.TemporaryDirectory() as folder:
            self.assertTrue(save_training_case(panel.review, folder).is_file())

    def test_saved_scene(self) -> None:
        """A scene saved and loaded again shows the same scores and goes on live."""
        widget = self._scored()
        self._click(1, shift=True)
        saved = self._agatston("Total")
        self.assertLess(saved, SYNTHETIC_AGATSTON)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "review.mrb")
            self.assertTrue(slicer.util.saveScene(path), "the scene could not be saved")
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
            widget.enter()
            self._expect("Total", saved, "the loaded scene has the saved score")
            self._picture("loaded")
            widget.reviewPanel.choose(RCA)
            self._click(1)
            self._expect("Total", SYNTHETIC_AGATSTON, "the loaded review goes on")

    def test_without_ai(self) -> None:
        """Start without AI shows candidates, and clicks make the score."""
        volumeNode, _labels = add_synthetic_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode)
        widget.ui.startButton.click()
        self._wait(widget)
        self.assertEqual(self._agatston("Total"), 0.0)
        self.assertTrue(widget.ui.candidatesCheckBox.checked)
        self._picture("candidates")
        for plaque in range(len(PLAQUES)):
            self._click(plaque)
        self._expect("Total", SYNTHETIC_AGATSTON, "two clicks mark the two plaques")

    def test_rules(self) -> None:
        """Other rules change the scores at once; rules side by side; what needs DICOM images says so; and back."""
        volumeNode, labels = add_synthetic_ct(slicer.mrmlScene)
        array_of(volumeNode.GetImageData())[SPECK], labels[SPECK] = SPECK_HU, LCX.label
        volumeNode.GetImageData().Modified()
        widget = self._scored(volumeNode, labels)
        form = widget.rulesAndOutputs.form
        widget.ui.rulesCollapsibleButton.collapsed = False
        self._restore.callback(setattr, widget.ui.rulesCollapsibleButton, "collapsed", True)
        self._expect("Total", SYNTHETIC_AGATSTON + SPECK_AGATSTON, "the literature's rules count one pixel")
        self._choose(form, CANON)
        self._expect("LCX", 0.0, "Canon's rules do not count one pixel")
        self._expect("Total", SYNTHETIC_AGATSTON, "the total follows the rules")
        self.assertIn(CANON.title, widget.ui.totalLabel.text)
        form.compareButton.click()
        self._wait(widget)
        self.assertEqual(form.rulesTable.rowCount, len(RULE_SETS), form.rulesAnswer.statusLabel.text)
        self.assertEqual(form.rulesTable.item(0, 3).text(), f"{SYNTHETIC_AGATSTON + SPECK_AGATSTON:.1f}")
        self._picture("rules")
        for button in (form.segButton, form.srButton):
            self.assertFalse(button.enabled)
            self.assertIn("DICOM database", button.toolTip)
        self.assertTrue(form.reportButton.enabled)
        self._choose(form, LITERATURE)
        self._expect("Total", SYNTHETIC_AGATSTON + SPECK_AGATSTON, "back to the literature's rules")

    def test_insert(self) -> None:
        """The self-test with the digital insert shows truth and measurement; a second one is cancelled."""
        volumeNode, _labels = add_synthetic_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode)
        form = widget.rulesAndOutputs.form
        widget.ui.rulesCollapsibleButton.collapsed = False
        self._restore.callback(setattr, widget.ui.rulesCollapsibleButton, "collapsed", True)
        self._restore.callback(setattr, form.thicknessSpinBox, "value", form.thicknessSpinBox.value)
        form.thicknessSpinBox.value = THICK_MM
        form.selfTestButton.click()
        self.assertFalse(form.selfTestButton.enabled)
        self._wait(widget)
        self.assertEqual(form.insertTable.rowCount, INSERT_ROWS, form.selfTestAnswer.statusLabel.text)
        self._picture("insert")
        form.thicknessSpinBox.value = THIN_MM
        form.selfTestButton.click()
        form.selfTestAnswer.cancelButton.click()
        self._wait(widget)
        self.assertEqual(form.selfTestAnswer.statusLabel.text, "Cancelled.")
        self.assertTrue(form.selfTestButton.enabled)

    def test_worklist(self) -> None:
        """A folder of CTs is a worklist: a click is kept, Done leads to the next case, and a case opens as it was."""
        volumeNode, _labels = add_synthetic_ct(slicer.mrmlScene)
        widget = self._widget(volumeNode)
        section, form = widget.worklist, widget.worklist.form
        self._restore.callback(setattr, form.readerEdit, "text", form.readerEdit.text)
        widget.ui.worklistCollapsibleButton.collapsed = False
        self._restore.callback(setattr, widget.ui.worklistCollapsibleButton, "collapsed", True)
        form.readerEdit.text = READER
        with tempfile.TemporaryDirectory() as folder:
            for name in ("one", "two"):
                _write_ct(Path(folder) / f"{name}.nrrd")
            section.openFolder(folder)
            self._until(lambda: form.table.rowCount == 2, "the worklist has two cases")
            form.unreadButton.click()
            self._until(lambda: self._agatston("Total") == 0.0 and section.reading.case is not None, "a case opens")
            first = section.reading.id
            self._picture("case")
            widget.reviewPanel.choose(RCA)
            self._click(1)
            kept = reading_folder(Path(folder) / READINGS_FOLDER, READER, first)
            self._until(lambda: has_reading(kept), "a click is kept")
            form.doneButton.click()
            self._until(lambda: section.reading.id != first and section.reading.case is not None, "the next case opens")
            self.assertEqual(read_status(kept)[0].mark, DONE)
            self._picture("next")
            section.open(first)
            self._expect("RCA", SYNTHETIC_AGATSTON - PLAQUE_AGATSTON, "the first case opens as it was left")
            self.assertTrue(section.reading.leave())
            section.reading.begin(None)
            section.table.show([], None)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)

    def _choose(self, form, rules: RuleSet) -> None:
        """Choose a rule set in the section for rules and outputs."""
        form.rulesComboBox.currentIndex = list(RULE_SETS).index(rules.name)


def _write_ct(path: Path) -> None:
    """Write the synthetic CT as an image file."""
    volume, _labels = synthetic_ct()
    image = SimpleITK.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    SimpleITK.WriteImage(image, str(path))
