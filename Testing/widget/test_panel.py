"""The panel, driven control by control on PySide6 in the place of Slicer's Qt."""

import sys

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import slicer
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.errors import InputError
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, add_synthetic_ct
from slicer_cases import TRAINED_ON, WARNING, WaitingEngine, synthetic_labels_engine


def visible(widget):
    """Whether a widget is shown when the panel is."""
    return not widget.isHidden()


def cell(panel, row, column):
    """Text of a cell of the score table."""
    return panel.ui.scoreTable.item(row, column).text()


def test_an_empty_scene_asks_for_a_ct(application):
    ui = application.widget.ui
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip == ui.statusLabel.text == "Select a CT to score."
    assert ui.totalLabel.text == "No score yet."
    assert not visible(ui.progressBar)
    assert not visible(ui.scoreTable)


def test_the_first_ct_is_selected_and_ready(panel):
    assert panel.ui.inputSelector.currentNode() is panel.volume
    assert panel.ui.applyButton.enabled
    assert panel.ui.statusLabel.text == "Ready: 40 slices, 3.00 mm apart, 128 x 128 pixels of 2.50 mm."


def test_run_ends_with_the_scores_in_the_panel_and_in_the_scene(panel):
    panel.press_run()
    assert panel.ui.statusLabel.text == "Scored in 0 s on the CPU."
    assert f"Agatston {SYNTHETIC_AGATSTON:.1f}<" in panel.ui.totalLabel.text
    assert "Risk category &gt;400" in panel.ui.totalLabel.text
    assert [cell(panel, row, 0) for row in range(6)] == ["LM", "LAD", "LCX", "RCA", "unassigned", "Total"]
    assert [cell(panel, 1, column) for column in range(6)] == ["LAD", "1", "225.0", "225.0", "225.0", "–"]
    assert [cell(panel, 5, column) for column in range(1, 4)] == ["2", f"{SYNTHETIC_AGATSTON:.1f}", "450.0"]
    parameters = panel.widget.logic.getParameterNode()
    assert parameters.segmentation.GetSegmentation().GetNumberOfSegments() == 5
    assert parameters.scoreTable.GetTable().GetNumberOfRows() == 6


def test_beside_a_score_the_panel_says_what_the_network_was_trained_on(panel, scene):
    assert panel.ui.intendedUseLabel.text == RESEARCH_USE
    panel.press_run()
    assert panel.ui.intendedUseLabel.text == f"{TRAINED_ON} {RESEARCH_USE}"
    assert panel.ui.intendedUseLabel.property("textFormat").name == "PlainText"  # a scene's words are no markup
    other, _ = add_synthetic_ct(scene.mrml)
    panel.ui.inputSelector.setCurrentNode(other)
    assert panel.ui.intendedUseLabel.text == RESEARCH_USE


def test_warnings_are_shown_as_text(panel):
    assert not visible(panel.ui.warningsLabel)
    panel.press_run()
    assert visible(panel.ui.warningsLabel)
    assert WARNING.message.replace("<", "&lt;").replace(">", "&gt;") in panel.ui.warningsLabel.text


def test_while_it_runs_the_panel_shows_progress_and_offers_cancel(panel):
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(lambda: panel.ui.progressBar.value == 42)
    assert visible(panel.ui.progressBar)
    assert panel.ui.progressBar.format == "%p %, 0 s"
    assert panel.ui.statusLabel.text == "Looking for calcium, slice 17 of 40"
    assert not panel.ui.inputSelector.enabled
    assert not panel.ui.deviceComboBox.enabled
    engine.let_go.set()
    panel.until(lambda: not panel.running())
    assert panel.ui.inputSelector.enabled
    assert panel.ui.deviceComboBox.enabled
    assert not visible(panel.ui.progressBar)


def test_cancel_in_the_middle_leaves_the_scene_as_it_was(panel, scene):
    before = scene.content()
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    panel.ui.applyButton.click()
    assert panel.ui.statusLabel.text == "Cancelling..."
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip
    panel.until(lambda: not panel.running())
    assert panel.ui.statusLabel.text == "Cancelled. The scene is as it was."
    assert panel.ui.applyButton.enabled
    assert scene.content() == before


