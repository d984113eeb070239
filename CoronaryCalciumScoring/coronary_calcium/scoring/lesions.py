"""Lesions: calcified components that touch across slices, as objects that a reader can point at."""

from dataclasses import dataclass, field

import numpy as np

from coronary_calcium.arteries import BY_LABEL
from coronary_calcium.scoring.components import Components, connected_groups, touching
from coronary_calcium.volume import CTVolume

# In three dimensions, neighbors are the 26 voxels that share a face, an edge or a corner.
LESION_CONNECTIVITY = 26
# Those (dk, dj, di) that come after a voxel in memory; the others are the same pairs reversed.
_HALF_OF_26 = [(dk, dj, di) for dk in (0, 1) for dj in (-1, 0, 1) for di in (-1, 0, 1) if (dk, dj, di) > (0, 0, 0)]


@dataclass(frozen=True)
class Lesion:
    """One calcified lesion: counted components of one artery that touch in three dimensions (26 neighbors).

    Attributes
    ----------
    id : 1 for the lesion with the highest score, then descending; equal scores from the feet up.
    artery : name of the artery, a key of ``arteries.BY_NAME``.
    first_slice, last_slice : slice range, k, both inclusive.
    main_slice : the slice with the highest score; the lowest one of equals.
    centroid_lps : mean voxel position, patient coordinates (x, y, z) in mm.
    area_mm2 : the areas of its components, summed over the slices.
    volume_mm3 : number of voxels times voxel volume.
    maximum_hu, mean_hu : over its voxels, in HU.
    agatston : its share of the score.
    probability : mean of the network's probability over its voxels, or None.
    voxels : flat (k, j, i) indices of its voxels.

    """

    id: int
    artery: str
    first_slice: int
    last_slice: int
    main_slice: int
    centroid_lps: tuple[float, float, float]
    area_mm2: float
    volume_mm3: float
    maximum_hu: float
    mean_hu: float
    agatston: float
    probability: float | None
    voxels: np.ndarray = field(repr=False, compare=False)


def find_lesions(
    volume: CTVolume,
    components: Components,
    unit: float,
    probability: np.ndarray | None = None,
    links: np.ndarray | None = None,
) -> tuple[Lesion, ...]:
    """The lesions that the components make up, by descending score.

    ``unit`` is the Agatston score of one pixel of weight 1; ``probability`` a (k, j, i) array or None. ``links`` are
    the result of ``touching_components``, where it is known already.
    """
    if not components.pixels.size:
        return ()
    lesion_of_component = _lesion_of_component(
        components, touching_components(volume, components) if links is None else links
    )
    scores, rows = _measured(volume, components, lesion_of_component, probability)
    pixel_area, voxel_volume = volume.spacing[1] * volume.spacing[2], volume.voxel_volume_mm3
    lesions = []
    for number, which in enumerate(np.argsort(-scores, kind="stable").tolist(), start=1):
        label, first, last, main, centroid, size, maximum, mean, score, mean_probability, own = rows[which]
        lesions.append(
            Lesion(
                id=number,
                artery=BY_LABEL[label].name,
                first_slice=first,
                last_slice=last,
                main_slice=main,
                centroid_lps=centroid,
                area_mm2=size * pixel_area,
                volume_mm3=size * voxel_volume,
                maximum_hu=maximum,
                mean_hu=mean,
                agatston=score * unit,
                probability=mean_probability,
                voxels=own,
            )
        )
    return tuple(lesions)


