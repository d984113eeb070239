"""The grain of tissue: fine vessels in the lungs, strands in fat, slow differences within soft tissue."""

import numpy as np
from scipy import ndimage

# The tile repeats: pixels along k, j and i, and how many mm of the patient a layer stands for.
_TILE = (24, 176, 176)
_LAYER_MM = 1.5


class Texture:
    """A tile of texture, repeated over the slices of a scan with pixels of ``pixel`` mm."""

    def __init__(self, r: np.random.Generator, pixel: float) -> None:
        white = r.standard_normal(_TILE, dtype=np.float32)
        fine = _scaled(ndimage.gaussian_filter(white, (1.0, 0.75 / pixel, 0.75 / pixel), mode="wrap"))
        slow = _scaled(ndimage.gaussian_filter(np.roll(white, 5, axis=1), (2.0, 4.5 / pixel, 4.5 / pixel), mode="wrap"))
        # Vessels of a millimetre or two: the rare peaks of the fine texture.
        self._lung = 18 * slow + 330 * np.clip(fine - r.uniform(1.8, 2.4), 0, None) ** 1.5
        self._fat = r.uniform(4, 12) * slow + r.uniform(3, 10) * fine
        self._soft = r.uniform(2, 6) * slow

    def add_to(self, tissue: np.ndarray, z: float) -> None:
        """Add the texture to the HU (j, i) of the slice at ``z``, each tissue's own; air and bone stay as they are."""
        layer = int(z / _LAYER_MM) % _TILE[0]
        j, i = (np.arange(size) % tile for size, tile in zip(tissue.shape, _TILE[1:]))
        where = np.ix_(j, i)
        for texture, low, high in ((self._lung, -960, -650), (self._fat, -140, -20), (self._soft, -20, 140)):
            inside = (tissue > low) & (tissue < high)
            tissue += np.where(inside, texture[layer][where], 0)


def _scaled(texture: np.ndarray) -> np.ndarray:
    return texture / max(float(texture.std()), 1e-6)
