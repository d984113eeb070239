"""The score of a label map that is being edited: only slices that changed are looked at again."""

import numpy as np

from coronary_calcium.rules import LITERATURE, RuleSet
from coronary_calcium.scoring.case_score import CaseScore, score_parts
from coronary_calcium.scoring.lesions import touching_parts
from coronary_calcium.scoring.parts import HIGHEST_LABEL, parts_of_voxels
from coronary_calcium.volume import CTVolume

_NO_VOXELS = np.zeros(0, dtype=np.int64)


class SlicewiseScore:
    """Scores one CT's label map again and again, each time equal to the last digit to ``score_labels`` of all of it.

    What is kept from one time to the next depends on single slices (their parts) or on two neighbouring ones (which
    parts touch), and is made by the functions that make it for all slices at once.

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
        self._parts = parts_of_voxels(volume, _NO_VOXELS, _NO_VOXELS, rules)
        self._links = np.zeros((2, 0), dtype=np.int64)
        self._score = score_parts(volume, self._parts, rules, probability, self._links)
        self.changed = np.zeros(volume.shape[0], dtype=bool)

    def update(self, voxels: np.ndarray, values: np.ndarray) -> CaseScore:
        """The score of these labels: ascending flat (k, j, i) indices of all labelled voxels, and their labels 1 to 5.

        Raises as ``score_labels`` does; what is kept then stays that of the labels before.
        """
        codes = voxels.astype(np.int64) * (HIGHEST_LABEL + 1) + values
        changed = self._slices_that_differ(codes)
        if changed.any():
            self._look_again(changed, voxels, values)
            self._score = score_parts(self._volume, self._parts, self._rules, self._probability, self._links)
        self._codes, self.changed = codes, changed
        return self._score

    def _slices_that_differ(self, codes: np.ndarray) -> np.ndarray:
        """Which slices (bool, k) hold other labelled voxels than before."""
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
        """Replace the parts of the changed slices, and the links that they have or had."""
        chosen = changed[voxels // self._plane]
        found = parts_of_voxels(self._volume, voxels[chosen], values[chosen], self._rules)
        parts = self._parts.with_slices(changed, found, labelled=voxels.size)
        near = changed.copy()
        near[1:] |= changed[:-1]
        near[:-1] |= changed[1:]
        links = touching_parts(self._volume, parts.in_slices(near))
        self._links = np.concatenate(
            [
                self._links[:, ~changed[self._links // self._plane].any(axis=0)],
                links[:, changed[links // self._plane].any(axis=0)],
            ],
            axis=1,
        )
        self._parts = parts
