"""Clicks on the synthetic CT: what is marked, moved, removed and rejected, and the way back."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import vtk  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.arteries import LAD, LCX, LM, RCA, UNASSIGNED  # noqa: E402
from coronary_calcium.errors import InputError  # noqa: E402
from coronary_calcium.scoring.rules import PHILIPS  # noqa: E402
from CoronaryCalciumScoringLib.edits import Edit, Edits  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import add_segmentation, artery_segments, read_labels  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import array_of  # noqa: E402
from editor_history import editor_history  # noqa: E402
from slicer_cases import add_volume_with_axes  # noqa: E402

# Voxels (k, j, i) of the synthetic CT: in its LAD plaque (20..21, 48..49, 68..70), in its RCA plaque, in soft tissue.
IN_LAD, IN_RCA, IN_TISSUE = (20, 48, 69), (15, 52, 57), (20, 60, 64)


class Case:
    """A CT, an empty segmentation of it, and the edits."""

    def __init__(self, volume_node, labels, marked=None):
        self.volume, self.truth = volume_node, labels
        self.segmentation = add_segmentation(volume_node, np.zeros_like(labels) if marked is None else marked, "Reader")
        self.history = editor_history(self.segmentation, volume_node)
        self.edits = Edits(self.segmentation, volume_node, self.history)

    def hu(self):
        """The CT's voxels, to be written to."""
        return array_of(self.volume.GetImageData())

    def ras(self, index, shift_mm=(0.0, 0.0, 0.0)):
        """Where a voxel (k, j, i) lies, and a little beside."""
        matrix = vtk.vtkMatrix4x4()
        self.volume.GetIJKToRASMatrix(matrix)
        return tuple(np.array(matrix.MultiplyPoint((*index[::-1], 1.0))[:3]) + shift_mm)

    def labels(self):
        return read_labels(self.segmentation, self.volume).labels


@pytest.fixture
def case(scene):
    return Case(*add_synthetic_ct(scene.mrml))


def test_a_click_gives_the_whole_lesion_and_nothing_else_to_the_artery(case):
    result = case.edits.assign(case.ras(IN_LAD), LCX)
    assert (result.edit, result.artery, result.voxels) == (Edit.ASSIGNED, "LCX", 12)
    assert result.message == "225.0 mm³ assigned to LCX."
    assert np.array_equal(case.labels(), np.where(case.truth == LAD.label, LCX.label, 0))


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_click_means_the_same_place_on_permuted_and_flipped_axes(scene, axes):
    volume_node, labels = add_volume_with_axes(scene.mrml, axes, (True, False, True))
    case = Case(volume_node, labels)
    inside = tuple(np.argwhere(labels == LAD.label)[5])
    assert case.edits.assign(case.ras(inside), LAD).voxels == 12
    assert np.array_equal(case.labels(), np.where(labels == LAD.label, LAD.label, 0))


def test_a_click_on_a_lesion_of_another_artery_moves_it(case):
    case.edits.assign(case.ras(IN_LAD), LAD)
    case.edits.assign(case.ras(IN_RCA), RCA)
    result = case.edits.assign(case.ras(IN_LAD), RCA)
    assert (result.edit, result.artery, result.voxels) == (Edit.MOVED, "RCA", 12)
    assert result.message == "225.0 mm³ moved from LAD to RCA."
    assert np.array_equal(case.labels(), np.where(case.truth > 0, RCA.label, 0))


def test_moving_takes_only_the_connected_voxels_of_that_lesion(case):
    """Three voxels of LAD touch four of LM: only the LAD's move."""
    case.hu()[30, 60, 60:67] = 300
    marked = np.zeros_like(case.truth)
    marked[30, 60, 60:63], marked[30, 60, 63:67], marked[35, 60, 60] = LAD.label, LM.label, LAD.label
    case = Case(case.volume, case.truth, marked)
    assert case.edits.assign(case.ras((30, 60, 61)), LCX).voxels == 3
    expected = marked.copy()
    expected[30, 60, 60:63] = LCX.label
    assert np.array_equal(case.labels(), expected)


def test_growing_neither_takes_nor_crosses_another_arterys_voxels(case):
    case.hu()[30, 60, 60:67] = 300
    marked = np.zeros_like(case.truth)
    marked[30, 60, 63] = LM.label
    case = Case(case.volume, case.truth, marked)
    assert case.edits.assign(case.ras((30, 60, 61)), LAD).voxels == 3
    assert case.labels()[30, 60, 60:67].tolist() == [2, 2, 2, 1, 0, 0, 0]


