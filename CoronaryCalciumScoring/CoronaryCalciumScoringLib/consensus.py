"""A consensus in the scene: two readers' segments as outlines, and their differences to click through and decide."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from coronary_calcium.cohort.consensus import (
    CONSENSUS_FILE,
    TAKEN_FIRST,
    TAKEN_SECOND,
    UNDECIDED,
    ConsensusCase,
    keep_decisions,
    states,
)
from coronary_calcium.cohort.reading_differences import Difference
from coronary_calcium.cohort.readings import DONE, OPEN
from coronary_calcium.cohort.worklist import NOT_BLINDED, Blinding, Worklist
from coronary_calcium.cohort.worklist_case import WorklistCase, read_case
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress

from .candidates import source_index
from .edits import EditResult
from .review import Review
from .segmentation import remove_segmentation, write_only
from .slice_views import jump_to
from .volume_node import place_beside
from .worklist import OpenCase

# Green and magenta, which readers with any of the common color vision deficiencies can tell apart; no artery's colors.
OUTLINE_COLORS = ((0.1, 0.95, 0.2), (1.0, 0.2, 1.0))
# The second outline is drawn over the first one: where they coincide, both can be seen. Wider ones hide small lesions.
OUTLINE_PIXELS = (3, 1)
OUTLINE_SEGMENT = "outline"


def consensus_worklist_case(
    cohort: Path, case: ConsensusCase, blinding: Blinding = NOT_BLINDED, progress: Progress = no_progress
) -> WorklistCase:
    """The case to open for a consensus: the CT, and the segments where the consensus begins; touches no scene.

    Warnings of the network's lesions are not among its warnings when the network is to be hidden.

    Raises as ``read_case`` does.
    """
    opened = read_case(cohort, case.id, case.folder.parent.name, blinding, progress)
    if opened.volume.shape != case.first.shape:
        raise InputError("reading", f"The readings of {case.id} are of another CT than the one that is there now.")
    # The segments are either reader's, and whoever looks at the network's is to choose it as one of the two.
    return replace(opened, own=case.start, network=None)


class Consensus:
    """Two readers' segments of an open case as outlines over it, and what is decided on their differences.

    ``opened`` is the case as the consensus' own reader has it; ``review`` gives its review, or None while there is
    none. ``close`` takes the outlines away. What is decided is kept on disk at once, as the segments are.

    Attributes
    ----------
    case : the readings and their differences.
    opened : the case in the scene.
    """

    def __init__(self, opened: OpenCase, case: ConsensusCase, review: Callable[[], Review | None]) -> None:
        self.case, self.opened, self._review = case, opened, review
        self._confirmed = set(case.confirmed)
        self._outlines: list = []

    def show_outlines(self) -> None:
        """Draw both readers' segments as outlines over the review, which shows its own without one."""
        review = self._required()
        shape = self.opened.volumeNode.GetImageData().GetDimensions()[::-1]
        for reader, reading, color, pixels in zip(
            self.case.readers, (self.case.first, self.case.second), OUTLINE_COLORS, OUTLINE_PIXELS, strict=True
        ):
            node = _add_outline(self.opened.volumeNode, reader, color, pixels)
            write_only(
                node, OUTLINE_SEGMENT, self.opened.volumeNode, source_index(reading.voxels, review.ct.order, shape)
            )
            self._outlines.append(node)
        display = self.opened.segmentationNode.GetDisplayNode()
        if display is not None:
            display.SetVisibility2DOutline(False)

    def set_visible(self, visible: bool) -> None:
        """Show or hide the outlines, which would lie over any other CT, too."""
        for node in self._outlines:
            if node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(visible)

    def close(self) -> None:
        """Take the outlines away."""
        for node in self._outlines:
            remove_segmentation(node)
        self._outlines.clear()
        display = self.opened.segmentationNode.GetDisplayNode() if self.opened.in_scene else None
        if display is not None:
            display.SetVisibility2DOutline(True)

    def states(self) -> list[str]:
        """What became of each difference in the segments as they are now (``cohort.consensus.STATES``)."""
        review = self._review()
        marked = review.live.labels if review is not None else None
        if marked is None:
            return [UNDECIDED] * len(self.case.differences)
        return states(self.case.differences, marked.voxels, marked.labels, frozenset(self._confirmed))

    def undecided(self) -> int:
        """How many differences nobody has decided yet."""
        return self.states().count(UNDECIDED)

    def jump(self, difference: Difference) -> None:
        """Bring the slice views to a difference and frame it."""
        volume = self._required().ct.volume
        place = difference.place(volume.shape)
        index = np.stack(np.unravel_index(difference.voxels, volume.shape), axis=1)
        radius = float(np.linalg.norm((index - place) * volume.spacing, axis=1).max())
        x, y, z = volume.position(place)
        jump_to(self.opened.volumeNode.GetScene(), (-float(x), -float(y), float(z)), radius)

    def take(self, difference: Difference, choice: str) -> EditResult:
        """Decide a difference as the first or the second reader has it (TAKEN_FIRST, TAKEN_SECOND).

        It is one step of the review's undo history; see ``Edits.set_labels``. Raises InputError as edits do, and
        "output" when it cannot be kept.
        """
        labels = {TAKEN_FIRST: difference.first_labels, TAKEN_SECOND: difference.second_labels}[choice]
        result = self._required().set_labels(difference.voxels, labels)
        confirmed = self._confirmed | {difference.key} if choice == TAKEN_FIRST else self._confirmed - {difference.key}
        if confirmed != self._confirmed or not (self.case.folder / CONSENSUS_FILE).is_file():
            keep_decisions(self.case, frozenset(confirmed))
            self._confirmed = confirmed
        self.save()
        return result

    def save(self) -> None:
        """Keep the consensus as it is; one that was done is open again when a difference is undecided again.

        Raises InputError("output") when it cannot be written.
        """
        self._keep(DONE if self.opened.status.mark == DONE and not self.undecided() else OPEN)

    def finish(self) -> None:
        """Keep the consensus as a done case of its reader.

        Raises InputError: "consensus-undecided" while there is a difference that nobody has decided, "no-scores",
        "output".
        """
        left = self.undecided()
        if left:
            raise InputError(
                "consensus-undecided", f"{left} differences are undecided: take one reader's or edit them, then finish."
            )
        self._keep(DONE)

    def edited(self) -> None:
        """The segments have changed, by whatever tool; they are kept soon, as those of any open case.

        Before that, it is kept between whom they are a consensus; and one that was done is open again when a difference
        is undecided again. Raises InputError("output") when it cannot be written.
        """
        self._keep_decisions()
        if self.opened.status.mark == DONE and self.undecided():
            self.save()

    def _keep_decisions(self) -> None:
        if not (self.case.folder / CONSENSUS_FILE).is_file():
            keep_decisions(self.case, frozenset(self._confirmed))

    def _keep(self, mark: str) -> None:
        self._keep_decisions()
        self.opened.save(self._required(), mark)

    def agatston(self) -> tuple[float, float, float | None]:
        """The total scores of the first reader, of the second, and of the consensus; None while it has none."""
        review = self._review()
        score = review.score if review is not None else None
        own = None if score is None else score.total.agatston
        return self.case.first.agatston["total"], self.case.second.agatston["total"], own

    def _required(self) -> Review:
        review = self._review()
        if review is None:
            raise InputError("no-scores", f"{self.case.id} is not under review: choose its review, or open it again.")
        return review


def open_consensus(scene, cohort: Path, case: ConsensusCase, opened: WorklistCase) -> OpenCase:
    """The case in the scene, under the name of the consensus' own reader. Raises as ``OpenCase`` does."""
    return OpenCase(scene, Worklist(cohort, case.folder.parent.name), opened)


def _add_outline(volumeNode, reader: str, color: tuple[float, float, float], pixels: int):
    """A segmentation with one segment that is drawn as a line alone; it is not saved with the scene."""
    scene = volumeNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(f"{reader}'s outlines"))
    node.SetSaveWithScene(False)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    node.GetSegmentation().AddEmptySegment(OUTLINE_SEGMENT, f"read by {reader}", color)
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetVisibility2DFill(False)
    display.SetOpacity2DOutline(1.0)
    display.SetSliceIntersectionThickness(pixels)
    display.SetVisibility3D(False)
    place_beside(volumeNode, node)
    return node
