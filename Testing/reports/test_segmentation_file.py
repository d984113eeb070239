"""segmentation.seg.nrrd, read back by an image library and by Slicer's own loader."""

import dataclasses

import numpy as np
import pytest
import SimpleITK
from coronary_calcium.arteries import ARTERIES, TERMINOLOGY_TAG, terminology
from coronary_calcium.reports.segmentation_file import write_segmentation
from example_results import example_labels, example_volume


@pytest.fixture
def tilted_volume():
    """The example on axes that are turned by 3 degrees in the plane, so that no axis is parallel to the patient's."""
    cosine, sine = np.cos(0.05), np.sin(0.05)
    direction = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return dataclasses.replace(example_volume(), direction=direction)


def test_the_file_has_the_labels_on_the_grid_of_the_ct(tilted_volume, tmp_path):
    labels = example_labels(tilted_volume)
    write_segmentation(tilted_volume, labels, tmp_path / "s.seg.nrrd")
    image = SimpleITK.ReadImage(str(tmp_path / "s.seg.nrrd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), labels)
    assert image.GetSpacing() == pytest.approx(tilted_volume.spacing[::-1], abs=1e-9)
    assert image.GetOrigin() == pytest.approx(tilted_volume.origin)
    index = (5, 7, 11)
    assert image.TransformIndexToPhysicalPoint(index[::-1]) == pytest.approx(tilted_volume.position(index))


def test_the_header_says_where_each_segment_is(tmp_path):
    volume = example_volume()
    write_segmentation(volume, example_labels(volume), tmp_path / "s.seg.nrrd")
    header = (tmp_path / "s.seg.nrrd").read_bytes().split(b"\n\n")[0].decode()
    assert "space: left-posterior-superior" in header
    assert "Segment1_ID:=LAD" in header
    assert "Segment1_Extent:=15 19 20 23 4 6" in header
    assert "Segment2_Extent:=0 -1 0 -1 0 -1" in header
    assert "Segmentation_MasterRepresentation:=Binary labelmap" in header


def test_a_file_that_cannot_be_written_is_an_os_error(tmp_path):
    volume = example_volume()
    with pytest.raises(OSError, match=r"s\.seg\.nrrd"):
        write_segmentation(volume, example_labels(volume), tmp_path / "missing" / "s.seg.nrrd")


def load_in_slicer(scene, path):
    import slicer

    node = scene.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.mrml.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    assert isinstance(node, slicer.vtkMRMLSegmentationNode)
    return node


def ras_point(volume, index):
    x, y, z = volume.position(index)
    return (-x, -y, z)


def test_slicer_loads_names_colors_and_terminology(scene, tmp_path):
    import vtk

    volume = example_volume()
    write_segmentation(volume, example_labels(volume), tmp_path / "s.seg.nrrd")
    segmentation = load_in_slicer(scene, tmp_path / "s.seg.nrrd").GetSegmentation()
    assert [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())] == [
        "LM",
        "LAD",
        "LCX",
        "RCA",
        "unassigned",
    ]
    for artery in ARTERIES:
        segment = segmentation.GetSegment(artery.name)
        assert segment.GetName() == artery.name
        assert segment.GetColor() == pytest.approx(artery.color)
        assert segment.GetLabelValue() == artery.label
        tag = vtk.reference("")
        assert segment.GetTag(TERMINOLOGY_TAG, tag)
        assert tag.get() == terminology(artery)


def test_slicer_understands_the_terminology(scene):
    import slicer

    for artery in ARTERIES:
        entry = slicer.vtkSlicerTerminologyEntry()
        assert scene.logics["Terminologies"].DeserializeTerminologyEntry(terminology(artery), entry)
        assert entry.GetCategoryObject().GetCodeValue() == "49755003"
        assert entry.GetTypeObject().GetCodeValue() == "18115005"
        assert entry.GetRegionObject().GetCodeValue() == artery.code
        assert entry.GetRegionObject().GetCodeMeaning() == artery.meaning
        assert {
            part.GetCodingSchemeDesignator()
            for part in (entry.GetCategoryObject(), entry.GetTypeObject(), entry.GetRegionObject())
        } == {"SCT"}


def test_slicer_shows_every_voxel_where_the_ct_has_it(scene, tilted_volume, tmp_path):
    from vtk.util.numpy_support import vtk_to_numpy

    labels = example_labels(tilted_volume)
    write_segmentation(tilted_volume, labels, tmp_path / "s.seg.nrrd")
    segmentation = load_in_slicer(scene, tmp_path / "s.seg.nrrd").GetSegmentation()
    loaded = np.zeros(labels.shape, dtype=np.uint8)
    for artery in ARTERIES:
        segment = segmentation.GetSegment(artery.name)
        image = segment.GetRepresentation("Binary labelmap")
        i0, i1, j0, j1, k0, k1 = image.GetExtent()
        box = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
        loaded[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1][box == segment.GetLabelValue()] = artery.label
    np.testing.assert_array_equal(loaded, labels)

    import vtk

    to_world = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_world)
    for index in [(0, 0, 0), (15, 59, 49), (4, 20, 15)]:
        world = to_world.MultiplyPoint((*index[::-1], 1.0))[:3]
        assert world == pytest.approx(ras_point(tilted_volume, index), abs=1e-6)


def test_slicer_takes_the_grid_of_the_ct_for_the_reference_geometry(scene, tilted_volume, tmp_path):
    import slicer

    write_segmentation(tilted_volume, example_labels(tilted_volume), tmp_path / "s.seg.nrrd")
    segmentation = load_in_slicer(scene, tmp_path / "s.seg.nrrd").GetSegmentation()
    geometry = slicer.vtkOrientedImageData()
    text = segmentation.GetConversionParameter("Reference image geometry")
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, geometry, False)
    assert geometry.GetExtent() == (0, 49, 0, 59, 0, 15)
    assert geometry.GetSpacing() == pytest.approx(tilted_volume.spacing[::-1])
    assert geometry.GetOrigin() == pytest.approx(ras_point(tilted_volume, (0, 0, 0)))


def test_an_empty_segmentation_loads_with_all_segments(scene, tmp_path):
    volume = example_volume()
    write_segmentation(volume, np.zeros(volume.shape, dtype=np.uint8), tmp_path / "s.seg.nrrd")
    assert load_in_slicer(scene, tmp_path / "s.seg.nrrd").GetSegmentation().GetNumberOfSegments() == 5
