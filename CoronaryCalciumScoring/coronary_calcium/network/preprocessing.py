"""From CT slices to the network's input and back; training and inference use these same functions.

The network sees a square of the patient at a fixed scale, 512 x 512 pixels, whatever the scan's own pixels are. All
coordinates are voxel indices of the CT, with whole numbers at voxel centers.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from coronary_calcium.network.model_card import CLIP_HU, INPUT_SIZE, NEIGHBORS, SCALE_HU

# What lies outside the image is air.
OUTSIDE_HU = -1000.0


def normalize(hu: torch.Tensor) -> torch.Tensor:
    """HU as the network takes them: clipped to -300..1000 and divided by 200; same shape, float32."""
    return hu.float().clamp(*CLIP_HU) / SCALE_HU


def neighbor_indices(k: int, count: int) -> np.ndarray:
    """The nine slices around slice ``k`` of ``count``; the first or last slice is repeated beyond the ends."""
    return np.clip(np.arange(NEIGHBORS) + k - NEIGHBORS // 2, 0, count - 1)


def window_coordinates(
    spacing_ji: Sequence[float],
    center: tuple[float, float],
    size_mm: float,
    pixels: int = INPUT_SIZE,
    angle: float = 0.0,
    patch: tuple[int, int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Where a window's pixel centers lie in the CT.

    ``spacing_ji`` is the CT's pixel spacing along j and i in mm, ``center`` the voxel index (j, i) of the window's
    center, ``size_mm`` and ``pixels`` its side. ``angle`` turns it about its center, in radians. ``patch`` is (first
    row, first column, side) of the part that is wanted, in pixels; None for the whole window.

    Returns two (rows, columns) float32 arrays: voxel index j and voxel index i of every pixel.
    """
    first_row, first_column, side = patch or (0, 0, pixels)
    step = size_mm / pixels
    down = ((np.arange(first_row, first_row + side) + 0.5) * step - size_mm / 2)[:, None]
    right = ((np.arange(first_column, first_column + side) + 0.5) * step - size_mm / 2)[None, :]
    cosine, sine = np.cos(angle), np.sin(angle)
    j = center[0] + (cosine * down + sine * right) / spacing_ji[0]
    i = center[1] + (cosine * right - sine * down) / spacing_ji[1]
    return j.astype(np.float32), i.astype(np.float32)


def sample_planes(
    planes: np.ndarray, j: np.ndarray, i: np.ndarray, outside: float = OUTSIDE_HU, nearest: bool = False
) -> np.ndarray:
    """Sample (n, j, i) planes at voxel indices ``j`` and ``i``, both (rows, columns); float32 (n, rows, columns).

    Bilinear between voxel centers, constant in the outer half of the border's voxels, ``outside`` beyond them; or the
    nearest voxel's value, for labels.
    """
    height, width = planes.shape[1:]
    # Only the part of the slices under the window is converted to float.
    j0, j1 = _covered_range(j, height)
    i0, i1 = _covered_range(i, width)
    if j0 >= j1 or i0 >= i1:
        return np.full((len(planes), *j.shape), outside, np.float32)
    part = torch.from_numpy(np.ascontiguousarray(planes[:, j0:j1, i0:i1], dtype=np.float32))
    grid = np.stack((_to_grid(i - i0, i1 - i0), _to_grid(j - j0, j1 - j0)), axis=-1)
    sampled = functional.grid_sample(
        part[None],
        torch.from_numpy(grid)[None],
        mode="nearest" if nearest else "bilinear",
        padding_mode="border",
        align_corners=False,
    )[0].numpy()
    beyond = (j < -0.5) | (j > height - 0.5) | (i < -0.5) | (i > width - 0.5)
    if beyond.any():
        sampled[:, beyond] = outside
    return sampled


def _covered_range(index: np.ndarray, size: int) -> tuple[int, int]:
    return max(int(np.floor(index.min())), 0), min(int(np.ceil(index.max())) + 1, size)


def _to_grid(index: np.ndarray, size: int) -> np.ndarray:
    """Voxel index to grid_sample's -1..1, which spans the voxels' outer edges."""
    return ((2 * index + 1) / size - 1).astype(np.float32)


def window_to_slice(
    window: np.ndarray, spacing_ji: Sequence[float], center: tuple[float, float], size_mm: float, shape: tuple[int, int]
) -> tuple[slice, slice, np.ndarray]:
    """Bring (n, pixels, pixels) values of a window back on the CT's pixels.

    Returns the rows and columns of the CT slice (of ``shape``) whose centers the window holds, and the values there,
    float32 (n, rows, columns), bilinear at the CT's pixel centers; constant in the outer half of the border's pixels.
    """
    pixels = window.shape[-1]
    rows, row = _pixel_positions(shape[0], spacing_ji[0], center[0], size_mm, pixels)
    columns, column = _pixel_positions(shape[1], spacing_ji[1], center[1], size_mm, pixels)
    if not row.size or not column.size:
        return rows, columns, np.zeros((len(window), row.size, column.size), np.float32)
    row, column = np.broadcast_arrays(row[:, None], column[None, :])
    return rows, columns, sample_planes(window, row, column)


def _pixel_positions(size: int, spacing: float, center: float, size_mm: float, pixels: int) -> tuple[slice, np.ndarray]:
    """Along one axis: the CT pixels inside the window, and where their centers are in window pixels."""
    position = ((np.arange(size) - center) * spacing / size_mm + 0.5) * pixels - 0.5
    inside = np.flatnonzero((position >= -0.5) & (position <= pixels - 0.5))
    if not inside.size:
        return slice(0, 0), np.zeros(0, np.float32)
    first, stop = int(inside[0]), int(inside[-1]) + 1
    return slice(first, stop), position[first:stop].astype(np.float32)
