"""Label maps become coded, colored segments over the CT, and segments become label maps again."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import vtk  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.arteries import ARTERIES, BY_NAME, TERMINOLOGY_TAG, terminology  # noqa: E402
from coronary_calcium.errors import InputError  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import add_segmentation, read_labels, show_labels  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct  # noqa: E402
from slicer_cases import add_volume_with_axes  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402


@pytest.fixture
def ct(scene):
    """The synthetic CT's node, and random labels of all arteries on its voxels."""
    node, labels = add_synthetic_ct(scene.mrml)
    random = np.random.default_rng(3)
    spots = random.integers(0, labels.size, 500)
    labels.ravel()[spots] = random.integers(1, len(ARTERIES) + 1, 500)
    return node, labels


def segment(segmentation_node, name):
    """The segment with a name."""
    segmentation = segmentation_node.GetSegmentation()
    return segmentation.GetSegment(segmentation.GetSegmentIdBySegmentName(name))


def test_every_artery_has_a_segment_with_name_color_and_terminology(ct):
    node = add_segmentation(*ct, "Calcium")
    segmentation = node.GetSegmentation()
    assert [segmentation.GetNthSegment(index).GetName() for index in range(5)] == list(BY_NAME)
    for artery in ARTERIES:
        found = segment(node, artery.name)
        entry = vtk.mutable("")
        assert found.GetTag(TERMINOLOGY_TAG, entry)
        assert str(entry) == terminology(artery)
        assert found.GetColor() == pytest.approx(artery.color)


def test_slicer_understands_the_terminology(scene, ct):
    node = add_segmentation(*ct, "Calcium")
    entry = slicer.vtkSlicerTerminologyEntry()
    text = vtk.mutable("")
    segment(node, "RCA").GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text)
    assert scene.logics["Terminologies"].DeserializeTerminologyEntry(str(text), entry)
    assert entry.GetCategoryObject().GetCodeValue() == "49755003"
    assert entry.GetRegionObject().GetCodeValue() == "13647002"


def test_labels_come_back_as_they_went_in(ct):
    volume_node, labels = ct
    read = read_labels(add_segmentation(volume_node, labels, "Calcium"), volume_node)
    assert np.array_equal(read.labels, labels)
    assert read.labels.dtype == np.uint8
    assert read.warnings == ()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_labels_come_back_on_permuted_and_flipped_axes(scene, axes):
    volume_node, labels = add_volume_with_axes(scene.mrml, axes, (True, False, True))
    node = add_segmentation(volume_node, labels, "Calcium")
    assert np.array_equal(read_labels(node, volume_node).labels, labels)


def test_a_segments_voxels_lie_where_the_cts_do(ct):
    volume_node, labels = ct
    labels[:] = 0
    labels[7, 11, 13] = BY_NAME["LCX"].label
    image = segment(add_segmentation(volume_node, labels, "Calcium"), "LCX").GetRepresentation("Binary labelmap")
    assert image.GetScalarComponentAsDouble(13, 11, 7, 0) == segment_value(image, 13, 11, 7) > 0
    to_world, from_node = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_world)
    volume_node.GetIJKToRASMatrix(from_node)
    assert np.allclose(to_world.MultiplyPoint([13, 11, 7, 1]), from_node.MultiplyPoint([13, 11, 7, 1]))


def segment_value(image, i, j, k):
    """The value that only this voxel of the image has."""
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    assert np.count_nonzero(values) == 1
    return values.max()


def test_the_ct_is_the_reference_geometry(ct):
    volume_node, labels = ct
    node = add_segmentation(volume_node, labels, "Calcium")
    assert node.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()) is volume_node


def test_the_segmentation_lies_beside_the_ct_in_the_subject_hierarchy(scene, ct):
    hierarchy = scene.hierarchy()
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, ct[0])
    node = add_segmentation(*ct, "Calcium")
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_replacing_the_labels_leaves_nothing_of_the_old_ones(ct):
    volume_node, labels = ct
    node = add_segmentation(volume_node, labels, "Calcium")
    new = np.roll(labels, 5, axis=2)
    new[new == BY_NAME["LM"].label] = 0
    show_labels(node, volume_node, new)
    assert np.array_equal(read_labels(node, volume_node).labels, new)


def test_a_renamed_segment_is_still_its_artery(ct):
    volume_node, labels = ct
    node = add_segmentation(volume_node, labels, "Calcium")
    segment(node, "LAD").SetName("front")
    assert np.array_equal(read_labels(node, volume_node).labels, labels)


