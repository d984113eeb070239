"""What the steps of the module's test in the application share: the panel, clicks, waiting, pictures."""

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import slicer
import vtk
from coronary_calcium.arteries import BY_NAME
from CoronaryCalciumScoringLib.logic import engine_score_case
from CoronaryCalciumScoringLib.made_up_ct import PLAQUES, add_made_up_ct
from CoronaryCalciumScoringLib.score_table import score_rows
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

# The made-up CT takes a fraction of a second; a busy machine, some seconds.
RUN_SECONDS = 60
# Where to put a picture of the window after each step; none are made without it.
SCREENSHOTS_VARIABLE = "CORONARY_CALCIUM_SCREENSHOTS"


class PanelTest(ScriptedLoadableModuleTest):
    """A test that works in the module's panel, on a made-up CT with a given label map: no network, no download."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        self._restore = contextlib.ExitStack()
        self._step = 0
        slicer.mrmlScene.Clear()

    def tearDown(self) -> None:
        """Give the panel back its own engine, so that whoever tests in a running application can go on working."""
        self._restore.close()

    def _scored(self, volumeNode=None, labels: np.ndarray | None = None):
        """The panel after a run on a CT with the label map for its proposal; without, on the made-up CT."""
        if volumeNode is None:
            volumeNode, labels = add_made_up_ct(slicer.mrmlScene)
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
        """RAS position of a voxel of one of the made-up CT's plaques."""
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
        self._until(lambda: not (widget.run.running or widget.clinic.running), "the run ends")

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
        self.fail(
            f"not within {RUN_SECONDS} s: {what}; the panel says {widget.ui.statusLabel.text!r}, "
            f"{widget.ui.editLabel.text!r}, {widget.clinic.form.statusLabel.text!r} and the scores are {scores}"
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
