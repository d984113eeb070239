"""Which segmentations of a scene are reviews of a CT, and which table belongs to each."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.scoring.rules import LITERATURE  # noqa: E402
from CoronaryCalciumScoringLib.candidates import add_candidates_node  # noqa: E402
from CoronaryCalciumScoringLib.edits import Edits  # noqa: E402
from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic  # noqa: E402
from CoronaryCalciumScoringLib.reviews import (  # noqa: E402
    REVIEWED_ROLE,
    may_be_replaced,
    replace_review,
    reviews_of,
    table_of,
)
from CoronaryCalciumScoringLib.score_table import add_score_table  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import add_segmentation  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct  # noqa: E402
from editor_history import editor_history  # noqa: E402
from slicer_cases import ras_of, synthetic_labels_engine  # noqa: E402


@pytest.fixture
def volume(scene):
    return add_synthetic_ct(scene.mrml)[0]


def scored(volume):
    return CoronaryCalciumScoringLogic(synthetic_labels_engine).score(volume)


def test_predictions_candidates_other_cts_and_other_segmentations_are_no_reviews(scene, volume):
    first, second = scored(volume), scored(volume)
    add_candidates_node(volume)
    other, labels = add_synthetic_ct(scene.mrml)
    add_segmentation(other, labels, "On another CT")
    lungs = scene.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
    lungs.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    lungs.GetSegmentation().AddEmptySegment("lung", "lung")
    assert reviews_of(volume) == [first.segmentationNode, second.segmentationNode]
    assert reviews_of(None) == []


def test_each_review_has_its_own_table(volume):
    first, second = scored(volume), scored(volume)
    for made in (first, second):
        assert table_of(made.segmentationNode, volume) is made.tableNode


def test_tables_of_earlier_versions_belong_to_the_reviews_in_their_order(scene, volume):
    first, second = scored(volume), scored(volume)
    for made in (first, second):
        made.tableNode.SetNodeReferenceID(REVIEWED_ROLE, None)
    assert table_of(second.segmentationNode, volume) is second.tableNode
    assert table_of(first.segmentationNode, volume) is first.tableNode


def test_a_segmentation_without_a_table_gets_one_and_keeps_it(volume):
    node = add_segmentation(volume, np.zeros(volume.GetImageData().GetDimensions()[::-1], np.uint8), "Empty")
    table = table_of(node, volume)
    assert table.GetTable().GetNumberOfRows() == 0
    assert table_of(node, volume) is table
    assert add_score_table(volume, "another") is not table


def test_what_the_network_left_and_what_is_empty_may_be_replaced_and_nothing_else(volume):
    made = scored(volume)
    assert may_be_replaced(made.segmentationNode)
    # An edit that no review has watched, such as in the Segment Editor of a scene that was just opened.
    history = editor_history(made.segmentationNode, volume)
    edits = Edits(made.segmentationNode, volume, history, LITERATURE)
    edits.remove(ras_of(volume, (15, 52, 57)))
    assert not may_be_replaced(made.segmentationNode)
    edits.undo()
    assert may_be_replaced(made.segmentationNode)
    shape = volume.GetImageData().GetDimensions()[::-1]
    assert may_be_replaced(add_segmentation(volume, np.zeros(shape, np.uint8), "Empty"))
    assert not may_be_replaced(add_segmentation(volume, np.full(shape, 1, np.uint8), "From elsewhere"))


def test_a_replaced_review_goes_with_its_table_and_prediction_and_leaves_its_names(scene, volume):
    first = scored(volume)
    names = {first.segmentationNode.GetName(), first.tableNode.GetName()}
    content = len(scene.content())
    second = scored(volume)
    replace_review(first.segmentationNode, second.segmentationNode, volume)
    assert len(scene.content()) == content
    assert {second.segmentationNode.GetName(), second.tableNode.GetName()} == names
    assert first.tableNode.GetScene() is None
