"""How a review in the panel ends and goes on: another run or CT, a closed scene, removed nodes, a saved scene."""

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from CoronaryCalciumScoringLib.score_table import score_rows
from CoronaryCalciumScoringLib.segmentation import add_segmentation
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, add_synthetic_ct
from review_cases import IN_LAD, agatston, click, press
from slicer_cases import WaitingEngine
from slicer_scene import slicer


def reviews(panel):
    """What the selector of reviews offers, and what is selected."""
    combo = panel.ui.reviewComboBox
    return [combo.itemText(index) for index in range(combo.count)], combo.currentText


def test_a_run_beside_corrections_asks_and_a_new_one_leaves_the_first_result_as_it_was(reviewing):
    click(reviewing, IN_LAD, shift=True)
    first = reviewing.widget.logic.getParameterNode().scoreTable
    reviewing.press_run()
    assert reviewing.asked == ["Made-up CT coronary calcium"]
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    assert score_rows(first)[-1].agatston == 300.0
    assert reviews(reviewing)[0] == ["New review", "coronary calcium", "coronary calcium_1"]
    reviewing.ui.reviewComboBox.setCurrentIndex(1)
    assert agatston(reviewing, "Total") == 300.0
    reviewing.ui.reviewComboBox.setCurrentIndex(2)
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON


def test_corrections_are_kept_on_request_and_nothing_runs(reviewing, scene):
    click(reviewing, IN_LAD, shift=True)
    before = scene.content()
    reviewing.answer = "keep"
    reviewing.press_run()
    assert scene.content() == before
    assert reviewing.ui.statusLabel.text == "Your corrections are kept; nothing was run."
    assert agatston(reviewing, "Total") == 300.0


def test_corrections_are_replaced_on_request_once_the_run_is_done(reviewing, scene):
    click(reviewing, IN_LAD, shift=True)
    before = scene.content()
    reviewing.answer = "replace"
    engine, good = WaitingEngine(), reviewing.widget.logic.engine
    reviewing.widget.logic.engine = engine
    reviewing.ui.applyButton.click()
    reviewing.until(engine.started.is_set)
    reviewing.press_run()  # cancels
    assert agatston(reviewing, "Total") == 300.0
    reviewing.widget.logic.engine = good
    reviewing.press_run()
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    assert len(scene.content()) == len(before)
    assert reviews(reviewing) == (["New review", "coronary calcium"], "coronary calcium")


def test_a_result_that_nobody_has_touched_is_replaced_without_a_question(reviewing, scene):
    before = len(scene.content())
    reviewing.press_run()
    assert reviewing.asked == []
    assert len(scene.content()) == before
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLTableNode", scene.mrml)]
    assert names == ["Made-up CT calcium scores"]


def test_the_review_of_a_ct_is_found_again_after_another_one_was_scored(reviewing, scene):
    click(reviewing, IN_LAD, shift=True)
    other, _ = add_synthetic_ct(scene.mrml)
    reviewing.ui.inputSelector.setCurrentNode(other)
    assert reviews(reviewing) == (["New review"], "New review")
    reviewing.press_run()
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    reviewing.ui.inputSelector.setCurrentNode(reviewing.volume)
    assert agatston(reviewing, "Total") == 300.0
    assert reviewing.ui.lesionTable.rowCount == 1


def test_a_segmentation_from_elsewhere_can_be_reviewed_and_is_never_replaced_unasked(panel, scene):
    node = add_segmentation(panel.volume, panel.labels, "From elsewhere")
    panel.widget.enter()
    panel.ui.reviewComboBox.setCurrentIndex(0)
    assert panel.ui.totalLabel.text == "No score yet."
    panel.ui.reviewComboBox.setCurrentIndex(1)
    assert panel.widget.reviewPanel.review.segmentationNode is node
    assert agatston(panel, "Total") == SYNTHETIC_AGATSTON
    panel.press_run()
    assert panel.asked == ["From elsewhere"]
    assert node.GetScene() is scene.mrml


def test_cancel_in_the_middle_keeps_the_review(reviewing):
    click(reviewing, IN_LAD, shift=True)
    engine = reviewing.widget.logic.engine = WaitingEngine()
    reviewing.ui.applyButton.click()
    reviewing.until(engine.started.is_set)
    reviewing.press_run()
    reviewing.ui.undoButton.click()
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON


def test_an_emptied_selector_ends_the_review_and_another_ct_has_none(reviewing, scene):
    other, _ = add_synthetic_ct(scene.mrml)
    for node in (None, other):
        reviewing.ui.inputSelector.setCurrentNode(node)
        assert not reviewing.ui.reviewCollapsibleButton.enabled
        assert reviewing.ui.lesionTable.rowCount == 0
    reviewing.ui.inputSelector.setCurrentNode(reviewing.volume)
    assert reviewing.ui.lesionTable.rowCount == 2


def test_closing_the_scene_in_the_middle_of_a_review_empties_the_panel(reviewing, scene):
    click(reviewing, IN_LAD, shift=True)
    scene.mrml.Clear(False)
    reviewing.process_events()
    assert reviewing.ui.totalLabel.text == "No score yet."
    assert reviewing.ui.lesionTable.rowCount == 0
    assert not reviewing.ui.reviewCollapsibleButton.enabled
    assert reviewing.errors == []


def test_a_removed_segmentation_is_not_scored_any_more(reviewing, scene):
    scene.mrml.RemoveNode(reviewing.widget.reviewPanel.review.segmentationNode)
    reviewing.until(lambda: "Agatston" not in reviewing.ui.totalLabel.text)
    assert reviewing.ui.lesionTable.rowCount == 0


def test_a_saved_scene_opens_with_the_same_scores_and_goes_on(reviewing, scene, tmp_path):
    click(reviewing, IN_LAD, shift=True)
    path = scene.save_bundle(tmp_path / "case.mrb")
    scene.load_bundle(path)
    reviewing.process_events()
    assert agatston(reviewing, "Total") == 300.0
    assert reviewing.ui.lesionTable.rowCount == 1
    reviewing.volume = reviewing.ui.inputSelector.currentNode()
    press(reviewing, "2")
    click(reviewing, IN_LAD)
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
