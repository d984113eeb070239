"""Variants of a real scan for inserted lesions: gently warped, sliced, sharpened or smoothed, and noised anew."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from coronary_calcium.datasets.case_format import BOX_MM
from coronary_calcium.simulation.plaques import BRANCH_WEIGHT
from coronary_calcium.simulation.scanner import noise_of, sharpened
from coronary_calcium.simulation.shapes import smooth_path
from coronary_calcium.volume import CTVolume

# Slices around the heart belong to a case as well: hila, the arch and the upper abdomen must not be scored either.
BELOW_MM, ABOVE_MM = 10.0, 32.0
# Largest displacement of the gentle warp, and how far apart its knots are.
_WARP_MM, _WARP_KNOT_MM = 4.0, 45.0
# The noise of a whole chest's reconstructions, from thick and soft to sharp.
_NOISE_RANGE_HU = (8.0, 75.0)


@dataclass(frozen=True, eq=False)
class Background:
    """The heart's part of a scan: ``hu`` float32 (k, j, i), slices at ``z`` mm, square pixels.

    ``shift`` (2, j, i) is the warp in pixels: what is at p + shift(p) in the scan is at p here. ``corner`` is the
    (j, i) voxel of the scan at which this part starts; ``noise`` the SD in the heart; ``unjudged`` bool (k, j, i) where
    the scan holds calcium that nobody has labeled.
    """

    hu: np.ndarray
    z: np.ndarray
    pixel: float
    slice_step: float
    thickness: float
    corner: np.ndarray
    shift: np.ndarray
    field_center: tuple[float, float]
    noise: float
    unjudged: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Mm along (k, j, i)."""
        return float(self.z[1] - self.z[0]), self.pixel, self.pixel

    def points(self, drawn) -> np.ndarray:
        """Where drawn (k, j, i) points of the scan are here, (n, 3) mm along x, y and z."""
        k, *plane = np.asarray(drawn, dtype=float).T
        scan = np.array(plane) - self.corner[:, None]
        here = scan
        for _ in range(6):
            here = scan - np.array(
                [ndimage.map_coordinates(part, here, order=1, mode="nearest") for part in self.shift]
            )
        return np.stack([here[1] * self.pixel, here[0] * self.pixel, k * self.slice_step], axis=1)

    def path(self, drawn, step: float) -> np.ndarray:
        """A smooth curve through the points, every ``step`` mm."""
        return smooth_path(self.points(drawn), step)


def artery_paths(drawing: dict[str, Any], spacing: tuple[float, ...]) -> list[np.ndarray]:
    """The drawn arteries, each (n, 3) mm along k, j and i in steps of 1 mm."""
    return [smooth_path(np.array(drawing[name]) * spacing, 1.0) for name in BRANCH_WEIGHT if name in drawing]


def draw_background(
    r: np.random.Generator, volume: CTVolume, drawing: dict[str, Any], unjudged: np.ndarray | None = None
) -> Background:
    """A variant of the scan: cropped around the heart, its slices thinned out or averaged, and gently warped.

    ``unjudged`` is bool (k, j, i) of the scan, where its own calcium takes no part; None for nowhere.
    """
    dk, pixel, _ = volume.spacing
    thickness = volume.acquisition.slice_thickness_mm or dk
    k0, k1, j0, j1, i0, i1 = drawing["heart"]
    center = np.array([(j0 + j1) / 2, (i0 + i1) / 2])
    half = BOX_MM / 2 / pixel
    low = np.maximum(np.floor(center - half).astype(int), 0)
    high = np.minimum(np.ceil(center + half).astype(int), volume.shape[1:])
    bottom, top = max(k0 - int(BELOW_MM / dk), 0), min(k1 + int(ABOVE_MM / dk) + 1, volume.shape[0])
    hu = volume.hu[bottom:top, low[0] : high[0], low[1] : high[1]].astype(np.float32)
    z = np.arange(bottom, top) * dk
    # Overlapping slices also make the scan without overlap, and a thicker one.
    if dk < 0.75 * thickness:
        step, together = ((1, 1), (2, 1), (2, 2))[r.choice(3, p=[0.35, 0.4, 0.25])]
    else:
        step, together = (1, 2) if thickness < 6 and r.random() < 0.15 else (1, 1)
    first = int(r.integers(step))
    starts = np.arange(first, len(hu) - together + 1, step)
    hu = np.mean([hu[starts + n] for n in range(together)], axis=0)
    z = np.mean([z[starts + n] for n in range(together)], axis=0)
    thickness += (together - 1) * dk
    shift = _draw_warp(r, hu.shape[1:], pixel)
    rows, columns = np.indices(hu.shape[1:])
    where = np.array([rows + shift[0], columns + shift[1]])
    # Cubic, so that the noise keeps its grain.
    hu = np.stack([ndimage.map_coordinates(plane, where, order=3, mode="nearest") for plane in hu])
    noise = noise_in(hu, center - low, pixel)
    left_out = np.zeros(hu.shape, bool)
    if unjudged is not None and unjudged.any():
        part = unjudged[bottom:top, low[0] : high[0], low[1] : high[1]]
        part = np.max([part[starts + n] for n in range(together)], axis=0)
        left_out = np.stack([ndimage.map_coordinates(plane, where, order=0, mode="nearest") for plane in part])
    return Background(hu, z, pixel, dk, thickness, low, shift, tuple(center - low), noise, left_out)


