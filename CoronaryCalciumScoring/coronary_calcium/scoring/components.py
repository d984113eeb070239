"""In-slice components: connected calcified pixels of one artery, from which a score is counted slice by slice."""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.rules import RuleSet
from coronary_calcium.volume import CTVolume

# How far below the minimum area a component may be, as a share, and still count. Spacings are rounded to 1e-6 mm,
# which moves the area of a pixel of 0.1 mm or more by at most 1e-5 of itself: nine pixels of "0.333333" mm are 1 mm2.
AREA_TOLERANCE = 1e-5

HIGHEST_LABEL = max(artery.label for artery in ARTERIES)
# Voxels that are looked at together when most hold no label; the fastest of 512, 4096 and a slice's 262,144.
_BLOCK = 4096

# In-plane neighbors (dj, di) that come after a pixel in memory; the ones before it are the same pairs reversed.
_NEIGHBORS = {4: ((0, 1), (1, 0)), 8: ((0, 1), (1, -1), (1, 0), (1, 1))}


@dataclass(frozen=True, eq=False)
class Components:
    """The components that count, in the order of their first voxel; arrays but ``voxels`` have one entry per component.

    A component is a set of pixels of one axial slice and one artery, at or above the threshold, connected in the slice,
    of at least the minimum area. Every entry depends on its own slice alone.

    Attributes
    ----------
    slices : slice index k.
    labels : artery label, 1 to 5.
    pixels : number of pixels.
    weights : Agatston weight, 1 to 4, by the component's maximum.
    maxima : the component's maximum in HU.
    voxels : flat (k, j, i) voxel indices, component after component, ascending within a component.
    hu : the HU of ``voxels``.
    labeled_voxels : how many voxels carried a label, counted or not.

    """

    slices: np.ndarray
    labels: np.ndarray
    pixels: np.ndarray
    weights: np.ndarray
    maxima: np.ndarray
    voxels: np.ndarray
    hu: np.ndarray
    labeled_voxels: int

    @property
    def first_voxels(self) -> np.ndarray:
        """The flat index of each component's first voxel, by which it is known among all of a volume."""
        return self.voxels[np.cumsum(self.pixels) - self.pixels]

    def in_slices(self, wanted: np.ndarray) -> "Components":
        """The components of the slices that the bool array ``wanted`` (k) marks; ``labeled_voxels`` stays that of all.

        These components must be in the order of their slices.
        """
        return _joined([self._between(*run) for run, chosen in _runs(wanted) if chosen], self)

    def with_slices(self, replaced: np.ndarray, components: "Components", labeled: int) -> "Components":
        """These components, those of the slices that the bool array ``replaced`` (k) marks replaced by ``components``.

        ``labeled`` is the number of labeled voxels of all slices. Both must be in the order of their slices.
        """
        pieces = [(components if chosen else self)._between(*run) for run, chosen in _runs(replaced)]
        return replace(_joined(pieces, self), labeled_voxels=labeled)

    def _between(self, first: int, stop: int) -> "Components":
        """The components of slices first <= k < stop, as views."""
        start, end = np.searchsorted(self.slices, [first, stop])
        voxels = slice(int(self.pixels[:start].sum()), int(self.pixels[:end].sum()))
        own: dict[str, Any] = {name: getattr(self, name)[start:end] for name in _PART_ARRAYS}
        return replace(self, **own, voxels=self.voxels[voxels], hu=self.hu[voxels])


_PART_ARRAYS = ("slices", "labels", "pixels", "weights", "maxima")


def _runs(marked: np.ndarray) -> list[tuple[tuple[int, int], bool]]:
    """Runs of equal entries of a bool array, as ((first, stop), entry)."""
    edges = [0, *(np.flatnonzero(marked[1:] != marked[:-1]) + 1).tolist(), marked.size]
    return [((first, stop), bool(marked[first])) for first, stop in itertools.pairwise(edges)]


def _joined(pieces: list[Components], like: Components) -> Components:
    """Components one after another; ``like`` gives the types of no components at all, and ``labeled_voxels``."""
    pieces = pieces or [like._between(0, 0)]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in (*_PART_ARRAYS, "voxels", "hu")
    }
    return replace(like, **arrays)


def minimum_pixels(spacing: tuple[float, float, float], rules: RuleSet) -> int:
    """Smallest number of pixels whose area reaches the rules' minimum; ``spacing`` is (k, j, i) in mm."""
    pixel_area = spacing[1] * spacing[2]
    return max(1, rules.minimum_pixels, math.ceil(rules.minimum_area_mm2 * (1 - AREA_TOLERANCE) / pixel_area))


