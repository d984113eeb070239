"""Finding the heart's field of view in a CT by classical means.

The lungs are told from the rest first. What lies between them, in front of the spine and behind the ribs and the
sternum, is the heart with the great vessels above it; the lungs' lower ends mark where it ends.
"""

import logging

import numpy as np
from scipy import ndimage

from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField, Window, cover_box
from coronary_calcium.heart.thorax import (
    Coarse,
    Extent,
    behind_spine,
    disc,
    find_body,
    find_bones,
    find_lungs,
    find_spine,
    find_wall,
    grow,
    heart_extent,
    hulls,
    largest_part,
    shrink,
)
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.volume import CaseWarning, CTVolume

_log = logging.getLogger(__name__)

# Less lung than this in view tells nothing; a 150 mm field of view over 120 mm still shows 300 mL.
LEAST_LUNG_ML = 100.0
# Hearts of adults have 400 mL and more; a part of one may be in view.
LEAST_HEART_ML = 100.0
# ... with at least this area in its largest axial section, where the scan does not go down to the diaphragm: seven
# whole native hearts have 101 to 243 cm2. From the aortic arch up, where a neck scan ends, four of these scans show 62
# cm2 and less of great vessels and windpipe.
LEAST_SECTION_CM2 = 65.0
# ... in a field of view that can hold it; cardiac ones are 150 mm and wider.
SECTION_FIELD_MM = 150.0
# How far the chest wall's inner face bulges beyond the lungs' convex hull where the heart touches it.
WALL_MM = 8.0
# In its lowest slices the heart lies on the diaphragm and no lung marks the chest wall in front of it; the lungs' hull
# up to this far above does.
LOOK_UP_MM = 40.0
# How far the region reaches from the heart's border into the lung: motion and partial volume move a coronary
# artery's calcium by a few millimeters.
INTO_LUNG_MM = 10.0
# Lung vessels and nodules are thinner than twice this, the heart is not.
OPENING_MM = 6.0
# Soft tissue in 3 mm means, fat included.
SOFT_HU = -200.0
# The heart is what lies between the lungs in at least this share of the slices around its middle; the liver's dome,
# which lies there in the lowest ones only, does not move the window.
STEADY_SHARE = 0.4
# Free space that the window keeps around the heart.
MARGIN_MM = 8.0
# A place that is wider than a window by up to this much gets one on its middle, not two a few pixels apart for twice
# the time: no heart is as wide as a window, so what is beyond is margin, chest wall or liver. Each of nine chest crops
# of 205 mm took two windows, or four, for every slice; now one.
SPARED_MM = 32.0
# One lung with less than this share of the other: collapsed, removed or outside the field of view.
ONE_LUNG_SHARE = 0.15
# Share of the lines from the heart's middle to the image's side that meet neither lung nor rib.
CUT_SHARE = 0.25
# A heart that comes this near to the image's front border is cut by it.
BORDER_MM = 5.0

NOT_FOUND = CaseWarning(
    "heart-not-found",
    "The heart was not found, because the scan shows no lungs with a heart between them; the whole body was searched "
    "instead, so check that this is a chest or cardiac CT and that nothing outside the heart was marked.",
)


def find_heart(volume: CTVolume, progress: Progress = no_progress) -> HeartField:
    """The field of view and the region of the heart; of the whole body, with a warning, when no heart is found.

    ``volume.hu`` is (k, j, i) in HU. Never raises for want of a heart.
    """
    text = "Looking for the heart"
    progress(0.0, text)
    coarse = shrink(volume)
    progress(0.3, text)
    body = find_body(coarse)
    progress(0.5, text)
    lungs = find_lungs(coarse, body)
    progress(0.6, text)
    field = _between(volume, coarse, lungs) if coarse.volume_ml(lungs) >= LEAST_LUNG_ML else None
    if field is None:
        field = _whole_body(volume, coarse, body)
    _log.debug("heart %s, %d windows", "found" if field.found else "not found", len(field.windows))
    progress(1.0, text)
    return field


