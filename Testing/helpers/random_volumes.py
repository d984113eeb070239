"""Random volumes with labels in blobs and grains, for comparisons with plain references."""

import numpy as np
from coronary_calcium.volume import CTVolume
from scipy import ndimage

SPACINGS = [(3.0, 0.5, 0.5), (0.5, 0.35, 0.35), (2.5, 0.7, 0.9), (5.0, 1.0, 1.0), (1.5, 0.488281, 0.488281)]


def random_case(seed, sparse=0.5):
    """Noise about the weights' limits with labels in blobs and grains; edges and corners of the volume included."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 20, 3))
    hu = rng.integers(60, 460, shape).astype(np.int16 if seed % 2 else np.float32)
    labels = rng.integers(0, 6, shape).astype(np.uint8)
    labels[rng.random(shape) < sparse] = 0
    if seed % 3:
        labels = ndimage.zoom(labels[::3, ::3, ::3], 3, order=0)[: shape[0], : shape[1], : shape[2]]
        shape = labels.shape
        hu = hu[: shape[0], : shape[1], : shape[2]]
    return CTVolume(hu, SPACINGS[seed % len(SPACINGS)], tuple(rng.normal(0, 100, 3))), labels
