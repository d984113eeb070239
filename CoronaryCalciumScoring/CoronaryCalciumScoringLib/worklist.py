"""A case of a worklist in the scene: its nodes, and what the reader does, kept on disk after each edit."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from coronary_calcium.cohort.cases import DATABASE
from coronary_calcium.cohort.readings import (
    NOT_GRADABLE,
    Reading,
    ReadingStatus,
    has_reading,
    mark_reading,
    read_status,
    reading_folder,
    reading_of_nothing,
    reading_of_voxels,
    set_aside,
    version_of,
    write_reading,
)
from coronary_calcium.cohort.worklist import Worklist, WorklistRow
from coronary_calcium.cohort.worklist_case import WorklistCase
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.agatston import score_labels
from coronary_calcium.scoring.components import labeled_voxels
from coronary_calcium.scoring.rules import LITERATURE

from .logic import nothing_left_on_error
from .review import Review
from .review_statistics import ReviewStatistics
from .reviews import link_table
from .score_table import add_score_table, is_score_of, store_warnings
from .segmentation import add_segmentation
from .stored_prediction import prediction_node, store_labels
from .volume_node import add_volume_node, remove_with_item, store_acquisition


class OpenCase:
    """A reader's case in the scene: the CT, what the network found, and the segments as the reader left them.

    ``save`` keeps what the reader did, as often as one likes; ``close`` takes the case out of the scene. Raises
    InputError when the CT cannot be shown; then the scene is as it was.

    Attributes
    ----------
    id : the case's id, which is all that the nodes' names say.
    volumeNode, segmentationNode, tableNode : the CT, the segments to review and their scores.
    set_aside : where a reading lies now that another program has kept under the same name in the meantime, or None.
    """

    def __init__(self, scene, worklist: Worklist, case: WorklistCase) -> None:
        self.id, self._worklist = case.id, worklist
        self._folder = reading_folder(worklist.folder, worklist.reader, case.id)
        self._earlier = case.own.status if case.own is not None else ReadingStatus()
        self._status = self._earlier
        self._saw_ai = case.network is not None
        self._opened = time.monotonic()
        self._clicks: dict[str, int] = {}  # in this visit, by segmentation
        labels = case.labels if case.labels is not None else np.zeros(case.volume.shape, np.uint8)
        self._kept = _marked(labels)
        self._version = case.version
        self.set_aside: Path | None = None
        self._scene = scene
        with nothing_left_on_error(scene):
            self.volumeNode = add_volume_node(scene, case.volume, case.id)
            store_acquisition(self.volumeNode, case.volume.acquisition)
            self.segmentationNode = add_segmentation(self.volumeNode, labels, f"{case.id} {worklist.reader}")
            network = case.network
            if network is not None:
                store_labels(
                    self.segmentationNode,
                    self.volumeNode,
                    network.labels,
                    network.probabilities,
                    network.model,
                    network.uncertainty,
                )
            self.tableNode = add_score_table(self.volumeNode, f"{case.id} calcium scores")
            link_table(self.tableNode, self.segmentationNode)
            store_warnings(self.tableNode, case.warnings)
            self._opened_nodes = (self.tableNode, self.segmentationNode, prediction_node(self.segmentationNode))

    @property
    def in_scene(self) -> bool:
        """Whether the CT is still there; a scene that was closed has taken it away."""
        return self.volumeNode.GetScene() is not None

    @property
    def status(self) -> ReadingStatus:
        """The reader's mark of the case, and what it took, as of the last save."""
        return self._status

    def save(self, review: Review | None, mark: str | None = None, reason: str = "") -> bool:
        """Keep what the reader did, if anything is new; returns whether it was kept.

        ``review`` is the reader's review of this CT; a case that is not gradable can be marked without one. ``mark``
        (``readings.MARKS``) with its ``reason`` takes the place of the earlier one. Raises InputError:
        "reading-mark" for a mark without its reason, "no-scores" when there is no review to mark, "output" when it
        cannot be written.
        """
        status = self._status if mark is None else replace(self._status, mark=mark, reason=reason.strip())
        if review is not None and review.volumeNode is self.volumeNode and review.live.labels is not None:
            self._clicks[review.segmentationNode.GetID()] = _clicks(review.statistics)
            self._saw_ai |= review.prediction is not None
            kept = (review.live.labels.voxels, review.live.labels.labels)
            edited = any(not np.array_equal(now, before) for now, before in zip(kept, self._kept))
            if not edited and mark is None:
                return False
            require_folder(self._worklist)
            status = self._spent(status)
            self._set_others_aside()
            write_reading(self._folder, _reading(review, status))
            self._kept = kept
        elif mark is None:
            return False
        elif has_reading(self._folder):
            require_folder(self._worklist)
            status = self._spent(status)
            mark_reading(self._folder, status)
        elif mark == NOT_GRADABLE:
            require_folder(self._worklist)
            status = self._spent(status)
            write_reading(self._folder, reading_of_nothing(status))
        else:
            raise InputError("no-scores", f"{self.id} has no scores to mark: choose its review, or open it again.")
        self._status, self._version = status, version_of(self._folder)
        self._worklist.refresh(self.id)
        return True

    def _set_others_aside(self) -> None:
        """Lose no reading that another program has kept under this name since the case was opened."""
        if version_of(self._folder) not in ("", self._version):
            self.set_aside = set_aside(self._folder)

    def _spent(self, status: ReadingStatus) -> ReadingStatus:
        """The status with the time and the clicks up to now, and with what the reader could see."""
        others = self._worklist.rows[self.id].others
        return replace(
            status,
            seconds=round((self._earlier.seconds or 0.0) + time.monotonic() - self._opened, 1),
            clicks=(self._earlier.clicks or 0) + sum(self._clicks.values()),
            saw_ai=self._earlier.saw_ai or self._saw_ai,
            saw_readers=tuple(sorted({*self._earlier.saw_readers, *others})),
        )

    def close(self) -> None:
        """Take the CT, and all that was drawn or scored on it, out of the scene."""
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        drawn = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", self._scene)
            if node.GetNodeReference(role) is self.volumeNode
        ]
        tables = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLTableNode", self._scene)
            if is_score_of(node, self.volumeNode)
        ]
        # Without its CT, which somebody may have taken away, nothing refers to it: what was opened goes all the same.
        nodes = dict.fromkeys([*tables, *drawn, *self._opened_nodes, self.volumeNode])
        for node in [node for node in nodes if node is not None and node.GetScene() is self._scene]:
            display = getattr(node, "GetDisplayNode", lambda: None)()
            remove_with_item(self._scene, node)
            if display is not None and display.GetScene() is not None:
                self._scene.RemoveNode(display)