def _between(volume: CTVolume, coarse: Coarse, lungs: np.ndarray) -> HeartField | None:
    """The heart's field of view between these lungs, or None when there is no heart."""
    hull = hulls(lungs)
    extent = heart_extent(coarse, lungs, hull)
    cavity = _cavity(coarse, hull, extent)
    middle = np.zeros_like(hull)
    middle[extent.base : extent.top] = hull[extent.base : extent.top] & ~lungs[extent.base : extent.top]
    bones = find_bones(coarse, cavity, middle)
    spine = find_spine(coarse, bones, cavity)
    wall = find_wall(coarse, bones, hull)
    closed = behind_spine(coarse, spine) | wall
    core = _core(coarse, cavity & ~closed, extent)
    if coarse.volume_ml(core) < LEAST_HEART_ML:
        return None
    one_lung = _one_lung(coarse, lungs, spine, extent)
    if one_lung:
        # One lung does not enclose the heart: the ribs, the sternum and the spine do.
        cavity |= hulls(lungs | wall)
        core = _core(coarse, cavity & ~closed, extent)
    if extent.cut_below and _is_narrow(coarse, core):
        return None
    sides = _cut_sides(coarse, lungs | wall, core, extent)
    for side in sides:
        cavity[_beyond(side, core)] = True
    space = cavity & ~closed
    # With one lung the heart may lie anywhere inside the chest; the windows cover all of it.
    place = space[extent.base : extent.middle_top] if one_lung else core
    windows = _windows(volume, coarse, place, extent, sides)
    region = grow(_region(coarse, space, core, extent), coarse, volume.shape)
    return HeartField(windows, FIELD_SIZE_MM, True, region, _cut_warnings(extent, sides))


def _cavity(coarse: Coarse, hull: np.ndarray, extent: Extent) -> np.ndarray:
    """The inside of the chest, generously: the lungs' hull, as wide as it is somewhat higher up, and a little more."""
    reach = max(1, round(LOOK_UP_MM / coarse.spacing[0]))
    cavity = np.empty_like(hull)
    for k in range(len(hull)):
        cavity[k] = hull[k : max(k, extent.base) + reach].any(axis=0)
    return ndimage.binary_dilation(cavity, disc(coarse, WALL_MM))


def _core(coarse: Coarse, space: np.ndarray, extent: Extent) -> np.ndarray:
    """The largest piece of soft tissue in a space, in the slices ``base`` .. ``middle_top`` only."""
    part = slice(extent.base, extent.middle_top)
    return largest_part(ndimage.binary_opening((coarse.hu[part] > SOFT_HU) & space[part], disc(coarse, OPENING_MM)))


def _is_narrow(coarse: Coarse, core: np.ndarray) -> bool:
    """Whether the core's largest axial section is too small for a heart, in a field of view that could hold one."""
    _, dj, di = coarse.spacing
    field = min(coarse.hu.shape[1] * dj, coarse.hu.shape[2] * di)
    return field >= SECTION_FIELD_MM and bool(core.sum(axis=(1, 2)).max() * dj * di / 100 < LEAST_SECTION_CM2)


def _windows(
    volume: CTVolume, coarse: Coarse, place: np.ndarray, extent: Extent, sides: tuple[str, ...]
) -> tuple[Window, ...]:
    """Windows around the place of the heart, and up to the image's border on the sides that cut the heart."""
    steady = place.mean(axis=0) >= STEADY_SHARE
    if not steady.any():
        steady = place.any(axis=0)
    box = []
    for axis, (before, after) in enumerate((("front", ""), ("right", "left"))):
        first, last = _edges(np.any(steady, axis=1 - axis))
        factor, step, length = coarse.factors[axis + 1], volume.spacing[axis + 1], volume.shape[axis + 1]
        low = 0 if before in sides else first * factor - MARGIN_MM / step
        high = length if after in sides else last * factor + MARGIN_MM / step
        spared = max(0.0, high - low - FIELD_SIZE_MM / step)
        if spared <= SPARED_MM / step:
            low, high = low + spared / 2, high - spared / 2
        box.append((low, high))
    end = volume.shape[0] if extent.top == len(coarse.hu) else extent.top * coarse.factors[0]
    return cover_box((extent.bottom * coarse.factors[0], end), box[0], box[1], volume.spacing, volume.shape)


def _edges(line: np.ndarray) -> tuple[int, int]:
    """First index and one past the last index of what is set in a line."""
    places = np.flatnonzero(line)
    return int(places[0]), int(places[-1]) + 1


