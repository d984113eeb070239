"""The network on one patient, beside the truth."""

from dataclasses import replace
from math import inf

import numpy as np

from coronary_calcium.arteries import ARTERIES, BY_LABEL
from coronary_calcium.datasets.labeled_scans import UNSURE
from coronary_calcium.evaluation.patients import OpenedPatient
from coronary_calcium.evaluation.reading_comparison import compare_with_reading
from coronary_calcium.evaluation.results import LesionOutcome, PatientMeasurement
from coronary_calcium.evaluation.statistics import Counts
from coronary_calcium.heart.contrast import require_native_heart
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS
from coronary_calcium.inference.predict import seen_voxels
from coronary_calcium.inference.prediction import RunExtent
from coronary_calcium.network.weights import LoadedModel
from coronary_calcium.pipeline import predict_lesions, score_predicted
from coronary_calcium.progress import Timing
from coronary_calcium.scoring import CaseScore, score_labels
from coronary_calcium.scoring.risk import risk_category
from coronary_calcium.scoring.rules import LITERATURE

# Every marked pixel counts, whatever its HU and however small its island; the islands only give the weights.
UNFILTERED = replace(LITERATURE, name="without post-processing", threshold_hu=-inf, minimum_area_mm2=0.0)


def measure(
    opened: OpenedPatient, model: LoadedModel, *, every_slice: bool, timing: Timing | None = None
) -> tuple[PatientMeasurement, np.ndarray]:
    """What the network finds, measured; and its label map (k, j, i) uint8, the same that scoring would give.

    ``every_slice`` runs the network also where nothing could count. ``timing`` has timed what went before. Raises
    InputError as ``predict`` does, and for what scoring rejects: no heart, or contrast medium.
    """
    timing = timing or Timing()
    volume, truth = opened.volume, opened.labels
    require_native_heart(volume, opened.field)
    predicted = predict_lesions(
        volume, opened.field, model, timing=timing, extent=RunExtent(every_slice, keep_raw=True)
    )
    result = score_predicted(volume, predicted, timing=timing)
    raw, labels, found_score = predicted.prediction, predicted.labels, result.score
    with timing.timed("measure"):
        compared = None
        if opened.reading is not None:
            compared = compare_with_reading(volume, opened.reading, labels, raw.probability)
            # What the reader was unsure of counts neither way.
            labels = np.where(opened.reading == UNSURE, 0, labels).astype(np.uint8)
            found_score = score_labels(volume, labels)
        mask = np.asarray(raw.raw) >= POSTPROCESSING_LIMITS.high_threshold
        true_score = score_labels(volume, truth)
        unfiltered = score_labels(volume, mask.astype(np.uint8), UNFILTERED).total.agatston
        true_counted, found_counted = _counted(true_score, truth.shape), _counted(found_score, truth.shape)
        unseen = ~seen_voxels(volume, opened.field)
    measured = PatientMeasurement(
        marked=compare_masks(truth > 0, labels > 0),
        counted=compare_masks(true_counted, found_counted),
        network=compare_masks(truth > 0, mask & (volume.hu >= LITERATURE.threshold_hu)),
        true_agatston=_agatston(true_score),
        found_agatston=_agatston(found_score),
        unfiltered_agatston=unfiltered,
        true_category=true_score.risk_category,
        found_category=found_score.risk_category,
        unfiltered_category=risk_category(unfiltered),
        true_lesions=lesions_beside(true_score, labels),
        found_lesions=lesions_beside(found_score, truth),
        outside_field_of_view=int((truth > 0)[unseen].sum()),
        heart_found=opened.field.found,
        slices_run=raw.slices_run,
        slices_skipped=raw.slices_skipped,
        seconds=dict(timing.seconds),
        warnings=tuple(warning.code for warning in result.warnings),
        reading=compared,
    )
    return measured, labels


def _counted(score: CaseScore, shape: tuple[int, ...]) -> np.ndarray:
    counted = np.zeros(shape, bool)
    for lesion in score.lesions:
        counted.reshape(-1)[lesion.voxels] = True
    return counted


def compare_masks(truth: np.ndarray, found: np.ndarray) -> Counts:
    """The voxels of two bool arrays of one shape, counted against each other."""
    return Counts(int((truth & found).sum()), int((found & ~truth).sum()), int((truth & ~found).sum()))


def _agatston(score: CaseScore) -> dict[str, float]:
    return {"total": score.total.agatston} | {artery.name: score.by_artery[artery.name].agatston for artery in ARTERIES}


def lesions_beside(score: CaseScore, other: np.ndarray) -> tuple[LesionOutcome, ...]:
    """The lesions of one side, matched with the label map of the other."""
    return tuple(
        LesionOutcome(
            artery=lesion.artery,
            agatston=lesion.agatston,
            volume_mm3=lesion.volume_mm3,
            voxels=int(lesion.voxels.size),
            matched=(given := _most(other.reshape(-1)[lesion.voxels])) is not None,
            other_artery=given,
        )
        for lesion in score.lesions
    )


def _most(labels: np.ndarray) -> str | None:
    """The artery of most of these labels (the first of equals); None when none is set."""
    counts = np.bincount(labels, minlength=2)[1:]
    return BY_LABEL[int(counts.argmax()) + 1].name if counts.any() else None