def test_after_cancel_it_runs_again(panel):
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    panel.press_run()
    panel.widget.logic.engine = synthetic_labels_engine
    panel.press_run()
    assert panel.ui.statusLabel.text.startswith("Scored")


def test_closing_the_scene_in_the_middle_stops_the_run_and_empties_the_panel(panel, scene):
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    scene.mrml.Clear(False)
    assert engine.left.wait(10)
    panel.process_events()
    assert not panel.running()
    assert panel.ui.statusLabel.text == "Select a CT to score."
    assert scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_closing_the_scene_after_scoring_takes_the_scores_away(panel, scene):
    panel.press_run()
    scene.mrml.Clear(False)
    assert panel.ui.totalLabel.text == "No score yet."
    assert panel.ui.inputSelector.currentNode() is None


def test_an_emptied_selector_disables_run_and_says_why(panel):
    panel.ui.inputSelector.setCurrentNode(None)
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Select a CT to score."


def test_removing_the_ct_in_the_middle_is_said_and_adds_nothing(panel, scene):
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    scene.mrml.RemoveNode(panel.volume)
    engine.let_go.set()
    panel.until(lambda: not panel.running())
    assert panel.errors == []
    assert scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_a_ct_under_a_transform_is_rejected_on_selection(panel, scene):
    transform = scene.mrml.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    panel.volume.SetAndObserveTransformNodeID(transform.GetID())
    panel.ui.inputSelector.setCurrentNode(None)
    panel.ui.inputSelector.setCurrentNode(panel.volume)
    assert not panel.ui.applyButton.enabled
    assert "transform" in panel.ui.applyButton.toolTip
    assert panel.ui.statusLabel.text == panel.ui.applyButton.toolTip


def test_a_ct_rejected_by_its_voxels_says_the_reason_without_a_dialog(panel):
    panel.volume.GetImageData().GetPointData().GetScalars().Fill(1)
    panel.press_run()
    assert panel.ui.statusLabel.text.startswith("Not scored: ")
    assert panel.errors == []


def test_a_rejection_from_the_engine_is_shown_without_a_dialog(panel):
    def reject(volume, **options):
        raise InputError("weights-missing", "There are no weights: install the extension again.")

    panel.widget.logic.engine = reject
    panel.press_run()
    assert panel.ui.statusLabel.text == "Not scored: There are no weights: install the extension again."
    assert panel.errors == []


def test_an_unexpected_error_is_shown_in_a_dialog_and_the_panel_goes_on(panel):
    def fail(volume, **options):
        raise MemoryError("no room for the network")

    panel.widget.logic.engine = fail
    panel.press_run()
    assert panel.errors == ["The CT could not be scored. no room for the network"]
    assert isinstance(panel.slot_error(), MemoryError)
    assert panel.ui.statusLabel.text == "Not scored: no room for the network"
    assert panel.ui.applyButton.enabled


def test_no_score_is_shown_beside_another_ct(panel, scene):
    panel.press_run()
    other, _ = add_synthetic_ct(scene.mrml)
    panel.ui.inputSelector.setCurrentNode(other)
    assert panel.ui.totalLabel.text == "No score yet."
    assert panel.ui.statusLabel.text.startswith("Ready:")
    panel.ui.inputSelector.setCurrentNode(panel.volume)
    assert "Agatston" in panel.ui.totalLabel.text


def test_the_views_follow_the_ct(panel, scene):
    composite = scene.mrml.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    other, _ = add_synthetic_ct(scene.mrml)
    for node in (other, panel.volume):
        before = len(panel.resets)
        panel.ui.inputSelector.setCurrentNode(node)
        assert composite.GetBackgroundVolumeID() == node.GetID()
        assert len(panel.resets) == before + 1


def test_the_ct_that_the_views_show_is_selected_first(application, scene):
    add_synthetic_ct(scene.mrml)
    second, _ = add_synthetic_ct(scene.mrml)
    scene.mrml.AddNewNodeByClass("vtkMRMLSliceCompositeNode").SetBackgroundVolumeID(second.GetID())
    application.widget.enter()
    assert application.widget.ui.inputSelector.currentNode() is second


