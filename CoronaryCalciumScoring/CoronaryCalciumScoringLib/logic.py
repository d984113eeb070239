"""Scoring a CT in the scene: what the panel, scripts and tests call."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring.agatston import score_labels
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.volume import Acquisition, CTVolume

from .background_run import BackgroundRun
from .candidates import Candidates, find_candidates
from .process_run import ProcessRun
from .reviews import link_table
from .score_table import add_score_table, show_score
from .segmentation import add_segmentation, read_labels
from .stored_prediction import store_prediction
from .volume_node import SceneCT, check_node, remove_with_item, scene_ct

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

# The engine's ``score_case``, or what stands in for it: (volume, *, labels, device, progress) -> CaseResult, and with
# ``options`` when a rejection is overruled.
Engine = Callable[..., "CaseResult"]


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """All that the engine needs, taken out of the scene; it holds no node and may go to another thread.

    ``volume`` is the CT with all that is known about it; ``labels`` is a given label map on its voxels (k, j, i), or
    None for the network's; ``allowed`` are the codes of rejections that the user overrules.
    """

    ct: SceneCT
    volume: CTVolume
    labels: np.ndarray | None
    device: str
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ScoredCase:
    """What scoring leaves in the scene: the segmentation to review and its table; and the engine's result."""

    segmentationNode: Any
    tableNode: Any
    result: "CaseResult"


@dataclass(frozen=True)
class StartedCase:
    """What a start without the network leaves in the scene: an empty segmentation, its table, and candidates."""

    segmentationNode: Any
    tableNode: Any
    candidates: Candidates


def engine_score_case(volume: CTVolume, **options) -> "CaseResult":
    """The engine's ``pipeline.score_case``, imported when it is needed: it brings torch with it."""
    from coronary_calcium.pipeline import score_case

    return score_case(volume, **options)


