"""A review: scores that follow every edit, the prediction that stays, counts, candidates, saving and reloading."""

import json

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD, LCX, RCA  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.errors import InputError  # noqa: E402
from coronary_calcium.reports import write_case  # noqa: E402
from coronary_calcium.scoring import score_labels  # noqa: E402
from CoronaryCalciumScoringLib.candidates import SEGMENT  # noqa: E402
from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic  # noqa: E402
from CoronaryCalciumScoringLib.review import Review  # noqa: E402
from CoronaryCalciumScoringLib.review_statistics import STATISTICS_ATTRIBUTE  # noqa: E402
from CoronaryCalciumScoringLib.rules_and_outputs import OPTIONS_ATTRIBUTE  # noqa: E402
from CoronaryCalciumScoringLib.score_table import (  # noqa: E402
    WARNINGS_ATTRIBUTE,
    score_rows,
    score_warnings,
    table_text,
)
from CoronaryCalciumScoringLib.segmentation import artery_segments, read_labels  # noqa: E402
from CoronaryCalciumScoringLib.stored_prediction import FACTS_ATTRIBUTE, prediction_node  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, add_synthetic_ct, synthetic_ct  # noqa: E402
from editor_history import editor_history  # noqa: E402
from slicer_cases import PROBABILITY, WARNING, add_volume_with_axes, ras_of, synthetic_labels_engine  # noqa: E402

IN_LAD, IN_RCA, IN_TISSUE = (20, 48, 69), (15, 52, 57), (20, 60, 64)
SCORE_LAD, SCORE_RCA = 225.0, 300.0


@pytest.fixture
def reviewing(scene):
    """Opens reviews, and closes them in the end."""
    opened = []

    def open_review(segmentation, volume, table=None):
        review = Review(segmentation, volume, editor_history(segmentation, volume), tableNode=table)
        opened.append(review)
        return review

    yield open_review
    for review in opened:
        review.close()


@pytest.fixture
def proposed(scene, reviewing):
    """A review of what the network proposed on the synthetic CT: both plaques."""
    volume, _ = add_synthetic_ct(scene.mrml)
    scored = CoronaryCalciumScoringLogic(synthetic_labels_engine).score(volume)
    return reviewing(scored.segmentationNode, volume, scored.tableNode)


@pytest.fixture
def started(scene, reviewing):
    """A review that was started without the network."""
    volume, _ = add_synthetic_ct(scene.mrml)
    logic = CoronaryCalciumScoringLogic(synthetic_labels_engine)
    case = logic.prepare(volume)
    made = logic.showEmpty(volume, case, logic.computeCandidates(case))
    review = reviewing(made.segmentationNode, volume, made.tableNode)
    review.use_candidates(made.candidates)
    return review


def agatston(review, name):
    return review.score.by_artery[name].agatston


def total_row(review):
    return score_rows(review.tableNode)[-1]


def changes(review):
    """By how much the reader's scores differ from the proposed ones in the table, where they do."""
    return {row.artery: row.difference for row in score_rows(review.tableNode) if row.difference}


def test_scores_and_table_follow_every_click(proposed):
    assert proposed.score.total.agatston == SYNTHETIC_AGATSTON
    proposed.assign(ras_of(proposed.volumeNode, IN_LAD), LCX)
    assert (agatston(proposed, "LAD"), agatston(proposed, "LCX")) == (0.0, SCORE_LAD)
    proposed.remove(ras_of(proposed.volumeNode, IN_RCA))
    assert total_row(proposed).agatston == SCORE_LAD
    proposed.undo()
    assert total_row(proposed).agatston == SYNTHETIC_AGATSTON
    proposed.redo()
    assert total_row(proposed).agatston == SCORE_LAD


def test_the_score_is_that_of_the_engine_for_the_same_label_map(proposed):
    proposed.assign(ras_of(proposed.volumeNode, IN_LAD), LCX)
    expected = score_labels(synthetic_ct()[0], np.where(synthetic_ct()[1] == LAD.label, LCX.label, synthetic_ct()[1]))
    assert proposed.score == expected
    assert proposed.case_result().score == expected


