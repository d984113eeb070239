"""A segmentation's labelled voxels, few among many, read again only where a labelmap has changed."""

from dataclasses import dataclass

import numpy as np
import vtk
from coronary_calcium.reading.axes import AxialOrder
from coronary_calcium.scoring.parts import labelled_voxels
from coronary_calcium.volume import CaseWarning

from .segmentation import (
    WRITING_ORDER,
    grid_offset,
    is_empty,
    outside_ct,
    overlap_warnings,
    scored_segments,
    segment_labelmap,
)
from .volume_node import array_of

# Labels by rank in the writing order, and the ranks by label; a voxel and a rank are packed into one number.
_LABEL_OF_RANK = np.array([artery.label for artery in WRITING_ORDER])
_RANKS = len(WRITING_ORDER)


@dataclass(frozen=True, eq=False)
class SparseLabels:
    """Labelled voxels of a CT: ascending flat indices (k, j, i) on the axial CT, and their labels 1 to 5."""

    voxels: np.ndarray
    labels: np.ndarray
    warnings: tuple[CaseWarning, ...]


@dataclass(frozen=True, eq=False)
class _Layer:
    """What a labelmap, which several segments may share, holds: flat indices on the axial CT, ascending, and values.

    ``state`` is all that this depends on.
    """

    state: tuple
    voxels: np.ndarray
    values: np.ndarray


class LabelReader:
    """Reads a segmentation's labels as ``segmentation.read_labels`` does, in less time when little has changed.

    It writes nothing to the scene, and of the scene's objects it keeps only the labelmaps of the last reading.
    """

    def __init__(self) -> None:
        self._layers: dict[vtk.vtkImageData, _Layer] = {}

    def read(self, segmentationNode, volumeNode, order: AxialOrder) -> SparseLabels:
        """The labels on the axial CT that ``order`` makes of the node's array; raises as ``read_labels`` does."""
        segments, warnings = scored_segments(segmentationNode)
        members: dict[vtk.vtkImageData, list] = {}
        for segment, artery in segments:
            members.setdefault(segment_labelmap(segment), []).append((segment, artery))
        self._layers = {
            image: self._layer(image, own, volumeNode, order) for image, own in members.items() if not is_empty(image)
        }
        codes = [_codes(layer, members[image]) for image, layer in self._layers.items()]
        if len(codes) == 1:
            return _unpacked(codes[0], warnings)
        return _unpacked(*_without_overlap(codes, warnings))

    def _layer(self, image, members: list, volumeNode, order: AxialOrder) -> _Layer:
        """A labelmap's voxels, read again if it, one of its segments, or its place on the CT was modified."""
        offset = grid_offset(image, volumeNode)
        shape = volumeNode.GetImageData().GetDimensions()[::-1]
        # Voxels written through numpy leave the labelmap's time as it was, and only the segment tells.
        times = (image.GetMTime(), *(segment.GetMTime() for segment, _ in members))
        state = (times, tuple(offset.tolist()), shape, order)
        known = self._layers.get(image)
        if known is not None and known.state == state:
            return known
        array = array_of(image)
        flat = labelled_voxels(array)
        values = array.reshape(-1)[flat]
        index = np.column_stack(np.unravel_index(flat, array.shape)) + (offset + image.GetExtent()[4::-2])
        used = np.isin(values, [segment.GetLabelValue() for segment, _ in members])
        index, values = index[used], values[used]
        if index.size and (index.min() < 0 or np.any(index.max(axis=0) >= shape)):
            raise outside_ct()
        voxels = order.flat_index(index, shape)
        if not order.is_identity:
            sorting = np.argsort(voxels)
            voxels, values = voxels[sorting], values[sorting]
        return _Layer(state, voxels, values)


def _codes(layer: _Layer, members: list) -> np.ndarray:
    """Voxel x number of ranks + rank, ascending, of the voxels of a layer that segments own."""
    ranks = np.full(layer.values.size, -1)
    for segment, artery in members:
        ranks[layer.values == segment.GetLabelValue()] = WRITING_ORDER.index(artery)
    return layer.voxels[ranks >= 0] * _RANKS + ranks[ranks >= 0]


def _without_overlap(codes: list[np.ndarray], warnings: tuple[CaseWarning, ...]) -> tuple:
    """The codes of several layers, of each voxel only the last by rank, and the warnings with that of overlaps."""
    joined = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *codes]))
    voxels = joined // _RANKS
    last = np.append(voxels[1:] != voxels[:-1], True)[: voxels.size]
    first = np.append(True, voxels[1:] != voxels[:-1])[: voxels.size]
    return joined[last], warnings + overlap_warnings(int(np.count_nonzero(first & ~last)))


def _unpacked(codes: np.ndarray, warnings: tuple[CaseWarning, ...]) -> SparseLabels:
    return SparseLabels(codes // _RANKS, _LABEL_OF_RANK[codes % _RANKS], warnings)