def _measured(
    volume: CTVolume, components: Components, lesion_of_component: np.ndarray, probability: np.ndarray | None
) -> tuple[np.ndarray, list[tuple]]:
    """The weighted pixels of each lesion, and its measures: label, slices, centroid, size, HU, probability, voxels."""
    scores, main_slices = _scores_and_main_slices(volume, components, lesion_of_component)
    first_slices = np.full(scores.size, volume.shape[0])
    last_slices = np.zeros(scores.size, dtype=np.int64)
    np.minimum.at(first_slices, lesion_of_component, components.slices)
    np.maximum.at(last_slices, lesion_of_component, components.slices)

    # Voxels lesion by lesion, in memory order within each, so that sums of fractions do not depend on other lesions.
    order = _order(np.repeat(lesion_of_component, components.pixels), components.voxels)
    voxels, hu = components.voxels[order], components.hu[order].astype(np.float64)
    sizes = np.zeros(scores.size, dtype=np.int64)
    np.add.at(sizes, lesion_of_component, components.pixels)
    starts = np.cumsum(sizes) - sizes
    index = np.unravel_index(voxels, volume.shape)
    centroids = _positions(volume, np.stack([np.add.reduceat(axis, starts) / sizes for axis in index], axis=1))
    probabilities = [None] * scores.size
    if probability is not None:
        probabilities = (np.add.reduceat(probability[index].astype(np.float64), starts) / sizes).tolist()
    labels = np.zeros(scores.size, dtype=np.int64)
    labels[lesion_of_component] = components.labels
    # As Python's numbers, which are several times faster to take out than numpy's.
    columns = (
        labels.tolist(),
        first_slices.tolist(),
        last_slices.tolist(),
        main_slices.tolist(),
        map(tuple, centroids.tolist()),
        sizes.tolist(),
        np.maximum.reduceat(hu, starts).tolist(),
        (np.add.reduceat(hu, starts) / sizes).tolist(),
        scores.tolist(),
        probabilities,
        [voxels[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist())],
    )
    return scores, list(zip(*columns))


def _order(lesion_of_voxel: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """The order by lesion, then by voxel; voxels come nearly sorted, and few enough lesions are sorted by radix."""
    order = np.argsort(voxels, kind="stable")
    narrow = lesion_of_voxel[order].astype(np.min_scalar_type(int(lesion_of_voxel.max())))
    return order[np.argsort(narrow, kind="stable")]


def touching_components(volume: CTVolume, components: Components) -> np.ndarray:
    """Which components of one artery touch (26 neighbors): pairs of their first voxels, shape (2, number of pairs).

    A pair is known by voxels, not by places in a list, so that it stays true while other slices change.
    """
    order = np.argsort(components.voxels)
    component_of_voxel = np.repeat(np.arange(components.pixels.size), components.pixels)[order]
    pairs = component_of_voxel[
        touching(components.voxels[order], components.labels[component_of_voxel], volume.shape, _HALF_OF_26)
    ]
    pairs = pairs[:, pairs[0] != pairs[1]]
    number = components.pixels.size
    return components.first_voxels[np.stack(np.divmod(np.unique(pairs[0] * number + pairs[1]), number))]


def _lesion_of_component(components: Components, links: np.ndarray) -> np.ndarray:
    """Lesion of each component, numbered from 0 in the order of the lesions' first voxels."""
    first = components.first_voxels
    order = np.argsort(first)
    lesion_of_component = np.empty(first.size, dtype=np.int64)
    lesion_of_component[order] = connected_groups(first.size, np.searchsorted(first[order], links))
    return lesion_of_component


def _positions(volume: CTVolume, index: np.ndarray) -> np.ndarray:
    """LPS positions in mm, rows of (x, y, z), of voxel indices, rows of (k, j, i); as ``CTVolume.position``."""
    steps = (index * volume.spacing)[:, ::-1]
    # Products one by one: a matrix product may round differently with the number of rows.
    return np.asarray(volume.origin) + (steps[:, None, :] * volume.direction).sum(axis=2)


def _scores_and_main_slices(
    volume: CTVolume, components: Components, lesion_of_component: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each lesion: its weighted pixels, and the lowest of the slices that hold the most of them."""
    score_of_component = components.pixels * components.weights
    scores = np.zeros(lesion_of_component.max() + 1, dtype=np.int64)
    np.add.at(scores, lesion_of_component, score_of_component)
    slices = volume.shape[0]
    pairs, pair_of_component = np.unique(lesion_of_component * slices + components.slices, return_inverse=True)
    score_of_pair = np.zeros(pairs.size, dtype=np.int64)
    np.add.at(score_of_pair, pair_of_component, score_of_component)
    lesions = pairs // slices
    order = np.lexsort((pairs, -score_of_pair, lesions))
    best = np.flatnonzero(np.diff(lesions[order], prepend=-1))
    return scores, pairs[order][best] % slices
