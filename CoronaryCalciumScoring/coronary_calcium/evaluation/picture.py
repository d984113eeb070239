"""A patient's picture: the slice with most mistakes, as it is, with the truth outlined, and with what was found."""

import numpy as np

from coronary_calcium.arteries import BY_LABEL
from coronary_calcium.imaging import MEDIASTINUM_WINDOW, draw_outline, gray, png, sample, to_rgb
from coronary_calcium.volume import CTVolume

# Wide enough to show where in the heart it is, narrow enough to see an outline of a pixel.
SIDE_MM = 70.0
SIDE_PIXELS = 320
GAP_PIXELS = 6
_PAPER = 255


def worst_slice(truth: np.ndarray, found: np.ndarray) -> int | None:
    """The slice with most wrong voxels, else the one with most calcium; None when nothing is marked by either."""
    for marks in ((truth > 0) != (found > 0), truth > 0):
        per_slice = marks.sum(axis=(1, 2))
        if per_slice.any():
            return int(per_slice.argmax())
    return None


def draw_comparison(volume: CTVolume, truth: np.ndarray, found: np.ndarray) -> bytes | None:
    """A PNG of three squares of 70 mm side by side: the CT, the truth's outlines and those of the network.

    Each artery's outline has its own color. None when neither side marks anything.
    """
    k = worst_slice(truth, found)
    if k is None:
        return None
    wrong = (truth[k] > 0) != (found[k] > 0)
    places = np.argwhere(wrong if wrong.any() else truth[k] > 0)
    # The middle of what is marked, not its mean: a single mark at the edge must be in the picture, too.
    center = tuple((places.min(axis=0) + places.max(axis=0)) / 2)
    return png(beside_each_other(volume, truth, found, k, center))


def beside_each_other(
    volume: CTVolume, truth: np.ndarray, found: np.ndarray, k: int, center: tuple[float, float]
) -> np.ndarray:
    """The squares around ``center`` (j, i) in slice ``k``, uint8 RGB: the CT, with the truth, and with what was found.

    ``truth`` and ``found`` are label maps (k, j, i) of the volume's shape.
    """
    spacing = volume.spacing[1:]
    plain = to_rgb(gray(sample(volume.hu[k], spacing, center, SIDE_MM, SIDE_PIXELS), MEDIASTINUM_WINDOW))
    panels = [plain]
    for labels in (truth[k], found[k]):
        panel = plain
        for label, artery in BY_LABEL.items():
            own = sample(labels == label, spacing, center, SIDE_MM, SIDE_PIXELS, nearest=True) > 0
            panel = draw_outline(panel, own, artery.color)
        panels.append(panel)
    gap = np.full((SIDE_PIXELS, GAP_PIXELS, 3), _PAPER, np.uint8)
    return np.hstack([panels[0], gap, panels[1], gap, panels[2]])
