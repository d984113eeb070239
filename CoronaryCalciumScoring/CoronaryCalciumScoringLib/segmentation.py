"""Label maps become segments, one for each artery, and segments become label maps again."""

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from coronary_calcium.arteries import ARTERIES, BY_NAME, Artery
from coronary_calcium.errors import InputRefused
from coronary_calcium.terminology import TERMINOLOGY_TAG, terminology
from coronary_calcium.volume import CaseWarning
from vtk.util.numpy_support import numpy_to_vtk

from .hierarchy import place_beside
from .volume_node import array_of

BINARY_LABELMAP = "Binary labelmap"
# How far, in voxels, a segment's grid may be off the CT's to be the same grid: far above the rounding of a saved
# matrix (1e-6 voxel), far below anything that could move a voxel.
GRID_TOLERANCE_VOXELS = 1e-3


@dataclass(frozen=True)
class SegmentLabels:
    """Labels (k, j, i), uint8, on the array axes of the CT's node, and what to know about how they were read."""

    labels: np.ndarray
    warnings: tuple[CaseWarning, ...]


def add_segmentation(volumeNode, labels: np.ndarray, name: str):
    """Add a segmentation of a CT to its scene: one segment for each artery, also where it has no voxel.

    ``labels`` is an array on the array axes of ``volumeNode``: 0 background, then ``Artery.label``. The segmentation
    has the CT as its reference geometry, lies beside it in the subject hierarchy, and every segment has its artery's
    name, colour and coded terminology. Returns the vtkMRMLSegmentationNode.
    """
    scene = volumeNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    for artery in ARTERIES:
        _add_segment(node, artery)
    place_beside(volumeNode, node)
    show_labels(node, volumeNode, labels)
    return node


def show_labels(segmentationNode, volumeNode, labels: np.ndarray) -> None:
    """Replace the arteries' voxels; ``labels`` as for ``add_segmentation``. The artery's segments must exist."""
    segments = artery_segments(segmentationNode)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for artery in ARTERIES:
        logic.ClearSegment(segmentationNode, segments[artery.name])
    # Once over the volume, flat (numpy finds the non-zeros of three axes several times slower), then only over the few
    # marked voxels.
    flat = np.flatnonzero((labels != 0).ravel())
    marked = np.column_stack(np.unravel_index(flat, labels.shape))
    values = labels[tuple(marked.T)]
    for artery in ARTERIES:
        own = marked[values == artery.label]
        if not own.size:
            continue
        image = _cropped_labelmap(volumeNode, own)
        if not logic.SetBinaryLabelmapToSegment(image, segmentationNode, segments[artery.name], logic.MODE_REPLACE):
            raise RuntimeError(f"the voxels of {artery.name} could not be written to the segmentation")


def artery_segments(segmentationNode) -> dict[str, str]:
    """Segment identifiers by artery name. A renamed segment is known by its terminology, others by their name."""
    segmentation = segmentationNode.GetSegmentation()
    found = {}
    for segment_id in segmentation.GetSegmentIDs():
        artery = segment_artery(segmentation.GetSegment(segment_id))
        if artery is not None:
            found.setdefault(artery.name, segment_id)
    return found


def segment_artery(segment) -> Artery | None:
    """The artery that a segment stands for, or None."""
    entry = vtk.mutable("")
    if segment.GetTag(TERMINOLOGY_TAG, entry):
        for artery in ARTERIES:
            if str(entry) == terminology(artery):
                return artery
    return BY_NAME.get(segment.GetName())