def _region(coarse: Coarse, space: np.ndarray, core: np.ndarray, extent: Extent) -> np.ndarray:
    """Where calcium may be found, on the coarse grid."""
    part = slice(extent.base, extent.top)
    tissue = ndimage.binary_opening((coarse.hu[part] > SOFT_HU) & space[part], disc(coarse, OPENING_MM))
    labels, _ = ndimage.label(tissue)
    # What hangs together with the heart's core belongs; a nodule or thickened pleura elsewhere does not.
    touched = np.unique(labels[: len(core)][core])
    region = np.zeros_like(space)
    region[part] = np.isin(labels, touched[touched > 0])
    # Below the lungs' base the diaphragm, liver and stomach surround the heart; its outline from above bounds it there,
    # and in a narrow field, where the base is uncertain, only the chest wall does.
    region[extent.bottom : extent.base] = True if extent.zoomed else core.any(axis=0)
    region = ndimage.binary_dilation(region, disc(coarse, INTO_LUNG_MM))
    return region & space


def _middle(core: np.ndarray) -> tuple[int, int]:
    """Row and column of the core's center of mass."""
    j, i = ndimage.center_of_mass(core.sum(axis=0))
    return round(j), round(i)


def _beyond(side: str, core: np.ndarray) -> tuple[slice, slice, slice]:
    """The part of the image between the core's middle and one side."""
    j, i = _middle(core)
    every = slice(None)
    return {
        "right": (every, every, slice(i)),
        "left": (every, every, slice(i, None)),
        "front": (every, slice(j), every),
    }[side]


def _cut_sides(coarse: Coarse, walls: np.ndarray, core: np.ndarray, extent: Extent) -> tuple[str, ...]:
    """The image's sides that cut the heart: lines from its middle reach them before any lung or rib.

    In front costal cartilage is no barrier that can be seen; there the heart must come up to the image's border.
    Beside the lower half the liver's dome and the stomach reach out; there lines tell nothing.
    """
    part = slice(extent.base, extent.middle_top)
    upper = (extent.middle_top - extent.base) // 2
    j, i = _middle(core)
    rows, columns = _edges(np.any(core, axis=(0, 2))), _edges(np.any(core, axis=(0, 1)))
    high, wide = max(1, (rows[1] - rows[0]) // 4), max(1, (columns[1] - columns[0]) // 4)
    beside = slice(max(0, j - high), j + high)
    ahead = slice(max(0, i - wide), i + wide)
    ends = walls[part]
    border = max(1, round(BORDER_MM / coarse.spacing[1]))
    met = {
        "right": ends[upper:, beside, :i].any(axis=2),
        "left": ends[upper:, beside, i:].any(axis=2),
        "front": ~core[:, :border, ahead].any(axis=1),
    }
    return tuple(side for side, lines in met.items() if np.mean(~lines) > CUT_SHARE)


def _one_lung(coarse: Coarse, lungs: np.ndarray, spine: np.ndarray, extent: Extent) -> bool:
    """Whether one side of the spine (of the image, where no spine is seen) has next to no lung beside the heart."""
    middle = np.nanmedian(spine[:, 1]) if not np.isnan(spine).all() else coarse.hu.shape[2] / 2
    columns = lungs[extent.base : extent.middle_top].sum(axis=(0, 1))
    right, left = columns[: round(middle)].sum(), columns[round(middle) :].sum()
    return bool(min(right, left) < ONE_LUNG_SHARE * max(right, left))


def _cut_warnings(extent: Extent, sides: tuple[str, ...]) -> tuple[CaseWarning, ...]:
    places = (["bottom"] if extent.cut_below else []) + (["top"] if extent.cut_above else []) + list(sides)
    if not places:
        return ()
    return (
        CaseWarning(
            "heart-cut",
            f"The heart seems to reach beyond the scan ({', '.join(places)}), so calcium outside it is not in the "
            "score; check the images, and use a series that shows the whole heart if there is one.",
        ),
    )


def _whole_body(volume: CTVolume, coarse: Coarse, body: np.ndarray) -> HeartField:
    """Windows over the whole body; over the whole image when there is no body."""
    if not body.any():
        body = np.ones_like(body)
    region = grow(ndimage.binary_dilation(body, disc(coarse, INTO_LUNG_MM)), coarse, volume.shape)
    slices, rows, columns = (_edges(np.any(region, axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    return HeartField(
        cover_box(slices, rows, columns, volume.spacing, volume.shape), FIELD_SIZE_MM, False, region, (NOT_FOUND,)
    )
