"""What the slice views show, and the settings of the segment editor, on Slicer's data model."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD, RCA  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.reports.pictures import DETAIL_WINDOW  # noqa: E402
from CoronaryCalciumScoringLib.segment_editor_node import prepare_editor_node  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import add_segmentation, artery_segments, read_labels  # noqa: E402
from CoronaryCalciumScoringLib.slice_views import LEVEL_HU, WINDOW_HU, hide_mark, jump_to, show_in_slices  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import array_of  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402


def test_the_ct_is_shown_in_the_reports_window(scene):
    volume, _ = add_synthetic_ct(scene.mrml)
    composite = scene.mrml.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    show_in_slices(volume)
    display = volume.GetDisplayNode()
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    assert (display.GetWindow(), display.GetLevel()) == (WINDOW_HU, LEVEL_HU)
    assert (DETAIL_WINDOW.width, DETAIL_WINDOW.level) == (WINDOW_HU, LEVEL_HU)


def test_all_views_jump_to_a_lesion_and_one_ring_marks_it(scene):
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName("Red")
    node = scene.mrml.AddNode(node)
    jump_to(scene.mrml, (1.0, 2.0, 3.0))
    jump_to(scene.mrml, (4.0, 5.0, 6.0))
    assert [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)] == [4.0, 5.0, 6.0]
    (mark,) = slicer.util.getNodesByClass("vtkMRMLModelNode", scene.mrml)
    assert np.allclose(np.reshape(mark.GetPolyData().GetBounds(), (3, 2)).mean(axis=1), (4.0, 5.0, 6.0), atol=0.1)
    assert not mark.GetSaveWithScene()
    assert not mark.GetDisplayNode().GetVisibility3D()
    hide_mark(scene.mrml)
    assert not mark.GetDisplayNode().GetVisibility()


def test_the_ring_lies_outside_the_lesion_however_large_that_is(scene):
    for radius_mm in (0.0, 5.0, 20.0):
        jump_to(scene.mrml, (1.0, 2.0, 3.0), radius_mm)
        (mark,) = slicer.util.getNodesByClass("vtkMRMLModelNode", scene.mrml)
        reach = np.linalg.norm(vtk_to_numpy(mark.GetPolyData().GetPoints().GetData()) - (1.0, 2.0, 3.0), axis=1)
        assert reach.min() == pytest.approx(max(radius_mm + 4.0, 8.0), abs=0.01)


class Brush:
    """Paints with the real editor logic and the module's settings."""

    def __init__(self, scene):
        self.volume, truth = add_synthetic_ct(scene.mrml)
        self.segmentation = add_segmentation(self.volume, np.where(truth == LAD.label, LAD.label, 0), "Reader")
        self.truth = truth
        self.node = prepare_editor_node(scene.mrml)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(scene.mrml)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetSegmentationNode(self.segmentation)
        self.logic.SetSourceVolumeNode(self.volume)

    def stroke(self, artery, mode):
        """One stroke over the whole CT."""
        segment_id = artery_segments(self.segmentation)[artery.name]
        self.node.SetSelectedSegmentID(segment_id)
        self.logic.UpdateReferenceGeometryImage()
        self.logic.ResetModifierLabelmapToDefault()
        array_of(self.logic.GetModifierLabelmap())[:] = 1
        self.logic.UpdateMaskLabelmap()
        self.logic.UpdateAlignedSourceVolume()
        self.logic.ModifySegmentByLabelmap(
            self.segmentation, segment_id, self.logic.GetModifierLabelmap(), mode, False, False
        )
        return read_labels(self.segmentation, self.volume)


def test_a_stroke_marks_bright_voxels_only_and_takes_none_of_another_artery(scene):
    brush = Brush(scene)
    read = brush.stroke(RCA, brush.logic.ModificationModeAdd)
    assert np.array_equal(read.labels, brush.truth)
    assert read.warnings == ()


def test_the_eraser_erases_its_own_artery(scene):
    brush = Brush(scene)
    assert not brush.stroke(LAD, brush.logic.ModificationModeRemove).labels.any()


def test_the_settings_belong_to_one_node_of_the_module(scene):
    node = prepare_editor_node(scene.mrml)
    node.SetAttribute("BrushSphere", "1")
    assert prepare_editor_node(scene.mrml) is node
    assert node.GetAttribute("BrushSphere") == "0"
    assert node.GetSourceVolumeIntensityMaskRange()[0] == 130
