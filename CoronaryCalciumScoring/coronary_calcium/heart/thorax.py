"""Reading a chest on a small copy of the CT: body, lungs, bones, spine, and the slices that hold the heart."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from coronary_calcium.volume import CTVolume

# Large enough that noise of 35 HU in 0.5 mm pixels averages to a few HU and the work takes a second; small enough
# that ribs (about 8 mm thick) and the trachea (about 16 mm wide) are still several voxels across.
COARSE_MM = 3.0
# Padding outside the field of view is stored as -1024, -2000, -2048 or lower; below air there is nothing to tell.
AIR_FLOOR_HU = -1024.0
HU_CEILING = 1500.0


@dataclass(frozen=True, eq=False)
class Coarse:
    """Block means of a CT.

    Attributes
    ----------
    hu : (k, j, i) float32 array.
    spacing : (k, j, i) in mm.
    factors : full voxels in a block along (k, j, i); rests at the far ends that fill no block are left out.

    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    factors: tuple[int, int, int]

    def voxels(self, millimeters: float) -> tuple[int, int, int]:
        """How many voxels make a length, along (k, j, i), at least 1 in the slice and 0 across slices."""
        dk, dj, di = self.spacing
        return round(millimeters / dk), max(1, round(millimeters / dj)), max(1, round(millimeters / di))

    def volume_ml(self, mask: np.ndarray) -> float:
        """Volume of a mask in milliliters."""
        return float(np.count_nonzero(mask) * np.prod(self.spacing) / 1000)


