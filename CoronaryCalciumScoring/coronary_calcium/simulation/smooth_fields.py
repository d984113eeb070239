"""Smooth fields over a slice: signed distances and noise on a coarse plane, brought to the pixels by cubic splines.

Surfaces of organs bend over centimeters: their signed distances are computed every few millimeters and interpolated,
which is exact to a tenth of a millimeter and takes a tenth of the time. Lengths are in mm, planes are (j, i).
"""

from functools import lru_cache

import numpy as np
from scipy import sparse

# The standard deviation of a cubic B-spline through white noise, in three dimensions, is this share of the noise's.
_SPLINE_SHARE = (151 / 315) ** 1.5


def smooth_min(first: np.ndarray, second: np.ndarray | float, reach: float) -> np.ndarray:
    """The union of two signed distances, its crease filled within ``reach`` mm."""
    share = np.clip(0.5 + 0.5 * (second - first) / reach, 0, 1)
    return second + (first - second) * share - reach * share * (1 - share)


def smooth_max(first: np.ndarray, second: np.ndarray | float, reach: float) -> np.ndarray:
    """The intersection of two signed distances, its edge rounded within ``reach`` mm."""
    return -smooth_min(-first, -second, reach)


def ramp(values: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, and smooth between them."""
    share = np.clip((np.asarray(values) - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def ridges(noise: np.ndarray, width: float) -> np.ndarray:
    """1 where noise of SD 1 passes zero, 0 beyond ``width``: sheets and strands, as septa of fat are."""
    return np.clip(1 - np.abs(noise) / width, 0, 1)


class Plane:
    """A coarse plane under ascending pixel positions ``x`` and ``y``."""

    def __init__(self, x: np.ndarray, y: np.ndarray, step: float) -> None:
        self.x, self._to_x = _coarse(x, step)
        self.y, self._to_y = _coarse(y, step)

    def pixels(self, field: np.ndarray) -> np.ndarray:
        """A field of the plane at the pixels, float32."""
        return _spread(self._to_y, field.astype(np.float32), self._to_x)


def _spread(rows: sparse.csr_array, field: np.ndarray, columns: sparse.csr_array) -> np.ndarray:
    """The field between its points: ``rows`` and ``columns`` hold the weights, four for each value."""
    return rows @ np.ascontiguousarray((columns @ field.T).T)


def _coarse(fine: np.ndarray, step: float) -> tuple[np.ndarray, sparse.csr_array]:
    """Positions every ``step`` around the fine ones, and the Catmull-Rom weights from them to the fine."""
    coarse = np.arange(fine[0] - 1.5 * step, fine[-1] + 3.0 * step, step)
    at = (fine - coarse[0]) / step
    whole = np.floor(at).astype(int)
    t = at - whole
    weights = 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2])
    return coarse, _matrix(weights, whole, len(coarse))


def _matrix(weights: np.ndarray, whole: np.ndarray, count: int) -> sparse.csr_array:
    """Weights (4, n) of the values around each place; the values repeat after ``count``."""
    near = (whole + np.arange(-1, 3)[:, None]) % count
    places = np.broadcast_to(np.arange(len(whole)), near.shape)
    entries = (weights.ravel().astype(np.float32), (places.ravel(), near.ravel()))
    return sparse.csr_array(entries, shape=(len(whole), count))


class Noise:
    """Smooth noise of SD 1 in space that repeats after ``count`` times ``spacing`` mm."""

    def __init__(self, r: np.random.Generator, spacing: float, count: int = 48, layers: int = 32) -> None:
        self._spacing = spacing
        self._lattice = r.standard_normal((layers, count, count), dtype=np.float32) / np.float32(_SPLINE_SHARE)

    def at(self, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        """The noise (j, i) at ascending positions ``x`` and ``y`` in the slice at ``z``, float32."""
        layers, count, _ = self._lattice.shape
        at = z / self._spacing
        whole = int(np.floor(at))
        layer = self._lattice[(whole + np.arange(-1, 3)) % layers]
        sheet = np.tensordot(_spline_weights(at - whole).astype(np.float32), layer, 1)
        rows, columns = (_basis(tuple(values), self._spacing, count) for values in (y, x))
        return _spread(rows, sheet, columns)


def _spline_weights(t: np.ndarray | float) -> np.ndarray:
    """Of the four values around a place ``t`` of the way between the middle two, for a cubic B-spline."""
    return np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6


@lru_cache(maxsize=64)
def _basis(positions: tuple[float, ...], spacing: float, count: int) -> sparse.csr_array:
    """Weights of a lattice that repeats."""
    at = np.asarray(positions) / spacing
    whole = np.floor(at).astype(int)
    return _matrix(_spline_weights(at - whole), whole, count)
