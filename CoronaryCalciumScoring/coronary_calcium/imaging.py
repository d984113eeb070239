"""Slices as pictures: a window of intensities, a square at a fixed scale, outlines, and the PNG."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

AIR_HU = -1024.0
# Width of an outline, in pixels of the picture.
_OUTLINE_PIXELS = 2


@dataclass(frozen=True)
class IntensityWindow:
    """Which intensities are shown between black and white, in HU."""

    level: int
    width: int

    @property
    def limits(self) -> tuple[int, int]:
        """The intensities that are black and white."""
        return self.level - self.width // 2, self.level + self.width // 2


# The mediastinum's usual window, which shows where something lies.
MEDIASTINUM_WINDOW = IntensityWindow(40, 400)


def sample(
    plane: np.ndarray,
    spacing: tuple[float, float],
    center: tuple[float, float],
    side_mm: float,
    pixels: int,
    *,
    nearest: bool = False,
) -> np.ndarray:
    """A square of a plane with equal scales along both axes; outside the plane is air (0 for ``nearest``).

    ``spacing`` (rows, columns) in mm, ``center`` (row, column) as an index; float32 (pixels, pixels) comes back.
    """
    offsets = (np.arange(pixels) + 0.5) / pixels * side_mm - side_mm / 2
    rows = center[0] + offsets / spacing[0]
    columns = center[1] + offsets / spacing[1]
    grid = np.broadcast_arrays(rows[:, None], columns[None, :])
    return ndimage.map_coordinates(
        plane.astype(np.float32),
        grid,
        order=0 if nearest else 1,
        mode="grid-constant",
        cval=0.0 if nearest else AIR_HU,
    )


def gray(hu: np.ndarray, window: IntensityWindow) -> np.ndarray:
    """Intensities through a window as uint8 gray; NaN is black."""
    scaled = (np.nan_to_num(hu, nan=AIR_HU) - window.limits[0]) / window.width
    return np.clip(scaled * 255, 0, 255).round().astype(np.uint8)


def to_rgb(picture: np.ndarray) -> np.ndarray:
    """A gray picture with three equal channels."""
    return np.repeat(picture[:, :, None], 3, axis=2)


def draw_outline(picture: np.ndarray, mask: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    """A copy of an RGB picture with a line around, not over, the True pixels; ``color`` in 0..1."""
    outline = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=_OUTLINE_PIXELS) & ~mask
    drawn = picture.copy()
    drawn[outline] = rgb(color)
    return drawn


def png(picture: np.ndarray) -> bytes:
    """A uint8 picture, gray (rows, columns) or RGB (rows, columns, 3), as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def rgb(color: tuple[float, float, float]) -> tuple[int, int, int]:
    """A color in 0..1 as a picture has it, in 0..255."""
    red, green, blue = (round(255 * value) for value in color)
    return red, green, blue
