"""A review: the reader's segmentation of a CT, its edits, its live scores, and what the network had found."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from coronary_calcium.arteries import Artery
from coronary_calcium.scoring.agatston import CaseScore, score_labels
from coronary_calcium.scoring.lesion_warnings import LESION_CODES, lesion_warnings
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.scoring.rules import ADAPTED_WARNING, LITERATURE, RuleSet, adapted_warnings
from coronary_calcium.volume import Acquisition, CaseWarning, each_once

from .candidates import (
    CANDIDATE,
    Candidates,
    add_candidates_node,
    find_candidates,
    listed_candidates,
    show_candidates,
    source_index,
)
from .edits import UNDO_STEPS, Edit, EditResult, Edits, History
from .live_scores import LiveScores
from .review_statistics import ReviewStatistics, ReviewStatisticsCounter
from .rules_and_outputs import rules_for, store_options, stored_options, with_stored_voltage
from .score_table import LesionRow, candidate_rows, lesion_rows, score_warnings, show_score
from .segmentation import read_labels, remove_segmentation
from .slice_pictures import draw_views, reader_views, views_at
from .stored_prediction import StoredPrediction, read_stored_prediction
from .volume_node import SceneCT, index_to_lps, scene_ct

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult
    from coronary_calcium.reports.pictures import ViewPicture

# Warnings about the segments come with every update; those kept in the table are about the CT.
SEGMENT_WARNINGS = "segments-"

# The network's lesions were made at the threshold of the definition; no review makes them anew at a lower one.
AI_THRESHOLD_WARNING = "ai-threshold"
_AI_THRESHOLD = (
    f"The AI marked calcium from {LITERATURE.threshold_hu:g} HU on, and these rules count it from {{lowest}} HU on: "
    "what lies between is missing from its lesions; add it with the brush, or score the CT with these rules on the "
    "command line."
)


class Review:
    """One segmentation on one CT under review; ``close`` must be called in the end.

    ``schedule`` is passed to ``LiveScores``; ``history`` is the undo history that all edits share. Raises
    InputError when the CT or the segmentation cannot be scored; then nothing is observed.

    Attributes
    ----------
    live : the live scores.
    edits : the clicks.
    prediction : what the network found, or None.
    ai_score : the scores of the prediction by the rules in use, or None.
    rules, options : what the scores are counted by, and the other options of the reader; see ``use``.
    onChanged : functions that are called with the scores (or None) after every change.

    """

    def __init__(
        self,
        segmentationNode,
        volumeNode,
        history: History,
        schedule: Callable[[], object] | None = None,
        *,
        tableNode=None,
        acquisition: Acquisition | None = None,
    ) -> None:
        self.segmentationNode, self.volumeNode, self.tableNode = segmentationNode, volumeNode, tableNode
        self._acquisition = acquisition = with_stored_voltage(segmentationNode, acquisition)
        self._ct: SceneCT | None = None
        self._candidates: Candidates | None = None
        read_labels(segmentationNode, volumeNode)
        self.prediction: StoredPrediction | None = read_stored_prediction(segmentationNode, volumeNode, self.ct)
        self._counted = ReviewStatisticsCounter(segmentationNode)
        self._kept_warnings = [
            warning
            for warning in (score_warnings(tableNode) if tableNode else ())
            if not warning.code.startswith(SEGMENT_WARNINGS)
            and warning.code not in (ADAPTED_WARNING, AI_THRESHOLD_WARNING, *LESION_CODES)
        ]
        self._candidatesNode = None
        self._own_edit = True  # the first scores are of no edit
        self.rules_name, self.options = stored_options(segmentationNode, self.acquisition)
        self.rules: RuleSet = rules_for(self.rules_name, self.options, self.acquisition)
        self._score_prediction()
        self._moved = False  # whether the last edit has changed a label
        self.edits = Edits(segmentationNode, volumeNode, history, self.rules)
        self.onChanged: list[Callable[[CaseScore | None], object]] = []
        self.live = LiveScores(schedule, self.rules)
        self.live.onChanged.append(self._on_live)
        self.live.watch(segmentationNode, volumeNode, acquisition=acquisition, ct=self.ct)
        self._own_edit = False

    @property
    def acquisition(self) -> Acquisition:
        """How the scan was made, as far as its header is known."""
        return self._acquisition or Acquisition()

    def use(self, rules_name: str, options: ScoringOptions) -> None:
        """Count by other rules and options from now on; they are kept with the segmentation.

        Raises InputError when the rules cannot be adapted to the tube voltage; then everything stays as it was.
        """
        rules = rules_for(rules_name, options, self.acquisition)
        if self._candidates is not None:
            volume = self.ct.volume  # lets go of candidates that were found on another
            self._candidates = self._candidates and self._candidates.by(volume, rules)
        self.rules_name, self.options, self.rules = rules_name, options, rules
        self.edits.rules = rules
        self._score_prediction()
        if self.segmentationNode.GetScene():
            store_options(self.segmentationNode, rules_name, options, self.acquisition)
        self._own_edit = True  # other rules are no edit
        try:
            if self.live.score is not None and self.live.score.rules == rules:
                self._on_live(self.live.score)
            else:
                self.live.use_rules(rules)
        finally:
            self._own_edit = False

    def _score_prediction(self) -> None:
        """Score what the network found, and what it left out, by the rules in use."""
        prediction, volume = self.prediction, self.ct.volume
        uncertainty = prediction.uncertainty if prediction else None
        self.ai_score = score_labels(volume, prediction.labels, self.rules) if prediction else None
        self._left_out = uncertainty.left_out_lesions(volume, self.rules) if uncertainty else ()

    @property
    def marking_threshold_hu(self) -> float:
        """From which HU on a voxel can be marked: below, the rules count it for nothing."""
        return self.rules.for_volume.threshold_hu

    @property
    def ct(self) -> SceneCT:
        """The CT as it is now, a view of the node's voxels; raises InputError when it cannot be scored any more."""
        image = self.volumeNode.GetImageData()
        if (
            self._ct is None
            or image is None
            or image.GetMTime() != self._ct.image_time
            or not np.array_equal(index_to_lps(self.volumeNode), self._ct.index_to_lps)
        ):
            self._candidates = None
            self._ct = scene_ct(self.volumeNode, self._acquisition, copy=False)
        return self._ct

    @property
    def score(self) -> CaseScore | None:
        """The scores as of the last update."""
        return self.live.score

    @property
    def warnings(self) -> tuple[CaseWarning, ...]:
        """What a reader of the scores must know: of the scan, of the segments and of the lesions as they are now."""
        return each_once(*self._scan_warnings, *self._lesion_warnings)

    @property
    def _scan_warnings(self) -> tuple[CaseWarning, ...]:
        known = adapted_warnings((*self._kept_warnings, *self.live.warnings), self.rules)
        lowest = self.rules.for_volume.threshold_hu
        if self.prediction is None or lowest >= LITERATURE.threshold_hu:
            return known
        return (*known, CaseWarning(AI_THRESHOLD_WARNING, _AI_THRESHOLD.format(lowest=f"{lowest:g}")))

    @property
    def _lesion_warnings(self) -> tuple[CaseWarning, ...]:
        if self.score is None:
            return ()
        uncertainty = self.prediction.uncertainty if self.prediction else None
        return lesion_warnings(self.score, self.options.risk_scheme, uncertainty, self._left_out)

    def close(self) -> None:
        """Stop watching and remove the candidates; what the reader did stays in the scene."""
        self.live.close()
        self.onChanged.clear()
        self.show_candidates(False)

    def assign(self, ras: tuple[float, float, float], artery: Artery) -> EditResult:
        """Give the lesion at a position to an artery; see ``Edits.assign``."""
        return self._edited(lambda: self.edits.assign(ras, artery))

    def remove(self, ras: tuple[float, float, float]) -> EditResult:
        """Take the lesion at a position away; see ``Edits.remove``."""
        return self._edited(lambda: self.edits.remove(ras))

    def set_labels(self, voxels: np.ndarray, labels: np.ndarray) -> EditResult:
        """Give voxels (flat indices on the axial CT) these labels; see ``Edits.set_labels``."""
        index = source_index(voxels, self.ct.order, self.volumeNode.GetImageData().GetDimensions()[::-1])
        return self._edited(lambda: self.edits.set_labels(index, labels))

    def undo(self) -> bool:
        """Go back one edit, click or stroke, that has changed a label; whether there was one."""
        return self._stepped(self.edits.undo, "undone")

    def redo(self) -> bool:
        """Redo what was undone last; whether there was something."""
        return self._stepped(self.edits.redo, "redone")

    def _stepped(self, step: Callable[[], None], counted: str) -> bool:
        """Go in the history until a label changes: a stroke over nothing is a state of the editor, and no step."""
        segmentation = self.segmentationNode.GetSegmentation()
        segment_ids = segmentation.GetSegmentIDs()
        for _ in range(UNDO_STEPS):
            before = [segmentation.GetSegment(segment_id).GetMTime() for segment_id in segment_ids]
            self._edited(step, counted)
            segments = [segmentation.GetSegment(segment_id) for segment_id in segment_ids]
            after = [segment.GetMTime() if segment else None for segment in segments]
            if self._moved or after == before:
                break
        return self._moved

    def _edited(self, edit: Callable[[], EditResult | None], counted: str | None = None) -> EditResult | None:
        """Make an edit, count it when it did something, and bring the scores up to date at once."""
        self.live.update()  # a stroke that came before is a change of its own
        self._own_edit = True
        self._moved = False
        try:
            result = edit()
            self.live.update()
        finally:
            self._own_edit = False
        if result is not None and result.edit is not Edit.NOTHING:
            counted = result.edit.value
        elif not self._moved:
            counted = None
        if counted is not None:
            self._counted.add(counted)
        return result

    def _on_live(self, score: CaseScore | None) -> None:
        """The scores have changed: table, counts and listeners follow."""
        self._moved = True
        if not self._own_edit:
            self._counted.add("other")
        if self.tableNode is not None and self.tableNode.GetScene() and score is not None:
            show_score(self.tableNode, score, self.warnings, self.ai_score, self.options.risk_scheme)
        if self._candidatesNode is not None:
            self._refresh_candidates()
        for callback in list(self.onChanged):
            callback(score)

    @property
    def statistics(self) -> ReviewStatistics:
        """What the reader did so far."""
        return self._counted.statistics

    def lesion_rows(self) -> list[LesionRow]:
        """The lesions by descending score; empty while there are no scores."""
        return lesion_rows(self.score, self.ct.volume, self.prediction) if self.score else []

    def labels(self) -> np.ndarray:
        """The reader's label map, uint8 (k, j, i) on the axial CT."""
        return np.ascontiguousarray(self.ct.order.apply(read_labels(self.segmentationNode, self.volumeNode).labels))

    def case_result(self) -> "CaseResult":
        """The reader's result as the engine's reports take it: the label map is given, no network has marked it."""
        from coronary_calcium.pipeline import compared_with, score_given

        result = score_given(
            scene_ct(self.volumeNode, self._acquisition).volume,
            self.labels(),
            self.rules,
            self.options,
            scan=self._scan_warnings,
            uncertainty=self.prediction.uncertainty if self.prediction else None,
        )
        if self.prediction:
            result = compared_with(result, self.prediction.labels, self.prediction.model)
            result = replace(result, artery_map=self.prediction.artery_map)
        return replace(result, seconds={"review": self.statistics.seconds})

    def view_pictures(self) -> "tuple[ViewPicture, ...]":
        """The slice views as they stand; without a layout, views of the lesion with the highest score, if any."""
        views = reader_views(self.volumeNode.GetScene())
        if not views and (rows := self.lesion_rows()):
            views = views_at(rows[0].ras)
        return draw_views(self.volumeNode, self.segmentationNode, views)

    @property
    def knows_candidates(self) -> bool:
        """Whether the candidates were found before, so that ``candidates`` takes no time."""
        return self._candidates is not None

    def candidates(self) -> Candidates:
        """What could be calcium; the first call searches the heart, which takes seconds in a large CT."""
        volume = self.ct.volume
        if self._candidates is None:
            self._candidates = find_candidates(volume, rules=self.rules)
        return self._candidates

    def candidate_rows(self) -> list[LesionRow]:
        """The candidates that no artery has, as far as they are shown, by descending score."""
        if self._candidatesNode is None or self._candidates is None or self.score is None:
            return []
        marked = np.concatenate([np.zeros(0, np.int64), *(lesion.voxels for lesion in self.score.lesions)])
        listed = listed_candidates(self.candidates(), self.ct.volume, marked)
        return candidate_rows(listed, self.ct.volume, CANDIDATE)

    def use_candidates(self, candidates: Candidates) -> None:
        """Take candidates that were found before, such as in another thread, on the CT as it is now."""
        self._candidates = candidates.by(self.ct.volume, self.rules)

    def show_candidates(self, shown: bool) -> None:
        """Show or hide the candidates that no artery has."""
        node = self._candidatesNode
        if not shown:
            self._candidatesNode = None
            if node is not None:
                remove_segmentation(node)
        elif node is None or not node.GetScene():
            self._candidatesNode = add_candidates_node(self.volumeNode)
            self._refresh_candidates()

    def _refresh_candidates(self) -> None:
        if self._candidatesNode.GetScene():
            show_candidates(
                self._candidatesNode, self.candidates(), self.segmentationNode, self.volumeNode, self.ct.order
            )
