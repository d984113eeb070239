"""The scores of a segmentation on a CT, kept true while both are edited, by whomever."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from coronary_calcium.errors import InputError
from coronary_calcium.io.axes import AxialOrder
from coronary_calcium.scoring.agatston import CaseScore, SlicewiseScore
from coronary_calcium.scoring.components import labeled_voxels
from coronary_calcium.scoring.rules import LITERATURE, RuleSet
from coronary_calcium.volume import Acquisition, CaseWarning

from .segmentation import (
    WRITING_ORDER,
    grid_offset,
    is_empty,
    outside_ct,
    overlap_warnings,
    scored_segments,
    segment_labelmap,
)
from .volume_node import SceneCT, array_of, check_node, index_to_lps, scene_ct

# Labels by rank in the writing order, and the ranks by label; a voxel and a rank are packed into one number.
_LABEL_OF_RANK = np.array([artery.label for artery in WRITING_ORDER])
_RANKS = len(WRITING_ORDER)


@dataclass(frozen=True, eq=False)
class SparseLabels:
    """Labeled voxels of a CT: ascending flat indices (k, j, i) on the axial CT, and their labels 1 to 5."""

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
        flat = labeled_voxels(array)
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


# No single event comes with every edit: painting fires other events than undo, and clearing a segment yet others.
SEGMENTATION_EVENTS = (
    slicer.vtkSegmentation.SourceRepresentationModified,
    slicer.vtkSegmentation.RepresentationModified,
    slicer.vtkSegmentation.ContainedRepresentationNamesModified,
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
    slicer.vtkSegmentation.SegmentModified,
    slicer.vtkSegmentation.SegmentsOrderModified,
    slicer.vtkMRMLSegmentationNode.SegmentationChangedEvent,
    slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
    vtk.vtkCommand.ModifiedEvent,
)
VOLUME_EVENTS = (
    slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
    slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
    vtk.vtkCommand.ModifiedEvent,
)
SCENE_EVENTS = (slicer.vtkMRMLScene.NodeRemovedEvent, slicer.vtkMRMLScene.EndCloseEvent)

# Code of the rejection to score what is not in the scene any more.
REMOVED = "removed"
NOTHING_WATCHED = "No segmentation and CT are selected to be scored."


class LiveScores:
    """Watches one segmentation and one CT, and keeps the scores of the one on the other.

    Any number of objects may watch, also the same nodes. After an event, ``schedule`` is called once; it has
    ``update`` called soon, from the event loop, so that the many events of one edit cause one update. Without it,
    ``update`` is called by hand. The scores equal, to the last digit, those that the engine's ``score_labels`` gives
    for ``segmentation.read_labels``. ``close`` must be called in the end: it removes the observers.

    Attributes
    ----------
    score : the scores as of the last update, or None.
    labels : the labeled voxels that the scores are of, or None.
    reason : why there are none, one sentence; empty while there are.
    warnings : what a reader of the scores must know, of the CT and of the segments.
    onChanged : functions that are called with ``score`` after every update that changed something.

    """

    def __init__(self, schedule: Callable[[], object] | None = None, rules: RuleSet = LITERATURE) -> None:
        self._schedule = schedule
        self._rules = rules
        self._observations: list[tuple[vtk.vtkObject, int]] = []
        self.onChanged: list[Callable[[CaseScore | None], object]] = []
        self.unwatch()

    def watch(
        self,
        segmentationNode,
        volumeNode,
        *,
        acquisition: Acquisition | None = None,
        probability: np.ndarray | None = None,
        ct: SceneCT | None = None,
    ) -> CaseScore | None:
        """Watch these nodes, either may be None, in place of those before, and update at once.

        ``acquisition`` says how the scan was made, where the caller knows it. ``probability`` is the network's, on
        the axes (k, j, i) of the engine's CT; it is given for each lesion until the CT's voxels change. ``ct`` is the
        CT as somebody has just looked at it, which takes a second in a large one.
        """
        self.unwatch()
        if segmentationNode is None or volumeNode is None:
            return None
        self._segmentationNode, self._volumeNode = segmentationNode, volumeNode
        self._acquisition, self._probability = acquisition, probability
        if ct is not None:
            self._ct, self._ct_state = ct, (ct.image_time, ct.index_to_lps.tobytes())
        self._observe(segmentationNode, SEGMENTATION_EVENTS)
        self._observe(volumeNode, VOLUME_EVENTS)
        self._observe(volumeNode.GetScene(), SCENE_EVENTS)
        return self.update()

    def use_rules(self, rules: RuleSet) -> CaseScore | None:
        """Count by other rules from now on, and update at once."""
        self._rules = rules
        self._slicewise = None
        return self.update()

    def unwatch(self) -> None:
        """Stop watching; there are no scores then. Nobody is told."""
        self._let_go()
        self._set_nothing(NOTHING_WATCHED)

    def close(self) -> None:
        """Stop watching, and let go of whoever wanted to be told."""
        self.unwatch()
        self.onChanged.clear()

    def update(self) -> CaseScore | None:
        """Compute what has changed, tell whoever wants to know, and return the scores."""
        self._pending = False
        if self._segmentationNode is None:
            return None
        before = self.score, self.reason, self.warnings
        moved = False
        try:
            self._reject_removed()
            ct = self._current_ct()
            labels = self._reader.read(self._segmentationNode, self._volumeNode, ct.order)
            self.score, moved = self._scored(labels)
            self.labels = labels
        except InputError as rejection:
            self._set_nothing(str(rejection))
            if rejection.code == REMOVED:
                self._let_go()
        except Exception:
            # Rather no score than one of an earlier state.
            self._set_nothing("The scores could not be computed; the error is in the log.")
            raise
        else:
            self.reason, self.warnings = "", ct.volume.warnings + labels.warnings
        if moved or before != (self.score, self.reason, self.warnings):
            for callback in list(self.onChanged):
                callback(self.score)
        return self.score

    def _observe(self, subject, events: tuple[int, ...]) -> None:
        for event in events:
            self._observations.append((subject, subject.AddObserver(event, self._on_event)))

    def _on_event(self, caller, event) -> None:
        """Something may have changed: have it looked at soon, once for all that happens until then."""
        if self._pending:
            return
        self._pending = True
        if self._schedule is not None:
            self._schedule()

    def _let_go(self) -> None:
        """Remove the observers, and hold no node, no voxels and nothing made of them."""
        for subject, tag in self._observations:
            subject.RemoveObserver(tag)
        self._observations.clear()
        self._pending = False
        self._segmentationNode = self._volumeNode = None
        self._acquisition = self._probability = None
        self._reader = LabelReader()
        self._ct: SceneCT | None = None
        self._ct_state: tuple = ()
        self._ct_rejection: InputError | None = None
        self._slicewise: SlicewiseScore | None = None

    def _set_nothing(self, reason: str) -> None:
        self.score: CaseScore | None = None
        self.labels: SparseLabels | None = None
        self.reason = reason
        self.warnings: tuple[CaseWarning, ...] = ()

    def _reject_removed(self) -> None:
        """Raise InputError when a node has left its scene."""
        if self._volumeNode.GetScene() is None:
            raise InputError(REMOVED, "The CT was removed: load it again, or select another one.")
        if self._segmentationNode.GetScene() is None:
            raise InputError(REMOVED, "The segmentation was removed: select another one.")

    def _current_ct(self) -> SceneCT:
        """The CT as it is now; looked at again, which takes a second, only when its voxels or geometry changed."""
        check_node(self._volumeNode)
        # Modification times are unique among all VTK objects: another image has another one.
        state = (self._volumeNode.GetImageData().GetMTime(), index_to_lps(self._volumeNode).tobytes())
        if state != self._ct_state:
            if self._ct_state:
                self._probability = None
            self._ct = self._slicewise = self._ct_rejection = None
            self._ct_state = state
            try:
                self._ct = scene_ct(self._volumeNode, self._acquisition, copy=False)
            except InputError as rejection:
                self._ct_rejection = rejection
        if self._ct_rejection is not None:
            raise self._ct_rejection
        return self._ct

    def _scored(self, labels: SparseLabels) -> tuple[CaseScore, bool]:
        """The scores, and whether they are of other voxels or labels than before."""
        if self._slicewise is None:
            self._slicewise = SlicewiseScore(self._ct.volume, self._rules, probability=self._probability)
        score = self._slicewise.update(labels.voxels, labels.labels)
        return score, bool(self._slicewise.changed.any())
