"""Vertebrae, sternum and shoulder blades in detail: a shell of cortex around trabeculae, in the plane of a slice."""

import numpy as np

from coronary_calcium.simulation.smooth_fields import smooth_max, smooth_min

# From one vertebra to the next, and the half height of a body; the rest is disc.
VERTEBRA_MM, HALF_BODY_MM = 25.0, 10.4
# Pedicle, lamina and transverse process on one side: from and to, radius, middle and half of their height, mm.
_ARCH = (
    ((11.5, 9.0), (13.0, 25.0), 4.0, 4.0, 7.0),
    ((13.0, 25.5), (1.5, 34.0), 3.6, -2.0, 11.0),
    ((13.0, 25.0), (31.0, 31.0), 4.6, 3.0, 6.5),
)


def _capsule(x, y, start, stop, radius):
    """Signed distance in the plane to a rounded bar."""
    along = np.subtract(stop, start)
    t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along), 0, 1)
    return np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1]) - radius


def vertebra(x: np.ndarray, y: np.ndarray, z: float, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Signed distances (j, i) to the body, the arch and the canal of the vertebra at ``z``, and how far ``z`` lies
    outside of the body along the spine (negative inside); x and y relative to the body's middle.
    """
    height = (z + VERTEBRA_MM / 2) % VERTEBRA_MM - VERTEBRA_MM / 2
    waist = 1 - 0.09 * (1 - min(abs(height) / HALF_BODY_MM, 1.0) ** 2)
    half_x, half_y = 16.5 * size * waist, 13.5 * size * waist
    body = ((np.abs(x) / half_x) ** 2.5 + (np.abs(y) / half_y) ** 2.5) ** 0.4
    body = (body - 1) * half_y
    canal = np.hypot(x / 1.15, y - 21.5 * size) - 7.6 * size
    # Its back is hollow towards the canal.
    body = np.maximum(body, -(canal + 1.0))
    arch = np.full(body.shape, 30.0)
    sides = np.abs(x)
    for start, stop, radius, middle, half in _ARCH:
        bar = _capsule(sides, y, np.multiply(start, size), np.multiply(stop, size), radius * size)
        arch = smooth_min(arch, smooth_max(bar, abs(height - middle) - half, 3.0), 2.5)
    # The spinous processes point down, over the next vertebra.
    reach = (height + VERTEBRA_MM / 2) / VERTEBRA_MM
    spinous = _capsule(x, y, (0, 33 * size), (0.4, (52 - 12 * reach) * size), 3.8 - 0.8 * abs(reach - 0.5))
    return body, smooth_min(arch, spinous, 2.0), canal, abs(height) - HALF_BODY_MM


def sternum(x: np.ndarray, y: np.ndarray, z: float, size: float) -> np.ndarray:
    """Signed distance (j, i) to the sternum's cut at ``z``; x and y relative to its middle at its back."""
    half_x = size * float(np.interp(z, [-75, -60, -40, 60, 90, 108, 116], [2.0, 8.0, 17.0, 15.0, 26.0, 28.0, 10.0]))
    half_y = float(np.interp(z, [-75, -60, 90, 116], [2.0, 4.5, 6.0, 7.0]))
    bent = y + 6.0 + 0.004 * x * x
    norm = ((np.abs(x) / half_x) ** 2.5 + (np.abs(bent) / half_y) ** 2.5) ** 0.4
    return (norm - 1) * half_y
