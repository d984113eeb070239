"""Lesions: calcified parts that touch across slices, as objects that a reader can point at."""

from dataclasses import dataclass, field

import numpy as np

from coronary_calcium.arteries import BY_LABEL
from coronary_calcium.scoring.parts import Parts, components
from coronary_calcium.volume import CTVolume

# In three dimensions, neighbours are the 26 voxels that share a face, an edge or a corner.
LESION_CONNECTIVITY = 26
# Those (dk, dj, di) that come after a voxel in memory; the others are the same pairs reversed.
_HALF_OF_26 = [(dk, dj, di) for dk in (0, 1) for dj in (-1, 0, 1) for di in (-1, 0, 1) if (dk, dj, di) > (0, 0, 0)]


@dataclass(frozen=True)
class Lesion:
    """One calcified lesion: counted parts of one artery that touch in three dimensions (26 neighbours).

    Attributes
    ----------
    id : 1 for the lesion with the highest score, then descending; equal scores from the feet up.
    artery : name of the artery, a key of ``arteries.BY_NAME``.
    first_slice, last_slice : slice range, k, both inclusive.
    main_slice : the slice with the highest score; the lowest one of equals.
    centroid_lps : mean voxel position, patient coordinates (x, y, z) in mm.
    area_mm2 : the areas of its parts, summed over the slices.
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
    volume: CTVolume, parts: Parts, unit: float, probability: np.ndarray | None = None
) -> tuple[Lesion, ...]:
    """The lesions that the parts make up, by descending score.

    ``unit`` is the Agatston score of one pixel of weight 1; ``probability`` a (k, j, i) array or None.
    """
    if not parts.pixels.size:
        return ()
    lesion_of_part = _lesion_of_part(volume, parts)
    scores, main_slices = _scores_and_main_slices(parts, lesion_of_part)
    first_slices = np.full(scores.size, volume.shape[0])
    last_slices = np.zeros(scores.size, dtype=np.int64)
    np.minimum.at(first_slices, lesion_of_part, parts.slices)
    np.maximum.at(last_slices, lesion_of_part, parts.slices)

    # Voxels lesion by lesion, in memory order within each, so that sums of fractions do not depend on other lesions.
    lesion_of_voxel = np.repeat(lesion_of_part, parts.pixels)
    order = np.lexsort((parts.voxels, lesion_of_voxel))
    voxels, hu = parts.voxels[order], parts.hu[order].astype(np.float64)
    sizes = np.bincount(lesion_of_voxel)
    starts = np.cumsum(sizes) - sizes
    index = np.unravel_index(voxels, volume.shape)
    centroids = np.stack([np.add.reduceat(axis, starts) / sizes for axis in index], axis=1)
    maxima = np.maximum.reduceat(hu, starts)
    means = np.add.reduceat(hu, starts) / sizes
    if probability is not None:
        probabilities = np.add.reduceat(probability[index].astype(np.float64), starts) / sizes
    labels = np.zeros(scores.size, dtype=np.int64)
    labels[lesion_of_part] = parts.labels
    return tuple(
        Lesion(
            id=number,
            artery=BY_LABEL[int(labels[which])].name,
            first_slice=int(first_slices[which]),
            last_slice=int(last_slices[which]),
            main_slice=int(main_slices[which]),
            centroid_lps=tuple(volume.position(centroids[which]).tolist()),
            area_mm2=int(sizes[which]) * (volume.spacing[1] * volume.spacing[2]),
            volume_mm3=int(sizes[which]) * volume.voxel_volume_mm3,
            maximum_hu=float(maxima[which]),
            mean_hu=float(means[which]),
            agatston=int(scores[which]) * unit,
            probability=None if probability is None else float(probabilities[which]),
            voxels=voxels[starts[which] : starts[which] + sizes[which]],
        )
        for number, which in enumerate(np.argsort(-scores, kind="stable"), start=1)
    )


def _lesion_of_part(volume: CTVolume, parts: Parts) -> np.ndarray:
    """Lesion of each part, numbered from 0 in the order of the lesions' first voxels."""
    order = np.argsort(parts.voxels)
    part_of_voxel = np.repeat(np.arange(parts.pixels.size), parts.pixels)[order]
    lesion_of_part = np.empty(parts.pixels.size, dtype=np.int64)
    lesion_of_part[part_of_voxel] = components(
        parts.voxels[order], parts.labels[part_of_voxel], volume.shape, _HALF_OF_26
    )
    return lesion_of_part


def _scores_and_main_slices(parts: Parts, lesion_of_part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each lesion: its weighted pixels, and the lowest of the slices that hold the most of them."""
    score_of_part = parts.pixels * parts.weights
    scores = np.zeros(lesion_of_part.max() + 1, dtype=np.int64)
    np.add.at(scores, lesion_of_part, score_of_part)
    pairs, pair_of_part = np.unique(np.stack([lesion_of_part, parts.slices]), axis=1, return_inverse=True)
    score_of_pair = np.zeros(pairs.shape[1], dtype=np.int64)
    np.add.at(score_of_pair, pair_of_part, score_of_part)
    order = np.lexsort((pairs[1], -score_of_pair, pairs[0]))
    _, best = np.unique(pairs[0][order], return_index=True)
    return scores, pairs[1][order][best]