def shrink(volume: CTVolume) -> Coarse:
    """Average a volume in blocks of about COARSE_MM; values are clipped to AIR_FLOOR_HU..HU_CEILING first."""
    # An axis shorter than its block still gives one coarse voxel.
    thick, high, wide = (
        min(max(1, round(COARSE_MM / step)), length) for step, length in zip(volume.spacing, volume.shape)
    )
    shape = (volume.shape[0] // thick, volume.shape[1] // high, volume.shape[2] // wide)
    hu = np.empty(shape, np.float32)
    for k in range(shape[0]):
        block = volume.hu[k * thick : (k + 1) * thick, : shape[1] * high, : shape[2] * wide]
        block = np.clip(block, AIR_FLOOR_HU, HU_CEILING).astype(np.float32).mean(axis=0)
        hu[k] = block.reshape(shape[1], high, shape[2], wide).mean(axis=(1, 3))
    dk, dj, di = volume.spacing
    return Coarse(hu, (dk * thick, dj * high, di * wide), (thick, high, wide))


def grow(mask: np.ndarray, coarse: Coarse, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring a coarse mask back to the full grid of ``shape``; the far rests repeat the last coarse voxel."""
    axes = [
        np.minimum(np.arange(length) // factor, count - 1)
        for length, factor, count in zip(shape, coarse.factors, mask.shape)
    ]
    full = np.empty(shape, bool)
    for k in range(shape[0]):
        full[k] = mask[axes[0][k]][axes[1][:, None], axes[2][None, :]]
    return full


# Above: soft tissue; below: lung, gas or outside. Half way between lung (-850) and tissue (40).
TISSUE_HU = -400.0
# Air outside the patient and gas in the bowel are near -1000; lung, even with emphysema, stays above on average.
GAS_HU = -960.0
# The usual fields of view for a heart are 150 to 260 mm wide, for an adult's whole chest 320 mm and more.
WHOLE_CHEST_MM = 270.0
# A part of the lungs has at least this volume and this share of the largest one, which leaves out gas in the colon.
LUNG_PART_ML = 30.0
LUNG_PART_SHARE = 0.05
# Costal cartilage is at 90 to 120 HU in 3 mm means, with bright spots that would count; blood and muscle without
# contrast medium stay below 80 HU. So cartilage goes with the bones.
CARTILAGE_HU = 100.0
# With contrast medium in the heart, bone is looked for from here on, and only outside the cavity.
BONE_HU = 150.0
# Bones take 10 to 15 % of what lies between the lungs in the four chest scans at hand, and 32 to 64 % when 250 HU are
# added to their hearts.
CONTRAST_SHARE = 0.25
# A rib's shortest piece in a small field of view is several mL; the heaviest coronary calcification stays below that.
BONE_PART_ML = 1.5
# The edge of the field of view, in voxels of the small copy.
RIM_VOXELS = 2
# Ribs and sternum are looked for over this distance along the body when the gaps between them are closed.
RIB_GAP_MM = 9.0
# Radius of what stays bone between the lungs when it hangs together with bone; the widest plaques are 5 mm across. At
# 5 mm, 4 % of the dense bone of a real scan with 8 mm slices came into the region, at 3.5 mm none.
THICK_BONE_MM = 3.5

_CROSS = ndimage.generate_binary_structure(3, 1)
_CROSS_2D = ndimage.generate_binary_structure(2, 1)


def disc(coarse: Coarse, millimeters: float) -> np.ndarray:
    """An in-plane disc of this radius as a (1, j, i) structuring element."""
    _, rj, ri = coarse.voxels(millimeters)
    j, i = np.ogrid[-rj : rj + 1, -ri : ri + 1]
    half = coarse.spacing[1] / 2
    inside = (j * coarse.spacing[1]) ** 2 + (i * coarse.spacing[2]) ** 2 <= (millimeters + half) ** 2
    return inside[None]


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask (empty when the mask is)."""
    labels, count = ndimage.label(mask, _CROSS)
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def fill_hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a 2D mask, filled; the mask itself where it is too thin to have one."""
    points = np.argwhere(mask ^ ndimage.binary_erosion(mask, _CROSS_2D))
    if len(points) < 3:
        return mask
    try:
        planes = ConvexHull(points).equations
    except QhullError:  # all points in one line
        return mask
    j, i = np.ogrid[: mask.shape[0], : mask.shape[1]]
    inside = np.ones(mask.shape, bool)
    for a, b, c in planes:
        inside &= a * j + b * i + c <= 1e-6
    return inside


def hulls(mask: np.ndarray) -> np.ndarray:
    """The filled convex hull of each slice of a (k, j, i) mask."""
    return np.stack([fill_hull(plane) for plane in mask])


def find_body(coarse: Coarse) -> np.ndarray:
    """(k, j, i) mask of the patient with the lungs: the hull, slice by slice, of the largest piece of tissue.

    The table falls away because it is thin (opening) or apart from the patient. A narrow field of view cuts the lungs;
    there every column belongs, between the first and the last row with tissue.
    """
    tissue = ndimage.binary_opening(coarse.hu > TISSUE_HU, _CROSS)
    tissue = largest_part(ndimage.binary_opening(tissue, disc(coarse, 4.0)))
    if coarse.hu.shape[2] * coarse.spacing[2] >= WHOLE_CHEST_MM:
        return hulls(tissue)
    rows = np.any(tissue, axis=2)
    between = np.logical_or.accumulate(rows, axis=1) & np.logical_or.accumulate(rows[:, ::-1], axis=1)[:, ::-1]
    return np.broadcast_to(between[:, :, None], tissue.shape).copy()


def find_lungs(coarse: Coarse, body: np.ndarray) -> np.ndarray:
    """(k, j, i) mask of both lungs (with the trachea); empty when there are none.

    Air that joins the image's border in its slice is outside, other gas is told from lung by its interior's HU.
    """
    gas = coarse.hu < GAS_HU
    outside = np.zeros_like(gas)
    for k, plane in enumerate(gas):
        labels, _ = ndimage.label(plane)
        border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        outside[k] = np.isin(labels, border[border > 0])
    outside = ndimage.binary_dilation(outside, disc(coarse, 3.0))
    air = ndimage.binary_opening((coarse.hu < TISSUE_HU) & body & ~outside, _CROSS)
    labels, count = ndimage.label(air, _CROSS)
    if not count:
        return air
    interior = ndimage.binary_erosion(air, _CROSS)
    milliliters = np.bincount(labels.ravel(), minlength=count + 1) * np.prod(coarse.spacing) / 1000
    milliliters[0] = 0
    chosen: list[int] = []
    largest = 0.0
    for part in np.argsort(milliliters)[::-1]:
        if milliliters[part] < max(LUNG_PART_ML, LUNG_PART_SHARE * largest):
            break
        inside = coarse.hu[interior & (labels == part)]
        if len(inside) and np.median(inside) >= GAS_HU:
            chosen.append(part)
            largest = max(largest, milliliters[part])
    return np.isin(labels, chosen)


def _rim(coarse: Coarse) -> np.ndarray:
    """(1, j, i) mask of the field of view's edge (of its circle when the corners are empty), where a cut spine ends."""
    _, height, width = coarse.hu.shape
    j, i = np.ogrid[:height, :width]
    if coarse.hu[:, [0, 0, -1, -1], [0, -1, 0, -1]].max() < GAS_HU:
        radius = ((2 * j + 1) / height - 1) ** 2 + ((2 * i + 1) / width - 1) ** 2
        return (radius >= (1 - 2 * RIM_VOXELS / min(height, width)) ** 2)[None]
    inner = (j >= RIM_VOXELS) & (j < height - RIM_VOXELS) & (i >= RIM_VOXELS) & (i < width - RIM_VOXELS)
    return ~inner[None]


def find_bones(coarse: Coarse, cavity: np.ndarray, between: np.ndarray) -> np.ndarray:
    """(k, j, i) mask of the chest wall's bones and the spine: large bright pieces that reach out of the ``cavity``.

    The edge of the field of view counts as outside it.

    ``between`` is what lies within the lungs' hull and is no lung. If bones were to take a large share of it, they are
    blood with contrast medium that hangs together with the spine; then only what lies out of the cavity is bone.
    Between the lungs, what is thin and not beside thick bone is calcium that touches bone, and no bone.
    """
    labels, count = ndimage.label(coarse.hu >= CARTILAGE_HU, np.ones((3, 3, 3)))
    voxel_ml = np.prod(coarse.spacing) / 1000
    size = np.bincount(labels.ravel(), minlength=count + 1) * voxel_ml
    outside = np.bincount(labels[~cavity | _rim(coarse)], minlength=count + 1) * voxel_ml
    keep = (size >= BONE_PART_ML) & (outside >= BONE_PART_ML / 2)
    keep[0] = False
    bones = keep[labels]
    if np.count_nonzero(bones & between) > CONTRAST_SHARE * np.count_nonzero(between):
        return (coarse.hu >= BONE_HU) & ~cavity
    # Most of a simulated patient's dense LAD hung together with bone and was taken for it: 589 Agatston, 2384 true.
    thick = ndimage.binary_opening(bones, disc(coarse, THICK_BONE_MM))
    return bones & (~between | ndimage.binary_dilation(thick, disc(coarse, 2 * THICK_BONE_MM)))


def find_wall(coarse: Coarse, bones: np.ndarray, hull: np.ndarray) -> np.ndarray:
    """(k, j, i) mask of the chest wall: bones with a margin and, outside the lungs' hull, the gaps between the ribs."""
    near = ndimage.binary_dilation(bones, disc(coarse, 2.5))
    gap = 2 * round(RIB_GAP_MM / coarse.spacing[0]) + 1
    along = ndimage.maximum_filter1d((bones & ~hull).view(np.uint8), gap, axis=0).view(bool)
    return near | (ndimage.binary_dilation(along, disc(coarse, 2.5)) & ~hull)


# Vertebra with its arches is about 60 mm wide and 80 mm long: smoothing on this scale makes one peak of it.
_SMOOTH_MM = 12.0
# Slices are pooled over a vertebra's height (about 25 mm), so that a disc has its neighbors' front edge.
_POOL_MM = 30.0
# Half the width of a vertebral body; beside it the excluded space recedes at 45 degrees, because a large left
# ventricle reaches back beside the spine.
_HALF_BODY_MM = 20.0
# How far from the cavity's middle line the spine may lie (off-center hearts, scoliosis, small fields of view).
_SIDEWAYS_MM = 70.0
# A vertebra fills at least a third of the smoothing kernel; a rib or scapula does not.
_LEAST_DENSITY = 0.25


def find_spine(coarse: Coarse, bones: np.ndarray, cavity: np.ndarray) -> np.ndarray:
    """(slices, 2) array with the front edge (j) and the middle (i) of the spine in coarse voxels; NaN where unseen."""
    pooled = max(1, round(_POOL_MM / coarse.spacing[0]))
    # Moving sum over neighboring slices; the densest place behind the cavity's middle is the spine.
    density = ndimage.uniform_filter1d(bones.astype(np.float32), pooled, axis=0, mode="nearest")
    sigma = (0, _SMOOTH_MM / coarse.spacing[1], _SMOOTH_MM / coarse.spacing[2])
    smooth = ndimage.gaussian_filter(density, sigma, mode="nearest")
    edges = np.full((len(bones), 2), np.nan)
    half = max(1, round(_HALF_BODY_MM / 2 / coarse.spacing[2]))
    reach = round(_SIDEWAYS_MM / coarse.spacing[2])
    back = round(50.0 / coarse.spacing[1])
    for k in range(len(bones)):
        rows, columns = np.nonzero(cavity[k])
        if not len(rows):
            continue
        middle = round((columns.min() + columns.max()) / 2)
        left, top = max(0, middle - reach), round(np.median(rows))
        place = smooth[k, top:, left : middle + reach + 1]
        if not place.size or place.max() < _LEAST_DENSITY:
            continue
        j, i = np.unravel_index(place.argmax(), place.shape)
        j, i = j + top, i + left
        first = max(0, j - back)
        body = density[k, first : j + 1, max(0, i - half) : i + half + 1].mean(axis=1)
        front = np.nonzero(body >= 0.25)[0]
        if len(front):
            edges[k] = first + front[0], i
    return _steady(edges, pooled)


def _steady(edges: np.ndarray, pooled: int) -> np.ndarray:
    """Running median along the spine, without the slices where it was not seen."""
    seen = np.flatnonzero(~np.isnan(edges[:, 0]))
    if not len(seen):
        return edges
    steady = np.full_like(edges, np.nan)
    for k in seen:
        near = seen[np.abs(seen - k) <= pooled]
        steady[k] = np.median(edges[near], axis=0)
    return steady


def behind_spine(coarse: Coarse, edges: np.ndarray) -> np.ndarray:
    """(k, j, i) mask of the spine and the space behind it that the heart cannot reach."""
    _, height, width = coarse.hu.shape
    j = np.arange(height)[:, None] * coarse.spacing[1]
    i = np.arange(width)[None, :] * coarse.spacing[2]
    mask = np.zeros(coarse.hu.shape, bool)
    for k, (front, middle) in enumerate(edges):
        if not np.isnan(front):
            aside = np.abs(i - middle * coarse.spacing[2])
            mask[k] = j - front * coarse.spacing[1] >= np.maximum(0.0, aside - _HALF_BODY_MM)
    return mask


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
