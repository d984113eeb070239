"""The review in the panel: clicks in the views, keys, list, editor, live scores, saving, and the ends of a review."""

import sys
import threading

import numpy as np
import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD
from coronary_calcium.disclaimers import RESEARCH_USE
from CoronaryCalciumScoringLib.score_table import score_rows
from CoronaryCalciumScoringLib.segmentation import artery_segments, remove_voxels
from CoronaryCalciumScoringLib.surfaces import SURFACE_ATTRIBUTE
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, synthetic_ct
from CoronaryCalciumScoringLib.volume_node import array_of
from qt_stand_in import QtCore
from review_cases import IN_LAD, IN_RCA, IN_TISSUE, agatston, click, listed, press
from slicer_cases import WaitingEngine, ras_of
from slicer_scene import slicer

ARTERY_BUTTONS = {"1": "lmButton", "2": "ladButton", "3": "lcxButton", "4": "rcaButton", "0": "removeButton"}


def test_before_a_run_review_and_save_are_disabled_and_say_why(panel):
    ui = panel.ui
    for widget in (
        *(ui.reviewCollapsibleButton, ui.saveCollapsibleButton, ui.ladButton, ui.undoButton, ui.clickCheckBox),
        *(ui.predictionCheckBox, ui.copyButton, ui.resultsButton, ui.trainingButton),
    ):
        assert not widget.enabled
        assert widget.toolTip == "Press Run or Start without AI first."
    assert not any(shortcut.enabled for shortcut in panel.widget.reviewPanel.shortcuts.values())


def test_a_click_in_a_slice_view_moves_a_lesion_and_the_scores_follow(reviewing):
    reviewing.ui.lcxButton.click()
    click(reviewing, IN_LAD)
    assert reviewing.ui.editLabel.text == "225.0 mm³ moved from LAD to LCX."
    assert (agatston(reviewing, "LAD"), agatston(reviewing, "LCX")) == (0.0, 225.0)
    assert reviewing.ui.scoreTable.item(1, 5).text() == "-225.0"
    assert reviewing.ui.scoreTable.item(2, 5).text() == "+225.0"


def test_shift_and_the_remove_button_take_lesions_away(reviewing):
    click(reviewing, IN_LAD, shift=True)
    assert agatston(reviewing, "Total") == 300.0
    reviewing.ui.removeButton.click()
    click(reviewing, IN_RCA)
    assert agatston(reviewing, "Total") == 0.0
    assert "Agatston 0.0" in reviewing.ui.totalLabel.text


@pytest.mark.parametrize("options", [{"drag": (10, 0)}, {"control": True}])
def test_a_drag_and_a_click_with_control_are_no_clicks(reviewing, options):
    click(reviewing, IN_LAD, shift=True, **options)
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON


def test_a_click_that_places_a_point_is_no_click(reviewing, scene):
    interaction = scene.mrml.AddNewNodeByClass("vtkMRMLInteractionNode")
    interaction.SetCurrentInteractionMode(interaction.Place)
    click(reviewing, IN_LAD, shift=True)
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    click(reviewing, IN_LAD, shift=True)
    assert agatston(reviewing, "Total") == 300.0


def test_a_click_on_nothing_says_so(reviewing):
    click(reviewing, IN_TISSUE)
    assert reviewing.ui.editLabel.text == "Nothing here reaches 130 HU within 2 mm of the click."


def test_a_click_that_is_rejected_says_why(reviewing, scene):
    transform = scene.mrml.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    segmentation = reviewing.widget.reviewPanel.review.segmentationNode
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    click(reviewing, IN_LAD)
    assert "transform" in reviewing.ui.editLabel.text


def test_the_toggle_switches_clicks_off_and_on(reviewing):
    reviewing.ui.clickCheckBox.click()
    click(reviewing, IN_LAD, shift=True)
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    reviewing.ui.clickCheckBox.click()
    click(reviewing, IN_LAD, shift=True)
    assert agatston(reviewing, "Total") == 300.0


