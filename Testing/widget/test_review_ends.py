"""How a review in the panel ends and goes on: another run or CT, a closed scene, removed nodes, a saved scene."""

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from CoronaryCalciumScoringLib.score_table import score_rows
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, add_synthetic_ct
from review_cases import IN_LAD, agatston, click, press
from slicer_cases import WaitingEngine


def test_a_second_run_leaves_the_first_result_as_it_was(reviewing):
    click(reviewing, IN_LAD, shift=True)
    first = reviewing.widget.logic.getParameterNode().scoreTable
    reviewing.press_run()
    assert agatston(reviewing, "Total") == SYNTHETIC_AGATSTON
    assert score_rows(first)[-1].agatston == 300.0


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
