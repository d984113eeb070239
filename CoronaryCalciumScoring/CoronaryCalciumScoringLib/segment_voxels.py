"""A part of the segments' voxels, read and written without looking at the rest of a large volume."""

from dataclasses import dataclass

import numpy as np
import slicer
from coronary_calcium.arteries import Artery
from vtk.util.numpy_support import numpy_to_vtk

from .segmentation import (
    add_segment,
    artery_segments,
    cropped_labelmap,
    grid_offset,
    is_empty,
    scored_segments,
    segment_labelmap,
)
from .volume_node import array_of

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

    Raises InputRefused as ``segmentation.read_labels`` does.
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
