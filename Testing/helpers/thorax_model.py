"""A chest of ellipsoids with known places, for the tests of the search for the heart."""

import numpy as np
from coronary_calcium.volume import CTVolume

# Centers and half axes in mm: x to the left, y to the back, z to the head. The heart's center is the origin.
HEART_AXES = (62.0, 55.0, 55.0)
SPINE_FRONT_Y = 75.0
STERNUM_BACK_Y = -66.0
BLOOD_HU = 40


def _ellipsoid(x, y, z, center, axes):
    return ((x - center[0]) / axes[0]) ** 2 + ((y - center[1]) / axes[1]) ** 2 + ((z - center[2]) / axes[2]) ** 2 <= 1


def chest(spacing=(5.0, 2.0, 2.0), x=(-210, 210), y=(-150, 170), z=(-160, 150), blood=BLOOD_HU):
    """A chest in the box ``x``, ``y``, ``z`` (mm around the heart's center), with a table; and the heart's mask."""
    axes = [np.arange(low + step / 2, high, step) for (low, high), step in zip((z, y, x), spacing)]
    zz, yy, xx = np.meshgrid(*axes, indexing="ij", sparse=True)
    zz, yy, xx = (grid.astype(np.float32) for grid in (zz, yy, xx))
    shape = np.broadcast_shapes(zz.shape, yy.shape, xx.shape)
    hu = np.full(shape, -1000, np.int16)
    hu[np.broadcast_to((np.abs(yy - 150) < 4) & (np.abs(xx) < 200), shape)] = 0
    hu[np.broadcast_to((xx / 185) ** 2 + ((yy - 15) / 115) ** 2 <= 1, shape)] = 20
    # Lungs: a chest cavity less the mediastinum, over a diaphragm at -60 mm in the middle that dips at the sides.
    inside = (xx / 160) ** 2 + ((yy - 15) / 90) ** 2 + (np.maximum(0, zz - 20) / 170) ** 2 <= 1
    lung = inside & (np.abs(xx + 10) > 25) & (zz > -45 - 0.004 * ((yy + 60) ** 2 + 0.3 * xx**2)) & (zz > -130)
    hu[lung] = -850
    heart = np.broadcast_to(_ellipsoid(xx, yy, zz, (0, 0, 0), HEART_AXES), shape)
    hu[heart] = blood
    vertebra = np.broadcast_to((xx + 10) ** 2 + (yy - SPINE_FRONT_Y - 18) ** 2 <= 18**2, shape)
    hu[vertebra] = 250
    sternum = (np.abs(xx + 10) < 18) & (np.abs(yy - STERNUM_BACK_Y + 6) < 6) & (zz > -60)
    hu[np.broadcast_to(sternum, shape)] = 300
    origin = (axes[2][0], axes[1][0], axes[0][0])
    return CTVolume(hu, spacing, origin), heart.copy()


def index_of(volume, x, y, z):
    """Voxel index (k, j, i) of a point in mm."""
    return tuple(
        round((value - start) / step) for value, start, step in zip((z, y, x), volume.origin[::-1], volume.spacing)
    )