def mark_unopened(worklist: Worklist, case_id: str, reason: str) -> WorklistRow:
    """Mark a case whose CT cannot be opened as not gradable; returns its row. Raises InputError as ``save`` does."""
    require_folder(worklist)
    folder = reading_folder(worklist.folder, worklist.reader, case_id)
    if has_reading(folder):
        mark_reading(folder, replace(read_status(folder)[0], mark=NOT_GRADABLE, reason=reason.strip()))
    else:
        write_reading(folder, reading_of_nothing(ReadingStatus(NOT_GRADABLE, reason.strip())))
    return worklist.refresh(case_id)


def require_folder(worklist: Worklist) -> None:
    """Raise InputError("output") when the cohort is not there: what was done would be kept where nobody looks for it,
    such as in the empty folder of a disk that is not connected any more.
    """
    if not (worklist.folder / DATABASE).is_file():
        raise InputError("output", f"{worklist.folder} is not there any more: connect its disk again, then go on.")


def _marked(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    voxels = labeled_voxels(labels)
    return voxels, labels.reshape(-1)[voxels]


def _reading(review: Review, status: ReadingStatus) -> Reading:
    """The reading of a review, scored by the literature's rules, as every reader's is, whatever the panel shows."""
    score, labels = review.live.score, review.live.labels
    if review.rules != LITERATURE:
        score = score_labels(review.ct.volume, review.labels())
    shape = review.ct.volume.shape
    return reading_of_voxels(score, shape, (labels.voxels, labels.labels), score.risk_category, status)


def _clicks(statistics: ReviewStatistics) -> int:
    """Clicks, strokes and steps back and forth of a review."""
    counts: dict[str, Any] = vars(statistics)
    return sum(value for name, value in counts.items() if name != "seconds")
