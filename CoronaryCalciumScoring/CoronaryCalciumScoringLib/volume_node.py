"""A CT in the scene becomes the engine's CT volume; nodes find their place in the subject hierarchy."""

import json
from dataclasses import asdict, dataclass, fields

import numpy as np
import slicer
import vtk
from coronary_calcium.errors import InputError
from coronary_calcium.io.axes import AxialOrder, axial_order, to_axial
from coronary_calcium.io.checks import check_ct
from coronary_calcium.volume import Acquisition, CTVolume
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .json_attribute import json_attribute


def place_beside(volumeNode, node) -> None:
    """Put a node under the CT's parent in the subject hierarchy, such as its study."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    beside = hierarchy.GetItemByDataNode(volumeNode)
    parent = hierarchy.GetItemParent(beside) if beside else hierarchy.GetSceneItemID()
    # The application makes an item for every node as it is added; without the application nobody has.
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def remove_with_item(scene, node) -> None:
    """Remove a node from the scene, and its item from the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        # Without the application, removing the data node with the item leaves a nameless item behind.
        hierarchy.RemoveItem(item, False, True)
    scene.RemoveNode(node)


# RAS (Slicer) and LPS (DICOM, the engine) differ in the sign of the first two axes.
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# DICOM PS3.16 CID 7180 code for CT numbers and the UCUM unit of HU, as Slicer's DICOM reader writes them to the node.
CT_QUANTITY = "112031"
HOUNSFIELD_UNIT = "[hnsf'U]"
# A volume node keeps no header: what is known of the scan, as JSON.
ACQUISITION_ATTRIBUTE = "CoronaryCalcium.Acquisition"


@dataclass(frozen=True, eq=False)
class SceneCT:
    """A volume node's CT as the engine sees it, and the state of the node that it was made from.

    ``volume`` has its own copy of the voxels, or a view of the node's. ``order`` leads from the node's array axes
        to the CT volume's and back.
    ``image_time`` and ``index_to_lps`` are the node's voxels (modification time) and geometry at that moment.
    """

    volume: CTVolume
    order: AxialOrder
    image_time: int
    index_to_lps: np.ndarray

    def check_unchanged(self, volumeNode) -> None:
        """Raise InputError ("volume-changed") when the node is gone or no longer shows what was scored."""
        image = volumeNode.GetImageData() if volumeNode.GetScene() else None
        if image is None:
            raise InputError("volume-changed", "The CT was removed while it was being scored: nothing was added.")
        if image.GetMTime() != self.image_time or not np.array_equal(index_to_lps(volumeNode), self.index_to_lps):
            raise InputError("volume-changed", "The CT was changed while it was being scored: score it again.")


def array_of(image: vtk.vtkImageData) -> np.ndarray:
    """The voxels of an image with one component, as a view with the axes (k, j, i) of the image."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def index_to_lps(volumeNode) -> np.ndarray:
    """The 4 x 4 matrix from the node's (i, j, k) to LPS in mm."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return RAS_LPS @ np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def check_node(volumeNode) -> None:
    """Reject a node that cannot be scored by what the node alone tells, without looking at its voxels.

    Raises InputError with the code ``no-volume``, ``not-ct``, ``not-hu``, ``transformed-volume``, or one of the
    engine's codes for reformatted or oblique slices.
    """
    if volumeNode is None or volumeNode.GetImageData() is None:
        raise InputError("no-volume", "There is no image to score: load a CT and select it.")
    image = volumeNode.GetImageData()
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(
            "not-ct", "The selected volume is a label map, not a CT: select the CT that the labels were drawn on."
        )
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError("not-ct", "The selected volume is a color image, not a CT: select a CT in HU.")
    _check_quantity(volumeNode)
    _check_transform(volumeNode)
    axial_order(_spacing_and_direction(volumeNode)[1])


def _check_quantity(volumeNode) -> None:
    """Reject a node whose DICOM header named another quantity than the CT number."""
    quantity, unit = volumeNode.GetVoxelValueQuantity(), volumeNode.GetVoxelValueUnits()
    if quantity is not None and quantity.GetCodeValue() not in (None, "", CT_QUANTITY):
        raise InputError(
            "not-ct",
            f"The selected volume holds {quantity.GetCodeMeaning() or quantity.GetCodeValue()}, not CT numbers: "
            "select a CT.",
        )
    if unit is not None and unit.GetCodeValue() not in (None, "", HOUNSFIELD_UNIT):
        raise InputError(
            "not-hu",
            f"The selected volume is in {unit.GetCodeMeaning() or unit.GetCodeValue()}, not in HU: select a CT in HU.",
        )