def test_while_a_tool_of_the_editor_is_active_the_clicks_are_its(reviewing):
    reviewing.ui.segmentEditorWidget.setActiveEffectByName("Paint")
    click(reviewing, IN_LAD, shift=True)
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    assert "tool" in reviewing.ui.editLabel.text


def test_views_of_another_layout_are_listened_to(reviewing):
    manager = reviewing.app.layoutManager()
    manager._views.pop("Red")
    manager.layoutChanged.emit(2)
    manager.sliceWidget("Green").click(ras_of(reviewing.volume, IN_LAD), shift=True)
    assert agatston(reviewing, "Total") == 300.0


@pytest.mark.parametrize("key", ARTERY_BUTTONS)
def test_keys_choose_the_artery(reviewing, key):
    press(reviewing, key)
    checked = [name for name in ARTERY_BUTTONS.values() if getattr(reviewing.ui, name).checked]
    assert checked == [ARTERY_BUTTONS[key]]


def test_the_editor_paints_the_chosen_artery(reviewing):
    press(reviewing, "4")
    segments = artery_segments(reviewing.widget.reviewPanel.review.segmentationNode)
    assert reviewing.ui.segmentEditorWidget._node.GetSelectedSegmentID() == segments["RCA"]


def test_the_editor_offers_no_surface_and_no_other_grid_and_leaves_the_views_alone(reviewing):
    editor = reviewing.ui.segmentEditorWidget
    assert not editor.show3DButtonVisible
    assert not editor.specifyGeometryButtonVisible
    assert not editor.autoShowSourceVolumeNode


def test_undo_and_redo_by_button_and_by_key(reviewing):
    click(reviewing, IN_LAD, shift=True)
    reviewing.ui.undoButton.click()
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    reviewing.ui.redoButton.click()
    assert agatston(reviewing, "Total") == 300.0
    press(reviewing, "Ctrl+Z")
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    press(reviewing, "Ctrl+Y")
    assert agatston(reviewing, "Total") == 300.0


def test_the_list_holds_the_lesions_and_sorts_numbers_as_numbers(reviewing):
    assert [listed(reviewing, column) for column in range(4)] == [
        ["RCA", "LAD"],
        ["15", "20"],
        ["300.0", "225.0"],
        ["500", "350"],
    ]
    review = reviewing.widget.reviewPanel.review
    most_of_lad = np.argwhere(synthetic_ct()[1] == LAD.label)[:9]
    remove_voxels(review.segmentationNode, review.volumeNode, most_of_lad)
    reviewing.until(lambda: listed(reviewing, 2) == ["300.0", "56.2"])
    reviewing.ui.lesionTable.sortByColumn(2, QtCore.Qt.AscendingOrder)
    assert listed(reviewing, 0) == ["LAD", "RCA"]


def test_next_and_previous_go_through_the_list_and_move_the_views(reviewing):
    node = reviewing.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(45.0)
    press(reviewing, "N")
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(60.0)
    press(reviewing, "P")
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(45.0)
    reviewing.ui.nextButton.click()
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(60.0)
    press(reviewing, "P")
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(45.0)
    reviewing.ui.previousButton.click()
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(60.0)


def test_after_a_run_the_views_are_at_the_lesion_with_the_highest_score_in_a_window_for_calcium(panel):
    display = panel.volume.GetDisplayNode()
    node = panel.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    panel.press_run()
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(45.0)  # RCA
    assert panel.ui.lesionTable.selectedItems()[0].text() == "RCA"
    display = panel.volume.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (700, 150)
    display.SetWindowLevel(1500, -500)
    panel.press_run()
    assert (display.GetWindow(), display.GetLevel()) == (1500, -500)


def test_without_a_lesion_the_views_go_to_the_heart(panel):
    array_of(panel.volume.GetImageData())[panel.labels > 0] = 40
    panel.volume.GetImageData().Modified()
    node = panel.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    panel.ui.startButton.click()
    panel.until(lambda: not panel.running())
    assert panel.ui.lesionTable.rowCount == 0
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(19.5 * 3.0, abs=3.0)


