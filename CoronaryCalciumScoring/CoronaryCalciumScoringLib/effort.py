"""What a reader did in a review, counted and kept with the segmentation."""

import json
import time
from dataclasses import asdict, dataclass

# Seconds and counts of edits, as JSON, so that a saved scene goes on counting.
EFFORT_ATTRIBUTE = "CoronaryCalcium.Review"


@dataclass
class Effort:
    """What the reader did: lesions assigned, moved and removed by clicks, strokes and other edits, steps back and
    forth, and the seconds from the review's opening to its last edit, over all sessions.
    """

    assigned: int = 0
    moved: int = 0
    removed: int = 0
    other: int = 0
    undone: int = 0
    redone: int = 0
    seconds: float = 0.0


class EffortCount:
    """Counts on from what a segmentation has kept; ``effort`` is what the reader did so far."""

    def __init__(self, segmentationNode) -> None:
        self._segmentationNode = segmentationNode
        self.effort = Effort(**json.loads(segmentationNode.GetAttribute(EFFORT_ATTRIBUTE) or "{}"))
        self._opened = time.monotonic() - self.effort.seconds

    def add(self, what: str) -> None:
        """Count one edit, by the name of a field of ``Effort``, and keep the counts."""
        setattr(self.effort, what, getattr(self.effort, what) + 1)
        self.effort.seconds = time.monotonic() - self._opened
        if self._segmentationNode.GetScene():
            self._segmentationNode.SetAttribute(EFFORT_ATTRIBUTE, json.dumps(asdict(self.effort)))