def test_the_prediction_stays_and_the_difference_is_in_the_table(proposed):
    assert changes(proposed) == {}
    proposed.assign(ras_of(proposed.volumeNode, IN_LAD), LCX)
    rows = {row.artery: row for row in score_rows(proposed.tableNode)}
    assert (rows["LAD"].predicted, rows["LAD"].difference) == (SCORE_LAD, -SCORE_LAD)
    assert (rows["LCX"].predicted, rows["LCX"].difference) == (0.0, SCORE_LAD)
    assert (rows["Total"].predicted, rows["Total"].difference) == (SYNTHETIC_AGATSTON, 0.0)
    assert changes(proposed) == {"LAD": -SCORE_LAD, "LCX": SCORE_LAD}
    kept = read_labels(prediction_node(proposed.segmentationNode), proposed.volumeNode).labels
    assert np.array_equal(kept, synthetic_ct()[1])
    assert not prediction_node(proposed.segmentationNode).GetDisplayNode().GetVisibility()


def test_the_copied_table_holds_the_scores_unrounded(proposed):
    lines = [line.split("\t") for line in table_text(proposed.tableNode).splitlines()]
    assert lines[0] == [
        "Artery",
        "Lesions",
        "Agatston",
        "Volume (mm3)",
        "Risk category",
        "AI Agatston",
        "Difference",
    ]
    assert lines[2][0] == "LAD"
    assert float(lines[-1][2]) == SYNTHETIC_AGATSTON
    assert len(lines) == 7


def test_the_lesion_list_says_where_what_and_how_probable(proposed):
    first, second = proposed.lesion_rows()
    assert (first.artery, first.slice_number, first.agatston, first.maximum_hu) == ("RCA", 15, SCORE_RCA, 500)
    assert first.probability == pytest.approx(PROBABILITY)
    assert first.ras == pytest.approx(ras_of(proposed.volumeNode, (15, 52.5, 57)))
    proposed.assign(ras_of(proposed.volumeNode, IN_LAD), LCX)
    assert [row.artery for row in proposed.lesion_rows()] == ["RCA", "LCX"]
    assert proposed.lesion_rows()[1].probability == pytest.approx(second.probability)


def test_a_lesion_that_the_network_did_not_propose_has_no_probability(proposed):
    from CoronaryCalciumScoringLib.volume_node import array_of

    array_of(proposed.volumeNode.GetImageData())[30, 60, 60:63] = 300
    proposed.volumeNode.GetImageData().Modified()
    proposed.assign(ras_of(proposed.volumeNode, (30, 60, 61)), LCX)
    assert [row.probability is None for row in proposed.lesion_rows()] == [False, False, True]


def test_edits_are_counted_and_kept_with_the_scene(proposed):
    volume = proposed.volumeNode
    proposed.assign(ras_of(volume, IN_LAD), LCX)
    proposed.remove(ras_of(volume, IN_RCA))
    proposed.assign(ras_of(volume, IN_RCA), RCA)
    proposed.assign(ras_of(volume, IN_TISSUE), RCA)
    proposed.undo()
    proposed.redo()
    proposed.redo()  # there is nothing left to do again
    segmentation = proposed.segmentationNode
    slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(segmentation, artery_segments(segmentation)["RCA"])
    proposed.live.update()
    statistics = proposed.statistics
    assert (
        statistics.assigned,
        statistics.moved,
        statistics.removed,
        statistics.other,
        statistics.undone,
        statistics.redone,
    ) == (
        1,
        1,
        1,
        1,
        1,
        1,
    )
    assert statistics.seconds > 0
    assert json.loads(segmentation.GetAttribute("CoronaryCalcium.Review"))["moved"] == 1