def test_no_earlier_score_is_shown_beside_a_rejection(panel):
    panel.press_run()
    panel.volume.GetImageData().GetPointData().GetScalars().Fill(1)
    panel.press_run()
    assert panel.ui.statusLabel.text.startswith("Not scored: ")
    assert panel.ui.totalLabel.text == "No score yet."


def test_cancel_keeps_the_score_of_the_run_before(panel):
    panel.press_run()
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    panel.press_run()
    assert "Agatston" in panel.ui.totalLabel.text


def test_the_device_goes_to_the_engine_and_into_the_parameter_node(panel):
    panel.ui.deviceComboBox.currentIndex = 3
    assert panel.widget.logic.getParameterNode().device.value == "cpu"
    seen = []

    def engine(volume, *, device, **options):
        seen.append(device)
        return synthetic_labels_engine(volume, device=device, **options)

    panel.widget.logic.engine = engine
    panel.press_run()
    assert seen == ["cpu"]


def test_leaving_the_module_lets_the_run_go_on(panel):
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    panel.widget.exit()
    engine.let_go.set()
    panel.until(lambda: panel.widget.logic.getParameterNode().scoreTable is not None)
    panel.widget.enter()
    assert panel.ui.scoreTable.rowCount == 6


def test_closing_the_application_stops_the_run(panel):
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    panel.widget.cleanup()
    assert engine.left.is_set()


def test_reloading_forgets_the_libraries_and_stops_the_run(panel, monkeypatch):
    # The libraries that other tests hold must come back afterwards.
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("coronary_calcium", "CoronaryCalciumScoringLib")
    ]:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    engine = panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    panel.until(engine.started.is_set)
    panel.widget.onReload()
    assert engine.left.wait(10)
    assert "CoronaryCalciumScoringLib.logic" not in sys.modules


def test_a_reload_leaves_no_keys_of_before_and_the_new_ones_work(panel, monkeypatch):
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("coronary_calcium", "CoronaryCalciumScoringLib")
    ]:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    panel.press_run()
    old = list(panel.widget.reviewPanel.shortcuts.values())
    panel.widget.onReload()
    assert panel.widget.reviewPanel.shortcuts == {}
    assert not any(shortcut.enabled or shortcut.parent() for shortcut in old)
    again = panel.module.CoronaryCalciumScoringWidget(panel.parent)
    again.setup()  # as Slicer's reload does, without enter()
    try:
        assert all(shortcut.enabled for shortcut in again.reviewPanel.shortcuts.values())
    finally:
        again.cleanup()


def test_the_bar_moves_at_once(panel):
    panel.widget.logic.engine = WaitingEngine()
    panel.ui.applyButton.click()
    bar = panel.ui.progressBar
    assert (bar.minimum, bar.maximum) == (0, 0)
    assert panel.ui.applyButton.text == "Cancel"
    panel.until(lambda: bar.value == 42)
    assert bar.maximum == 100
    panel.press_run()


def test_the_result_of_an_earlier_run_is_there_after_the_module_is_opened_again(panel):
    panel.press_run()
    panel.widget.exit()
    panel.widget.enter()
    assert "Agatston" in panel.ui.totalLabel.text


def test_the_modules_own_test_passes(application):
    """What runs in the application runs here as well, with the engine itself."""
    application.module.CoronaryCalciumScoringTest("runTest").runTest()


@pytest.mark.parametrize("answer", [True, False])
def test_a_ct_with_contrast_medium_is_scored_only_when_the_user_confirms(panel, monkeypatch, answer):
    asked = []

    def engine(volume, *, labels, device, progress, options=None):
        if options is None or "contrast-suspected" not in options.allowed:
            raise InputError("contrast-suspected", "As with contrast medium: choose a scan without it.")
        return synthetic_labels_engine(volume, labels=labels, device=device, progress=progress)

    def confirm(text, **others):
        asked.append(text)
        return answer

    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", confirm, raising=False)
    panel.widget.logic.engine = engine
    panel.press_run()
    panel.until(lambda: not panel.running())
    assert len(asked) == 1 and asked[0].startswith("As with contrast medium: choose a scan without it.")
    expected = "Scored in 0 s" if answer else "Not scored: As with contrast medium"
    assert panel.ui.statusLabel.text.startswith(expected)
