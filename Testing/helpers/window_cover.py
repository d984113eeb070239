"""What a heart field's windows cover."""

import numpy as np


def covered(field, volume):
    """(k, j, i) mask of the voxels whose centers lie in a window."""
    mask = np.zeros(volume.shape, bool)
    _, dj, di = volume.spacing
    j, i = np.arange(volume.shape[1]), np.arange(volume.shape[2])
    for window in field.windows:
        rows = np.abs(j - window.center_j) * dj <= field.size_mm / 2
        columns = np.abs(i - window.center_i) * di <= field.size_mm / 2
        mask[window.k0 : window.k1] |= rows[:, None] & columns
    return mask
