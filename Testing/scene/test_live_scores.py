"""The live scores follow every event that an edit can fire."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import vtk  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.scoring import score_labels  # noqa: E402
from CoronaryCalciumScoringLib.live_scores import LiveScores  # noqa: E402
from CoronaryCalciumScoringLib.score_table import add_score_table, score_rows, show_score  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import BINARY_LABELMAP, add_segmentation  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import array_of  # noqa: E402
from live_cases import BOX, RULES, Editor, Watched, add_calcium_case, assert_equal_to_full, calcium_ct  # noqa: E402
from slicer_cases import add_volume_with_axes  # noqa: E402


def paint(case):
    case.paint()


def paint_and_undo(case):
    paint(case)
    case.settle()
    case.editor.undo()


def paint_undo_and_redo(case):
    paint_and_undo(case)
    case.settle()
    case.editor.redo()


def erase(case):
    case.editor.stroke("LAD", BOX, erase=True)


def clear(case):
    slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(case.segmentation_node, "LAD")


def clear_the_representation(case):
    case.segmentation.GetSegment("LAD").GetRepresentation(BINARY_LABELMAP).Initialize()
    case.segmentation.GetSegment("LAD").Modified()


def update_from_array(case):
    array = np.zeros_like(array_of(case.volume_node.GetImageData()), dtype=np.uint8)
    array[BOX] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, case.segmentation_node, "LAD", case.volume_node)


def write_by_numpy(case):
    segment = case.segmentation.GetSegment("LAD")
    array_of(segment.GetRepresentation(BINARY_LABELMAP))[5] = segment.GetLabelValue()
    segment.Modified()


def rename(case):
    case.segmentation.GetSegment("LAD").SetName("RCA")


def remove_a_segment(case):
    case.segmentation.RemoveSegment("LAD")


def add_a_segment(case):
    other = slicer.vtkSegment()
    other.DeepCopy(case.segmentation.GetSegment("LAD"))
    other.SetName("RCA")
    case.segmentation.AddSegment(other)


def copy_another_segmentation(case):
    _, labels = calcium_ct(5)
    case.segmentation.DeepCopy(add_segmentation(case.volume_node, labels, "Other").GetSegmentation())


def replace_the_segmentation(case):
    _, labels = calcium_ct(5)
    other = add_segmentation(case.volume_node, labels, "Other").GetSegmentation()
    case.segmentation_node.SetAndObserveSegmentation(other)


def edit_the_ct(case):
    array_of(case.volume_node.GetImageData())[BOX] = 450
    case.volume_node.GetImageData().GetPointData().GetScalars().Modified()
    case.volume_node.GetImageData().Modified()


def swap_the_ct(case):
    image = vtk.vtkImageData()
    image.DeepCopy(case.volume_node.GetImageData())
    array_of(image)[BOX] = 450
    case.volume_node.SetAndObserveImageData(image)


def stretch_the_ct_a_little(case):
    case.volume_node.SetSpacing(1.6, 1.6, 3.0 + 1e-5)


EDITS = [
    paint,
    paint_and_undo,
    paint_undo_and_redo,
    erase,
    clear,
    clear_the_representation,
    update_from_array,
    write_by_numpy,
    rename,
    remove_a_segment,
    add_a_segment,
    copy_another_segmentation,
    replace_the_segmentation,
    edit_the_ct,
    swap_the_ct,
    stretch_the_ct_a_little,
]


@pytest.mark.parametrize("edit", EDITS)
def test_after_every_kind_of_edit_the_scores_are_the_engines_and_new(watched, edit):
    edit(watched)
    before = watched.live.score
    watched.settle()
    assert watched.live.score != before
    assert watched.told[-1] is watched.live.score
    assert not watched.scheduled


def show_in_3d(case):
    case.segmentation_node.CreateClosedSurfaceRepresentation()


def color(case):
    case.segmentation.GetSegment("LAD").SetColor(0.1, 0.2, 0.3)


def tag(case):
    case.segmentation.GetSegment("LAD").SetTag("Segmentation.Status", "completed")


def rename_to_no_artery(case):
    case.segmentation.GetSegment("LAD").SetName("front")


def reorder(case):
    case.segmentation.ReorderSegments(case.segmentation.GetSegmentIDs()[::-1])


@pytest.mark.parametrize("change", [show_in_3d, color, tag, rename_to_no_artery, reorder])
def test_what_changes_no_score_is_not_told(watched, change):
    before = watched.live.score
    change(watched)
    watched.settle()
    assert watched.live.score is before
    assert watched.told == []


def test_many_events_cause_one_update_which_tells_once(watched):
    for _ in range(3):
        paint(watched)
        erase(watched)
        rename(watched)
        remove_a_segment(watched)
        watched.editor.undo()
    watched.settle()
    assert len(watched.told) == 1


def test_without_a_schedule_the_update_is_called_by_hand(scene):
    nodes = add_calcium_case(scene.mrml)
    live = LiveScores(rules=RULES)
    before = live.watch(*nodes)
    nodes[0].GetSegmentation().RemoveSegment("LAD")
    assert live.score is before
    assert live.update() is live.score
    assert live.score != before
    live.close()


def test_two_segmentations_on_two_volumes_do_not_disturb_each_other(scene):
    one, other = Watched(scene, 1), Watched(scene, 2)
    before = other.live.score
    paint(one)
    one.settle()
    assert not other.scheduled
    assert other.live.update() is before
    edit_the_ct(other)
    rename(other)
    other.settle()
    assert not one.scheduled
    scene.mrml.RemoveNode(one.volume_node)
    one.live.update()
    assert one.live.score is None
    other.scheduled.clear()
    other.live.update()
    assert_equal_to_full(other.live, *other.nodes)
    one.live.close()
    other.live.close()


def test_two_segmentations_of_one_ct_and_two_watchers_of_one_segmentation(scene, watched):
    _, labels = calcium_ct(7)
    second = add_segmentation(watched.volume_node, labels, "Second")
    others = [LiveScores(rules=RULES), LiveScores(rules=RULES)]
    others[0].watch(second, watched.volume_node)
    others[1].watch(*watched.nodes)
    assert others[0].score != watched.live.score == others[1].score
    paint(watched)
    edit_the_ct(watched)
    watched.settle()
    for live, node in zip(others, (second, watched.segmentation_node)):
        live.update()
        assert_equal_to_full(live, node, watched.volume_node)
        live.close()


def test_a_segment_of_no_artery_counts_as_unassigned_with_a_warning(watched):
    before = watched.live.score
    segment = watched.segmentation.GetSegment("LAD")
    segment.RemoveTag("TerminologyEntry")
    segment.SetName("Segment_1")
    watched.settle()
    score = watched.live.score
    assert score.labeled_voxels == before.labeled_voxels
    assert score.by_artery["LAD"].agatston == 0
    assert score.by_artery["unassigned"].volume_mm3 > before.by_artery["unassigned"].volume_mm3
    assert score.by_artery["LM"] == before.by_artery["LM"]
    assert "segments-unassigned" in [warning.code for warning in watched.live.warnings]


def test_overlapping_segments_are_scored_once_and_said(watched):
    add_a_segment(watched)
    watched.settle()
    assert watched.live.score.by_artery["LAD"].agatston == 0
    assert "segments-overlap" in [warning.code for warning in watched.live.warnings]


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_a_ct_stored_on_other_axes_gives_the_same_scores(scene, axes):
    volume_node, labels = add_volume_with_axes(scene.mrml, axes, (True, False, True))
    segmentation_node = add_segmentation(volume_node, labels, "Calcium")
    live = LiveScores(rules=RULES)
    live.watch(segmentation_node, volume_node)
    assert live.score.total.lesions == 2
    editor = Editor(scene.mrml, segmentation_node, volume_node)
    rng = np.random.default_rng(0)
    for name in ("LAD", "RCA", "LM") * 4:
        low = rng.integers(10, 30, 3)
        box = tuple(slice(int(a), int(a) + 8) for a in low)
        array_of(volume_node.GetImageData())[box] = rng.integers(100, 500, (8, 8, 8))
        volume_node.GetImageData().GetPointData().GetScalars().Modified()
        volume_node.GetImageData().Modified()
        editor.stroke(name, box)
        live.update()
        assert_equal_to_full(live, segmentation_node, volume_node)
    assert live.score.by_artery["LM"].agatston > 0
    live.close()


def test_the_lesions_have_the_predictions_probability_until_the_ct_changes(watched):
    volume, labels = calcium_ct(0)
    probability = np.random.default_rng(0).random(volume.shape, dtype=np.float32)
    watched.live.watch(*watched.nodes, probability=probability)
    assert watched.live.score == score_labels(volume, labels, RULES, probability)
    edit_the_ct(watched)
    watched.live.update()
    assert {lesion.probability for lesion in watched.live.score.lesions} == {None}


def test_a_score_table_follows_in_place(scene, watched):
    table = add_score_table(watched.volume_node, "Scores")
    watched.live.onChanged.append(lambda score: show_score(table, score, watched.live.warnings))
    paint(watched)
    watched.settle()
    assert score_rows(table)[-1].agatston == watched.live.score.total.agatston
