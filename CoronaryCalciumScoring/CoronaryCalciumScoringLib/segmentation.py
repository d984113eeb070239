"""Label maps become segments, one per artery, and segments become label maps again, whole or in a box."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from coronary_calcium.arteries import (
    ARTERIES,
    BY_NAME,
    NAMED_ARTERIES,
    TERMINOLOGY_TAG,
    UNASSIGNED,
    Artery,
    terminology,
)
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.components import labeled_voxels
from coronary_calcium.volume import CaseWarning
from vtk.util.numpy_support import numpy_to_vtk

from .volume_node import array_of, place_beside, remove_with_item

BINARY_LABELMAP = "Binary labelmap"
# How far, in voxels, a segment's grid may be off the CT's to be the same grid: far above the rounding of a saved
# matrix (1e-6 voxel), far below anything that could move a voxel.
GRID_TOLERANCE_VOXELS = 1e-3
# Where two segments overlap, the one whose artery comes later here has the voxel.
WRITING_ORDER = (UNASSIGNED, *NAMED_ARTERIES)
_BY_LOWER_NAME = {artery.name.lower(): artery for artery in ARTERIES}


@dataclass(frozen=True, eq=False)
class SegmentLabels:
    """Labels (k, j, i), uint8, on the array axes of the CT's node, and what to know about how they were read."""

    labels: np.ndarray
    warnings: tuple[CaseWarning, ...]


def add_segmentation(volumeNode, labels: np.ndarray, name: str):
    """Add a segmentation of a CT to its scene: one segment for each artery, also where it has no voxel.

    ``labels`` is an array on the array axes of ``volumeNode``: 0 background, then ``Artery.label``. The segmentation
    has the CT as its reference geometry, lies beside it in the subject hierarchy, and every segment has its artery's
    name, color and coded terminology. Returns the vtkMRMLSegmentationNode.
    """
    scene = volumeNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    for artery in ARTERIES:
        add_segment(node, artery)
    place_beside(volumeNode, node)
    show_labels(node, volumeNode, labels)
    return node


def show_labels(segmentationNode, volumeNode, labels: np.ndarray) -> None:
    """Replace the arteries' voxels; ``labels`` as for ``add_segmentation``. The artery's segments must exist."""
    segments = artery_segments(segmentationNode)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for artery in ARTERIES:
        logic.ClearSegment(segmentationNode, segments[artery.name])
    # Once over the volume, then only over the few marked voxels.
    flat = labeled_voxels(labels)
    marked = np.column_stack(np.unravel_index(flat, labels.shape))
    values = labels[tuple(marked.T)]
    for artery in ARTERIES:
        own = marked[values == artery.label]
        if not own.size:
            continue
        image = cropped_labelmap(volumeNode, own)
        if not logic.SetBinaryLabelmapToSegment(image, segmentationNode, segments[artery.name], logic.MODE_REPLACE):
            raise RuntimeError(f"the voxels of {artery.name} could not be written to the segmentation")


def artery_segments(segmentationNode) -> dict[str, str]:
    """Segment identifiers by artery name; of several segments for one artery, the first."""
    segmentation = segmentationNode.GetSegmentation()
    found = {}
    for segment_id in segmentation.GetSegmentIDs():
        artery = segment_artery(segmentation.GetSegment(segment_id))
        if artery is not None:
            found.setdefault(artery.name, segment_id)
    return found


def segment_artery(segment) -> Artery | None:
    """The artery that a segment stands for, or None.

    A name that is an artery's (LM, LAD, LCX, RCA, unassigned; in any case of letters) decides, because it is what the
    user reads and what a rename changes; with any other name, the coded terminology does.
    """
    named = _BY_LOWER_NAME.get((segment.GetName() or "").strip().lower())
    if named is not None:
        return named
    entry = vtk.mutable("")
    if segment.GetTag(TERMINOLOGY_TAG, entry):
        for artery in ARTERIES:
            if str(entry) == terminology(artery):
                return artery
    return None


def scored_segments(segmentationNode) -> tuple[list[tuple[Any, Artery]], tuple[CaseWarning, ...]]:
    """All segments with the artery that they are scored for, in the order in which they are written to a label map.

    A voxel of two segments goes to the one that comes later, by ``WRITING_ORDER``: a named artery has it before
    ``unassigned``, and of two named arteries the later one of ``ARTERIES``. A segment that stands for no artery
        counts as ``unassigned``,
    and the warnings say so. Raises InputError: ``"mask-grid"`` under a transform, ``"no-artery"`` when no segment
    stands for an artery.
    """
    if segmentationNode.GetParentTransformNode() is not None:
        raise InputError("mask-grid", "The segmentation lies under a transform: take it out of the transform.")
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetSegment(segment_id) for segment_id in segmentation.GetSegmentIDs()]
    known = [(segment, segment_artery(segment)) for segment in segments]
    others = [segment.GetName() for segment, artery in known if artery is None]
    if len(others) == len(known):
        raise InputError(
            "no-artery", f"No segment stands for a coronary artery: name the segments {', '.join(BY_NAME)}."
        )
    warnings = ()
    if others:
        message = f"Scored as {UNASSIGNED.name}, being named after no artery: segments {', '.join(others)}."
        warnings = (CaseWarning("segments-unassigned", message),)
    scored = [(segment, artery or UNASSIGNED) for segment, artery in known]
    return sorted(scored, key=lambda entry: WRITING_ORDER.index(entry[1])), warnings


