"""Where two readings of a case differ: which lesions are the same, and what is to be decided for a consensus.

One rule says for agreement and consensus when a lesion is found by both (``marked_by``) and whose artery the other
reading takes it for (``artery_by``).
"""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from coronary_calcium.arteries import ARTERIES, BY_LABEL
from coronary_calcium.cohort.readings import Reading, ReadLesion
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.components import connected_groups

ONLY_FIRST, ONLY_SECOND, OTHER_ARTERY, BORDER = KINDS = ("only-first", "only-second", "other-artery", "border")
# Borders of the same lesion are to be decided from this many Agatston points on: a pixel of a cardiac CT at the border
# (0.4 mm wide, of weight 1 to 4) carries 0.15 to 0.6 of them.
BORDER_POINTS = 5.0


def marked_by(lesion: ReadLesion, other: Reading) -> np.ndarray:
    """The labels that another reading gives to voxels of a lesion, of those that it marks.

    A lesion is found by both when there is any, whatever the artery.
    """
    return other.labels[np.isin(other.voxels, lesion.voxels, assume_unique=True)]


def artery_by(lesion: ReadLesion, other: Reading) -> str | None:
    """The artery to which another reading gives most of the voxels of a lesion that it marks; None for no voxel."""
    marked = marked_by(lesion, other)
    return BY_LABEL[int(np.bincount(marked).argmax())].name if marked.size else None


@dataclass(frozen=True, eq=False)
class Difference:
    """A lesion, or several that touch the same voxels, on which two readings differ.

    Attributes
    ----------
    kind : only-first, only-second, other-artery, or border: marked by both, and the scores differ.
    first, second : the lesions of either reading.
    voxels : flat (k, j, i) indices of all of them, ascending.
    first_labels, second_labels : uint8, what either reading gives to each of these voxels; 0 for nothing.
    """

    kind: str
    first: tuple[ReadLesion, ...]
    second: tuple[ReadLesion, ...]
    voxels: np.ndarray
    first_labels: np.ndarray
    second_labels: np.ndarray

    @property
    def first_agatston(self) -> float:
        """The score of the first reading's lesions."""
        return sum(one.agatston for one in self.first)

    @property
    def second_agatston(self) -> float:
        """The score of the second reading's lesions."""
        return sum(one.agatston for one in self.second)

    @property
    def effect(self) -> float:
        """How far the total score differs, second - first."""
        return self.second_agatston - self.first_agatston

    @property
    def effect_by_artery(self) -> dict[str, float]:
        """The same for each artery whose score differs."""
        change: Counter[str] = Counter()
        for sign, lesions in ((-1, self.first), (1, self.second)):
            for one in lesions:
                change[one.artery] += sign * one.agatston  # type: ignore[assignment]
        return {artery.name: float(change[artery.name]) for artery in ARTERIES if change[artery.name]}

    @property
    def key(self) -> str:
        """Tells the difference from others and from an earlier one of the same place, for what was decided on it."""
        digest = hashlib.sha256(self.voxels.astype("<i8").tobytes())
        digest.update(self.first_labels.tobytes() + self.second_labels.tobytes())
        return digest.hexdigest()[:16]

    def place(self, shape: tuple[int, int, int]) -> tuple[float, float, float]:
        """Where to look: the middle (k, j, i) of what differs, in the slice in which most of it lies."""
        differing = self.voxels[self.first_labels != self.second_labels]
        k, j, i = np.unravel_index(differing if differing.size else self.voxels, shape)
        most = int(np.bincount(k).argmax())
        return float(most), float(j[k == most].mean()), float(i[k == most].mean())


def differences(first: Reading, second: Reading, border_points: float = BORDER_POINTS) -> list[Difference]:
    """What is to be decided between two readings of a case, the largest effect on a score first.

    Lesions that share a voxel belong together, also when one of the one reading is two of the other. Both mark a
    lesion alike when they name the same artery and no score, of an artery or in total, differs by more than
    ``border_points``; that is no difference. Raises InputError("reading") for readings of different CTs.
    """
    if first.shape != second.shape:
        raise InputError("reading", "The two readings are of different CTs; read the case again.")
    found = [_difference(first, second, *group, border_points) for group in _groups(first, second)]
    return sorted((one for one in found if one is not None), key=lambda one: (-_size(one), int(one.voxels[0])))


def _size(difference: Difference) -> float:
    return max([abs(difference.effect), *map(abs, difference.effect_by_artery.values())])


def _groups(first: Reading, second: Reading) -> list[tuple[tuple[ReadLesion, ...], tuple[ReadLesion, ...]]]:
    """The lesions of both readings that share voxels, directly or through others."""
    lesions = [*first.lesions, *second.lesions]
    sizes = [lesion.voxels.size for lesion in lesions]
    voxels = np.concatenate([np.empty(0, np.int64), *(lesion.voxels for lesion in lesions)])
    owners = np.repeat(np.arange(len(lesions)), sizes)
    own = owners < len(first.lesions)
    _, in_first, in_second = np.intersect1d(voxels[own], voxels[~own], assume_unique=True, return_indices=True)
    links = np.stack([owners[own][in_first], owners[~own][in_second]]).astype(np.int64)
    group_of = connected_groups(len(lesions), links) if lesions else np.empty(0, np.int64)
    groups: dict[int, tuple[list[ReadLesion], list[ReadLesion]]] = {}
    for number, lesion in enumerate(lesions):
        both = groups.setdefault(int(group_of[number]), ([], []))
        both[number >= len(first.lesions)].append(lesion)
    return [(tuple(ones), tuple(others)) for ones, others in groups.values()]


def _difference(
    first: Reading,
    second: Reading,
    ones: tuple[ReadLesion, ...],
    others: tuple[ReadLesion, ...],
    border_points: float,
) -> Difference | None:
    """The difference that a group of lesions is, if it is one."""
    voxels = np.unique(np.concatenate([lesion.voxels for lesion in (*ones, *others)]))
    labels = [labels_at(one.voxels, one.labels, voxels) for one in (first, second)]
    by_second = [(lesion.artery, artery_by(lesion, second)) for lesion in ones]
    by_first = [(lesion.artery, artery_by(lesion, first)) for lesion in others]
    if not any(taken for _, taken in (*by_second, *by_first)):
        kind = ONLY_FIRST if ones else ONLY_SECOND
    elif any(taken not in (None, artery) for artery, taken in (*by_second, *by_first)):
        kind = OTHER_ARTERY
    else:
        kind = BORDER
    difference = Difference(kind, ones, others, voxels, *labels)
    return None if kind == BORDER and _size(difference) <= border_points else difference


def labels_at(marked: np.ndarray, labels: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """The labels (uint8) at ``voxels``, where ``labels`` are those of the ``marked`` ones; 0 at all others.

    Voxels are flat indices, ascending, each once.
    """
    if not marked.size:
        return np.zeros(voxels.size, np.uint8)
    places = np.minimum(np.searchsorted(marked, voxels), marked.size - 1)
    return np.where(marked[places] == voxels, labels[places], 0).astype(np.uint8)