def read_labels(segmentationNode, volumeNode) -> SegmentLabels:
    """The arteries' segments as a label map on the array axes of a CT node.

    Segments that stand for no artery are left out, and said in the warnings, as are voxels that two arteries claim
    (the later one in the order of ``ARTERIES`` gets them). Raises InputRefused when no segment stands for an artery
    (``"no-artery"``) and when the segments are not on the CT's voxels (``"mask-grid"``).
    """
    segmentation = segmentationNode.GetSegmentation()
    labels = np.zeros(volumeNode.GetImageData().GetDimensions()[::-1], dtype=np.uint8)
    ignored, overlapping, seen = [], 0, False
    if segmentationNode.GetParentTransformNode() is not None:
        raise InputRefused("mask-grid", "The segmentation lies under a transform: take it out of the transform.")
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        artery = segment_artery(segment)
        if artery is None:
            ignored.append(segment.GetName())
            continue
        seen = True
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is None:
            raise InputRefused(
                "mask-grid", f"The segment {segment.GetName()} has no voxels of its own: give it a binary labelmap."
            )
        overlapping += _write(labels, image, segment.GetLabelValue(), artery.label, volumeNode)
    if not seen:
        names = ", ".join(BY_NAME)
        raise InputRefused("no-artery", f"No segment stands for a coronary artery: name the segments {names}.")
    return SegmentLabels(labels, _reading_warnings(ignored, overlapping))


def _reading_warnings(ignored: list[str], overlapping: int) -> tuple[CaseWarning, ...]:
    warnings = []
    if ignored:
        warnings.append(
            CaseWarning("segments-ignored", f"Not scored, being no coronary artery: segments {', '.join(ignored)}.")
        )
    if overlapping:
        warnings.append(
            CaseWarning("segments-overlap", f"{overlapping} voxels belong to two arteries and were scored once.")
        )
    return tuple(warnings)


def _write(labels: np.ndarray, image, value: int, label: int, volumeNode) -> int:
    """Write one segment's voxels to ``labels`` and return how many of them had a label before."""
    extent = image.GetExtent()
    if extent[0] > extent[1] or extent[2] > extent[3] or extent[4] > extent[5]:
        return 0
    marked = np.argwhere(array_of(image) == value)
    if marked.size == 0:
        return 0
    marked += np.array(extent[4::-2])
    marked += _grid_offset(image, volumeNode)
    if marked.min() < 0 or np.any(marked.max(axis=0) >= labels.shape):
        raise InputRefused("mask-grid", "The segmentation reaches outside the CT: select the CT that it was drawn on.")
    index = tuple(marked.T)
    overlapping = np.count_nonzero(labels[index])
    labels[index] = label
    return overlapping


def _grid_offset(image, volumeNode) -> np.ndarray:
    """Whole voxels (k, j, i) from a segment's grid to the CT's; raises InputRefused when they are not the same grid."""
    image_matrix, volume_matrix = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(image_matrix)
    volumeNode.GetRASToIJKMatrix(volume_matrix)
    vtk.vtkMatrix4x4.Multiply4x4(volume_matrix, image_matrix, volume_matrix)
    step = np.array([[volume_matrix.GetElement(row, column) for column in range(4)] for row in range(3)])
    offset = np.rint(step[:, 3])
    # The rotation counts over the whole extent of the image, so that a small angle does not hide.
    drift = np.abs(step[:, :3] - np.eye(3)) @ np.array(volumeNode.GetImageData().GetDimensions())
    if max(drift.max(), np.abs(step[:, 3] - offset).max()) > GRID_TOLERANCE_VOXELS:
        raise InputRefused(
            "mask-grid",
            "The segmentation is not on the CT's voxels: set the CT as its source geometry in the Segment Editor.",
        )
    return offset[::-1].astype(int)


def _add_segment(node, artery: Artery) -> None:
    segmentation = node.GetSegmentation()
    segment = segmentation.GetSegment(segmentation.AddEmptySegment(artery.name, artery.name, artery.color))
    segment.SetTag(TERMINOLOGY_TAG, terminology(artery))


def _cropped_labelmap(volumeNode, voxels: np.ndarray):
    """A vtkOrientedImageData that holds the box around voxels, rows of (k, j, i), at its place in the CT's grid."""
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    box = np.zeros(high - low + 1, dtype=np.uint8)
    box[tuple((voxels - low).T)] = 1
    image = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    image.SetExtent(*(int(bound) for axis in (2, 1, 0) for bound in (low[axis], high[axis])))
    image.GetPointData().SetScalars(numpy_to_vtk(box.ravel(), deep=True))
    return image
