"""The module's logic on Slicer's data model: scores, tables, rejections and cancelling."""

import csv
import dataclasses

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.errors import Cancelled, InputError  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.scoring import score_labels  # noqa: E402
from CoronaryCalciumScoringLib import logic as scene_logic  # noqa: E402
from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic  # noqa: E402
from CoronaryCalciumScoringLib.score_table import (  # noqa: E402
    is_score_of,
    score_rows,
    score_warnings,
    table_lines,
    write_table,
)
from CoronaryCalciumScoringLib.segmentation import read_labels  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, add_synthetic_ct, synthetic_ct  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import add_volume_node  # noqa: E402
from slicer_cases import WARNING, add_volume_with_axes, scoring_engine, synthetic_labels_engine  # noqa: E402


@pytest.fixture
def logic():
    return CoronaryCalciumScoringLogic(scoring_engine)


def test_the_score_in_the_scene_is_the_engines_to_the_last_digit(scene, logic):
    node, labels = add_synthetic_ct(scene.mrml)
    expected = score_labels(*synthetic_ct())
    scored = logic.score(node, labels=labels)
    assert scored.result.score == expected
    rows = {row.artery: row for row in score_rows(scored.tableNode)}
    for name, tally in {**expected.by_artery, "Total": expected.total}.items():
        assert (rows[name].lesions, rows[name].agatston, rows[name].volume_mm3) == (
            tally.lesions,
            tally.agatston,
            tally.volume_mm3,
        )
    assert rows["Total"].agatston == SYNTHETIC_AGATSTON
    assert rows["Total"].risk_category == ">400"
    assert np.array_equal(read_labels(scored.segmentationNode, node).labels, labels)


def test_axes_in_another_order_score_the_same_and_are_marked_on_the_nodes_own_voxels(scene):
    node, labels = add_volume_with_axes(scene.mrml, (2, 0, 1), (True, False, True))
    scored = CoronaryCalciumScoringLogic(synthetic_labels_engine).score(node)
    assert scored.result.score.total.agatston == SYNTHETIC_AGATSTON
    assert np.array_equal(read_labels(scored.segmentationNode, node).labels, labels)


def test_a_segmentation_can_be_scored_and_is_left_as_it_is(scene, logic):
    node, labels = add_synthetic_ct(scene.mrml)
    drawn = logic.score(node, labels=labels).segmentationNode
    scored = logic.score(node, maskSegmentation=drawn)
    assert scored.segmentationNode is drawn
    assert scored.result.score.total.agatston == SYNTHETIC_AGATSTON
    assert scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_warnings_travel_with_the_table(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    scored = CoronaryCalciumScoringLogic(synthetic_labels_engine).score(node)
    assert WARNING in score_warnings(scored.tableNode)
    assert score_warnings(scored.tableNode) == list(scored.result.warnings)


def test_the_table_knows_its_ct_and_lies_beside_it(scene, logic):
    hierarchy = scene.hierarchy()
    node, labels = add_synthetic_ct(scene.mrml)
    other, _ = add_synthetic_ct(scene.mrml)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, node)
    table = logic.score(node, labels=labels).tableNode
    assert is_score_of(table, node)
    assert not is_score_of(table, other)
    assert not is_score_of(None, node)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(table)) == study


def test_a_table_without_scores_has_no_rows(scene):
    assert score_rows(scene.mrml.AddNewNodeByClass("vtkMRMLTableNode")) == []


def test_scoring_twice_keeps_both_results_under_names_of_their_own(scene, logic):
    node, labels = add_synthetic_ct(scene.mrml)
    first, second = (logic.score(node, labels=labels) for _ in range(2))
    assert first.segmentationNode.GetName() != second.segmentationNode.GetName()
    assert first.tableNode.GetName() != second.tableNode.GetName()


def test_a_rejection_leaves_the_scene_as_it_was(scene, logic):
    node, labels = add_synthetic_ct(scene.mrml)
    before = scene.content()
    with pytest.raises(InputError) as rejected:
        logic.score(node, labels=labels[1:])
    assert rejected.value.code == "mask-grid"
    assert scene.content() == before


def test_cancelling_leaves_the_scene_as_it_was(scene, logic):
    node, labels = add_synthetic_ct(scene.mrml)
    before = scene.content()

    def cancel(fraction, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        logic.score(node, labels=labels, progress=cancel)
    assert scene.content() == before


def test_an_error_while_showing_the_result_leaves_the_scene_as_it_was(scene, logic, monkeypatch):
    node, labels = add_synthetic_ct(scene.mrml)
    before = scene.content()

    def fail(*arguments):
        raise RuntimeError("the table is full")

    monkeypatch.setattr(scene_logic, "show_score", fail)
    with pytest.raises(RuntimeError, match="full"):
        logic.score(node, labels=labels)
    assert scene.content() == before


def test_a_ct_that_changes_during_the_run_gets_no_result(scene, logic):
    node, labels = add_synthetic_ct(scene.mrml)
    case = logic.prepare(node, labels=labels)
    result = logic.compute(case)
    node.GetImageData().GetPointData().GetScalars().SetTuple1(0, 5)
    node.GetImageData().Modified()
    before = scene.content()
    with pytest.raises(InputError) as rejected:
        logic.show(node, case, result)
    assert rejected.value.code == "volume-changed"
    assert scene.content() == before


def test_why_rejected_is_a_sentence_or_nothing(scene, logic):
    node, _ = add_synthetic_ct(scene.mrml)
    assert logic.whyRejected(node) is None
    assert logic.whyRejected(None).endswith(".")


def test_the_devices_name_goes_to_the_engine(scene):
    seen = []

    def engine(volume, *, labels, device, progress):
        seen.append(device)
        return scoring_engine(volume, labels=labels, device=device, progress=progress)

    node, labels = add_synthetic_ct(scene.mrml)
    CoronaryCalciumScoringLogic(engine).score(node, labels=labels, device="cpu")
    assert seen == ["cpu"]


def test_saved_and_loaded_again_the_segments_and_scores_are_the_same(scene, logic, tmp_path):
    node, labels = add_synthetic_ct(scene.mrml)
    scored = logic.score(node, labels=labels)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "calcium.seg.nrrd"))
    scene.mrml.AddNode(storage)
    assert storage.WriteData(scored.segmentationNode)
    loaded = scene.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(loaded)
    assert np.array_equal(read_labels(loaded, node).labels, labels)


def test_the_modules_logic_is_the_engine_on_synthetic_calcium(scene):
    """With the engine itself in place of a stand-in; a given label map needs no network."""
    node, labels = add_synthetic_ct(scene.mrml)
    scored = CoronaryCalciumScoringLogic().score(node, labels=labels)
    assert scored.result.score.total.agatston == SYNTHETIC_AGATSTON
    assert scored.result.mask_given


def test_the_written_table_has_every_digit_of_the_scores(scene, logic, tmp_path):
    volume, labels = synthetic_ct()
    spacing = (3.0, 2.4193, 0.8371)  # scores that six digits cannot write
    node = add_volume_node(scene.mrml, dataclasses.replace(volume, spacing=spacing), "CT")
    scored = logic.score(node, labels=labels)
    path = write_table(table_lines(scored.tableNode), tmp_path)
    rows = list(csv.DictReader(path.open()))
    assert float(f"{score_rows(scored.tableNode)[1].agatston:.6g}") != score_rows(scored.tableNode)[1].agatston
    assert [float(row["Agatston"]) for row in rows] == [row.agatston for row in score_rows(scored.tableNode)]
