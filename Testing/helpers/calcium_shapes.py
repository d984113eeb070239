"""Calcium of known mass in even tissue, as a scanner without noise would show it: shapes, blurred."""

import numpy as np
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.volume_mass import MassCalibration
from coronary_calcium.volume import Acquisition, CTVolume
from scipy import ndimage

HU_PER_MG_PER_CM3 = 1.3
CALIBRATION = MassCalibration(1 / HU_PER_MG_PER_CM3, True, "exact")
TISSUE_HU = 40.0
SPACING_MM = (1.0, 0.5, 0.5)
SHAPE = (31, 71, 71)
_FINER = 3


def sphere(radius, mg_per_cm3, center=(0.2, 0.1, -0.2), spacing=SPACING_MM, shape=SHAPE):
    """What a sphere adds in HU (k, j, i), and its mass in mg; ``center`` in mm (z, y, x) from the middle."""
    axes = [
        (np.arange(size * _FINER) - (size * _FINER - 1) / 2) * step / _FINER - middle
        for size, step, middle in zip(shape, spacing, center)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    inside = (z**2 + y**2 + x**2 < radius**2).astype(np.float32)
    share = inside.reshape(*(part for size in shape for part in (size, _FINER))).mean(axis=(1, 3, 5))
    mass = float(share.sum(dtype=np.float64) * np.prod(spacing) * mg_per_cm3 / 1000)
    return share.astype(np.float64) * mg_per_cm3 * HU_PER_MG_PER_CM3, mass


def blurred(hu, sigma_mm, spacing=SPACING_MM):
    """HU after a Gaussian blur with this SD in mm."""
    return ndimage.gaussian_filter(hu, [sigma_mm / step for step in spacing], truncate=6.0, mode="nearest")


def scan(hu, spacing=SPACING_MM):
    """The CT of HU (k, j, i) at 120 kVp, in slices as thick as their spacing."""
    acquisition = Acquisition(modality="CT", kvp=120.0, slice_thickness_mm=spacing[0])
    return CTVolume(hu.astype(np.float32), spacing, (0.0, 0.0, 0.0), acquisition=acquisition)


def marked(volume, labels=None):
    """The score of the voxels of at least 130 HU, as LAD, or of ``labels``."""
    return score_labels(volume, (volume.hu >= 130).astype(np.uint8) * 2 if labels is None else labels)
