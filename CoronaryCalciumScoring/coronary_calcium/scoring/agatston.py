"""The Agatston score: of a label map, and of one that is being edited, slice by slice."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.scoring.components import HIGHEST_LABEL, Components, components_of_voxels, find_components
from coronary_calcium.scoring.lesions import Lesion, find_lesions, touching_components
from coronary_calcium.scoring.risk import risk_category
from coronary_calcium.scoring.rules import LITERATURE, RuleSet
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
    risk_category : category of the unrounded total by the scheme ``five``, whatever scheme was chosen.
    rules : what the scores were counted by.
    labeled_voxels, counted_voxels : how many voxels were marked, and how many of them count; the others are below
        the threshold or in components smaller than the minimum area.

    """

    total: Tally
    by_artery: dict[str, Tally]
    lesions: tuple[Lesion, ...]
    risk_category: str
    rules: RuleSet
    labeled_voxels: int
    counted_voxels: int


def score_labels(
    volume: CTVolume, labels: np.ndarray, rules: RuleSet = LITERATURE, probability: np.ndarray | None = None
) -> CaseScore:
    """Score a label map on its CT.

    Counted are voxels with a label and at least the threshold's HU. In every axial slice the 8-connected components of
    one artery are looked at; a component of at least the minimum area scores area x weight x slice spacing / 3 mm, its
    weight set by its maximum in that slice (Agatston et al., JACC 1990;15:827; slice spacing as in equation 4 of
    DenseRAUnet). Volume is the volume of the voxels of these components.

    ``labels`` is an integer (k, j, i) array of the volume's shape: 0 background, 1 LM, 2 LAD, 3 LCX, 4 RCA,
    5 unassigned. ``probability`` is a (k, j, i) array of the network's probability in 0..1, or None; its mean is
    given for each lesion.

    Raises ValueError when ``labels`` or ``probability`` is not such an array, and InputError when the CT has no
    intensity (NaN, infinite) at a labeled voxel.
    """
    if probability is not None and np.shape(probability) != volume.shape:
        raise ValueError(f"the probability has the shape {np.shape(probability)}, the CT {volume.shape}")
    return score_components(volume, find_components(volume, labels, rules), rules, probability)


def score_components(
    volume: CTVolume,
    components: Components,
    rules: RuleSet,
    probability: np.ndarray | None = None,
    links: np.ndarray | None = None,
) -> CaseScore:
    """The scores of counted components; ``links`` as for ``lesions.find_lesions``.

    Pixels and weighted pixels are summed as whole numbers and multiplied by a voxel's size once, so that scores do
    not depend, to the last digit, on the order or the grouping in which components were found.
    """
    unit = volume.spacing[1] * volume.spacing[2] * volume.spacing[0] / rules.reference_spacing_mm
    lesions = find_lesions(volume, components, unit, probability, links)
    lesions_of = Counter(lesion.artery for lesion in lesions)
    by_artery = {
        artery.name: _tally(volume, components, components.labels == artery.label, unit, lesions_of[artery.name])
        for artery in ARTERIES
    }
    total = _tally(volume, components, np.ones(components.labels.size, dtype=bool), unit, len(lesions))
    return CaseScore(
        total=total,
        by_artery=by_artery,
        lesions=lesions,
        risk_category=risk_category(total.agatston),
        rules=rules,
        labeled_voxels=components.labeled_voxels,
        counted_voxels=int(components.pixels.sum()),
    )


def _tally(volume: CTVolume, components: Components, own: np.ndarray, unit: float, lesions: int) -> Tally:
    """The scores of the components selected by the bool array ``own``."""
    pixels = int(components.pixels[own].sum())
    weighted = int((components.pixels[own] * components.weights[own]).sum())
    return Tally(lesions=lesions, agatston=weighted * unit, volume_mm3=pixels * volume.voxel_volume_mm3)


_NO_VOXELS = np.zeros(0, dtype=np.int64)


class SlicewiseScore:
    """Scores one CT's label map again and again, each time equal to the last digit to ``score_labels`` of all of it.

    What is kept from one time to the next depends on single slices (their components) or on two neighboring ones (which
    components touch), and is made by the functions that make it for all slices at once.

    Attributes
    ----------
    changed : flat bool array (k) of the slices that the last update found changed.

    """

    def __init__(self, volume: CTVolume, rules: RuleSet = LITERATURE, *, probability: np.ndarray | None = None) -> None:
        """``probability`` is a (k, j, i) array of the network's probability, or None; ValueError for another shape."""
        if probability is not None and np.shape(probability) != volume.shape:
            raise ValueError(f"the probability has the shape {np.shape(probability)}, the CT {volume.shape}")
        self._volume = volume
        self._rules = rules
        self._probability = probability
        self._codes = _NO_VOXELS
        self._components = components_of_voxels(volume, _NO_VOXELS, _NO_VOXELS, rules)
        self._links = np.zeros((2, 0), dtype=np.int64)
        self._score = score_components(volume, self._components, rules, probability, self._links)
        self.changed = np.zeros(volume.shape[0], dtype=bool)

    def update(self, voxels: np.ndarray, values: np.ndarray) -> CaseScore:
        """The score of these labels: ascending flat (k, j, i) indices of all labeled voxels, and their labels 1 to 5.

        Raises as ``score_labels`` does; what is kept then stays that of the labels before.
        """
        codes = voxels.astype(np.int64) * (HIGHEST_LABEL + 1) + values
        changed = self._slices_that_differ(codes)
        if changed.any():
            self._look_again(changed, voxels, values)
            self._score = score_components(self._volume, self._components, self._rules, self._probability, self._links)
        self._codes, self.changed = codes, changed
        return self._score

    def _slices_that_differ(self, codes: np.ndarray) -> np.ndarray:
        """Which slices (bool, k) hold other labeled voxels than before."""
        before = self._codes
        common = min(before.size, codes.size)
        # Of a stroke's change, nearly all voxels come before or after: only what lies between is sorted.
        start = int(np.argmin(np.append(before[:common] == codes[:common], False)))
        common -= start
        end = int(np.argmin(np.append((before[::-1][:common] == codes[::-1][:common]), False)))
        between = before[start : before.size - end], codes[start : codes.size - end]
        differing = np.setxor1d(*between, assume_unique=True) // (HIGHEST_LABEL + 1)
        changed = np.zeros(self._volume.shape[0], dtype=bool)
        changed[differing // self._plane] = True
        return changed

    @property
    def _plane(self) -> int:
        """Number of voxels of a slice."""
        return self._volume.shape[1] * self._volume.shape[2]

    def _look_again(self, changed: np.ndarray, voxels: np.ndarray, values: np.ndarray) -> None:
        """Replace the components of the changed slices, and the links that they have or had."""
        chosen = changed[voxels // self._plane]
        found = components_of_voxels(self._volume, voxels[chosen], values[chosen], self._rules)
        components = self._components.with_slices(changed, found, labeled=voxels.size)
        near = changed.copy()
        near[1:] |= changed[:-1]
        near[:-1] |= changed[1:]
        links = touching_components(self._volume, components.in_slices(near))
        self._links = np.concatenate(
            [
                self._links[:, ~changed[self._links // self._plane].any(axis=0)],
                links[:, changed[links // self._plane].any(axis=0)],
            ],
            axis=1,
        )
        self._components = components
