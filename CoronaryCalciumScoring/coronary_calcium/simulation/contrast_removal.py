"""Chest CT with contrast medium made to look like one without: real hearts as backgrounds for inserted calcium.

Blood and enhanced tissue brighter than muscle come down to about muscle; what is smoothed is the change, not the image,
so the noise stays. What is brighter than the blood of its place, calcium above all, keeps what it has over it; bone and
metal stay as they are.
"""

from itertools import pairwise

import numpy as np
from scipy import ndimage

# Blood and muscle without contrast. Tissue above is taken to be enhanced and keeps only this share of its excess, so
# that chambers and muscle can still just be told apart, as without contrast.
PLAIN_BLOOD_HU = 45.0
_KEPT_SHARE = 0.05
# The change follows edges through the image smoothed this much within the slice, and elsewhere a wide median: with the
# first alone the noise lost its coarse grain.
_EDGE_MM, _EVEN_MM = 0.7, 3.5
# Where both differ by less than this many SD of the noise, the tissue is even.
_EVEN_SD = 3.5
# Calcium exceeds the aorta's blood by this much and a multiple of its noise.
_CALCIUM_ABOVE_HU, _CALCIUM_ABOVE_SD = 40.0, 3.0
# Pools of dense contrast (superior vena cava, right heart, lung arteries) come down whole, with streaks and layers in
# them: pieces this much brighter than the aorta after smoothing, of at least this size, with a margin.
_DENSE_ABOVE_HU, _DENSE_SMOOTH_MM, _DENSE_MM3, _DENSE_MARGIN_MM = 40.0, 1.5, 1500.0, 3.0
# Blood stays brighter than plain blood by at most this many SD of the noise, but for the edge of calcium.
_GRAIN_SD, _CALCIUM_EDGE_MM = 2.5, 1.5
# Bone: pieces of at least this HU, peak and size outside of the heart's box and the aorta, not mostly in lung as
# vessels are; then what hangs together with them within the reach.
_BONE_FROM_HU, _BONE_PEAK_HU, _BONE_MM3 = 130.0, 300.0, 150.0
_VESSEL_LUNG_SHARE, _LUNG_HU = 0.45, -400.0
_BONE_SEED_MM = 1.2
# The heart's blood is a piece of at least this size in its box; an atrium or a lung artery reaches this far beyond.
_BLOOD_MM3, _BLOOD_BEYOND_MM = 20000.0, 18.0
_BONE_REACH_MM, _BONE_MARGIN_MM, _AORTA_MARGIN_MM = 6.0, 2.0, 3.0


def without_contrast(
    hu: np.ndarray, spacing: tuple[float, float, float], aorta: np.ndarray, heart: tuple[int, ...]
) -> np.ndarray:
    """The scan as without contrast medium, float32 HU (k, j, i).

    ``hu`` is (k, j, i), ``spacing`` its spacing in mm, ``aorta`` (n, 4) voxels (k, j, i) along the aorta's middle with
    its radius in mm, ``heart`` the box (k0, k1, j0, j1, i0, i1) of the heart.
    """
    image = hu.astype(np.float32)
    pixel = spacing[1]
    edges = ndimage.gaussian_filter(image, (0, _EDGE_MM / pixel, _EDGE_MM / pixel))
    blood, noise, grain = _aortic_blood(image, edges, np.asarray(aorta), pixel)
    even = ndimage.median_filter(edges, size=(1, *(2 * max(round(_EVEN_MM / pixel / 2), 1) + 1,) * 2))
    steady = np.where(np.abs(edges - even) < _EVEN_SD * noise, even, edges)
    ceiling = np.full(image.shape, blood + max(_CALCIUM_ABOVE_HU, _CALCIUM_ABOVE_SD * noise), np.float32)
    calcium = ndimage.binary_dilation(edges > ceiling, _disc(_CALCIUM_EDGE_MM, pixel))
    pools = _dense_pools(image, blood, spacing)
    ceiling[pools] = np.inf
    # A dense pool keeps nothing: a twentieth of 700 HU would still be seen.
    change = np.where(pools, 1.0, 1 - _KEPT_SHARE) * np.maximum(np.minimum(steady, ceiling) - PLAIN_BLOOD_HU, 0)
    change[_bone(edges, spacing, np.asarray(aorta), heart)] = 0
    plain = image - ndimage.gaussian_filter(change, (0, 0.4 / pixel, 0.4 / pixel))
    # What thin arteries and a pool's edge and layers leave is sharper than the change, and would look like calcium.
    blood_alone = (change > 0) & (pools | ~calcium)
    return np.where(blood_alone, np.minimum(plain, PLAIN_BLOOD_HU + _GRAIN_SD * grain), plain)


def _aortic_blood(image: np.ndarray, smooth: np.ndarray, aorta: np.ndarray, pixel: float) -> tuple[float, float, float]:
    """Median HU of the blood in the middle of the aorta, and the SD there of the smoothed and of the plain image."""
    reach = max(int(4.0 / pixel), 1)
    places = [
        (k, slice(max(j - reach, 0), j + reach + 1), slice(max(i - reach, 0), i + reach + 1))
        for k, j, i in np.rint(aorta[:, :3]).astype(int)
        if 0 <= k < len(smooth)
    ]
    medians = [np.median(smooth[place]) for place in places]
    noise = [smooth[place].std() for place in places]
    grain = [image[place].std() for place in places]
    return float(np.median(medians)), float(np.median(noise)), float(np.median(grain))


