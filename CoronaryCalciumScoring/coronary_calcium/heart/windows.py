"""Square windows over a box or over the whole body."""

from math import ceil

import numpy as np

from coronary_calcium.heart.field import FIELD_SIZE_MM, Window

# Neighbouring windows overlap, so that what lies on one window's edge is well inside the next.
OVERLAP_MM = 24.0


def _centers(low: float, high: float, step: float, length: int) -> list[float]:
    """Centres, in voxels, of the windows that cover ``low`` .. ``high`` (voxel edges) along an axis of ``length``."""
    side = FIELD_SIZE_MM / step
    if high - low <= side:
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
