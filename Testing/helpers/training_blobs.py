"""Tiny training cases for the tests, bright balls in noise, some of them calcium; and a tiny network to train."""

import numpy as np
from coronary_calcium.datasets.case_format import TrainingCase, save_case
from coronary_calcium.network import denseraunet

SPACING = (3.0, 0.75, 0.75)
# DenseRAUNet with all its parts, at a thirtieth of its work: the tests are about training, not about what is learnt.
_FEWER = {"ENCODER_LAYERS": (1, 1, 1, 1), "GROWTH": 8, "STEM_CHANNELS": 16, "SKIP_CHANNELS": (8, 12, 16)}


def shrink_network(set_attribute=setattr):
    """Make every network that is built from now on a tiny one; pass pytest's ``monkeypatch.setattr`` to undo it."""
    for name, value in _FEWER.items():
        set_attribute(denseraunet, name, value)


def blobs(seed, shape=(12, 96, 96)):
    """HU and artery labels of a few balls: calcium of 400 HU in the front half, something else of 300 HU behind."""
    generator = np.random.default_rng(seed)
    hu = (40 + 15 * generator.standard_normal(shape)).astype(np.int16)
    labels = np.zeros(shape, np.uint8)
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for n in range(6):
        low, high = (0.15, 0.45) if n % 2 else (0.6, 0.9)
        center = (
            generator.uniform(2, shape[0] - 3),
            generator.uniform(low, high) * shape[1],
            generator.uniform(0.2, 0.8) * shape[2],
        )
        ball = ((k - center[0]) * 2) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2 < generator.uniform(3, 5) ** 2
        hu[ball] = 400 if n % 2 else 300
        labels[ball] = 1 + n // 2 if n % 2 else 0
    return hu, labels


def write_blobs(folder, seeds, **facts):
    """A case file for every seed, with more facts if wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        hu, labels = blobs(seed)
        center = (hu.shape[1] / 2, hu.shape[2] / 2)
        case = TrainingCase(hu, labels, SPACING, center, {"source": "blobs", "seed": seed, **facts})
        save_case(folder / f"blobs-{seed:03d}.npz", case)
    return folder
