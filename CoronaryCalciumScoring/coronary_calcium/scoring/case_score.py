"""The scores of a case: the one place where marked voxels become numbers."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.rules import LITERATURE, RuleSet
from coronary_calcium.scoring.lesions import Lesion, find_lesions
from coronary_calcium.scoring.parts import Parts, find_parts
from coronary_calcium.scoring.risk import risk_category
from coronary_calcium.volume import CTVolume


@dataclass(frozen=True)
class Tally:
    """Scores of one artery, or of all: number of lesions, Agatston score, volume in mm3."""

    lesions: int
    agatston: float
    volume_mm3: float


@dataclass(frozen=True)
class CaseScore:
    """The scores of a case.

    Attributes
    ----------
    total : over all arteries.
    by_artery : by the names LM, LAD, LCX, RCA and unassigned; all five are always there.
    lesions : by descending score.
    risk_category : name of the risk category of the unrounded total (``scoring.risk``).
    rules : what the scores were counted by.
    labelled_voxels, counted_voxels : how many voxels were marked, and how many of them count; the others are below
        the threshold or in parts smaller than the minimum area.
    """

    total: Tally
    by_artery: dict[str, Tally]
    lesions: tuple[Lesion, ...]
    risk_category: str
    rules: RuleSet
    labelled_voxels: int
    counted_voxels: int


def score_labels(
    volume: CTVolume, labels: np.ndarray, rules: RuleSet = LITERATURE, probability: np.ndarray | None = None
) -> CaseScore:
    """Score a label map on its CT.

    Counted are voxels with a label and at least the threshold's HU. In every axial slice the 8-connected parts of
    one artery are looked at; a part of at least the minimum area scores area x weight x slice spacing / 3 mm, its
    weight set by its maximum in that slice (Agatston et al., JACC 1990;15:827; slice spacing as in equation 4 of
    DenseRAUnet). Volume is the volume of the voxels of these parts.

    ``labels`` is an integer (k, j, i) array of the volume's shape: 0 background, 1 LM, 2 LAD, 3 LCX, 4 RCA,
    5 unassigned. ``probability`` is a (k, j, i) array of the network's probability in 0..1, or None; its mean is
    given for each lesion.

    Raises ValueError when ``labels`` or ``probability`` is not such an array, and InputRefused when the CT has no
    intensity (NaN, infinite) at a labelled voxel.
    """
    if probability is not None and np.shape(probability) != volume.shape:
        raise ValueError(f"the probability has the shape {np.shape(probability)}, the CT {volume.shape}")
    return score_parts(volume, find_parts(volume, labels, rules), rules, probability)


def score_parts(
    volume: CTVolume,
    parts: Parts,
    rules: RuleSet,
    probability: np.ndarray | None = None,
    links: np.ndarray | None = None,
) -> CaseScore:
    """The scores of counted parts; ``links`` as for ``lesions.find_lesions``.

    Pixels and weighted pixels are summed as whole numbers and multiplied by a voxel's size once, so that scores do
    not depend, to the last digit, on the order or the grouping in which parts were found.
    """
    unit = volume.spacing[1] * volume.spacing[2] * volume.spacing[0] / rules.reference_spacing_mm
    lesions = find_lesions(volume, parts, unit, probability, links)
    lesions_of = Counter(lesion.artery for lesion in lesions)
    by_artery = {
        artery.name: _tally(volume, parts, parts.labels == artery.label, unit, lesions_of[artery.name])
        for artery in ARTERIES
    }
    total = _tally(volume, parts, np.ones(parts.labels.size, dtype=bool), unit, len(lesions))
    return CaseScore(
        total=total,
        by_artery=by_artery,
        lesions=lesions,
        risk_category=risk_category(total.agatston),
        rules=rules,
        labelled_voxels=parts.labelled_voxels,
        counted_voxels=int(parts.pixels.sum()),
    )


def _tally(volume: CTVolume, parts: Parts, own: np.ndarray, unit: float, lesions: int) -> Tally:
    """The scores of the parts selected by the bool array ``own``."""
    pixels = int(parts.pixels[own].sum())
    weighted = int((parts.pixels[own] * parts.weights[own]).sum())
    return Tally(lesions=lesions, agatston=weighted * unit, volume_mm3=pixels * volume.voxel_volume_mm3)
