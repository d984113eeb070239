"""Streaks: what bone does to the beam, and what metal does to the detector."""

import numpy as np
from scipy import fft, ndimage

# Pixels above this HU send out streaks.
METAL_FROM_HU = 2600.0
# Mineral is what exceeds soft tissue by this much; the scanner is taken to correct for nothing denser than cortex.
_MINERAL_FROM_HU, _MINERAL_TO_HU = 150.0, 1500.0
# Bone hardens the beam, and a line integral through p HU mm of mineral comes out too small by this times p squared
# (Joseph and Spital, J Comput Assist Tomogr 1978;2:100: the error grows with the square of the bone). Dense cortex then
# loses 2 to 8 % of its HU, and the heart gets bands of an SD of 0.4 to 4 HU, the darkest of -3 to -50 HU beside bone.
_HARDENING = 1.0e-5
# Bands are wide: views and pixels this coarse show them.
_VIEWS, _COARSE_MM = 60, 3.0


def bone_streaks(tissue: np.ndarray, pixel: float) -> np.ndarray | float:
    """What beam hardening adds to a slice ``tissue`` in HU (j, i) of square pixels of ``pixel`` mm: mostly dark bands
    between dense bones.

    The slice's mineral is projected along parallel beams, the error of its line integrals filtered and projected back.
    """
    mineral = np.clip(tissue, None, _MINERAL_TO_HU) - _MINERAL_FROM_HU
    np.maximum(mineral, 0, out=mineral)
    if not mineral.any():
        return 0.0
    step = max(round(_COARSE_MM / pixel), 1)
    coarse = _block_means(mineral, step)
    size = pixel * step
    y, x = ((np.arange(n) - (n - 1) / 2) * size for n in coarse.shape)
    beams = 2 * int(np.ceil(np.hypot(*coarse.shape) / 2)) + 3
    ramp = np.abs(fft.rfftfreq(2 * beams, size))
    dense_j, dense_i = np.nonzero(coarse)
    weights = coarse[dense_j, dense_i] * size
    error = np.zeros(coarse.shape)
    for angle in np.arange(_VIEWS) * np.pi / _VIEWS:
        # Every pixel's beam as a place among the beams, shared between the two nearest ones.
        at = (x[dense_i] * np.cos(angle) + y[dense_j] * np.sin(angle)) / size + beams // 2
        near = at.astype(int)
        share = at - near
        path = np.bincount(near, weights * (1 - share), beams) + np.bincount(near + 1, weights * share, beams)
        filtered = fft.irfft(fft.rfft(-_HARDENING * path**2, 2 * beams) * ramp)[:beams]
        where = (x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle)) / size + beams // 2
        error += np.interp(where, np.arange(beams), filtered)
    error *= np.pi / _VIEWS
    rows, columns = ((np.arange(n) + 0.5) / step - 0.5 for n in tissue.shape)
    streaks = ndimage.map_coordinates(error, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    return streaks.astype(np.float32)


def _block_means(image: np.ndarray, step: int) -> np.ndarray:
    """The means of squares of ``step`` pixels; the last ones are filled up with 0."""
    rows, columns = (-(-n // step) * step for n in image.shape)
    padded = np.zeros((rows, columns), image.dtype)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))


def metal_streaks(r: np.random.Generator, tissue: np.ndarray, pixel: float) -> np.ndarray | float:
    """Bright and dark rays from what is too dense for the detector: metal, as a star that fades with the distance."""
    metal = tissue > METAL_FROM_HU
    if not metal.any():
        return 0.0
    pieces, count = ndimage.label(metal)
    rows, columns = np.indices(tissue.shape, dtype=np.float32)
    streaks = np.zeros(tissue.shape, dtype=np.float32)
    for center, size in zip(
        ndimage.center_of_mass(metal, pieces, range(1, count + 1)), np.bincount(pieces.ravel())[1:]
    ):
        down, right = rows - center[0], columns - center[1]
        rays = ndimage.gaussian_filter1d(r.normal(0, 1, 360), r.uniform(1.0, 3.0), mode="wrap")
        rays = (rays + np.roll(rays, 180)) / max(float(rays.std()), 1e-6)
        angle = ((np.arctan2(down, right) / (2 * np.pi) + 0.5) * 360).astype(int) % 360
        strength = min(25.0 + 9.0 * np.sqrt(size) * pixel, 140.0) / (1 + np.hypot(down, right) * pixel / 14)
        streaks += (rays[angle] * strength).astype(np.float32)
    return streaks * (tissue > -700)
