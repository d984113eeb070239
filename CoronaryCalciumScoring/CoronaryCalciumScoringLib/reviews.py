"""The reviews of a scene: which segmentations are reviews of a CT, and which table holds the scores of each."""

import numpy as np
import slicer
from coronary_calcium.errors import InputError

from .candidates import SEGMENT
from .score_table import add_score_table, is_score_of
from .segmentation import artery_segments, is_empty, read_labels, segment_labelmap
from .stored_prediction import PREDICTION_ROLE, prediction_node
from .volume_node import remove_with_item

# Role of the reference from a table to the segmentation whose scores it holds.
REVIEWED_ROLE = "reviewedSegmentation"


def reviews_of(volumeNode) -> list:
    """The segmentations of a CT (or None) that can be reviewed, in the order in which they came into the scene.

    They were drawn on the CT and have a segment for an artery; stored predictions and candidates are none.
    """
    if volumeNode is None or volumeNode.GetScene() is None:
        return []
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", volumeNode.GetScene())
    predictions = {node.GetNodeReferenceID(PREDICTION_ROLE) for node in nodes}
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    return [
        node
        for node in nodes
        if node.GetNodeReference(role) is volumeNode
        and node.GetID() not in predictions
        and node.GetSegmentation().GetSegment(SEGMENT) is None
        and artery_segments(node)
    ]


def link_table(tableNode, segmentationNode) -> None:
    """Keep with a table whose scores it holds."""
    tableNode.SetNodeReferenceID(REVIEWED_ROLE, segmentationNode.GetID())


def table_of(segmentationNode, volumeNode):
    """The table with the scores of a review of a CT; an empty one is added where there is none.

    Tables of earlier versions do not say whose scores they hold: they belong to the reviews in their order.
    """
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode", volumeNode.GetScene())
    tables = [table for table in tables if is_score_of(table, volumeNode)]
    owners = {table: table.GetNodeReference(REVIEWED_ROLE) for table in tables}
    own = next((table for table in tables if owners[table] is segmentationNode), None)
    if own is None:
        linked = {owner.GetID() for owner in owners.values() if owner is not None}
        waiting = [review for review in reviews_of(volumeNode) if review.GetID() not in linked]
        free = [table for table in tables if owners[table] is None]
        own = next((table for review, table in zip(waiting, free) if review is segmentationNode), None)
        own = own or add_score_table(volumeNode, f"{volumeNode.GetName()} calcium scores")
        link_table(own, segmentationNode)
    return own


def may_be_replaced(segmentationNode) -> bool:
    """Whether a new run can take the place of a review without a loss: it is empty, or as the network left it."""
    predicted = prediction_node(segmentationNode)
    if predicted is None:
        return _has_no_voxels(segmentationNode)
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    volume = segmentationNode.GetNodeReference(role)
    try:
        now, before = (read_labels(node, volume).labels for node in (segmentationNode, predicted))
    except InputError:
        return False
    return np.array_equal(now, before)


def _has_no_voxels(segmentationNode) -> bool:
    segmentation = segmentationNode.GetSegmentation()
    return all(
        is_empty(segment_labelmap(segmentation.GetSegment(segment_id))) for segment_id in segmentation.GetSegmentIDs()
    )


def replace_review(old, new, volumeNode) -> None:
    """Remove a review with its table and prediction, and give their names to those of the new one."""
    if old is None or old.GetScene() is None or old is new:
        return
    scene = old.GetScene()
    pairs = [(table_of(old, volumeNode), table_of(new, volumeNode)), (prediction_node(old), prediction_node(new))]
    for before, after in [*pairs, (old, new)]:
        if before is None:
            continue
        name, display = before.GetName(), getattr(before, "GetDisplayNode", lambda: None)()
        remove_with_item(scene, before)
        if display is not None:
            scene.RemoveNode(display)
        if after is not None:
            after.SetName(name)