def test_a_half_marked_lesion_is_completed(case):
    marked = np.where((case.truth == LAD.label) & (np.arange(case.truth.shape[0])[:, None, None] == 20), LAD.label, 0)
    case = Case(case.volume, case.truth, marked.astype(np.uint8))
    assert case.edits.assign(case.ras(IN_LAD), LAD).voxels == 6
    result = case.edits.assign(case.ras(IN_LAD), LAD)
    assert (result.edit, result.voxels) == (Edit.NOTHING, 0)
    assert result.message == "This lesion is already assigned to LAD."


def test_touching_corners_are_connected_and_129_hu_is_not(case):
    case.hu()[30, 60, 60], case.hu()[31, 61, 61], case.hu()[31, 61, 62] = 130, 131, 129
    assert case.edits.assign(case.ras((30, 60, 60)), LAD).voxels == 2


def test_a_click_on_nothing_says_so_and_leaves_no_step_to_undo(case):
    result = case.edits.assign(case.ras(IN_TISSUE), LAD)
    assert (result.edit, result.artery, result.voxels) == (Edit.NOTHING, None, 0)
    assert result.message == "Nothing here reaches 130 HU within 2 mm of the click."
    assert not case.history.CanUndo()
    assert not case.labels().any()


def test_a_click_outside_the_ct_says_so(case):
    assert case.edits.assign((5000.0, 0.0, 0.0), LAD).edit is Edit.NOTHING
    assert case.edits.remove((5000.0, 0.0, 0.0)).edit is Edit.NOTHING


@pytest.mark.parametrize(("beside_mm", "marked"), [(1.9, 12), (2.1, 0)])
def test_a_click_just_beside_a_lesion_means_the_lesion(scene, beside_mm, marked):
    volume_node, labels = add_synthetic_ct(scene.mrml)
    volume_node.SetSpacing(0.5, 0.5, 3.0)
    case = Case(volume_node, labels)
    # Scanner coordinates of this CT: i runs to the patient's left, so a smaller i is a larger R.
    assert case.edits.assign(case.ras((20, 48, 68), (beside_mm, 0.0, 0.0)), LAD).voxels == marked


def test_a_click_anywhere_in_a_thick_slice_means_the_voxel_it_fell_on(scene):
    volume_node, labels = add_synthetic_ct(scene.mrml)
    volume_node.SetSpacing(2.5, 2.5, 8.0)
    case = Case(volume_node, labels)
    assert case.edits.assign(case.ras(IN_LAD, (0.0, 0.0, -3.9)), LAD).voxels == 12


def test_a_click_on_something_as_large_as_bone_is_rejected_and_names_the_brush(case):
    case.hu()[5:35, 80:90, 50:80] = 400
    result = case.edits.assign(case.ras((20, 85, 60)), LAD)
    assert result.edit is Edit.NOTHING
    assert "larger than a coronary lesion" in result.message
    assert "brush" in result.message
    assert not case.labels().any()


def test_calcium_that_touches_bone_is_rejected_as_well(case):
    case.hu()[22, 48:80, 69] = 200
    case.hu()[10:35, 80:90, 50:80] = 400
    assert "larger than a coronary lesion" in case.edits.assign(case.ras(IN_LAD), LAD).message


def test_a_long_thin_thing_is_rejected_by_its_length(case):
    case.hu()[20, 60, 20:80] = 300
    case.volume.SetSpacing(2.5, 0.5, 0.5)
    assert "larger than a coronary lesion" in case.edits.assign(case.ras((20, 60, 50)), LAD).message
    case.hu()[20, 60, 20:80] = 40
    case.hu()[20, 60, 40:60] = 300
    assert case.edits.assign(case.ras((20, 60, 50)), LAD).voxels == 20


def test_removing_takes_one_lesion_away(case):
    case.edits.assign(case.ras(IN_LAD), LAD)
    case.edits.assign(case.ras(IN_RCA), LAD)
    result = case.edits.remove(case.ras(IN_RCA))
    assert (result.edit, result.artery, result.voxels) == (Edit.REMOVED, "LAD", 12)
    assert np.array_equal(case.labels(), np.where(case.truth == LAD.label, LAD.label, 0))
    assert case.edits.remove(case.ras(IN_RCA)).message == "No lesion is assigned to an artery within 2 mm of the click."


def test_removing_leaves_other_arteries_in_the_same_box_alone(case):
    """A bent lesion of RCA around one voxel of LCX; both numbers are in one labelmap."""
    marked = np.zeros_like(case.truth)
    marked[30, 60:65, 60], marked[30, 60, 60:65], marked[30, 64, 64] = RCA.label, RCA.label, LCX.label
    case = Case(case.volume, case.truth, marked)
    assert case.edits.remove(case.ras((30, 60, 60))).voxels == 9
    assert np.array_equal(case.labels(), np.where(marked == LCX.label, LCX.label, 0))