def test_a_segment_drawn_by_hand_is_known_by_its_name(ct):
    volume_node, labels = ct
    node = add_segmentation(volume_node, labels, "Calcium")
    segment(node, "LAD").RemoveTag(TERMINOLOGY_TAG)
    assert np.array_equal(read_labels(node, volume_node).labels, labels)


def test_a_segment_renamed_to_another_artery_is_that_artery(ct):
    volume_node, labels = ct
    node = add_segmentation(volume_node, labels, "Calcium")
    segment(node, "LAD").SetName(" rca ")
    expected = np.where(labels == BY_NAME["LAD"].label, BY_NAME["RCA"].label, labels)
    assert np.array_equal(read_labels(node, volume_node).labels, expected)


def test_a_segment_that_is_no_artery_counts_as_unassigned_and_is_said(ct):
    volume_node, labels = ct
    node = add_segmentation(volume_node, labels, "Calcium")
    rca = segment(node, "RCA")
    rca.RemoveTag(TERMINOLOGY_TAG)
    rca.SetName("Aortic valve")
    read = read_labels(node, volume_node)
    expected = np.where(labels == BY_NAME["RCA"].label, BY_NAME["unassigned"].label, labels)
    assert np.array_equal(read.labels, expected)
    assert [warning.code for warning in read.warnings] == ["segments-unassigned"]
    assert "Aortic valve" in read.warnings[0].message


def test_a_segmentation_without_an_artery_is_rejected(scene, ct):
    node = scene.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().AddEmptySegment("liver", "liver")
    with pytest.raises(InputError) as rejected:
        read_labels(node, ct[0])
    assert rejected.value.code == "no-artery"


def test_overlapping_segments_are_said(ct):
    volume_node, labels = ct
    labels[:] = 0
    labels[5, 5:8, 5:8] = BY_NAME["LAD"].label
    node = add_segmentation(volume_node, labels, "Calcium")
    same = segment(add_segmentation(volume_node, np.where(labels, 4, 0), "Other"), "RCA")
    node.GetSegmentation().GetSegment("RCA").DeepCopy(same)
    read = read_labels(node, volume_node)
    assert [warning.code for warning in read.warnings] == ["segments-overlap"]
    assert "9 voxels" in read.warnings[0].message


@pytest.mark.parametrize(("name", "winner"), [("LM", "LAD"), ("RCA", "RCA"), ("unassigned", "LAD"), ("valve", "LAD")])
def test_of_two_overlapping_segments_a_named_artery_wins_and_of_two_the_later(ct, name, winner):
    volume_node, labels = ct
    labels[:] = 0
    labels[5, 5:8, 5:8] = BY_NAME["LAD"].label
    node = add_segmentation(volume_node, labels, "Calcium")
    lad = segment(node, "LAD")
    over = slicer.vtkSegment()
    over.DeepCopy(lad)
    over.RemoveTag(TERMINOLOGY_TAG)
    over.SetName(name)
    node.GetSegmentation().RemoveSegment(name)
    node.GetSegmentation().AddSegment(over)
    read = read_labels(node, volume_node)
    assert set(read.labels[labels > 0]) == {BY_NAME[winner].label}
    assert "segments-overlap" in [warning.code for warning in read.warnings]


def test_a_segmentation_of_another_grid_is_rejected(ct):
    volume_node, labels = ct
    node = add_segmentation(volume_node, labels, "Calcium")
    volume_node.SetSpacing(2.4, 2.4, 3.0)
    with pytest.raises(InputError) as rejected:
        read_labels(node, volume_node)
    assert rejected.value.code == "mask-grid"


def test_a_segmentation_that_reaches_outside_the_ct_is_rejected(ct):
    volume_node, labels = ct
    labels[0] = 1
    node = add_segmentation(volume_node, labels, "Calcium")
    origin = np.array(volume_node.GetOrigin()) + [0, 0, 3.0]
    volume_node.SetOrigin(*origin)
    with pytest.raises(InputError) as rejected:
        read_labels(node, volume_node)
    assert rejected.value.code == "mask-grid"


def test_a_segmentation_under_a_transform_is_rejected(scene, ct):
    node = add_segmentation(*ct, "Calcium")
    node.SetAndObserveTransformNodeID(scene.mrml.AddNewNodeByClass("vtkMRMLLinearTransformNode").GetID())
    with pytest.raises(InputError):
        read_labels(node, ct[0])