def _disc(radius_mm: float, pixel: float) -> np.ndarray:
    radius = max(round(radius_mm / pixel), 1)
    j, i = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (j * j + i * i <= radius * radius)[None]


def _dense_pools(image: np.ndarray, blood: float, spacing: tuple[float, float, float]) -> np.ndarray:
    """Bool (k, j, i): large pools of denser contrast than the aorta's, with a margin, filled."""
    sigma = _DENSE_SMOOTH_MM / spacing[1]
    dense = ndimage.gaussian_filter(image, (0.5, sigma, sigma)) > blood + _DENSE_ABOVE_HU
    pieces, count = ndimage.label(dense)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * np.prod(spacing)
    chosen = sizes >= _DENSE_MM3
    chosen[0] = False
    pools = ndimage.binary_dilation(chosen[pieces], _disc(_DENSE_MARGIN_MM, spacing[1]))
    return np.stack([ndimage.binary_fill_holes(plane) for plane in pools])


def _bone(
    smooth: np.ndarray, spacing: tuple[float, float, float], aorta: np.ndarray, heart: tuple[int, ...]
) -> np.ndarray:
    """Bool (k, j, i): bone of chest wall and spine with a margin."""
    pixel = spacing[1]
    blood_vessel = _aorta_tube(smooth.shape, spacing, aorta)
    dense = (smooth > _BONE_FROM_HU) & ~blood_vessel
    candidates = ndimage.binary_opening(dense, _disc(_BONE_SEED_MM, pixel))
    candidates &= ~_blood_of_heart(candidates, spacing, heart)
    pieces, _ = ndimage.label(candidates)
    seeds = np.zeros(smooth.shape, bool)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        piece = pieces[box] == number
        if piece.sum() * np.prod(spacing) < _BONE_MM3 or smooth[box][piece].max() < _BONE_PEAK_HU:
            continue
        if _lung_share(smooth, pieces, number, box, pixel) < _VESSEL_LUNG_SHARE:
            seeds[box] |= piece
    grown = ndimage.binary_dilation(seeds, _disc(1.0, pixel), max(round(_BONE_REACH_MM), 1), mask=dense)
    return ndimage.binary_dilation(grown, _disc(_BONE_MARGIN_MM, pixel)) & ~blood_vessel


def _blood_of_heart(dense: np.ndarray, spacing: tuple[float, float, float], heart: tuple[int, ...]) -> np.ndarray:
    """Bool (k, j, i): what is dense inside of the heart's box, and what goes on from its blood outside, not far."""
    k0, _, j0, j1, i0, i1 = heart
    within = np.zeros(dense.shape, bool)
    within[k0:, j0:j1, i0:i1] = True
    pieces, count = ndimage.label(dense & within)
    large = np.bincount(pieces.ravel(), minlength=count + 1) * np.prod(spacing) >= _BLOOD_MM3
    large[0] = False
    steps = max(round(_BLOOD_BEYOND_MM / spacing[1]), 1)
    return ndimage.binary_dilation(large[pieces], _disc(spacing[1], spacing[1]), steps, mask=dense) | (
        within & dense & ~_touching_outside(dense, within, large[pieces])
    )


def _touching_outside(dense: np.ndarray, within: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """Bool (k, j, i): pieces inside of the box that are not the heart's blood and go on outside: the sternum's back."""
    pieces, count = ndimage.label(dense & ~blood)
    outside = np.zeros(count + 1, bool)
    outside[np.unique(pieces[~within])] = True
    outside[0] = False
    return outside[pieces]


def _lung_share(smooth: np.ndarray, pieces: np.ndarray, number: int, box: tuple[slice, ...], pixel: float) -> float:
    """Which share of the 3 mm around a piece, within its slices, is lung."""
    pad = round(4.0 / pixel)
    wide = (box[0], *(slice(max(side.start - pad, 0), side.stop + pad) for side in box[1:]))
    piece = pieces[wide] == number
    shell = ndimage.binary_dilation(piece, _disc(3.0, pixel)) & ~piece
    return float((smooth[wide][shell] < _LUNG_HU).mean())


def _aorta_tube(shape: tuple[int, ...], spacing: tuple[float, float, float], aorta: np.ndarray) -> np.ndarray:
    """Bool (k, j, i): the aorta around its drawn middle, with a margin."""
    inside = np.zeros(shape, bool)
    rows, columns = np.ogrid[: shape[1], : shape[2]]
    for start, end in pairwise(aorta):
        steps = max(int(np.abs(end - start)[:3].max()) * 2, 1)
        for k, j, i, radius in start + (end - start) * np.linspace(0, 1, steps + 1)[:, None]:
            if 0 <= round(k) < shape[0]:
                reach = (radius + _AORTA_MARGIN_MM) / spacing[1]
                inside[round(k)] |= (rows - j) ** 2 + (columns - i) ** 2 <= reach**2
    return inside