def labeled_voxels(labels: np.ndarray) -> np.ndarray:
    """Ascending flat (k, j, i) indices of the voxels whose label is not 0; ``labels`` is an array of integers.

    Blocks without a label are passed over first, as bytes, which numpy does at the speed of the memory: 6 ms for
    512 x 512 x 400 voxels of one byte, where np.flatnonzero takes 200 ms.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    whole = flat.size - flat.size % _BLOCK
    blocks = flat[:whole].reshape(-1, _BLOCK)
    occupied = np.flatnonzero(blocks.view(bool).any(axis=1))
    # Flat and as bool: numpy finds the non-zeros of two axes ten times slower.
    block, column = np.divmod(np.flatnonzero(blocks[occupied] != 0), _BLOCK)
    return np.concatenate([occupied[block] * _BLOCK + column, whole + np.flatnonzero(flat[whole:])])


def find_components(volume: CTVolume, labels: np.ndarray, rules: RuleSet) -> Components:
    """The components of a label map that count by the rules.

    ``labels`` is an integer (k, j, i) array of the volume's shape: 0 background, 1 LM, 2 LAD, 3 LCX, 4 RCA,
    5 unassigned. Raises ValueError when it is not, and InputError when the CT has no intensity at a labeled voxel.
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers, not {labels.dtype}")
    if labels.shape != volume.shape:
        raise ValueError(f"the label map has the shape {labels.shape}, the CT {volume.shape}")
    voxels = labeled_voxels(labels)
    return components_of_voxels(volume, voxels, labels[np.unravel_index(voxels, labels.shape)], rules)


def components_of_voxels(volume: CTVolume, voxels: np.ndarray, values: np.ndarray, rules: RuleSet) -> Components:
    """The components that count among labeled voxels.

    ``voxels`` are ascending flat (k, j, i) indices, ``values`` their labels, 1 to 5. Of every slice all labeled
    voxels must be there, or none. Raises as ``find_components`` does.
    """
    if values.size and (values.min() < 0 or values.max() > HIGHEST_LABEL):
        raise ValueError(f"labels must lie in 0..{HIGHEST_LABEL}, not {values.min()}..{values.max()}")
    hu = volume.hu[np.unravel_index(voxels, volume.shape)]
    if not np.isfinite(hu).all():
        raise InputError(
            "not-finite",
            "The CT has voxels without an intensity (NaN or infinite) where calcium is marked, so it cannot be scored; "
            "export the series again from its source.",
        )
    labeled = voxels.size
    dense = hu >= rules.threshold_hu
    voxels, values, hu = voxels[dense], values[dense], hu[dense]

    neighbors = [(0, dj, di) for dj, di in _NEIGHBORS[rules.connectivity]]
    part_of = connected_groups(voxels.size, touching(voxels, values, volume.shape, neighbors))
    # Stable: within a component, voxels stay in memory order.
    order = np.argsort(part_of, kind="stable")
    order = order[(np.bincount(part_of) >= minimum_pixels(volume.spacing, rules))[part_of[order]]]
    starts = np.flatnonzero(np.diff(part_of[order], prepend=-1))
    first = order[starts]
    maxima = np.maximum.reduceat(hu[order], starts) if starts.size else hu[:0]
    return Components(
        slices=voxels[first] // (volume.shape[1] * volume.shape[2]),
        labels=values[first].astype(np.int64),
        pixels=np.diff(starts, append=order.size),
        weights=1 + np.searchsorted(rules.weight_limits_hu, maxima, side="right"),
        maxima=maxima,
        voxels=voxels[order],
        hu=hu[order],
        labeled_voxels=labeled,
    )


def touching(
    voxels: np.ndarray, values: np.ndarray, shape: tuple[int, int, int], offsets: list[tuple[int, int, int]]
) -> np.ndarray:
    """Pairs of voxels that touch, as positions in ``voxels``, shape (2, number of pairs).

    ``voxels`` are ascending flat indices into ``shape`` (k, j, i); two of them touch when one lies at one of the
    ``offsets`` (dk, dj, di) from the other and both have the same entry in ``values``.
    """
    k, j, i = np.unravel_index(voxels, shape)
    pairs = []
    for dk, dj, di in offsets:
        # Without these bounds a neighbor beyond the end of a row would be the first pixel of the next one.
        inside = (k + dk < shape[0]) & (j + dj >= 0) & (j + dj < shape[1]) & (i + di >= 0) & (i + di < shape[2])
        one = np.flatnonzero(inside)
        wanted = voxels[one] + (dk * shape[1] + dj) * shape[2] + di
        other = np.minimum(np.searchsorted(voxels, wanted), voxels.size - 1)
        found = (voxels[other] == wanted) & (values[other] == values[one])
        pairs.append(np.stack([one[found], other[found]]))
    return np.concatenate(pairs, axis=1)


def connected_groups(number: int, pairs: np.ndarray) -> np.ndarray:
    """Connected component of each of ``number`` things, numbered from 0 in the order of their first things.

    ``pairs`` (2, number of pairs) says which of them are connected.
    """
    graph = coo_array((np.ones(pairs.shape[1], dtype=np.int8), tuple(pairs)), shape=(number, number))
    return connected_components(graph, directed=False)[1]