def test_listeners_hear_of_every_change_and_of_none_after_closing(proposed):
    heard = []
    proposed.onChanged.append(lambda score: heard.append(score.total.agatston))
    proposed.remove(ras_of(proposed.volumeNode, IN_RCA))
    assert heard == [SCORE_LAD]
    proposed.close()
    proposed.edits.undo()
    assert heard == [SCORE_LAD]


def test_warnings_of_the_run_stay_and_those_of_segments_come_and_go(proposed):
    segmentation = proposed.segmentationNode.GetSegmentation()
    segment_id = segmentation.AddEmptySegment("x", "something", (1, 0, 0))
    proposed.live.update()
    assert {"kvp", "segments-unassigned"} <= {warning.code for warning in score_warnings(proposed.tableNode)}
    segmentation.RemoveSegment(segment_id)
    proposed.live.update()
    assert WARNING in score_warnings(proposed.tableNode)
    assert "segments-unassigned" not in {warning.code for warning in proposed.warnings}


def test_started_without_the_network_all_scores_are_zero_and_candidates_are_shown(started):
    assert started.score.total.agatston == 0
    assert started.prediction is None
    assert total_row(started).predicted is None
    started.show_candidates(True)
    assert np.array_equal(shown_candidates(started), synthetic_ct()[1] > 0)


def shown_candidates(review):
    """The voxels of the candidates' segment on the array axes of the CT's node."""
    from CoronaryCalciumScoringLib.segmentation import Box, segment_in_box

    shape = np.array(review.volumeNode.GetImageData().GetDimensions()[::-1])
    segment = review._candidatesNode.GetSegmentation().GetSegment(SEGMENT)
    return segment_in_box(segment, review.volumeNode, Box(np.zeros(3, int), shape, np.zeros((3, 2), bool)))


def test_candidates_that_an_artery_has_are_not_shown_and_come_back(started, scene):
    before = scene.content()
    started.show_candidates(True)
    started.assign(ras_of(started.volumeNode, IN_LAD), LAD)
    assert np.array_equal(shown_candidates(started), synthetic_ct()[1] == RCA.label)
    started.undo()
    assert np.array_equal(shown_candidates(started), synthetic_ct()[1] > 0)
    started.show_candidates(False)
    assert [entry for entry in scene.content() if "Segmentation" in entry] == [
        entry for entry in before if "Segmentation" in entry
    ]


def test_candidates_lie_on_the_nodes_own_axes(scene, reviewing):
    volume, labels = add_volume_with_axes(scene.mrml, (2, 0, 1), (True, False, True))
    scored = CoronaryCalciumScoringLogic().score(volume, labels=np.zeros_like(labels))
    review = reviewing(scored.segmentationNode, volume)
    review.show_candidates(True)
    assert np.array_equal(shown_candidates(review), labels > 0)


def test_a_review_of_a_ct_that_cannot_be_scored_is_rejected(scene, proposed):
    transform = scene.mrml.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    proposed.volumeNode.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError):
        Review(proposed.segmentationNode, proposed.volumeNode, proposed.edits.history)


