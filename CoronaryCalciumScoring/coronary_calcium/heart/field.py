"""What the search for the heart hands on: the network's windows and the region where calcium may be found."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from coronary_calcium.volume import CaseWarning

# The window's side, resampled to 512 x 512 (0.375 mm pixels). The paper crops 256 pixels of about 0.7 mm, 180 mm;
# 192 mm holds such a crop and leaves a margin for a center that is a few millimeters off.
FIELD_SIZE_MM = 192.0


@dataclass(frozen=True)
class Window:
    """One square field of view, the same in all slices ``k0`` .. ``k1 - 1``.

    ``center_j`` and ``center_i`` are the (fractional) voxel index of the square's center; the square may reach beyond
    the image.
    """

    k0: int
    k1: int
    center_j: float
    center_i: float


@dataclass(frozen=True, eq=False)
class HeartField:
    """Where the network looks and where calcium may be found.

    Attributes
    ----------
    windows : the fields of view; they may overlap, and each is ``size_mm`` wide and high.
    size_mm : side of the square windows in mm.
    found : False when no heart was found and the windows tile the whole body.
    region : (k, j, i) bool array of the volume's shape, True where calcium may be found: generously the heart,
        without the bones of the chest wall and the spine as far as they can be told apart.
    warnings : ``heart-not-found`` and ``heart-cut``.

    """

    windows: tuple[Window, ...]
    size_mm: float
    found: bool
    region: np.ndarray
    warnings: tuple[CaseWarning, ...] = ()


# Neighboring windows overlap, so that what lies on one window's edge is well inside the next.
OVERLAP_MM = 24.0
# In voxels: a box cut to a window's side is not to need a second one by its last digit.
_ROUNDING = 1e-6


def _centers(low: float, high: float, step: float, length: int) -> list[float]:
    """Centers, in voxels, of the windows that cover ``low`` .. ``high`` (voxel edges) along an axis of ``length``."""
    side = FIELD_SIZE_MM / step
    if high - low <= side + _ROUNDING:
        center = (low + high) / 2
        # A window that fits the image stays inside it; a larger one covers it all from its middle.
        if side >= length:
            return [(length - 1) / 2]
        return [min(max(center, side / 2), length - side / 2) - 0.5]
    stride = side - OVERLAP_MM / step
    count = 1 + ceil((high - low - side) / stride)
    first, last = low + side / 2, high - side / 2
    return [float(center) - 0.5 for center in np.linspace(first, last, count)]


def cover_box(
    slices: tuple[int, int],
    rows: tuple[float, float],
    columns: tuple[float, float],
    spacing: tuple[float, float, float],
    shape: tuple[int, int, int],
) -> tuple[Window, ...]:
    """Windows that cover a box.

    ``slices`` is (k0, k1) with k1 exclusive; ``rows`` and ``columns`` are the box's edges along j and i in voxels
    (voxel n reaches from n to n + 1); ``spacing`` in mm and ``shape`` are the volume's, along (k, j, i).
    """
    return tuple(
        Window(slices[0], slices[1], j, i)
        for j in _centers(*rows, spacing[1], shape[1])
        for i in _centers(*columns, spacing[2], shape[2])
    )
