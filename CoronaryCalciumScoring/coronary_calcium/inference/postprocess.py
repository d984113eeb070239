"""From the network's probability to lesions (the paper, section 2.5), and what stays uncertain of them."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from coronary_calcium.arteries import NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.inference.predict import Prediction
from coronary_calcium.scoring.agatston import CaseScore, score_labels
from coronary_calcium.scoring.components import find_components
from coronary_calcium.scoring.interpretation import repeatability_limit
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.risk import RiskScheme
from coronary_calcium.scoring.rules import LITERATURE, RuleSet
from coronary_calcium.volume import CaseWarning, CTVolume


@dataclass(frozen=True)
class PostprocessingLimits:
    """What the network must give, as probabilities of calcium, before pixels and lesions are proposed.

    Attributes
    ----------
    high_threshold : a pixel is marked from this on.
    low_threshold : ... or from this on where such pixels join it to a marked one in its slice.
    lesion_probability : a lesion's highest must reach this.
    large_lesion_mm3 : from more than this volume on, its mean counts as well:
    large_lesion_mean_probability : ... which must reach this.
    confident_probability : a proposed lesion whose highest stays below this is in doubt (``prediction.doubt``).

    """

    high_threshold: float
    low_threshold: float
    lesion_probability: float
    large_lesion_mm3: float
    large_lesion_mean_probability: float
    confident_probability: float


# 0.5: DenseRAUnet, section 2.5. The network is sure of a calcification's core and in doubt about its rim: without the
# extent, a quarter of the pixels are lost. A small lesion is all rim, and the network in doubt of most of it; a large
# one of which it is in doubt as a whole is calcium of the aortic root, a valve, the annulus or the pericardium. Chosen
# with the shipped weights by Testing/tools/choose_postprocessing_limits.py on cases that nothing else uses: 18
# simulated chest patients (seeds 800000-800008, 800020-800028) and 26 inserted lesions (seeds 74000 on). Pixel F1 of
# patients and of inserted lesions, with a mean of 0.45 from 120 mm3 on: 0.95 and 0.76; from 60 mm3 on, 0.93 and 0.75;
# of 0.5 from 60 mm3 on, 0.92 and 0.64; without a limit for large lesions, 0.93 and 0.72. An extent from 0.1 on: at most
# 0.92 and 0.72. With a highest from 0.6, 0.7 and 0.8 on, 84, 81 and 79 of the patients' 107 lesions were found, with
# 1.00, 0.61 and 0.28 false ones a scan (a mean of 0.45 from 60 mm3 on). On these 44 and 72 training cases of unseen
# seeds (43000 on), the risk category without lesions below a sure 0.95 was another one for 4 of the 17 cases whose
# category was wrong and for 3 of the 99 whose was right; below 0.9 for 3 and 1, below 0.97 for 5 and 6.
POSTPROCESSING_LIMITS = PostprocessingLimits(
    high_threshold=0.5,
    low_threshold=0.05,
    lesion_probability=0.7,
    large_lesion_mm3=120.0,
    large_lesion_mean_probability=0.45,
    confident_probability=0.95,
)


# In three dimensions, neighbors are the 26 voxels that share a face, an edge or a corner.
_ALL_26 = np.ones((3, 3, 3), bool)
# Within a slice, the 8 that share an edge or a corner.
_EIGHT_IN_SLICE = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))], bool)


def label_lesions(
    volume: CTVolume,
    prediction: Prediction,
    rules: RuleSet = LITERATURE,
    limits: PostprocessingLimits = POSTPROCESSING_LIMITS,
) -> np.ndarray:
    """The proposed lesions as a label map, uint8 (k, j, i): 1 LM, 2 LAD, 3 LCX, 4 RCA, 5 unassigned, 0 nothing.

    ``marked_voxels`` says which voxels belong to a lesion. Those that touch in three dimensions (26 neighbors) are one
    lesion, which goes as a whole to the artery that most of its voxels were given to (the first of equals), or is
    unassigned when the network knows no arteries. A lesion without a part of the minimum area in any slice is left out,
    and so is one of which the network is not sure enough for the ``limits``: its highest probability is too low, or it
    is large and its mean too low.
    """
    marked = marked_voxels(prediction.probability, volume.hu, rules, limits)
    labels = np.zeros(volume.shape, np.uint8)
    if not marked.any():
        return labels
    box = ndimage.find_objects(marked.view(np.uint8))[0]
    lesion_of, count = ndimage.label(marked[box], structure=_ALL_26)
    inside = marked[box]
    votes = np.zeros((count + 1, len(NAMED_ARTERIES) + 1), np.int64)
    np.add.at(votes, (lesion_of[inside], prediction.artery[box][inside]), 1)
    artery_of = 1 + votes[:, 1:].argmax(axis=1)
    artery_of[votes[:, 1:].sum(axis=1) == 0] = UNASSIGNED.label
    artery_of[0] = 0
    labels[box] = artery_of[lesion_of]
    counted = np.zeros(volume.shape, bool)
    counted.reshape(-1)[find_components(volume, labels, rules.for_volume).voxels] = True
    kept = np.zeros(count + 1, bool)
    kept[lesion_of[counted[box]]] = True
    kept &= _confident_lesions(lesion_of, count, prediction.probability[box], float(np.prod(volume.spacing)), limits)
    labels[box][~kept[lesion_of]] = 0
    return labels


def _confident_lesions(
    lesion_of: np.ndarray, count: int, probability: np.ndarray, voxel_mm3: float, limits: PostprocessingLimits
) -> np.ndarray:
    """Whether the network is sure enough of each lesion, by its number; (count + 1,) bool, False for number 0."""
    numbers = np.arange(1, count + 1)
    probability = probability.astype(np.float32)
    highest = ndimage.maximum(probability, lesion_of, numbers)
    mean = ndimage.mean(probability, lesion_of, numbers)
    small = np.bincount(lesion_of.reshape(-1))[1:] * voxel_mm3 <= limits.large_lesion_mm3
    sure = (highest >= limits.lesion_probability) & (small | (mean >= limits.large_lesion_mean_probability))
    return np.concatenate([[False], sure])


def marked_voxels(
    probability: np.ndarray,
    hu: np.ndarray,
    rules: RuleSet = LITERATURE,
    limits: PostprocessingLimits = POSTPROCESSING_LIMITS,
) -> np.ndarray:
    """The voxels that the network proposes; bool (k, j, i), the shape of both arrays.

    Its probability reaches the threshold of the ``limits``, or that of an extent and such voxels join it to one of the
    former within the slice (8 neighbors); its intensity is at least the threshold, the lower one where volume has its
    own.
    """
    possible = (probability >= limits.low_threshold) & (hu >= rules.for_volume.threshold_hu)
    marked = np.zeros(possible.shape, bool)
    if not possible.any():
        return marked
    box = ndimage.find_objects(possible.view(np.uint8))[0]
    part_of, count = ndimage.label(possible[box], structure=_EIGHT_IN_SLICE)
    sure = np.zeros(count + 1, bool)
    sure[part_of[possible[box] & (probability[box] >= limits.high_threshold)]] = True
    marked[box] = sure[part_of]
    return marked


# All that holds a marked pixel, however sure the network is of the whole.
WITH_UNCERTAIN = replace(POSTPROCESSING_LIMITS, lesion_probability=0.0, large_lesion_mean_probability=0.0)
LEFT_OUT, TAKEN_IN = "uncertain-lesions", "uncertain-lesions-counted"
UNCERTAINTY_CODES = (LEFT_OUT, TAKEN_IN)
# A warning names the slices of so many lesions.
_NAMED = 3


def uncertainty_warnings(
    volume: CTVolume, prediction: Prediction, score: CaseScore, rules: RuleSet, scheme: RiskScheme
) -> tuple[CaseWarning, ...]:
    """Warnings when lesions in doubt decide the risk category, or change the score by more than another scan would.

    ``uncertain-lesions`` of those that were left out, ``uncertain-lesions-counted`` of those that were not. ``score``
    is that of the lesions which ``label_lesions`` keeps, on the same ``volume`` and by the same ``rules``.
    """
    wider = score_labels(volume, label_lesions(volume, prediction, rules, WITH_UNCERTAIN), rules)
    kept = {lesion.voxels[0] for lesion in score.lesions}
    left_out = [lesion for lesion in wider.lesions if lesion.voxels[0] not in kept]
    taken_in, sure = is_uncertain(score, prediction)
    others = ((LEFT_OUT, left_out, wider.total.agatston), (TAKEN_IN, taken_in, sure))
    return tuple(
        _warning(code, lesions, other, scheme)
        for code, lesions, other in others
        if lesions and _decides(score.total.agatston, other, scheme)
    )


def is_uncertain(
    score: CaseScore, prediction: Prediction, limits: PostprocessingLimits = POSTPROCESSING_LIMITS
) -> tuple[list[Lesion], float]:
    """The scored lesions whose highest probability is below the sure one of the ``limits``; the score without them."""
    probability = prediction.probability.reshape(-1)
    highest = {lesion.id: probability[lesion.voxels].max() for lesion in score.lesions}
    sure = sum(lesion.agatston for lesion in score.lesions if highest[lesion.id] >= limits.confident_probability)
    return [lesion for lesion in score.lesions if highest[lesion.id] < limits.confident_probability], sure


def _decides(total: float, other: float, scheme: RiskScheme) -> bool:
    """Whether the ``other`` score stands for something else than the ``total``."""
    if scheme.category(other) != scheme.category(total):
        return True
    return bool(total) and abs(other - total) > repeatability_limit(total)


def _warning(code: str, lesions: list[Lesion], agatston: float, scheme: RiskScheme) -> CaseWarning:
    """``lesions`` by descending score, and the score with them (left out) or without them (taken in)."""
    slices = sorted({lesion.main_slice for lesion in lesions[:_NAMED]})
    listed = ", ".join(map(str, slices[:-1])) + (" and " if slices[1:] else "") + str(slices[-1])
    number, them = ("1 lesion", "it") if len(lesions) == 1 else (f"{len(lesions)} lesions", "them")
    place = f"{'the largest in' if lesions[_NAMED:] else 'in'} slice{'s' if slices[1:] else ''} {listed}"
    sure, done, change = ("not", "left", "out; with") if code == LEFT_OUT else ("only just", "took", "in; without")
    return CaseWarning(
        code,
        f"The network was {sure} sure of {number}, {place}, and {done} {them} {change} {them} the score would be "
        f"{agatston:.1f} (risk category {scheme.category(agatston)}): look there before you rely on this score.",
    )
