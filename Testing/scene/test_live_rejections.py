"""Where live scores cannot be had they say why, and they come back when the reason is gone."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import vtk  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.arteries import ARTERIES  # noqa: E402
from CoronaryCalciumScoringLib.live_scores import NOTHING_WATCHED  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import BINARY_LABELMAP  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import array_of  # noqa: E402
from live_cases import add_calcium_case, assert_equal_to_full  # noqa: E402


def under_a_transform(node, scene):
    node.SetAndObserveTransformNodeID(scene.mrml.AddNewNodeByClass("vtkMRMLLinearTransformNode").GetID())


def test_a_transform_on_either_node_is_rejected_until_it_is_taken_away(scene, watched):
    before = watched.live.score
    for node in watched.nodes:
        under_a_transform(node, scene)
        watched.settle()
        assert watched.live.score is None
        assert "transform" in watched.live.reason
        node.SetAndObserveTransformNodeID(None)
        watched.settle()
        assert watched.live.score == before
    assert [score is None for score in watched.told] == [True, False, True, False]


def test_another_grid_is_rejected(watched):
    watched.volume_node.SetSpacing(1.6, 1.6, 2.9)
    watched.settle()
    assert watched.live.score is None
    assert "not on the CT's voxels" in watched.live.reason


def test_an_oversampled_segmentation_is_rejected(watched):
    fine = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    watched.volume_node.GetIJKToRASMatrix(matrix)
    fine.SetImageToWorldMatrix(matrix)
    fine.SetSpacing(0.8, 0.8, 1.5)
    fine.SetExtent(0, 127, 0, 127, 0, 47)
    fine.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    array_of(fine)[20:30, 20:30, 20:30] = 1
    segment = slicer.vtkSegment()
    segment.SetName("LM")
    segment.AddRepresentation(BINARY_LABELMAP, fine)
    watched.segmentation.AddSegment(segment)
    watched.settle()
    assert watched.live.score is None
    assert "not on the CT's voxels" in watched.live.reason


def test_segments_outside_the_ct_are_rejected(watched):
    origin = np.array(watched.volume_node.GetOrigin())
    watched.volume_node.SetOrigin(*(origin + [0, 0, 30.0]))
    watched.settle()
    assert watched.live.score is None
    assert "outside the CT" in watched.live.reason


def test_a_ct_that_cannot_be_scored_is_rejected_until_it_can(watched):
    before = watched.live.score
    unit = slicer.vtkCodedEntry()
    unit.SetValueSchemeMeaning("mm", "UCUM", "millimeters")
    hu = slicer.vtkCodedEntry()
    hu.Copy(watched.volume_node.GetVoxelValueUnits())
    watched.volume_node.SetVoxelValueUnits(unit)
    watched.settle()
    assert "millimeters" in watched.live.reason
    watched.volume_node.SetVoxelValueUnits(hu)
    watched.settle()
    assert watched.live.score == before


def test_voxels_that_make_the_ct_no_ct_are_rejected_until_they_are_back(watched):
    before = watched.live.score
    good = watched.volume_node.GetImageData()
    bad = vtk.vtkImageData()
    bad.DeepCopy(good)
    array_of(bad)[:] = 7
    watched.volume_node.SetAndObserveImageData(bad)
    watched.settle()
    assert watched.live.score is None
    watched.paint()
    watched.settle()
    watched.editor.undo()
    watched.settle()
    watched.volume_node.SetAndObserveImageData(good)
    watched.settle()
    assert watched.live.score == before


def test_without_an_image_there_is_a_reason(watched):
    watched.volume_node.SetAndObserveImageData(None)
    watched.settle()
    assert watched.live.score is None
    assert "no image" in watched.live.reason


def test_without_any_segment_there_is_a_reason_and_no_zero(watched):
    for artery in ARTERIES:
        watched.segmentation.RemoveSegment(artery.name)
    watched.settle()
    assert watched.live.score is None
    assert "LAD" in watched.live.reason


def test_empty_segments_score_zero(watched):
    for artery in ARTERIES:
        slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(watched.segmentation_node, artery.name)
    watched.settle()
    assert watched.live.score.total.agatston == 0
    assert watched.live.score.risk_category == "0"


@pytest.mark.parametrize("which", ["segmentation", "CT"])
def test_a_removed_node_leaves_no_score_but_a_reason(scene, watched, which):
    scene.mrml.RemoveNode(watched.volume_node if which == "CT" else watched.segmentation_node)
    assert watched.scheduled
    assert watched.live.update() is None
    assert f"The {which} was removed" in watched.live.reason
    assert watched.told == [None]
    watched.live.update()
    assert watched.told == [None]


def test_closing_the_scene_leaves_no_score_and_the_next_scene_can_be_watched(scene, watched):
    scene.mrml.Clear(False)
    assert watched.live.update() is None
    assert "was removed" in watched.live.reason
    nodes = add_calcium_case(scene.mrml, 3)
    watched.live.watch(*nodes)
    assert_equal_to_full(watched.live, *nodes)
    assert watched.told == [None, watched.live.score]


def test_nothing_to_watch_is_no_error(scene, watched):
    assert watched.live.watch(None, watched.volume_node) is None
    assert watched.live.reason == NOTHING_WATCHED
    watched.paint()
    assert not watched.scheduled
    assert watched.live.update() is None


def test_an_unforeseen_error_leaves_no_score_and_passes_on(watched, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("out of memory")

    watched.paint()
    monkeypatch.setattr("CoronaryCalciumScoringLib.live_scores.labeled_voxels", fail)
    with pytest.raises(RuntimeError, match="memory"):
        watched.live.update()
    assert watched.live.score is None
    monkeypatch.undo()
    watched.live.update()
    assert_equal_to_full(watched.live, *watched.nodes)