def test_the_report_of_a_review_is_the_engines(proposed, tmp_path):
    proposed.remove(ras_of(proposed.volumeNode, IN_RCA))
    write_case(proposed.case_result(), tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["agatston"]["total"] == SCORE_LAD
    assert scores["coverage"]["labels_from"] == "mask"
    assert len((tmp_path / "lesions.csv").read_text().splitlines()) == 2
    assert (tmp_path / "report.html").is_file()


def test_closing_the_scene_takes_the_scores_away(proposed, scene):
    scene.mrml.Clear(False)
    proposed.live.update()
    assert proposed.score is None
    assert proposed.lesion_rows() == []


def test_a_scene_saved_and_loaded_again_shows_the_same_scores_and_goes_on_live(proposed, scene, reviewing, tmp_path):
    proposed.assign(ras_of(proposed.volumeNode, IN_LAD), LCX)
    proposed.remove(ras_of(proposed.volumeNode, IN_RCA))
    saved = proposed.score
    path = scene.save_bundle(tmp_path / "case.mrb")
    proposed.close()
    scene.load_bundle(path)
    (segmentation,) = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene.mrml)
        if prediction_node(node) is not None
    ]
    volume = scene.mrml.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    table = scene.mrml.GetFirstNodeByClass("vtkMRMLTableNode")
    assert score_rows(table)[-1].agatston == SCORE_LAD
    review = reviewing(segmentation, volume, table)
    assert review.score == saved
    assert review.prediction.score.total.agatston == SYNTHETIC_AGATSTON
    assert changes(review) == {"LAD": -SCORE_LAD, "LCX": SCORE_LAD, "RCA": -SCORE_RCA, "Total": -SCORE_RCA}
    assert review.lesion_rows()[0].probability == pytest.approx(PROBABILITY)
    assert (review.statistics.moved, review.statistics.removed) == (1, 1)
    assert WARNING in review.warnings
    review.assign(ras_of(volume, IN_RCA), RCA)
    assert score_rows(table)[-1].agatston == SYNTHETIC_AGATSTON


def test_a_scene_of_a_later_version_is_read_as_far_as_it_is_known(proposed, reviewing):
    segmentation, volume, table = proposed.segmentationNode, proposed.volumeNode, proposed.tableNode
    proposed.remove(ras_of(volume, IN_RCA))
    proposed.close()
    for node, attribute in (
        (segmentation, STATISTICS_ATTRIBUTE),
        (segmentation, OPTIONS_ATTRIBUTE),
        (prediction_node(segmentation), FACTS_ATTRIBUTE),
    ):
        content = json.loads(node.GetAttribute(attribute) or "{}")
        node.SetAttribute(attribute, json.dumps({**content, "unheard_of": {"of": [1]}}))
    kept = json.loads(table.GetAttribute(WARNINGS_ATTRIBUTE))
    table.SetAttribute(WARNINGS_ATTRIBUTE, json.dumps([[*entry, "severe"] for entry in kept]))
    review = reviewing(segmentation, volume, table)
    assert review.statistics.removed == 1 and review.statistics.seconds > 0
    assert review.lesion_rows()[0].probability == pytest.approx(PROBABILITY)
    assert WARNING in review.warnings
    review.assign(ras_of(volume, IN_RCA), RCA)
    assert review.statistics.assigned == 1


@pytest.mark.parametrize(
    "damage",
    ["{", "[1, 2", "null", "7", '"words"', "[]", "{}", "[[1, 2], null, 3]", "[" * 100_000, "\x00\ufffd"]
    + [
        json.dumps({"removed": value, "seconds": value, "probabilities": value, "model": value, "mass_factor": value})
        for value in (None, "x", [None], {"a": 1}, -1, 1.5, True, 10**400)
    ]
    + ['{"removed": NaN, "seconds": 1e999, "probabilities": [NaN, 1e999], "model": {"name": Infinity}}'],
)
def test_a_scene_whose_json_is_damaged_opens_with_its_scores(proposed, reviewing, damage):
    segmentation, volume, table = proposed.segmentationNode, proposed.volumeNode, proposed.tableNode
    proposed.close()
    for node, attribute in (
        (segmentation, STATISTICS_ATTRIBUTE),
        (segmentation, OPTIONS_ATTRIBUTE),
        (prediction_node(segmentation), FACTS_ATTRIBUTE),
        (table, WARNINGS_ATTRIBUTE),
    ):
        node.SetAttribute(attribute, damage)
    review = reviewing(segmentation, volume, table)
    assert review.score.total.agatston == review.prediction.score.total.agatston == SYNTHETIC_AGATSTON
    assert review.statistics.removed == 0 and 0 <= review.statistics.seconds < 10
    assert [row.probability for row in review.lesion_rows()] == [None, None]
    review.remove(ras_of(volume, IN_RCA))
    assert review.statistics.removed == 1
    result = review.case_result()
    assert result.difference.model == {} and result.difference.summary