def test_an_undo_without_an_edit_says_so(reviewing):
    reviewing.ui.undoButton.click()
    assert reviewing.ui.editLabel.text == "There is nothing to undo."
    reviewing.ui.redoButton.click()
    assert reviewing.ui.editLabel.text == "There is nothing to redo."


def test_a_stroke_that_changed_nothing_is_no_step(reviewing):
    click(reviewing, IN_LAD, shift=True)
    review = reviewing.widget.reviewPanel.review
    segment = review.segmentationNode.GetSegmentation().GetNthSegment(1)
    for _ in range(3):  # what the brush does over voxels that it may not mark
        reviewing.widget.reviewPanel.editor.SaveStateForUndo()
        segment.Modified()
    reviewing.ui.undoButton.click()
    assert reviewing.ui.editLabel.text == "Undone: LAD +225.0."
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    reviewing.ui.redoButton.click()
    assert reviewing.ui.editLabel.text == "Redone: LAD -225.0."


def test_what_was_said_of_a_click_goes_with_an_edit_elsewhere(reviewing):
    click(reviewing, IN_LAD, shift=True)
    assert reviewing.ui.editLabel.text == "225.0 mm³ removed from LAD."
    segmentation = reviewing.widget.reviewPanel.review.segmentationNode
    slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(segmentation, artery_segments(segmentation)["RCA"])
    reviewing.until(lambda: agatston(reviewing, "Total") == 0.0)
    assert reviewing.ui.editLabel.text == ""


def test_thirty_clicks_can_all_be_taken_back_and_done_again(reviewing):
    for number in range(30):
        press(reviewing, "34"[number % 2])
        click(reviewing, IN_LAD)
    assert agatston(reviewing, "RCA") == SYNTHETIC_AGATSTON
    for _ in range(30):
        reviewing.ui.undoButton.click()
        assert reviewing.ui.editLabel.text.startswith("Undone: ")
    assert agatston(reviewing, "LAD") == 225.0
    for _ in range(30):
        press(reviewing, "Ctrl+Y")
    assert agatston(reviewing, "RCA") == SYNTHETIC_AGATSTON


def test_after_a_run_the_controls_say_what_they_do_and_while_another_runs_saving_waits(reviewing):
    assert reviewing.ui.resultsButton.enabled
    assert "report.html" in reviewing.ui.resultsButton.toolTip
    engine = reviewing.widget.logic.engine = WaitingEngine()
    reviewing.ui.applyButton.click()
    reviewing.until(engine.started.is_set)
    assert not reviewing.ui.resultsButton.enabled
    assert reviewing.ui.trainingButton.toolTip == "Wait for the run, or cancel it."
    reviewing.press_run()
    assert reviewing.ui.resultsButton.enabled


def test_the_selection_stays_with_its_lesion_after_an_edit(reviewing):
    press(reviewing, "3")
    click(reviewing, IN_RCA)
    table = reviewing.ui.lesionTable
    assert table.selectedItems()[0].text() == "LCX"
    click(reviewing, IN_RCA, shift=True)
    assert table.selectedItems() == []


def test_an_edit_made_elsewhere_is_followed_also_while_another_module_is_open(reviewing):
    reviewing.widget.exit()
    segmentation = reviewing.widget.reviewPanel.review.segmentationNode
    slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(segmentation, artery_segments(segmentation)["RCA"])
    table = reviewing.widget.logic.getParameterNode().scoreTable
    reviewing.until(lambda: score_rows(table)[-1].agatston == 225.0)
    reviewing.widget.enter()
    assert agatston(reviewing, "Total") == 225.0


def test_leaving_the_module_gives_clicks_keys_and_views_back(reviewing):
    reviewing.ui.segmentEditorWidget.setActiveEffectByName("Paint")
    reviewing.widget.exit()
    click(reviewing, IN_LAD, shift=True)
    assert reviewing.ui.segmentEditorWidget.activeEffect() is None
    assert not reviewing.ui.segmentEditorWidget._observing
    assert not any(shortcut.enabled for shortcut in reviewing.widget.reviewPanel.shortcuts.values())
    reviewing.widget.enter()
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON


