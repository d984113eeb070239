"""The scores of a segmentation on a CT, kept true while both are edited, by whomever."""

from collections.abc import Callable

import numpy as np
import slicer
import vtk
from coronary_calcium.errors import InputRefused
from coronary_calcium.rules import LITERATURE, RuleSet
from coronary_calcium.scoring.case_score import CaseScore
from coronary_calcium.scoring.slicewise import SlicewiseScore
from coronary_calcium.volume import Acquisition, CaseWarning

from .sparse_labels import LabelReader, SparseLabels
from .volume_node import SceneCT, check_node, index_to_lps, scene_ct

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

# Code of the refusal to score what is not in the scene any more.
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
    ) -> CaseScore | None:
        """Watch these nodes, either may be None, in place of those before, and update at once.

        ``acquisition`` says how the scan was made, where the caller knows it. ``probability`` is the network's, on
        the axes (k, j, i) of the engine's CT; it is given for each lesion until the CT's voxels change.
        """
        self.unwatch()
        if segmentationNode is None or volumeNode is None:
            return None
        self._segmentationNode, self._volumeNode = segmentationNode, volumeNode
        self._acquisition, self._probability = acquisition, probability
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
            self._refuse_removed()
            ct = self._current_ct()
            labels = self._reader.read(self._segmentationNode, self._volumeNode, ct.order)
            self.score, moved = self._scored(labels)
        except InputRefused as refusal:
            self._set_nothing(str(refusal))
            if refusal.code == REMOVED:
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
        self._ct_refusal: InputRefused | None = None
        self._slicewise: SlicewiseScore | None = None

    def _set_nothing(self, reason: str) -> None:
        self.score: CaseScore | None = None
        self.reason = reason
        self.warnings: tuple[CaseWarning, ...] = ()

    def _refuse_removed(self) -> None:
        """Raise InputRefused when a node has left its scene."""
        if self._volumeNode.GetScene() is None:
            raise InputRefused(REMOVED, "The CT was removed: load it again, or select another one.")
        if self._segmentationNode.GetScene() is None:
            raise InputRefused(REMOVED, "The segmentation was removed: select another one.")

    def _current_ct(self) -> SceneCT:
        """The CT as it is now; looked at again, which takes a second, only when its voxels or geometry changed."""
        check_node(self._volumeNode)
        # Modification times are unique among all VTK objects: another image has another one.
        state = (self._volumeNode.GetImageData().GetMTime(), index_to_lps(self._volumeNode).tobytes())
        if state != self._ct_state:
            if self._ct_state:
                self._probability = None
            self._ct = self._slicewise = self._ct_refusal = None
            self._ct_state = state
            try:
                self._ct = scene_ct(self._volumeNode, self._acquisition, copy=False)
            except InputRefused as refusal:
                self._ct_refusal = refusal
        if self._ct_refusal is not None:
            raise self._ct_refusal
        return self._ct

    def _scored(self, labels: SparseLabels) -> tuple[CaseScore, bool]:
        """The scores, and whether they are of other voxels or labels than before."""
        if self._slicewise is None:
            self._slicewise = SlicewiseScore(self._ct.volume, self._rules, probability=self._probability)
        score = self._slicewise.update(labels.voxels, labels.labels)
        return score, bool(self._slicewise.changed.any())
