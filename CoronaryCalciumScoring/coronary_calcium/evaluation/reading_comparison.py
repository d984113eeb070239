"""The network beside a reading by eye of a real scan: how much of its certain calcium is found, and what is false.

Calcium of which the reader was unsure counts neither way. A lesion's score is shared out over its voxels, so that what
is found in part counts in part; what is marked wrongly is named by what the reader took it for.
"""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.arteries import BY_LABEL
from coronary_calcium.datasets.labeled_scans import OTHER_LABELS, UNSURE
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS, core_probability
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.components import find_components
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume

UNLABELED = "not labeled"


@dataclass(frozen=True)
class ReadLesion:
    """A coronary lesion of the reading, and what the network gives it.

    Attributes
    ----------
    artery, agatston : as the reader has it.
    slice : the lowest of its slices (k).
    found : the share of its score that is marked, 0 to 1.
    highest, mean, core : the network's probability over its voxels; the core are the brightest ones, as for large
        lesions (``inference.postprocess``).
    """

    artery: str
    agatston: float
    slice: int
    found: float
    highest: float
    mean: float
    core: float


@dataclass(frozen=True)
class ReadingComparison:
    """The network's label map beside a reading.

    Attributes
    ----------
    certain : Agatston score of the calcium that the reader is sure of.
    recovered : how much of it is marked.
    false : score of what is marked and neither coronary nor unsure, by the reader's word for it; largest first.
    unsure : score of what is marked where the reader was unsure; it is in no other figure.
    lesions : the reading's, by descending score.
    """

    certain: float
    recovered: float
    false: dict[str, float]
    unsure: float
    lesions: tuple[ReadLesion, ...]

    @property
    def false_total(self) -> float:
        """The score of all that is marked wrongly."""
        return sum(self.false.values())


def compare_with_reading(
    volume: CTVolume, reading: np.ndarray, labels: np.ndarray, probability: np.ndarray
) -> ReadingComparison:
    """Compare a label map with a reading, both (k, j, i) integers on the volume's grid; ``reading`` as labeled_scans.

    ``probability`` is the network's, (k, j, i).
    """
    coronary = np.where(reading < UNSURE, reading, 0).astype(np.uint8)
    true_score, found_score = score_by_voxel(volume, coronary), score_by_voxel(volume, labels)
    wrong = {UNLABELED: reading == 0} | {name: reading == label for label, name in OTHER_LABELS.items()}
    false = {name: float(found_score[place].sum()) for name, place in wrong.items()}
    return ReadingComparison(
        certain=float(true_score.sum()),
        recovered=float(true_score[labels > 0].sum()),
        false={name: score for name, score in sorted(false.items(), key=lambda item: -item[1]) if score},
        unsure=float(found_score[reading == UNSURE].sum()),
        lesions=tuple(_lesions(volume, coronary, labels, probability, true_score)),
    )


def score_by_voxel(volume: CTVolume, labels: np.ndarray) -> np.ndarray:
    """The share of the Agatston score that each voxel of a label map carries, (k, j, i); 0 where nothing counts."""
    components = find_components(volume, labels, LITERATURE)
    unit = volume.spacing[1] * volume.spacing[2] * volume.spacing[0] / LITERATURE.reference_spacing_mm
    score = np.zeros(volume.shape)
    score.reshape(-1)[components.voxels] = np.repeat(components.weights, components.pixels) * unit
    return score


def _lesions(
    volume: CTVolume, coronary: np.ndarray, labels: np.ndarray, probability: np.ndarray, score: np.ndarray
) -> list[ReadLesion]:
    found = []
    for lesion in score_labels(volume, coronary).lesions:
        values = probability.reshape(-1)[lesion.voxels].astype(np.float64)
        one, size = np.zeros(values.size, np.int64), np.array([values.size])
        hu = volume.hu.reshape(-1)[lesion.voxels]
        core = core_probability(one, values, hu, size, POSTPROCESSING_LIMITS.core_share)[0]
        own = score.reshape(-1)[lesion.voxels]
        share = own[labels.reshape(-1)[lesion.voxels] > 0].sum() / own.sum()
        measures = float(share), float(values.max()), float(values.mean()), float(core)
        found.append(ReadLesion(lesion.artery, lesion.agatston, lesion.first_slice, *measures))
    return found


def reading_lines(name: str, true: dict[str, float], found: dict[str, float], reading: ReadingComparison) -> list[str]:
    """A scan's comparison as lines of text; ``true`` and ``found`` are the scores, "total" and each artery."""
    arteries = [artery.name for artery in BY_LABEL.values() if true.get(artery.name) or found.get(artery.name)]
    lines = [
        f"{name}: {true['total']:.1f} by the reading, {found['total']:.1f} found; of {reading.certain:.1f} certain "
        f"{reading.recovered:.1f} recovered, false {reading.false_total:.1f}, unsure {reading.unsure:.1f} left out",
        *(f"  {artery}: {true[artery]:.1f} by the reading, {found[artery]:.1f} found" for artery in arteries),
        *(f"  false: {score:.1f} {what}" for what, score in reading.false.items()),
    ]
    for lesion in reading.lesions:
        lines.append(
            f"  lesion {lesion.artery} {lesion.agatston:.1f} from slice {lesion.slice}: {lesion.found:.0%} found; "
            f"probability highest {lesion.highest:.2f}, core {lesion.core:.2f}, mean {lesion.mean:.2f}"
        )
    return lines
