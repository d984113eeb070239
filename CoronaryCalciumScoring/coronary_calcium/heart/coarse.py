"""A small copy of the CT, about 3 mm voxels, on which the thorax is read; and the way back to the full grid."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.volume import CTVolume

# Large enough that noise of 35 HU in 0.5 mm pixels averages to a few HU and the work takes a second; small enough
# that ribs (about 8 mm thick) and the trachea (about 16 mm wide) are still several voxels across.
COARSE_MM = 3.0
# Padding outside the field of view is stored as -1024, -2000, -2048 or lower; below air there is nothing to tell.
AIR_FLOOR_HU = -1024.0
HU_CEILING = 1500.0


@dataclass(frozen=True, eq=False)
class Coarse:
    """Block means of a CT.

    Attributes
    ----------
    hu : (k, j, i) float32 array.
    spacing : (k, j, i) in mm.
    factors : full voxels in a block along (k, j, i); rests at the far ends that fill no block are left out.
    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    factors: tuple[int, int, int]

    def voxels(self, millimetres: float) -> tuple[int, int, int]:
        """How many voxels make a length, along (k, j, i), at least 1 in the slice and 0 across slices."""
        dk, dj, di = self.spacing
        return round(millimetres / dk), max(1, round(millimetres / dj)), max(1, round(millimetres / di))

    def volume_ml(self, mask: np.ndarray) -> float:
        """Volume of a mask in millilitres."""
        return float(np.count_nonzero(mask) * np.prod(self.spacing) / 1000)


def shrink(volume: CTVolume) -> Coarse:
    """Average a volume in blocks of about COARSE_MM; values are clipped to AIR_FLOOR_HU..HU_CEILING first."""
    # An axis shorter than its block still gives one coarse voxel.
    thick, high, wide = (
        min(max(1, round(COARSE_MM / step)), length) for step, length in zip(volume.spacing, volume.shape)
    )
    shape = (volume.shape[0] // thick, volume.shape[1] // high, volume.shape[2] // wide)
    hu = np.empty(shape, np.float32)
    for k in range(shape[0]):
        block = volume.hu[k * thick : (k + 1) * thick, : shape[1] * high, : shape[2] * wide]
        block = np.clip(block, AIR_FLOOR_HU, HU_CEILING).astype(np.float32).mean(axis=0)
        hu[k] = block.reshape(shape[1], high, shape[2], wide).mean(axis=(1, 3))
    dk, dj, di = volume.spacing
    return Coarse(hu, (dk * thick, dj * high, di * wide), (thick, high, wide))


def grow(mask: np.ndarray, coarse: Coarse, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring a coarse mask back to the full grid of ``shape``; the far rests repeat the last coarse voxel."""
    axes = [
        np.minimum(np.arange(length) // factor, count - 1)
        for length, factor, count in zip(shape, coarse.factors, mask.shape)
    ]
    full = np.empty(shape, bool)
    for k in range(shape[0]):
        full[k] = mask[axes[0][k]][axes[1][:, None], axes[2][None, :]]
    return full
