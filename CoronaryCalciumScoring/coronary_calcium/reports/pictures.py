"""Pictures of the calcium: each lesion in its slice, an overview of the heart, and a reader's slice views."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from coronary_calcium.arteries import BY_LABEL, BY_NAME, UNASSIGNED
from coronary_calcium.heart.field import FIELD_SIZE_MM
from coronary_calcium.imaging import (
    AIR_HU,
    MEDIASTINUM_WINDOW,
    IntensityWindow,
    draw_outline,
    gray,
    png,
    rgb,
    sample,
    to_rgb,
)
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.volume import CTVolume

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult


@dataclass(frozen=True)
class ViewPicture:
    """A PNG, and what it shows in words."""

    png: bytes
    caption: str


# A wide window for the lesion itself and for the maximum over the heart, in which 130 HU is mid gray and the core of a
# plaque up to 500 HU still shows.
DETAIL_WINDOW = IntensityWindow(150, 700)
# A lesion's surroundings show where in the heart it lies, its detail what it looks like; sides in mm.
SURROUNDINGS_MM = 110.0
DETAIL_MM = 36.0
SIDE_PIXELS = 360
OVERVIEW_MM = FIELD_SIZE_MM
OVERVIEW_PIXELS = 480
# Seen from the front, a slab about the heart's center: the whole depth would show the spine and the breastbone.
SLAB_MM = 70.0
# A sharp kernel's noise would cover the heart in a maximum, and lesions are colored anyway: SD of a blur in a slice.
OVERVIEW_BLUR_MM = 0.8
# Size of an artery's name on the overview, in pixels of the picture, and its distance from the lesion.
_NAME_PIXELS, _NAME_OFFSET = 32, 10
# Lengths of the scale bar, in mm; the longest is drawn that takes at most a third of the picture.
_SCALES_MM = (5, 10, 20, 50)


@dataclass(frozen=True)
class Picture:
    """A PNG, the side of the square that it shows in mm, and what it shows in words."""

    png: bytes
    side_mm: float
    caption: str

    @property
    def scale_mm(self) -> int:
        """Length of the scale bar, in mm."""
        return max(scale for scale in _SCALES_MM if scale <= self.side_mm / 3)


def lesion_pictures(volume: CTVolume, lesion: Lesion) -> tuple[Picture, Picture]:
    """The slice with the lesion's highest score: its surroundings with the outline, and its detail without."""
    k = lesion.main_slice
    slices, rows, columns = np.unravel_index(lesion.voxels, volume.shape)
    rows, columns = rows[slices == k], columns[slices == k]
    mask = np.zeros(volume.shape[1:], dtype=bool)
    mask[rows, columns] = True
    center = (float(rows.mean()), float(columns.mean()))
    spacing = volume.spacing[1:]
    wide = gray(sample(volume.hu[k], spacing, center, SURROUNDINGS_MM, SIDE_PIXELS), MEDIASTINUM_WINDOW)
    outlined = sample(mask, spacing, center, SURROUNDINGS_MM, SIDE_PIXELS, nearest=True) > 0
    near = gray(sample(volume.hu[k], spacing, center, DETAIL_MM, SIDE_PIXELS), DETAIL_WINDOW)
    return (
        Picture(
            png(draw_outline(to_rgb(wide), outlined, BY_NAME[lesion.artery].color)),
            SURROUNDINGS_MM,
            f"Lesion {lesion.id} outlined in axial slice {k}",
        ),
        Picture(png(near), DETAIL_MM, f"Lesion {lesion.id} in axial slice {k}, enlarged and without outline"),
    )


def overview_pictures(
    volume: CTVolume, labels: np.ndarray, center: tuple[float, float, float], slices: tuple[int, int]
) -> tuple[Picture, Picture]:
    """The heart from the front and from below: maximum intensity, the labeled voxels in their arteries' colors.

    ``labels`` holds the voxels to color, (k, j, i); ``center`` is the voxel index that the square is centered on and
    ``slices`` the first and last slice (inclusive) that are looked through. The place where an artery has most
    labeled voxels bears its name, which shows without colors too.
    """
    dk, dj, di = volume.spacing
    along_k = slice(slices[0], slices[1] + 1)
    along_j, slab, along_i = (
        slice(max(0, round(at - side / 2 / step)), max(1, round(at + side / 2 / step)))
        for at, side, step in (
            (center[1], OVERVIEW_MM, dj),
            (center[1], SLAB_MM, dj),
            (center[2], OVERVIEW_MM, di),
        )
    )
    calcium = labels[along_k, along_j, along_i]
    at_k, at_j, at_i = center[0] - along_k.start, center[1] - along_j.start, center[2] - along_i.start
    in_slab = slice(slab.start - along_j.start, slab.stop - along_j.start)
    front, below = _maxima(volume.hu[along_k, along_j, along_i], (dj, di), in_slab)
    # From the front the feet are at the bottom: the picture's rows run against k.
    from_front = _projection(front[::-1], calcium[::-1], 1, (dk, di), (calcium.shape[0] - 1 - at_k, at_i))
    from_below = _projection(below, calcium, 0, (dj, di), (at_j, at_i))
    return (
        Picture(png(from_front), OVERVIEW_MM, "From the front"),
        Picture(png(from_below), OVERVIEW_MM, "From below"),
    )


