"""What a reader did in a review, counted and kept with the segmentation."""

import json
import time
from dataclasses import asdict, dataclass, fields

from .json_attribute import json_attribute

# Seconds and counts of edits, as JSON, so that a saved scene goes on counting.
EFFORT_ATTRIBUTE = "CoronaryCalcium.Review"
# Beyond it (30 years in seconds) a count or a time is damage, and sums with it could overflow.
_MOST = 10**9


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


def kept_effort(segmentationNode) -> Effort:
    """What a segmentation has kept of an effort: the entries that this version knows and that can be right."""
    kept = json_attribute(segmentationNode, EFFORT_ATTRIBUTE, dict)
    known = {entry.name: (kept.get(entry.name), entry.type) for entry in fields(Effort)}
    return Effort(**{name: value for name, (value, kind) in known.items() if _can_be(value, kind)})


def _can_be(value: object, kind: object) -> bool:
    """Whether a value from JSON is a count (``int``) or a time (``float``); true and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return False
    return 0 <= value <= _MOST


class EffortCount:
    """Counts on from what a segmentation has kept; ``effort`` is what the reader did so far."""

    def __init__(self, segmentationNode) -> None:
        self._segmentationNode = segmentationNode
        self.effort = kept_effort(segmentationNode)
        self._opened = time.monotonic() - self.effort.seconds

    def add(self, what: str) -> None:
        """Count one edit, by the name of a field of ``Effort``, and keep the counts."""
        setattr(self.effort, what, getattr(self.effort, what) + 1)
        self.effort.seconds = time.monotonic() - self._opened
        if self._segmentationNode.GetScene():
            self._segmentationNode.SetAttribute(EFFORT_ATTRIBUTE, json.dumps(asdict(self.effort)))
