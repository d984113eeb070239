"""Which slices hold the heart, read from how much lung there is in each."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.heart.coarse import Coarse

# The base is the lowest slice with this share of the lung's usual area. In the three patients at hand the heart
# reaches 5 to 15 mm below it, the left main lies 80 to 95 mm and the pulmonary trunk's top 96 to 120 mm above it.
BASE_SHARE = 0.6
# The search ends where only the lungs' narrow lower tips are left; the heart never reaches below them.
BOTTOM_SHARE = 0.15
BELOW_BOTTOM_MM = 10.0
ABOVE_BASE_MM = 140.0
# Above, the lungs narrow towards their tips: no heart there.
TIP_SHARE = 0.5
# The heart's middle, where it lies between the lungs without the great vessels: up to here above the base.
MIDDLE_TOP_MM = 85.0
# With this much of the lung's usual area in the lowest slice, the diaphragm and the heart's lower part are missing.
CUT_BELOW_SHARE = 0.75
# A scan that ends less than this above the base may lack the left main artery.
CUT_ABOVE_MM = 75.0
# A field of view this narrow shows little lung beside the heart and most of it above, and the liver's dome hides it
# early: the base is a smaller share of what is seen, and still up to 56 mm above the heart's lower end.
ZOOMED_MM = 215.0
ZOOMED_BASE_SHARE = 0.25
ZOOMED_BELOW_MM = 70.0


@dataclass(frozen=True)
class Extent:
    """Slices of the coarse grid.

    ``bottom`` .. ``top`` (exclusive) hold the heart generously, ``base`` is the lowest slice with full lungs and
    ``middle_top`` (exclusive) ends the part with ventricles and atria. ``cut_below`` and ``cut_above`` tell that the
    scan ends where the heart does not, ``zoomed`` that the field of view is narrow.
    """

    bottom: int
    base: int
    middle_top: int
    top: int
    cut_below: bool
    cut_above: bool
    zoomed: bool


def heart_extent(coarse: Coarse, lungs: np.ndarray, hull: np.ndarray) -> Extent:
    """Read the extent from the lungs and their convex hulls, (k, j, i) masks; ``lungs`` must not be empty."""
    step = coarse.spacing[0]
    zoomed = min(coarse.hu.shape[1] * coarse.spacing[1], coarse.hu.shape[2] * coarse.spacing[2]) < ZOOMED_MM
    area = lungs.sum(axis=(1, 2)).astype(float)
    # The search for the lungs wears off the scan's outermost slices.
    area[[0, -1]] = np.maximum(area[[0, -1]], area[[min(1, len(area) - 1), max(0, len(area) - 2)]])
    usual = np.percentile(area[area > 0], 90)
    base = int(np.flatnonzero(area >= (ZOOMED_BASE_SHARE if zoomed else BASE_SHARE) * usual)[0])
    some = int(np.flatnonzero(area >= BOTTOM_SHARE * usual)[0])
    bottom = max(0, some - round(BELOW_BOTTOM_MM / step))
    if zoomed:
        bottom = max(0, min(bottom, base - round(ZOOMED_BELOW_MM / step)))
    wide = hull.sum(axis=(1, 2))
    last_wide = base + int(np.flatnonzero(wide[base:] >= TIP_SHARE * wide.max())[-1])
    above = ABOVE_BASE_MM + (ZOOMED_BELOW_MM / 2 if zoomed else 0.0)
    top = min(base + max(1, round(above / step)), last_wide + 1)
    ends_in_lung = last_wide == len(area) - 1
    # In a narrow field the base may be seen higher or lower than it is.
    height = (len(area) - base) * step + (ZOOMED_BELOW_MM / 2 if zoomed else 0.0)
    return Extent(
        bottom=bottom,
        base=base,
        middle_top=min(top, base + max(1, round(MIDDLE_TOP_MM / step))),
        top=top,
        cut_below=bool(area[0] >= CUT_BELOW_SHARE * usual),
        cut_above=ends_in_lung and height < CUT_ABOVE_MM,
        zoomed=zoomed,
    )