def _maxima(hu: np.ndarray, spacing: tuple[float, float], slab: slice) -> tuple[np.ndarray, np.ndarray]:
    """Maxima of a (k, j, i) box, blurred in its slices: along j within ``slab``, and along k."""
    sigma = [OVERVIEW_BLUR_MM / step for step in spacing]
    front = np.empty((hu.shape[0], hu.shape[2]), np.float32)
    below = np.full(hu.shape[1:], AIR_HU, np.float32)
    # Slice by slice: all at once, a fine scan's heart would take a gigabyte.
    for k, plane in enumerate(hu):
        smooth = ndimage.gaussian_filter(np.nan_to_num(plane.astype(np.float32), nan=AIR_HU), sigma)
        front[k] = smooth[slab].max(axis=0)
        np.maximum(below, smooth, out=below)
    return front, below


def _projection(
    maximum: np.ndarray, calcium: np.ndarray, axis: int, spacing: tuple[float, float], center: tuple[float, float]
) -> np.ndarray:
    """RGB picture of a maximum along ``axis`` of a (k, j, i) box, the labeled voxels in color and by name."""
    picture = to_rgb(gray(sample(maximum, spacing, center, OVERVIEW_MM, OVERVIEW_PIXELS), DETAIL_WINDOW))
    names = []
    for label, artery in BY_LABEL.items():
        own = calcium == label
        seen = sample(own.any(axis=axis), spacing, center, OVERVIEW_MM, OVERVIEW_PIXELS, nearest=True) > 0
        picture[seen] = rgb(artery.color)
        picture = draw_outline(picture, seen, (0.0, 0.0, 0.0))
        if artery is not UNASSIGNED and seen.any():
            names.append((artery.name, _largest(seen)))
    return draw_names(picture, names)


def _largest(mask: np.ndarray) -> tuple[int, int]:
    """Right end and middle row (column, row) of the largest connected part of a mask."""
    parts, _ = ndimage.label(mask)
    rows, columns = np.nonzero(parts == np.bincount(parts[mask]).argmax())
    return int(columns.max()), round(rows.mean())


def draw_names(picture: np.ndarray, names: list[tuple[str, tuple[int, int]]]) -> np.ndarray:
    """The picture with words in white, black around, beside places (column, row); words that would touch move down."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_NAME_PIXELS)
    taken: list[tuple[float, float, float]] = []
    for name, (column, row) in sorted(names, key=lambda entry: entry[1][1]):
        width = draw.textlength(name, font=font)
        x = min(column + _NAME_OFFSET, picture.shape[1] - width - 2)
        y = float(row)
        while any(x < right and x + width > left and abs(y - at) < _NAME_PIXELS for left, right, at in taken):
            y += _NAME_PIXELS
        taken.append((x, x + width, y))
        draw.text((x, y), name, fill="white", font=font, anchor="lm", stroke_width=2, stroke_fill="black")
    return np.array(image)


# Two pictures per lesion are about 150 kB; 60 lesions keep the page below 10 MB, and more than that nobody reads.
MOST_PICTURES = 60
# How far around the lesions the overview looks when no heart was searched for, in mm.
OVERVIEW_MARGIN_MM = 20.0


@dataclass(frozen=True)
class LesionPictures:
    """A lesion, the LPS z in mm of the slice shown, its surroundings with the outline, and its detail without."""

    lesion: Lesion
    z_mm: float
    surroundings: Picture
    detail: Picture


@dataclass(frozen=True)
class CasePictures:
    """The overview (two pictures, or none), the lesions by descending score, and the lesions that are left out."""

    overview: tuple[Picture, ...]
    lesions: tuple[LesionPictures, ...]
    left_out: tuple[Lesion, ...]


def draw_pictures(result: "CaseResult", progress: Progress = no_progress) -> CasePictures:
    """Draw a case; ``progress`` is told of each lesion and may stop the work."""
    overview = _overview(result)
    drawn = []
    for lesion in result.score.lesions[:MOST_PICTURES]:
        progress(lesion.id / (len(result.score.lesions) + 1), "Drawing lesions")
        z_mm = float(result.volume.position((lesion.main_slice, 0, 0))[2])
        drawn.append(LesionPictures(lesion, z_mm, *lesion_pictures(result.volume, lesion)))
    return CasePictures(overview, tuple(drawn), tuple(result.score.lesions[MOST_PICTURES:]))


def _overview(result: "CaseResult") -> tuple[Picture, ...]:
    """The heart from the front and from below; nothing when there is neither a heart nor a lesion to show."""
    volume, lesions = result.volume, result.score.lesions
    calcium = np.zeros(volume.shape, dtype=np.uint8)
    for lesion in lesions:
        calcium.flat[lesion.voxels] = BY_NAME[lesion.artery].label
    if result.prediction is not None and result.prediction.covered.found:
        windows = result.prediction.covered.windows
        first, last = min(window.k0 for window in windows), max(window.k1 for window in windows) - 1
        weights = [window.k1 - window.k0 for window in windows]
        center_j = np.average([window.center_j for window in windows], weights=weights)
        center_i = np.average([window.center_i for window in windows], weights=weights)
    elif lesions:
        k, j, i = np.unravel_index(np.concatenate([lesion.voxels for lesion in lesions]), volume.shape)
        margin = round(OVERVIEW_MARGIN_MM / volume.spacing[0])
        first, last = max(0, k.min() - margin), min(volume.shape[0] - 1, k.max() + margin)
        center_j, center_i = (j.min() + j.max()) / 2, (i.min() + i.max()) / 2
    else:
        return ()
    center = ((first + last) / 2, float(center_j), float(center_i))
    return overview_pictures(volume, calcium, center, (int(first), int(last)))
