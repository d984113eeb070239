"""Where pericardial calcium may be inserted in a real heart: runs just inside of the lung, away from the arteries.

The pericardium lies under the lung over most of the ventricles. Without such calcium on the nine hearts that were
contrast-enhanced, weights that were trained on them took a plate of 1200 points on the left ventricle for the LAD.
"""

from typing import Any

import numpy as np
from scipy import ndimage

from coronary_calcium.simulation.real_background import artery_paths

# Smoothed HU below this are lung.
_LUNG_HU, _SMOOTH_MM = -400.0, 1.0
# How deep under the lung a run lies, slice by slice in turn: in the fat, and where a thin heart's muscle begins.
_DEPTHS_MM = (2.0, 4.0, 6.0)
# Rays from the heart's middle; a run breaks off where the lung's edge jumps, as it does at the fissures of the fat.
_RAYS, _JUMP_MM = 120, 4.0
# The heart's drawn box and this much around it: farther off, the lung is that of the chest wall.
_BEYOND_MM = 10.0
# Nearer to a drawn artery a plate could be taken for its calcium, by people as well.
_FROM_ARTERY_MM = 10.0
_SHORTEST_MM = 15.0
# Runs are drawn in so many slices, evenly spread over the lower part of the heart, where the ventricles are.
_SLICES, _LOWER_SHARE = 6, 0.7


def pericardial_runs(
    hu: np.ndarray, spacing: tuple[float, ...], drawing: dict[str, Any]
) -> list[list[tuple[int, int, int]]]:
    """Runs of (k, j, i) voxels of the scan, HU (k, j, i) with ``spacing`` in mm; ``drawing`` as backgrounds have it."""
    k0, k1, j0, j1, i0, i1 = drawing["heart"]
    center = np.array([(j0 + j1) / 2, (i0 + i1) / 2])
    farthest = max(j1 - j0, i1 - i0) / 2 * spacing[1] + _BEYOND_MM
    arteries = np.concatenate(artery_paths(drawing, spacing))
    runs = []
    chosen = np.unique(np.linspace(k0 + 1, k0 + 1 + _LOWER_SHARE * (k1 - k0 - 1), _SLICES).astype(int))
    for number, k in enumerate(chosen):
        points, reach = _under_the_lung(hu[k], spacing[1], center, farthest, _DEPTHS_MM[number % len(_DEPTHS_MM)])
        at = np.column_stack([np.full(len(points), k * spacing[0]), points * spacing[1]])
        far = np.linalg.norm(at[:, None] - arteries[None], axis=2).min(axis=1) >= _FROM_ARTERY_MM
        # NaN is never smaller: a ray without lung breaks a run, too.
        joined = (far[1:] & far[:-1]) & (np.abs(np.diff(reach)) < _JUMP_MM)
        for piece in np.split(points, np.flatnonzero(~joined) + 1):
            if np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() * spacing[1] >= _SHORTEST_MM:
                runs.append([(int(k), int(j), int(i)) for j, i in np.rint(piece)])
    return runs


def _under_the_lung(
    hu: np.ndarray, pixel: float, center: np.ndarray, farthest: float, depth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) (j, i) ``depth`` mm before the first lung on every ray, and how far (n,) from the center, mm.

    NaN where a ray of ``farthest`` mm meets no lung.
    """
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), _SMOOTH_MM / pixel)
    angles = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)
    along = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    steps = np.arange(0, farthest, 0.5)
    places = center[:, None, None] + along.T[:, :, None] * steps / pixel
    lung = ndimage.map_coordinates(smooth, places, order=1, mode="constant", cval=0.0) < _LUNG_HU
    reach = np.where(lung.any(axis=1), steps[lung.argmax(axis=1)] - depth, np.nan)
    return center + along * reach[:, None] / pixel, reach