def _check_transform(volumeNode) -> None:
    """Reject a node under a transform: Slicer puts series with uneven slices or a tilted gantry there."""
    transform = volumeNode.GetParentTransformNode()
    if transform is None:
        return
    if transform.IsLinear():
        raise InputError(
            "transformed-volume",
            "The selected volume lies under a transform, and scores are defined on the slices as they were scanned: "
            "take it out of the transform.",
        )
    raise InputError(
        "transformed-volume",
        "The selected volume has uneven slice spacing or a tilted gantry (Slicer has put it under a non-linear "
        "transform), so slices cannot be scored: use a series with even, untilted slices.",
    )


def _spacing_and_direction(volumeNode) -> tuple[tuple[float, float, float], np.ndarray]:
    """Spacing along the node's array axes (k, j, i) in mm, and the LPS unit vectors of i, j and k as columns."""
    axes = index_to_lps(volumeNode)[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite(lengths)) or lengths.min() <= 0:
        raise InputError("geometry", "The selected volume has no usable voxel size: load the CT again.")
    return tuple(lengths[::-1]), axes / lengths


def scene_ct(volumeNode, acquisition: Acquisition | None = None, *, copy: bool = True) -> SceneCT:
    """The CT of a vtkMRMLScalarVolumeNode, with its own copy of the voxels unless ``copy`` is False.

    ``acquisition`` says how the scan was made, where the caller knows it; the node does not. Raises InputError for
    everything that ``check_node`` and the engine's ``check_ct`` reject.
    """
    check_node(volumeNode)
    image = volumeNode.GetImageData()
    spacing, direction = _spacing_and_direction(volumeNode)
    matrix = index_to_lps(volumeNode)
    axial = to_axial(array_of(image), spacing, tuple(matrix[:3, 3]), direction)
    # A copy where scoring goes on in another thread while the user may edit the volume.
    hu = np.array(axial.array) if copy else axial.array
    volume = CTVolume(hu, axial.spacing, axial.origin, axial.direction, acquisition or Acquisition())
    return SceneCT(check_ct(volume), axial.order, image.GetMTime(), matrix)


def add_volume_node(scene, volume: CTVolume, name: str):
    """Add a CT volume to the scene as a vtkMRMLScalarVolumeNode and return the node."""
    scalars = numpy_to_vtk(np.ascontiguousarray(volume.hu).ravel(), deep=True)
    image = vtk.vtkImageData()
    image.SetDimensions(*volume.shape[::-1])
    image.GetPointData().SetScalars(scalars)
    matrix = np.eye(4)
    matrix[:3, :3] = volume.direction * np.array(volume.spacing[::-1])
    matrix[:3, 3] = volume.origin
    ijk_to_ras = vtk.vtkMatrix4x4()
    ijk_to_ras.DeepCopy((RAS_LPS @ matrix).ravel())
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetIJKToRASMatrix(ijk_to_ras)
    node.SetAndObserveImageData(image)
    quantity, unit = slicer.vtkCodedEntry(), slicer.vtkCodedEntry()
    quantity.SetValueSchemeMeaning(CT_QUANTITY, "DCM", "Attenuation Coefficient")
    unit.SetValueSchemeMeaning(HOUNSFIELD_UNIT, "UCUM", "Hounsfield unit")
    node.SetVoxelValueQuantity(quantity)
    node.SetVoxelValueUnits(unit)
    return node


def store_acquisition(volumeNode, acquisition: Acquisition) -> None:
    """Keep with a CT's node how the scan was made."""
    volumeNode.SetAttribute(ACQUISITION_ATTRIBUTE, json.dumps(asdict(acquisition)))


def stored_acquisition(volumeNode) -> Acquisition | None:
    """How a scan was made, as it was kept with the CT's node; None where nothing was."""
    kept = json_attribute(volumeNode, ACQUISITION_ATTRIBUTE, dict)
    known = {entry.name: kept[entry.name] for entry in fields(Acquisition) if entry.name in kept}
    return Acquisition(**known) if known else None
