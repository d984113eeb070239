"""What the search for the heart hands on: the network's windows and the region where calcium may be proposed."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.volume import CaseWarning

# The window's side, resampled to 512 x 512 (0.375 mm pixels). The paper crops 256 pixels of about 0.7 mm, 180 mm;
# 192 mm holds such a crop and leaves a margin for a centre that is a few millimetres off.
FIELD_SIZE_MM = 192.0


@dataclass(frozen=True)
class Window:
    """One square field of view, the same in all slices ``k0`` .. ``k1 - 1``.

    ``center_j`` and ``center_i`` are the (fractional) voxel index of the square's centre; the square may reach beyond
    the image.
    """

    k0: int
    k1: int
    center_j: float
    center_i: float


@dataclass(frozen=True, eq=False)
class HeartField:
    """Where the network looks and where calcium may be proposed.

    Attributes
    ----------
    windows : the fields of view; they may overlap, and each is ``size_mm`` wide and high.
    size_mm : side of the square windows in mm.
    found : False when no heart was found and the windows tile the whole body.
    region : (k, j, i) bool array of the volume's shape, True where calcium may be proposed: generously the heart,
        without the bones of the chest wall and the spine as far as they can be told apart.
    warnings : ``heart-not-found`` and ``heart-cut``.
    """

    windows: tuple[Window, ...]
    size_mm: float
    found: bool
    region: np.ndarray
    warnings: tuple[CaseWarning, ...] = ()