def _draw_warp(r: np.random.Generator, shape: tuple[int, int], pixel: float) -> np.ndarray:
    knots = [int(size * pixel / _WARP_KNOT_MM) + 2 for size in shape]
    reach = r.uniform(0, _WARP_MM) / 2 / pixel
    at = np.meshgrid(*(np.linspace(0, n - 1, size) for n, size in zip(knots, shape)), indexing="ij")
    return np.array([ndimage.map_coordinates(r.normal(0, reach, knots), at, order=3, mode="nearest") for _ in range(2)])


def noise_in(hu: np.ndarray, center: np.ndarray, pixel: float) -> float:
    """SD of the noise in the heart: that of the finest grain, in the middle slices around the ``center`` (j, i)."""
    reach = int(25 / pixel)
    j, i = (int(value) for value in center)
    middle = hu[len(hu) // 3 : 2 * len(hu) // 3, j - reach : j + reach, i - reach : i + reach]
    grain = middle - ndimage.gaussian_filter(middle, (0, 2.5 / pixel, 2.5 / pixel))
    soft = np.abs(middle - 40) < 90
    return float(1.4826 * np.median(np.abs(grain[soft]))) if soft.any() else 0.0


def processed(
    r: np.random.Generator, hu: np.ndarray, added: np.ndarray, scan: Background
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The scan with its calcium through another kernel and with more noise; HU, added HU, and facts for the case.

    A kernel is linear, so image and ``added`` (5, k, j, i) go through the same filter, and the scan's own noise gets
    the new kernel's grain by itself.
    """
    kind, filtered = r.random(), "as scanned"
    width, enhancement = 1.3, 0.0
    if kind < 0.2:
        width = float(r.uniform(1.5, 2.4))
        sigma = width / 2.355 * 0.7 / scan.pixel
        change, filtered = lambda image: ndimage.gaussian_filter(image, sigma), "softer"
    elif kind < 0.62:
        enhancement, width = float(r.uniform(0.4, 3.0)), 0.9
        sigma = float(r.uniform(0.8, 1.3)) / scan.pixel
        change, filtered = lambda image: sharpened(image, enhancement, sigma), "sharper"
    if filtered != "as scanned":
        for k in range(len(hu)):
            hu[k] = change(hu[k])
            for part in added[:, k]:
                if part.any():
                    part[...] = change(part)
    own = noise_in(hu, np.asarray(scan.field_center), scan.pixel)
    wanted = float(np.clip(own * np.exp(r.normal(0.15, 0.35)), *_NOISE_RANGE_HU))
    if wanted > own:
        more = np.sqrt(wanted**2 - own**2)
        for k in range(len(hu)):
            hu[k] += noise_of(r, hu.shape[1:], scan.pixel, (width, enhancement), more)
    total = noise_in(hu, np.asarray(scan.field_center), scan.pixel)
    return hu, added, {"kernel": filtered, "noise_hu": round(total, 1), "thickness_mm": scan.thickness}