def test_candidates_and_prediction_are_shown_on_demand(reviewing, scene):
    display = reviewing.widget.reviewPanel.review.segmentationNode.GetNodeReference("coronaryCalciumProposal")
    reviewing.ui.predictionCheckBox.click()
    assert display.GetDisplayNode().GetVisibility()
    reviewing.ui.predictionCheckBox.click()
    assert not display.GetDisplayNode().GetVisibility()
    before = scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    for _ in range(2):  # the second time they are known
        reviewing.ui.candidatesCheckBox.click()
        reviewing.until(lambda: not reviewing.running())
        assert scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before + 1
        reviewing.ui.candidatesCheckBox.click()
        assert scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before


@pytest.mark.parametrize("end", ["cancel", "close the scene", "fail"])
def test_a_search_for_candidates_that_comes_to_nothing_shows_none(reviewing, scene, monkeypatch, end):
    started, let_go = threading.Event(), threading.Event()

    def search(volume, progress, rules):
        while not let_go.wait(0.002):
            progress(0.5, "Looking for the heart")
            started.set()
        raise ValueError("no room")

    monkeypatch.setattr(sys.modules["CoronaryCalciumScoringWidgets.review_panel"], "find_candidates", search)
    before = scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    reviewing.ui.candidatesCheckBox.click()
    reviewing.until(started.is_set)
    assert reviewing.running()
    if end == "cancel":
        reviewing.ui.applyButton.click()
    elif end == "fail":
        let_go.set()
    else:
        scene.mrml.Clear(False)
        before = 0
    reviewing.until(lambda: not reviewing.running())
    assert not reviewing.ui.candidatesCheckBox.checked
    assert scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before
    if end == "fail":
        assert isinstance(reviewing.slot_error(), ValueError)
        assert reviewing.errors == ["The candidates could not be shown. no room"]


def test_lesions_are_shown_in_3d_on_demand_and_follow_the_edits(reviewing, scene):
    def shown():
        models = slicer.util.getNodesByClass("vtkMRMLModelNode", scene.mrml)
        return {model.GetAttribute(SURFACE_ATTRIBUTE) for model in models} - {None}

    reviewing.ui.surfacesCheckBox.click()
    assert {"LAD", "RCA"} <= shown()
    reviewing.until(lambda: not reviewing.running())
    click(reviewing, IN_LAD, shift=True)
    reviewing.until(lambda: "LAD" not in shown())
    reviewing.ui.undoButton.click()
    reviewing.until(lambda: "LAD" in shown())
    reviewing.ui.surfacesCheckBox.click()
    assert shown() == set()
    reviewing.ui.surfacesCheckBox.click()
    reviewing.until(lambda: not reviewing.running())
    reviewing.ui.inputSelector.setCurrentNode(None)
    assert shown() == set()


def test_start_without_ai_asks_for_no_package_and_shows_the_candidates(panel):
    panel.required.clear()
    panel.ui.startButton.click()
    panel.until(lambda: not panel.running())
    assert panel.required == []
    assert panel.ui.statusLabel.text.startswith("Started without AI. Candidates are outlined in red and listed")
    assert (listed(panel, 0), listed(panel, 2)) == (["candidate", "candidate"], ["300.0", "225.0"])
    assert panel.ui.intendedUseLabel.text == RESEARCH_USE
    assert panel.ui.candidatesCheckBox.checked
    assert not panel.ui.predictionCheckBox.enabled
    assert panel.ui.scoreTable.isColumnHidden(5)
    click(panel, IN_LAD)
    assert sorted(listed(panel, 0)) == ["LAD", "candidate"]
    click(panel, IN_RCA)
    assert (agatston(panel, "LAD"), agatston(panel, "Total")) == (SYNTHETIC_AGATSTON, SYNTHETIC_AGATSTON)
