"""Slices that cannot be what the scanner measured: blank ones, and ones whose intensities jump out of the stack."""

import numpy as np

from coronary_calcium.errors import InputRefused

# A slice's mean lies between its neighbours' or close to it: in four real chests of 2.5 to 8 mm spacing it is at most
# 19 HU off their middle, in a thorax phantom 39 HU. A blank slice or one with a wrong rescale intercept (1024 HU) is
# off by 300 HU and more.
MAXIMUM_JUMP_HU = 150.0
# Padding and metal, whose values mean nothing, do not weigh more than air and bone.
_RANGE_HU = (-1024, 3071)


def refuse_broken_slices(hu: np.ndarray) -> None:
    """Refuse a (k, j, i) volume with a broken slice inside; blank slices at its ends, as padding makes them, may stay.

    A slice that a transfer left blank, or that was scaled otherwise than its neighbours, changes the score without any
    sign of it. Raises InputRefused (``"broken-slice"``).
    """
    means = np.array([np.clip(plane, *_RANGE_HU).mean(dtype=np.float64) for plane in hu])
    filled = np.flatnonzero([plane.min() < plane.max() for plane in hu])
    inside = slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(0)
    blank = sorted(set(range(len(hu))[inside]) - set(filled.tolist()))
    steps = np.diff(means[inside])
    # Out of line with both neighbours, in the same direction.
    jumps = (np.minimum(np.abs(steps[:-1]), np.abs(steps[1:])) > MAXIMUM_JUMP_HU) & (steps[:-1] * steps[1:] < 0)
    broken = blank or [inside.start + 1 + int(place) for place in np.flatnonzero(jumps)]
    if broken:
        raise InputRefused(
            "broken-slice",
            f"Slice {broken[0]}, counted from the feet from 0, is blank or scaled otherwise than its neighbours "
            f"(mean {means[broken[0]]:.0f} HU, that of the next one {means[broken[0] + 1]:.0f} HU): "
            "export the series again.",
        )