class CoronaryCalciumScoringLogic:
    """Scores CT volume nodes.

    ``score`` does all at once. ``prepare``, ``compute`` and ``show`` are its three steps: the first and the last
    touch the scene and belong in the main thread; ``compute`` does not and may run in any.
    """

    def __init__(self, engine: Engine = engine_score_case) -> None:
        self.engine = engine

    def whyRejected(self, volumeNode) -> str | None:
        """Why a node cannot be scored, in one sentence, as far as that can be told at once; else None."""
        try:
            check_node(volumeNode)
        except InputError as rejection:
            return str(rejection)
        return None

    def prepare(
        self,
        volumeNode,
        *,
        maskSegmentation=None,
        labels: np.ndarray | None = None,
        device: str = "auto",
        acquisition: Acquisition | None = None,
    ) -> PreparedCase:
        """Take out of the scene what the engine needs; raises InputError.

        ``maskSegmentation`` (a segmentation node) or ``labels`` (integers on the array axes of the node: 1 LM, 2 LAD,
        3 LCX, 4 RCA, 5 unassigned) is scored in place of the network's prediction; ``acquisition`` says how the scan
        was made.
        """
        ct = scene_ct(volumeNode, acquisition)
        volume = ct.volume
        if maskSegmentation is not None:
            read = read_labels(maskSegmentation, volumeNode)
            labels, volume = read.labels, volume.with_warnings(*read.warnings)
        if labels is not None:
            if labels.shape != volumeNode.GetImageData().GetDimensions()[::-1]:
                raise InputError("mask-grid", "The label map is not of the CT's size: give one that is.")
            labels = np.array(ct.order.apply(labels))
        return PreparedCase(ct, volume, labels, device)

    def compute(self, case: PreparedCase, progress: Progress = no_progress) -> "CaseResult":
        """Run the engine, without the scene; raises InputError, and Cancelled when ``progress`` does."""
        options = {"options": ScoringOptions(allowed=case.allowed)} if case.allowed else {}
        return self.engine(case.volume, labels=case.labels, device=case.device, progress=progress, **options)

    def start(self, case: PreparedCase) -> BackgroundRun | ProcessRun:
        """Begin ``compute`` beside the window: the network in a process of its own, all else in a thread."""
        if case.labels is None and self.engine is engine_score_case:
            return ProcessRun(case.volume, case.device, allowed=case.allowed)
        return BackgroundRun(functools.partial(self.compute, case))

    def show(self, volumeNode, case: PreparedCase, result: "CaseResult", *, segmentationNode=None) -> ScoredCase:
        """Add the result to the scene: a segmentation, unless the scored one is given, and a table of scores.

        What the network found is kept beside it, hidden, and does not change when the reader edits.

        Raises InputError when the CT has changed or gone since ``prepare``; then, and after any other error, the
        scene is as it was.
        """
        case.ct.check_unchanged(volumeNode)
        scene = volumeNode.GetScene()
        scene.SaveStateForUndo()
        with nothing_left_on_error(scene):
            if segmentationNode is None:
                labels = case.ct.order.undo(result.labels)
                segmentationNode = add_segmentation(volumeNode, labels, f"{volumeNode.GetName()} coronary calcium")
                if not result.mask_given:
                    store_prediction(segmentationNode, volumeNode, labels, result)
            tableNode = add_score_table(volumeNode, f"{volumeNode.GetName()} calcium scores")
            link_table(tableNode, segmentationNode)
            show_score(tableNode, result.score, result.warnings, None if result.mask_given else result.score)
        return ScoredCase(segmentationNode, tableNode, result)

    def computeCandidates(self, case: PreparedCase, progress: Progress = no_progress) -> Candidates:
        """Find what could be calcium, without network and scene; raises Cancelled when ``progress`` does."""
        return find_candidates(case.volume, progress)

    def showEmpty(self, volumeNode, case: PreparedCase, candidates: Candidates) -> StartedCase:
        """Add a segmentation without voxels and a table of zeros, for a review without the network.

        Raises InputError when the CT has changed or gone since ``prepare``; then, and after any other error, the
        scene is as it was.
        """
        case.ct.check_unchanged(volumeNode)
        scene = volumeNode.GetScene()
        scene.SaveStateForUndo()
        nothing = np.zeros(volumeNode.GetImageData().GetDimensions()[::-1], dtype=np.uint8)
        with nothing_left_on_error(scene):
            segmentationNode = add_segmentation(volumeNode, nothing, f"{volumeNode.GetName()} coronary calcium")
            tableNode = add_score_table(volumeNode, f"{volumeNode.GetName()} calcium scores")
            link_table(tableNode, segmentationNode)
            warnings = case.volume.warnings + candidates.warnings
            show_score(tableNode, score_labels(case.volume, case.ct.order.apply(nothing)), warnings)
        return StartedCase(segmentationNode, tableNode, candidates)

    def score(
        self,
        volumeNode,
        *,
        maskSegmentation=None,
        labels: np.ndarray | None = None,
        device: str = "auto",
        acquisition: Acquisition | None = None,
        progress: Progress = no_progress,
    ) -> ScoredCase:
        """Score a CT and show the result; arguments as for ``prepare``.

        Raises InputError, and Cancelled when ``progress`` does; then the scene is as it was.
        """
        case = self.prepare(
            volumeNode, maskSegmentation=maskSegmentation, labels=labels, device=device, acquisition=acquisition
        )
        return self.show(volumeNode, case, self.compute(case, progress), segmentationNode=maskSegmentation)


@contextlib.contextmanager
def nothing_left_on_error(scene) -> Iterator[None]:
    """Remove, when the block raises, every node that it added to the scene."""
    before = {node.GetID() for node in _nodes(scene)}
    try:
        yield
    except Exception:
        for node in _nodes(scene):
            if node.GetScene() is scene and node.GetID() not in before:
                remove_with_item(scene, node)
        raise


def _nodes(scene) -> list:
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