def test_removing_takes_a_lesion_longer_than_a_click_would_mark(case):
    marked = np.zeros_like(case.truth)
    marked[5:35, 80:90, 50:80] = UNASSIGNED.label
    case = Case(case.volume, case.truth, marked)
    assert case.edits.remove(case.ras((20, 85, 60))).voxels == np.count_nonzero(marked)
    assert not case.labels().any()


def test_every_click_is_one_step_back_and_forth(case):
    states = [case.labels()]
    for click in (
        lambda: case.edits.assign(case.ras(IN_LAD), LAD),
        lambda: case.edits.assign(case.ras(IN_RCA), RCA),
        lambda: case.edits.assign(case.ras(IN_LAD), LCX),
        lambda: case.edits.remove(case.ras(IN_RCA)),
    ):
        click()
        states.append(case.labels())
    for state in states[-2::-1]:
        case.edits.undo()
        assert np.array_equal(case.labels(), state)
    for state in states[1:]:
        case.edits.redo()
        assert np.array_equal(case.labels(), state)


def test_click_and_brush_share_the_history(case):
    case.edits.assign(case.ras(IN_LAD), LAD)
    before = case.labels()
    # What the paint effect does: save the state, then modify the segment by a labelmap.
    case.history.SaveStateForUndo()
    image = slicer.vtkOrientedImageData()
    segment_id = artery_segments(case.segmentation)["LAD"]
    case.segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
    extent = list(image.GetExtent())
    image.SetExtent(extent[0], extent[1] + 3, *extent[2:])
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image.GetPointData().GetScalars().Fill(1)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, case.segmentation, segment_id, logic.MODE_MERGE_MAX)
    assert not np.array_equal(case.labels(), before)
    case.edits.undo()
    assert np.array_equal(case.labels(), before)
    case.edits.undo()
    assert not case.labels().any()


def test_a_segment_of_the_readers_own_counts_as_unassigned_and_can_be_moved(case):
    """Such a segment is scored as unassigned; a click on it moves its voxels to an artery."""
    segmentation = case.segmentation.GetSegmentation()
    case.edits.assign(case.ras(IN_RCA), RCA)
    segment = segmentation.GetSegment(artery_segments(case.segmentation)["RCA"])
    segment.SetName("something bright")
    segment.RemoveTag(slicer.vtkSegment.GetTerminologyEntryTagName())
    result = case.edits.assign(case.ras(IN_RCA), LM)
    assert result.message == "225.0 mm³ moved from unassigned to LM."
    assert np.array_equal(case.labels(), np.where(case.truth == RCA.label, LM.label, 0))


def test_a_removed_segment_comes_back_with_the_first_click(case):
    segmentation = case.segmentation.GetSegmentation()
    segmentation.RemoveSegment(artery_segments(case.segmentation)["RCA"])
    assert case.edits.assign(case.ras(IN_RCA), RCA).voxels == 12
    assert np.array_equal(case.labels(), np.where(case.truth == RCA.label, RCA.label, 0))


def test_a_renamed_segment_is_still_its_artery(case):
    segmentation = case.segmentation.GetSegmentation()
    segmentation.GetSegment(artery_segments(case.segmentation)["RCA"]).SetName("right")
    case.edits.assign(case.ras(IN_RCA), RCA)
    assert segmentation.GetNumberOfSegments() == 5
    assert case.labels().max() == RCA.label


@pytest.mark.parametrize("which", ["volume", "segmentation"])
def test_under_a_transform_a_click_is_rejected(scene, case, which):
    transform = scene.mrml.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    getattr(case, which).SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="transform"):
        case.edits.assign(case.ras(IN_LAD), LAD)


def test_a_segmentation_of_another_ct_is_rejected(scene, case):
    case.edits.assign(case.ras(IN_LAD), LAD)
    case.volume.SetSpacing(2.0, 2.5, 3.0)
    with pytest.raises(InputError) as rejected:
        case.edits.remove(case.ras(IN_LAD))
    assert rejected.value.code == "mask-grid"


def test_a_click_marks_what_the_rules_count_for_anything(case):
    case.hu()[30, 60, 60], case.hu()[31, 61, 61], case.hu()[31, 61, 62] = 113, 131, 112
    assert case.edits.assign(case.ras((30, 60, 60)), LAD).edit is Edit.NOTHING
    case.edits.rules = PHILIPS
    assert case.edits.assign(case.ras((30, 60, 60)), LAD).voxels == 2
    assert case.edits.assign(case.ras(IN_TISSUE), LAD).message.startswith("Nothing here reaches 113 HU")
