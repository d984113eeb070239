"""The spine's front edge on the small copy, and the space that it closes to the heart."""

import numpy as np
from scipy import ndimage

from coronary_calcium.heart.coarse import Coarse

# Vertebra with its arches is about 60 mm wide and 80 mm long: smoothing on this scale makes one peak of it.
_SMOOTH_MM = 12.0
# Slices are pooled over a vertebra's height (about 25 mm), so that a disc has its neighbours' front edge.
_POOL_MM = 30.0
# Half the width of a vertebral body; beside it the excluded space recedes at 45 degrees, because a large left
# ventricle reaches back beside the spine.
_HALF_BODY_MM = 20.0
# How far from the cavity's middle line the spine may lie (off-centre hearts, scoliosis, small fields of view).
_SIDEWAYS_MM = 70.0
# A vertebra fills at least a third of the smoothing kernel; a rib or scapula does not.
_LEAST_DENSITY = 0.25


def find_spine(coarse: Coarse, bones: np.ndarray, cavity: np.ndarray) -> np.ndarray:
    """(slices, 2) array with the front edge (j) and the middle (i) of the spine in coarse voxels; NaN where unseen."""
    pooled = max(1, round(_POOL_MM / coarse.spacing[0]))
    # Moving sum over neighbouring slices; the densest place behind the cavity's middle is the spine.
    density = ndimage.uniform_filter1d(bones.astype(np.float32), pooled, axis=0, mode="nearest")
    sigma = (0, _SMOOTH_MM / coarse.spacing[1], _SMOOTH_MM / coarse.spacing[2])
    smooth = ndimage.gaussian_filter(density, sigma, mode="nearest")
    edges = np.full((len(bones), 2), np.nan)
    half = max(1, round(_HALF_BODY_MM / 2 / coarse.spacing[2]))
    reach = round(_SIDEWAYS_MM / coarse.spacing[2])
    back = round(50.0 / coarse.spacing[1])
    for k in range(len(bones)):
        rows, columns = np.nonzero(cavity[k])
        if not len(rows):
            continue
        middle = round((columns.min() + columns.max()) / 2)
        left, top = max(0, middle - reach), round(np.median(rows))
        place = smooth[k, top:, left : middle + reach + 1]
        if not place.size or place.max() < _LEAST_DENSITY:
            continue
        j, i = np.unravel_index(place.argmax(), place.shape)
        j, i = j + top, i + left
        first = max(0, j - back)
        body = density[k, first : j + 1, max(0, i - half) : i + half + 1].mean(axis=1)
        front = np.nonzero(body >= 0.25)[0]
        if len(front):
            edges[k] = first + front[0], i
    return _steady(edges, pooled)


def _steady(edges: np.ndarray, pooled: int) -> np.ndarray:
    """Running median along the spine, without the slices where it was not seen."""
    seen = np.flatnonzero(~np.isnan(edges[:, 0]))
    if not len(seen):
        return edges
    steady = np.full_like(edges, np.nan)
    for k in seen:
        near = seen[np.abs(seen - k) <= pooled]
        steady[k] = np.median(edges[near], axis=0)
    return steady


def behind_spine(coarse: Coarse, edges: np.ndarray) -> np.ndarray:
    """(k, j, i) mask of the spine and the space behind it that the heart cannot reach."""
    _, height, width = coarse.hu.shape
    j = np.arange(height)[:, None] * coarse.spacing[1]
    i = np.arange(width)[None, :] * coarse.spacing[2]
    mask = np.zeros(coarse.hu.shape, bool)
    for k, (front, middle) in enumerate(edges):
        if not np.isnan(front):
            aside = np.abs(i - middle * coarse.spacing[2])
            mask[k] = j - front * coarse.spacing[1] >= np.maximum(0.0, aside - _HALF_BODY_MM)
    return mask
