"""The part of a CT that a training case keeps, and how every training case of a real scan is written."""

from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.heart.field import Window
from coronary_calcium.rules import LITERATURE
from coronary_calcium.training.cases import BOX_MM, save_case
from coronary_calcium.volume import CTVolume


def around_heart(
    volume: CTVolume, windows: tuple[Window, ...], labels: np.ndarray
) -> tuple[tuple[float, float], tuple[slice, slice, slice]]:
    """The heart's centre (j, i), and the part of the CT to keep: ``BOX_MM`` around it, and all that is labelled.

    ``windows`` are where the heart was found, ``labels`` (k, j, i) of the volume's shape.
    """
    weights = [window.k1 - window.k0 for window in windows]
    center = (
        float(np.average([window.center_j for window in windows], weights=weights)),
        float(np.average([window.center_i for window in windows], weights=weights)),
    )
    low = [min(window.k0 for window in windows)]
    high = [max(window.k1 for window in windows)]
    for middle, step in zip(center, volume.spacing[1:]):
        low.append(int(np.floor(middle - BOX_MM / 2 / step)))
        high.append(int(np.ceil(middle + BOX_MM / 2 / step)))
    for axis in range(3):
        marked = np.flatnonzero(labels.any(axis=tuple(other for other in range(3) if other != axis)))
        if marked.size:
            low[axis], high[axis] = min(low[axis], marked[0]), max(high[axis], marked[-1] + 1)
    box = [slice(max(0, a), min(size, b)) for a, b, size in zip(low, high, volume.shape)]
    return center, (box[0], box[1], box[2])


def write_training_case(
    path: Path, volume: CTVolume, labels: np.ndarray, windows: tuple[Window, ...], facts: dict[str, Any]
) -> None:
    """Write the part around the heart as ``training.cases`` reads it; labels below 130 HU are left out.

    Raises OSError when the file cannot be written.
    """
    labels = np.where(volume.hu >= LITERATURE.threshold_hu, labels, 0).astype(np.uint8)
    center, box = around_heart(volume, windows, labels)
    shifted = (center[0] - box[1].start, center[1] - box[2].start)
    save_case(path, _as_int16(volume.hu[box]), labels[box], volume.spacing, shifted, facts)


def _as_int16(hu: np.ndarray) -> np.ndarray:
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(hu), limits.min, limits.max).astype(np.int16)
