"""CT nodes in the scene become CT volumes, whatever the order of their axes, or are rejected in words."""

import itertools

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import vtk  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.errors import InputError  # noqa: E402
from coronary_calcium.volume import Acquisition  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct, synthetic_ct  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import check_node, scene_ct  # noqa: E402
from slicer_cases import add_volume_with_axes  # noqa: E402

ORDERS = [
    (axes, flips)
    for axes in itertools.permutations(range(3))
    for flips in ((False, False, False), (True, False, True), (False, True, False))
]


def rejection(node):
    """The rejection of a node, by the quick check and by the full one alike."""
    with pytest.raises(InputError) as quick:
        check_node(node)
    with pytest.raises(InputError) as full:
        scene_ct(node)
    assert quick.value.code == full.value.code
    return quick.value


def test_voxels_spacing_and_place_of_a_node_are_those_of_the_volume(scene):
    volume, _ = synthetic_ct()
    node, _ = add_synthetic_ct(scene.mrml)
    read = scene_ct(node).volume
    assert np.array_equal(read.hu, volume.hu)
    assert read.hu.dtype == volume.hu.dtype
    assert (read.spacing, read.origin) == (volume.spacing, volume.origin)
    assert np.array_equal(read.direction, np.eye(3))


def test_slicers_ras_becomes_lps(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    ras = [0.0, 0.0, 0.0, 1.0]
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    matrix.MultiplyPoint([3, 5, 7, 1], ras)
    assert np.allclose(scene_ct(node).volume.position((7, 5, 3)), [-ras[0], -ras[1], ras[2]])


@pytest.mark.parametrize(("axes", "flips"), ORDERS)
def test_permuted_and_flipped_axes_give_the_same_volume_and_lead_back(scene, axes, flips):
    volume, labels = synthetic_ct()
    node, stored_labels = add_volume_with_axes(scene.mrml, axes, flips)
    ct = scene_ct(node)
    assert np.array_equal(ct.volume.hu, volume.hu)
    assert ct.volume.spacing == volume.spacing
    assert np.allclose(ct.volume.origin, volume.origin)
    assert np.allclose(ct.volume.direction, np.eye(3))
    assert np.array_equal(ct.order.apply(stored_labels), labels)
    assert np.array_equal(ct.order.undo(labels), stored_labels)


def test_the_volume_keeps_its_voxels_when_the_node_is_edited(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    read = scene_ct(node).volume
    node.GetImageData().GetPointData().GetScalars().Fill(0)
    assert read.hu.min() == -1000


def test_acquisition_facts_travel_and_warn(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    volume = scene_ct(node, Acquisition(kvp=100.0)).volume
    assert volume.acquisition.kvp == 100.0
    assert any("100" in warning.message for warning in volume.warnings)


def test_no_node_and_an_empty_node_are_rejected(scene):
    assert rejection(None).code == "no-volume"
    assert rejection(scene.mrml.AddNewNodeByClass("vtkMRMLScalarVolumeNode")).code == "no-volume"


def test_a_label_map_is_rejected(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    label_node = scene.mrml.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    label_node.SetAndObserveImageData(node.GetImageData())
    assert rejection(label_node).code == "not-ct"


def test_a_color_image_is_rejected(scene):
    image = vtk.vtkImageData()
    image.SetDimensions(64, 64, 40)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node = scene.mrml.AddNewNodeByClass("vtkMRMLVectorVolumeNode")
    node.SetAndObserveImageData(image)
    assert rejection(node).code == "not-ct"


def test_a_pet_is_rejected_by_its_quantity(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    quantity = slicer.vtkCodedEntry()
    quantity.SetValueSchemeMeaning("110821", "DCM", "Standardized Uptake Value")
    node.SetVoxelValueQuantity(quantity)
    rejected = rejection(node)
    assert rejected.code == "not-ct"
    assert "Standardized Uptake Value" in str(rejected)


def test_another_unit_than_hu_is_rejected(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    unit = slicer.vtkCodedEntry()
    unit.SetValueSchemeMeaning("g/ml", "UCUM", "g/ml")
    node.SetVoxelValueUnits(unit)
    assert rejection(node).code == "not-hu"


@pytest.mark.parametrize(
    ("transform_class", "word"),
    [("vtkMRMLLinearTransformNode", "take it out"), ("vtkMRMLGridTransformNode", "tilted gantry")],
)
def test_a_ct_under_a_transform_is_rejected(scene, transform_class, word):
    node, _ = add_synthetic_ct(scene.mrml)
    transform = scene.mrml.AddNewNodeByClass(transform_class)
    if transform_class == "vtkMRMLGridTransformNode":
        transform.SetAndObserveTransformToParent(slicer.vtkOrientedGridTransform())
    node.SetAndObserveTransformNodeID(transform.GetID())
    rejected = rejection(node)
    assert rejected.code == "transformed-volume"
    assert word in str(rejected)


def test_an_oblique_volume_is_rejected(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    turn = vtk.vtkTransform()
    turn.RotateX(20)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    vtk.vtkMatrix4x4.Multiply4x4(turn.GetMatrix(), matrix, matrix)
    node.SetIJKToRASMatrix(matrix)
    assert rejection(node).code == "oblique"


def test_a_volume_without_intensities_in_hu_is_rejected(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    node.GetImageData().GetPointData().GetScalars().Fill(1)
    with pytest.raises(InputError):
        scene_ct(node)


def test_a_changed_or_removed_ct_is_noticed(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    ct = scene_ct(node)
    ct.check_unchanged(node)
    node.SetOrigin(1, 2, 3)
    with pytest.raises(InputError, match="changed"):
        ct.check_unchanged(node)
    ct = scene_ct(node)
    node.GetImageData().Modified()
    with pytest.raises(InputError, match="changed"):
        ct.check_unchanged(node)
    scene.mrml.RemoveNode(node)
    with pytest.raises(InputError, match="removed"):
        ct.check_unchanged(node)
