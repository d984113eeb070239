"""The spatially weighted calcium score: no threshold, every voxel counts by how likely its HU is that of calcium."""

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

SPATIALLY_WEIGHTED_SOURCE = (
    "Liang et al., BMC Med Imaging 2012;12:14 (voxels weighted by 100 mg/cm3 in the scan), in the form of "
    "github.com/MolloiLab/CalciumScoring.jl, times the voxel's volume; per artery, within 5 mm of its lesions, "
    "without what a network takes for another artery"
)
# A voxel counts half at the HU of so much hydroxyapatite.
HALF_WEIGHT_MG_PER_CM3 = 100.0
# A voxel's weight is averaged with those of its four neighbors in the slice.
_NEIGHBORS = np.array([[[0.0, 0.2, 0.0], [0.2, 0.2, 0.2], [0.0, 0.2, 0.0]]])


def weighted_voxels(hu: np.ndarray, region: np.ndarray, half_weight_hu: float, noise_hu: float) -> float:
    """The score of a region in voxels.

    ``hu`` and the bool array ``region`` are (k, j, i) of one shape. A voxel's weight is the normal distribution's share
    below its HU, with the mean ``half_weight_hu`` and the SD ``noise_hu``, which are those of 100 mg/cm3 in the scan.
    """
    if noise_hu <= 0:
        weights = (hu >= half_weight_hu).astype(np.float64)
    else:
        weights = ndtr((hu.astype(np.float64) - half_weight_hu) / noise_hu)
    return float(ndimage.convolve(weights, _NEIGHBORS, mode="nearest")[region].sum())
