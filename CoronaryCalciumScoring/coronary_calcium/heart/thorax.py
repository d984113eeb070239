"""Reading a chest on the small copy: body, lungs, the space between and in front of them, bones, spine."""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from coronary_calcium.heart.coarse import Coarse

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
# The field of view's rim, in voxels of the small copy.
RIM_VOXELS = 2
# Ribs and sternum are looked for over this distance along the body when the gaps between them are closed.
RIB_GAP_MM = 9.0
# Radius of what stays bone between the lungs when it hangs together with bone; the widest plaques are 5 mm across. At
# 5 mm, 4 % of the dense bone of a real scan with 8 mm slices came into the region, at 3.5 mm none.
THICK_BONE_MM = 3.5

_CROSS = ndimage.generate_binary_structure(3, 1)
_CROSS_2D = ndimage.generate_binary_structure(2, 1)


def disc(coarse: Coarse, millimetres: float) -> np.ndarray:
    """An in-plane disc of this radius as a (1, j, i) structuring element."""
    _, rj, ri = coarse.voxels(millimetres)
    j, i = np.ogrid[-rj : rj + 1, -ri : ri + 1]
    half = coarse.spacing[1] / 2
    inside = (j * coarse.spacing[1]) ** 2 + (i * coarse.spacing[2]) ** 2 <= (millimetres + half) ** 2
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
    millilitres = np.bincount(labels.ravel(), minlength=count + 1) * np.prod(coarse.spacing) / 1000
    millilitres[0] = 0
    chosen: list[int] = []
    largest = 0.0
    for part in np.argsort(millilitres)[::-1]:
        if millilitres[part] < max(LUNG_PART_ML, LUNG_PART_SHARE * largest):
            break
        inside = coarse.hu[interior & (labels == part)]
        if len(inside) and np.median(inside) >= GAS_HU:
            chosen.append(part)
            largest = max(largest, millilitres[part])
    return np.isin(labels, chosen)


def _rim(coarse: Coarse) -> np.ndarray:
    """(1, j, i) mask of the field of view's rim (of its circle when the corners are empty), where a cut spine ends."""
    _, height, width = coarse.hu.shape
    j, i = np.ogrid[:height, :width]
    if coarse.hu[:, [0, 0, -1, -1], [0, -1, 0, -1]].max() < GAS_HU:
        radius = ((2 * j + 1) / height - 1) ** 2 + ((2 * i + 1) / width - 1) ** 2
        return (radius >= (1 - 2 * RIM_VOXELS / min(height, width)) ** 2)[None]
    inner = (j >= RIM_VOXELS) & (j < height - RIM_VOXELS) & (i >= RIM_VOXELS) & (i < width - RIM_VOXELS)
    return ~inner[None]


def find_bones(coarse: Coarse, cavity: np.ndarray, between: np.ndarray) -> np.ndarray:
    """(k, j, i) mask of the chest wall's bones and the spine: large bright pieces that reach out of the ``cavity``.

    The field of view's rim counts as out of it.

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
    """(k, j, i) mask of the chest wall: bones with a rim and, outside the lungs' hull, the gaps between the ribs."""
    near = ndimage.binary_dilation(bones, disc(coarse, 2.5))
    gap = 2 * round(RIB_GAP_MM / coarse.spacing[0]) + 1
    along = ndimage.maximum_filter1d((bones & ~hull).view(np.uint8), gap, axis=0).view(bool)
    return near | (ndimage.binary_dilation(along, disc(coarse, 2.5)) & ~hull)
