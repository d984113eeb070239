"""Warnings about lesions follow every edit of a review, as its scores do, and reach table and report."""

import json

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD, RCA  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.scoring import lesion_warnings, score_labels  # noqa: E402
from coronary_calcium.scoring.components import labeled_voxels  # noqa: E402
from coronary_calcium.scoring.lesion_warnings import LESION_CODES, Uncertainty  # noqa: E402
from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic  # noqa: E402
from CoronaryCalciumScoringLib.review import Review  # noqa: E402
from CoronaryCalciumScoringLib.score_table import score_warnings  # noqa: E402
from CoronaryCalciumScoringLib.stored_prediction import FACTS_ATTRIBUTE, prediction_node  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct, synthetic_ct  # noqa: E402
from editor_history import editor_history  # noqa: E402
from slicer_cases import ras_of, synthetic_labels_engine  # noqa: E402

IN_LAD, IN_RCA = (20, 48, 69), (15, 52, 57)
COUNTED, LEFT_OUT, AMOUNT = "uncertain-lesions-counted", "uncertain-lesions", "implausible-amount"


def uncertain_engine(volume, **arguments):
    """Counts the synthetic CT's plaque in the LAD, of which it is uncertain, and leaves out that in the RCA."""
    result = synthetic_labels_engine(volume, **arguments)
    both = result.labels
    result.labels = np.where(both == LAD.label, both, 0).astype(np.uint8)
    result.score = score_labels(volume, result.labels)
    left_out = labeled_voxels((both == RCA.label).view(np.uint8))
    result.uncertainty = Uncertainty(
        counted=labeled_voxels(result.labels),
        left_out=left_out,
        left_out_labels=np.full(left_out.size, RCA.label, np.uint8),
        lesions=1,
        slices_run=4,
    )
    return result


@pytest.fixture
def review(scene):
    volume, _ = add_synthetic_ct(scene.mrml)
    scored = CoronaryCalciumScoringLogic(uncertain_engine).score(volume)
    made = opened(scored.segmentationNode, volume, scored.tableNode)
    yield made
    made.close()


def opened(segmentation, volume, table):
    return Review(segmentation, volume, editor_history(segmentation, volume), tableNode=table)


def codes(warnings):
    return {warning.code for warning in warnings if warning.code in LESION_CODES}


def test_what_the_reader_accepts_is_left_out_no_more_and_what_is_removed_counts_no_more(review):
    assert codes(review.warnings) == {COUNTED, LEFT_OUT}
    review.assign(ras_of(review.volumeNode, IN_RCA), RCA)
    assert codes(review.warnings) == {COUNTED}
    review.remove(ras_of(review.volumeNode, IN_LAD))
    assert codes(review.warnings) == set()
    review.undo()
    review.undo()
    assert codes(review.warnings) == {COUNTED, LEFT_OUT}


def test_table_and_report_have_the_warnings_of_the_lesions_as_they_are_now(review):
    review.assign(ras_of(review.volumeNode, IN_RCA), RCA)
    assert codes(score_warnings(review.tableNode)) == codes(review.case_result().warnings) == {COUNTED}
    (message,) = [warning.message for warning in review.warnings if warning.code == COUNTED]
    assert "without it the score would be 300.0" in message
    review.remove(ras_of(review.volumeNode, IN_LAD))
    assert codes(score_warnings(review.tableNode)) == codes(review.case_result().warnings) == set()


def test_too_much_calcium_is_warned_of_while_it_is_marked(review, monkeypatch):
    (plaque,) = review.score.lesions
    monkeypatch.setattr(lesion_warnings, "MOST_CALCIUM_MM3", 1.5 * plaque.volume_mm3)
    review.assign(ras_of(review.volumeNode, IN_RCA), RCA)
    assert AMOUNT in codes(review.warnings) and AMOUNT in codes(review.case_result().warnings)
    review.remove(ras_of(review.volumeNode, IN_RCA))
    assert AMOUNT not in codes(review.warnings)


def test_a_review_that_is_opened_again_knows_what_was_uncertain(review):
    review.close()
    again = opened(review.segmentationNode, review.volumeNode, review.tableNode)
    assert codes(again.warnings) == {COUNTED, LEFT_OUT}
    again.close()


@pytest.mark.parametrize(
    "change",
    [
        {"counted": "all"},
        {"left_out": [5, 3], "left_out_labels": [1, 1]},
        {"left_out": [-1], "left_out_labels": [1]},
        {"left_out": [10**12], "left_out_labels": [1]},
        {"left_out": [5], "left_out_labels": [99]},
        {"left_out": [5]},
        {"slices_run": None},
    ],
)
def test_what_a_scene_cannot_know_of_uncertainty_is_ignored(review, change):
    node = prediction_node(review.segmentationNode)
    facts = json.loads(node.GetAttribute(FACTS_ATTRIBUTE))
    facts["uncertainty"].update(change)
    node.SetAttribute(FACTS_ATTRIBUTE, json.dumps(facts))
    review.close()
    again = opened(review.segmentationNode, review.volumeNode, review.tableNode)
    assert again.prediction.uncertainty is None and codes(again.warnings) == set()
    again.close()


def test_rules_that_count_below_what_the_network_marked_say_so(review):
    review.use("philips", review.options)
    assert "ai-threshold" in {warning.code for warning in review.warnings}
    (message,) = [warning.message for warning in review.warnings if warning.code == "ai-threshold"]
    assert "from 130 HU on, and these rules count it from 113 HU on" in message
    review.use("literature", review.options)
    assert "ai-threshold" not in {warning.code for warning in review.warnings}


def test_the_synthetic_ct_has_what_these_tests_take_for_granted():
    volume, labels = synthetic_ct()
    assert {lesion.artery: lesion.agatston for lesion in score_labels(volume, labels).lesions} == {
        "LAD": 225.0,
        "RCA": 300.0,
    }