def segment_labelmap(segment):
    """A segment's binary labelmap; raises InputError ("mask-grid") when it has none."""
    image = segment.GetRepresentation(BINARY_LABELMAP)
    if image is None:
        raise InputError(
            "mask-grid", f"The segment {segment.GetName()} has no voxels of its own: give it a binary labelmap."
        )
    return image


def is_empty(image) -> bool:
    """Whether a labelmap has no voxel at all."""
    extent = image.GetExtent()
    return extent[0] > extent[1] or extent[2] > extent[3] or extent[4] > extent[5]


def read_labels(segmentationNode, volumeNode) -> SegmentLabels:
    """The segments as a label map on the array axes of a CT node, by the rules of ``scored_segments``.

    The warnings also say how many voxels two arteries claim. Raises InputError when no segment stands for an
    artery (``"no-artery"``) and when the segments are not on the CT's voxels (``"mask-grid"``).
    """
    segments, warnings = scored_segments(segmentationNode)
    labels = np.zeros(volumeNode.GetImageData().GetDimensions()[::-1], dtype=np.uint8)
    overlapping = np.zeros(0, dtype=np.int64)
    for segment, artery in segments:
        claimed = _write(labels, segment_labelmap(segment), segment.GetLabelValue(), artery.label, volumeNode)
        overlapping = np.union1d(overlapping, claimed)
    return SegmentLabels(labels, warnings + overlap_warnings(overlapping.size))


def overlap_warnings(voxels: int) -> tuple[CaseWarning, ...]:
    """The warning that voxels belong to two arteries, unless there are none."""
    if not voxels:
        return ()
    return (CaseWarning("segments-overlap", f"{voxels} voxels belong to two arteries and were scored once."),)


def _write(labels: np.ndarray, image, value: int, label: int, volumeNode) -> np.ndarray:
    """Write one segment's voxels to ``labels`` and return the flat indices of those that had another label before."""
    nothing = np.zeros(0, dtype=np.int64)
    if is_empty(image):
        return nothing
    array = array_of(image)
    flat = labeled_voxels(array)
    marked = np.column_stack(np.unravel_index(flat[array.reshape(-1)[flat] == value], array.shape))
    if marked.size == 0:
        return nothing
    marked += np.array(image.GetExtent()[4::-2])
    marked += grid_offset(image, volumeNode)
    if marked.min() < 0 or np.any(marked.max(axis=0) >= labels.shape):
        raise outside_ct()
    index = tuple(marked.T)
    claimed = (labels[index] != 0) & (labels[index] != label)
    labels[index] = label
    return np.ravel_multi_index(index, labels.shape)[claimed]


def outside_ct() -> InputError:
    """The rejection of segments that have voxels where the CT has none."""
    return InputError("mask-grid", "The segmentation reaches outside the CT: select the CT that it was drawn on.")


def grid_offset(image, volumeNode) -> np.ndarray:
    """Whole voxels (k, j, i) from a segment's grid to the CT's; raises InputError when they are not the same grid."""
    image_matrix, volume_matrix = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(image_matrix)
    volumeNode.GetRASToIJKMatrix(volume_matrix)
    vtk.vtkMatrix4x4.Multiply4x4(volume_matrix, image_matrix, volume_matrix)
    step = np.array([[volume_matrix.GetElement(row, column) for column in range(4)] for row in range(3)])
    offset = np.rint(step[:, 3])
    # The rotation counts over the whole extent of the image, so that a small angle does not hide.
    drift = np.abs(step[:, :3] - np.eye(3)) @ np.array(volumeNode.GetImageData().GetDimensions())
    if max(drift.max(), np.abs(step[:, 3] - offset).max()) > GRID_TOLERANCE_VOXELS:
        raise InputError(
            "mask-grid",
            "The segmentation is not on the CT's voxels: set the CT as its source geometry in the Segment Editor.",
        )
    return offset[::-1].astype(int)


def add_segment(node, artery: Artery) -> str:
    """Add an artery's segment, empty, with its name, color and coded terminology; returns the segment's identifier."""
    segmentation = node.GetSegmentation()
    segment_id = segmentation.AddEmptySegment(artery.name, artery.name, artery.color)
    segmentation.GetSegment(segment_id).SetTag(TERMINOLOGY_TAG, terminology(artery))
    return segment_id


def cropped_labelmap(volumeNode, voxels: np.ndarray):
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


# The highest number of a labelmap of unsigned bytes.
KEPT = 255


