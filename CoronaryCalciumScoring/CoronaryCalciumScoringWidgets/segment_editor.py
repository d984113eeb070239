"""The Segment Editor inside the panel, with the settings for calcium."""

import slicer
from CoronaryCalciumScoringLib.edits import UNDO_STEPS
from CoronaryCalciumScoringLib.segment_editor_node import EFFECTS, mask_from, prepare_editor_node
from CoronaryCalciumScoringLib.segmentation import artery_segments


class SegmentEditor:
    """The embedded qMRMLSegmentEditorWidget, and the undo history that clicks and strokes share (``edits.History``)."""

    def __init__(self, widget) -> None:
        self._widget = widget
        widget.segmentationNodeSelectorVisible = False
        widget.sourceVolumeNodeSelectorVisible = False
        widget.switchToSegmentationsButtonVisible = False
        # Both would spoil the review: a surface makes every edit many times slower, another grid cannot be scored.
        widget.show3DButtonVisible = False
        widget.specifyGeometryButtonVisible = False
        # The panel shows the CT itself, and only when the reader has asked for it.
        widget.autoShowSourceVolumeNode = False
        widget.setEffectNameOrder(list(EFFECTS))
        widget.unorderedEffectsVisible = False
        widget.maximumNumberOfUndoStates = UNDO_STEPS
        self._node = None
        self._marked_from: float | None = None

    def open(self, segmentationNode, volumeNode) -> None:
        """Edit this segmentation on this CT."""
        self._node = prepare_editor_node(slicer.mrmlScene)
        # The node comes first: with the scene the widget writes its options into the node that it has.
        self._widget.setMRMLSegmentEditorNode(self._node)
        self._widget.setMRMLScene(slicer.mrmlScene)
        self._widget.setSegmentationNode(segmentationNode)
        self._widget.setSourceVolumeNode(volumeNode)
        prepare_editor_node(slicer.mrmlScene)  # choosing nodes resets some of the settings
        self._widget.enabled = True
        self._marked_from = None

    def close(self) -> None:
        """Edit nothing."""
        self._widget.setActiveEffect(None)
        self._widget.enabled = False
        if self._node is not None and self._node.GetScene():
            self._widget.setSegmentationNode(None)
            self._widget.setSourceVolumeNode(None)
        self._node = None

    def enter(self) -> None:
        """Let the effects see the views."""
        self._widget.setupViewObservations()

    def exit(self) -> None:
        """Leave the views alone."""
        self._widget.setActiveEffect(None)
        self._widget.removeViewObservations()

    @property
    def effectActive(self) -> bool:
        """Whether an effect, such as Paint, takes the clicks in the views."""
        return self._widget.activeEffect() is not None

    def markFrom(self, threshold_hu: float) -> None:
        """Let strokes mark voxels from this intensity on; a range that the reader has set stays until it changes."""
        if self._node is not None and threshold_hu != self._marked_from:
            self._marked_from = threshold_hu
            mask_from(self._node, threshold_hu)

    def choose(self, segmentationNode, artery: str) -> None:
        """Let strokes go to an artery."""
        segment_id = artery_segments(segmentationNode).get(artery)
        if self._node is not None and segment_id is not None:
            self._node.SetSelectedSegmentID(segment_id)

    def SaveStateForUndo(self) -> None:
        """Remember the segmentation as it is, before a change."""
        self._widget.saveStateForUndo()

    def Undo(self) -> None:
        """Go back one change."""
        self._widget.undo()

    def Redo(self) -> None:
        """Take back one step back."""
        self._widget.redo()
