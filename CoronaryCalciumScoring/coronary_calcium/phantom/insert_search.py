"""Where the insert lies in a scan: three bright spots of one size at the corners of an equilateral triangle."""

import itertools
import math

import numpy as np
from scipy import ndimage

from coronary_calcium.errors import InputError
from coronary_calcium.phantom.qrm_insert import (
    CALIBRATION_HEIGHT_MM,
    CALIBRATION_RADIUS_MM,
    DENSITIES_MG_PER_CM3,
    DISTANCES_MM,
    SIZES_MM,
    Placement,
)
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.scoring.volume_mass import mean_in_disc
from coronary_calcium.volume import CTVolume

# Noise is averaged over a disc as wide as this share of a large cylinder, which leaves the cylinder itself bright.
_SMOOTHING_SHARE = 0.5
# Bright area of a large cylinder in a slice, as shares of its true area: blur widens dense ones and narrows faint ones.
_AREA_SHARES = (0.3, 2.5)
# How far the triangle's sides may differ from the true one, in mm: the spots' centers are good to a pixel or two.
_SIDE_TOLERANCE_MM = 3.0
# The spots lie in one plane across the axis, to this in mm: a large cylinder's length.
_HEIGHT_TOLERANCE_MM = 5.0
_SIDE_MM = DISTANCES_MM["large"] * math.sqrt(3.0)


def find_insert(volume: CTVolume) -> Placement:
    """Where the QRM insert lies in a scan with its axis across the slices.

    Raises InputError("no-insert") when there is no such thing in the scan.
    """
    spots = _spots(volume)
    triangles = [corners for corners in itertools.combinations(range(len(spots)), 3) if _is_insert(spots, corners)]
    if not triangles:
        raise InputError(
            "no-insert",
            "No QRM cardiac calcification insert was found in this scan: three cylinders of 5 mm were searched for, "
            f"{_SIDE_MM:.0f} mm apart, with their axis across the slices; give a scan of this phantom in slices of "
            "3 mm or thinner.",
        )
    best = max(triangles, key=lambda corners: sum(spots[corner][1] for corner in corners))
    brightest_first = sorted((spots[corner] for corner in best), key=lambda spot: -spot[1])
    positions = {density: spot[0] for density, spot in zip(DENSITIES_MG_PER_CM3, brightest_first)}
    center = _circumcenter(*positions.values())
    outwards = {density: _unit(position - center) for density, position in positions.items()}
    return Placement(center, outwards, _rod_side(volume, center))


def _spots(volume: CTVolume) -> list[tuple[np.ndarray, float]]:
    """Bright spots of a large cylinder's size: center (3,) in LPS mm, and the brightness that adds up over it."""
    pixel_area = volume.spacing[1] * volume.spacing[2]
    radius = _SMOOTHING_SHARE * SIZES_MM["large"] / 2
    rows, columns = (math.ceil(radius / step) for step in volume.spacing[1:])
    j, i = np.mgrid[-rows : rows + 1, -columns : columns + 1]
    disc = np.hypot(j * volume.spacing[1], i * volume.spacing[2]) <= radius
    smooth = np.stack([ndimage.convolve(plane, disc / disc.sum()) for plane in volume.hu.astype(np.float32)])
    labels, _ = ndimage.label(smooth >= LITERATURE.threshold_hu, np.ones((3, 3, 3)))
    true_area = math.pi * SIZES_MM["large"] ** 2 / 4
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[box] == label
        height = inside.shape[0] * volume.spacing[0]
        area = inside.sum(axis=(1, 2)).max() * pixel_area
        if height > SIZES_MM["large"] + 4 * volume.spacing[0] or not (
            _AREA_SHARES[0] * true_area <= area <= _AREA_SHARES[1] * true_area
        ):
            continue
        weights = np.where(inside, smooth[box], 0.0)
        index = np.array(ndimage.center_of_mass(weights)) + [part.start for part in box]
        found.append((volume.position(tuple(index)), float(weights.sum())))
    return found


def _is_insert(spots: list[tuple[np.ndarray, float]], corners: tuple[int, ...]) -> bool:
    points = [spots[corner][0] for corner in corners]
    if np.ptp([point[2] for point in points]) > _HEIGHT_TOLERANCE_MM:
        return False
    sides = [np.linalg.norm(one - other) for one, other in itertools.combinations(points, 2)]
    return all(abs(side - _SIDE_MM) <= _SIDE_TOLERANCE_MM for side in sides)


def _circumcenter(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The point (3,) in the plane of three points that is as far from each of them."""
    ab, ac = b - a, c - a
    normal = np.cross(ab, ac)
    towards = (ac @ ac) * np.cross(normal, ab) + (ab @ ab) * np.cross(ac, normal)
    return a + towards / (2 * (normal @ normal))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _rod_side(volume: CTVolume, center: np.ndarray) -> np.ndarray:
    """The direction along the slices' axis in which the rod lies: the brighter one; upwards where the scan ends."""
    up = volume.direction[:, 2]
    means = {
        sign: mean_in_disc(volume, center + sign * CALIBRATION_HEIGHT_MM * up, CALIBRATION_RADIUS_MM)
        for sign in (1, -1)
    }
    known = {sign: mean for sign, mean in means.items() if mean is not None}
    return up * max(known, key=lambda sign: known[sign], default=1)