@dataclass(frozen=True, eq=False)
class Box:
    """A box of voxels on the array axes (k, j, i) of a CT node; ``high`` is exclusive.

    ``open_sides`` (3, 2) says on which sides (low, high of each axis) the CT goes on beyond the box.
    """

    low: np.ndarray
    high: np.ndarray
    open_sides: np.ndarray

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index of the CT's array."""
        return tuple(slice(int(low), int(high)) for low, high in zip(self.low, self.high))

    def touched_by(self, mask: np.ndarray) -> bool:
        """Whether a mask in the box reaches a side beyond which the CT goes on."""
        ends = [
            mask.take(end, axis=axis).any()
            for axis in range(3)
            for side, end in enumerate((0, -1))
            if self.open_sides[axis, side]
        ]
        return any(ends)


def box_around(place: np.ndarray, reach: np.ndarray, shape: np.ndarray) -> Box:
    """The box of all voxels within ``reach`` voxels (k, j, i) of a place, inside a CT of the given shape."""
    low = np.floor(np.asarray(place) - reach).astype(int)
    high = np.ceil(np.asarray(place) + reach).astype(int) + 1
    open_sides = np.column_stack([low > 0, high < shape])
    return Box(np.maximum(low, 0), np.minimum(high, shape), open_sides)


def box_of(voxels: np.ndarray) -> Box:
    """The box around voxels, rows of (k, j, i)."""
    return Box(voxels.min(axis=0), voxels.max(axis=0) + 1, np.zeros((3, 2), dtype=bool))


def labels_in_box(segmentationNode, volumeNode, box: Box) -> np.ndarray:
    """The arteries' labels in a box, uint8 (k, j, i), by the rules of ``segmentation.scored_segments``.

    Raises InputError as ``segmentation.read_labels`` does.
    """
    labels = np.zeros(box.high - box.low, dtype=np.uint8)
    for segment, artery in scored_segments(segmentationNode)[0]:
        labels[segment_in_box(segment, volumeNode, box)] = artery.label
    return labels


def segment_in_box(segment, volumeNode, box: Box) -> np.ndarray:
    """One segment's voxels in a box, bool (k, j, i)."""
    inside = np.zeros(box.high - box.low, dtype=bool)
    image = segment_labelmap(segment)
    if is_empty(image):
        return inside
    first = np.array(image.GetExtent()[4::-2]) + grid_offset(image, volumeNode)
    held = array_of(image)
    low, high = np.maximum(box.low, first), np.minimum(box.high, first + held.shape)
    if np.all(low < high):
        part = held[tuple(slice(a, b) for a, b in zip(low - first, high - first))]
        inside[tuple(slice(a, b) for a, b in zip(low - box.low, high - box.low))] = part == segment.GetLabelValue()
    return inside


def add_voxels(segmentationNode, volumeNode, artery: Artery, voxels: np.ndarray) -> None:
    """Give voxels, rows of (k, j, i), to an artery's segment, which is added if it was removed.

    The voxels must belong to no other artery; remove them there first.
    """
    segment_id = artery_segments(segmentationNode).get(artery.name) or add_segment(segmentationNode, artery)
    # Segments share a labelmap, and merging writes the given numbers as they are: 1 would be the first segment's.
    value = segmentationNode.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    image = cropped_labelmap(volumeNode, voxels)
    _set(image, array_of(image) * np.uint8(value))
    _merge(segmentationNode, segment_id, image, slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MAX)


def remove_voxels(segmentationNode, volumeNode, voxels: np.ndarray) -> None:
    """Take voxels, rows of (k, j, i), away from every segment that has them."""
    segmentation = segmentationNode.GetSegmentation()
    box = box_of(voxels)
    for segment_id in segmentation.GetSegmentIDs():
        own = segment_in_box(segmentation.GetSegment(segment_id), volumeNode, box)[tuple((voxels - box.low).T)]
        if not own.any():
            continue
        image = cropped_labelmap(volumeNode, voxels[own])
        # The lower of two numbers stays; 255 leaves all others in the box as they are.
        _set(image, np.where(array_of(image), 0, KEPT).astype(np.uint8))
        _merge(segmentationNode, segment_id, image, slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MIN)


def write_only(segmentationNode, segment_id: str, volumeNode, voxels: np.ndarray) -> None:
    """Make voxels, rows of (k, j, i), all that a segment has; no other segment may share its labelmap."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.ClearSegment(segmentationNode, segment_id)
    if voxels.size:
        image = cropped_labelmap(volumeNode, voxels)
        logic.SetBinaryLabelmapToSegment(image, segmentationNode, segment_id, logic.MODE_REPLACE)


def _set(image, values: np.ndarray) -> None:
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))


def _merge(segmentationNode, segment_id: str, image, mode: int) -> None:
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(image, segmentationNode, segment_id, mode, image.GetExtent()):
        raise RuntimeError("the voxels could not be written to the segmentation")


def remove_segmentation(node) -> None:
    """Remove a segmentation with its display from its scene, if it is still there."""
    scene, display = node.GetScene(), node.GetDisplayNode()
    if scene is not None:
        # While the node is in the scene: the application looks for a removed segment's item in the scene's hierarchy.
        node.GetSegmentation().RemoveAllSegments()
        remove_with_item(scene, node)
        scene.RemoveNode(display)
