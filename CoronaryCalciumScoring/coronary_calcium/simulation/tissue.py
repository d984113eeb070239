"""What a simulated body is made of: layers with their HU at 120 kVp, and the grain of tissue."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from coronary_calcium.simulation.shapes import Shape

AIR, LUNG, FAT, MUSCLE, BLOOD, MYOCARDIUM, LIVER = -1000.0, -850.0, -100.0, 55.0, 42.0, 48.0, 58.0
# Hydroxyapatite of 100 mg/cm3 has about 130 HU at 120 kVp; with it, the ideal Agatston score of the QRM cardiac
# calcification insert is 397.9.
HU_PER_MG_PER_CM3 = 1.3
# Calcium and bone lose contrast with rising tube voltage; soft tissue hardly changes. Factors relative to 120 kVp
# follow the calcium thresholds of Grani et al., Eur Heart J Cardiovasc Imaging 2018 (177, 145, 130 HU at 80, 100, 120).
CALCIUM_FACTOR = {80: 177 / 130, 100: 145 / 130, 120: 1.0, 140: 117 / 130}


@dataclass(frozen=True)
class Layer:
    """A shape of one material; ``mineral`` ones change with the tube voltage."""

    shape: Shape
    hu: float
    mineral: bool = False


@dataclass(frozen=True)
class Deposit:
    """Calcium (or metal) with an artery's label, or label 0 when it is not coronary.

    The parts of one coronary plaque share its number ``plaque`` and its ``form``.
    """

    shape: Shape
    hu: float
    label: int
    kind: str
    plaque: int = 0
    form: str = ""


# The tile repeats: pixels along k, j and i, and how many mm of the patient a layer stands for.
_TILE = (24, 176, 176)
_LAYER_MM = 1.5


class Texture:
    """A tile of texture, repeated over the slices of a scan with pixels of ``pixel`` mm."""

    def __init__(self, r: np.random.Generator, pixel: float) -> None:
        white = r.standard_normal(_TILE, dtype=np.float32)
        fine = _scaled(ndimage.gaussian_filter(white, (1.0, 0.75 / pixel, 0.75 / pixel), mode="wrap"))
        slow = _scaled(ndimage.gaussian_filter(np.roll(white, 5, axis=1), (2.0, 4.5 / pixel, 4.5 / pixel), mode="wrap"))
        # Vessels of a millimeter or two: the rare peaks of the fine texture.
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
