"""What a reader did in a review, counted and kept with the segmentation."""

import json
import time
from dataclasses import asdict, dataclass, fields

from .json_attribute import json_attribute

# Seconds and counts of edits, as JSON, so that a saved scene goes on counting.
STATISTICS_ATTRIBUTE = "CoronaryCalcium.Review"
# Beyond it (30 years in seconds) a count or a time is damage, and sums with it could overflow.
_MOST = 10**9


@dataclass
class ReviewStatistics:
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


def stored_statistics(segmentationNode) -> ReviewStatistics:
    """What a segmentation has kept of a review's statistics: the entries that this version knows and that can be
    right.
    """
    kept = json_attribute(segmentationNode, STATISTICS_ATTRIBUTE, dict)
    known = {entry.name: (kept.get(entry.name), entry.type) for entry in fields(ReviewStatistics)}
    return ReviewStatistics(**{name: value for name, (value, kind) in known.items() if _can_be(value, kind)})


def _can_be(value: object, kind: object) -> bool:
    """Whether a value from JSON is a count (``int``) or a time (``float``); true and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return False
    return 0 <= value <= _MOST


class ReviewStatisticsCounter:
    """Counts on from what a segmentation has kept; ``statistics`` is what the reader did so far."""

    def __init__(self, segmentationNode) -> None:
        self._segmentationNode = segmentationNode
        self.statistics = stored_statistics(segmentationNode)
        self._opened = time.monotonic() - self.statistics.seconds

    def add(self, what: str) -> None:
        """Count one edit, by the name of a field of ``ReviewStatistics``, and keep the counts."""
        setattr(self.statistics, what, getattr(self.statistics, what) + 1)
        self.statistics.seconds = time.monotonic() - self._opened
        if self._segmentationNode.GetScene():
            self._segmentationNode.SetAttribute(STATISTICS_ATTRIBUTE, json.dumps(asdict(self.statistics)))
