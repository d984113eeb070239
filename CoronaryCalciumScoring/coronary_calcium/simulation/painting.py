"""Paint tissue and calcium on the pixels of one slice: partial volume, and the smear of a moving heart."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from coronary_calcium.simulation.protocol import Protocol
from coronary_calcium.simulation.tissue import AIR, Deposit, Layer

# Calcium is finer than a pixel: it is sampled on a grid this many times finer in the plane.
SUPERSAMPLING = 3
# ... and at least this finely through the slice: the thinnest plaques are 0.6 mm across.
FINEST_STEP_MM = 0.6
# How a heart that is not gated shows: ghosts along a line, a double contour, or an arc of this many places with tails.
MOTION_FORMS = ("line", "double", "arc")
_ARC_GHOSTS = 9
# The heart moves up to this far from its center, and ever less over the last 25 mm.
_MOVING_MM = 85.0


@dataclass(frozen=True, eq=False)
class Grid:
    """Pixel centers of the image to make: columns ``x``, rows ``y`` and slices ``z`` in mm."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    pixel: float


def scan_grid(protocol: Protocol, box: float | None = None) -> Grid:
    """The protocol's grid; with ``box``, only the part within ``box`` / 2 mm of the heart's center."""
    steps = (np.arange(protocol.pixels) - (protocol.pixels - 1) / 2) * protocol.pixel
    x, y = steps + protocol.center[0], steps + protocol.center[1]
    z = np.arange(protocol.z_range[0], protocol.z_range[1] + 1e-6, protocol.spacing)
    if box is not None:
        x, y = x[np.abs(x) <= box / 2], y[np.abs(y) <= box / 2]
    return Grid(x, y, z, protocol.pixel)


def _window(bounds, values, margin):
    """Index range of ``values`` (ascending) inside ``bounds`` widened by ``margin``."""
    return np.searchsorted(values, bounds[0] - margin), np.searchsorted(values, bounds[1] + margin)


def _slice_of(shape, z, margin):
    """The part of a shape that can reach the slice at ``z``, or None."""
    low, high = shape.bounds[2]
    if z < low - margin or z > high + margin:
        return None
    return shape.part_near(z, margin) if hasattr(shape, "part_near") else shape


def paint_slice(layers: Sequence[Layer], grid: Grid, z: float) -> np.ndarray:
    """The tissue at height ``z``, float32 (2, j, i): HU at 120 kVp, and the mineral's share of them.

    Each layer covers what is below it, edges blended over a pixel. With another tube voltage, the share changes.
    """
    image = np.zeros((2, len(grid.y), len(grid.x)), dtype=np.float32)
    image[0] = AIR
    margin = grid.pixel
    for layer in layers:
        part = _slice_of(layer.shape, z, margin)
        if part is None:
            continue
        bounds = part.bounds
        i0, i1 = _window(bounds[0], grid.x, margin)
        j0, j1 = _window(bounds[1], grid.y, margin)
        if i0 >= i1 or j0 >= j1:
            continue
        distance = part.distance(grid.x[None, i0:i1], grid.y[j0:j1, None], np.full((1, 1), z))
        cover = np.clip(0.5 - distance / grid.pixel, 0, 1).astype(np.float32)
        region = image[:, j0:j1, i0:i1]
        region[0] += cover * (layer.hu - region[0])
        region[1] += cover * ((layer.hu if layer.mineral else 0.0) - region[1])
    return image


class Body:
    """Tissue that is painted when a slice is asked for."""

    # Sub-slices are at most this far apart, and at most six to a slice.
    _STEP_MM, _MOST = 1.3, 6

    def __init__(self, layers: Sequence[Layer], grid: Grid) -> None:
        self.layers, self.grid = layers, grid

    def paint(self, z: float, thickness: float) -> np.ndarray:
        """The sheet at ``z``, float32 (2, j, i) as ``paint_slice`` has it; its ``thickness`` does not matter."""
        return paint_slice(self.layers, self.grid, z)

    def tissue(self, z: float, thickness: float, factor: float) -> np.ndarray:
        """HU (j, i) of a slice, averaged through its ``thickness``; ``factor`` is the mineral's HU over 120 kVp's."""
        count = int(np.clip(np.ceil(thickness / self._STEP_MM), 1, self._MOST))
        heights = z + ((np.arange(count) + 0.5) / count - 0.5) * thickness
        both = np.mean([paint_slice(self.layers, self.grid, height) for height in heights], axis=0)
        return both[0] + np.float32(factor - 1) * both[1]


class Paintable(typing.Protocol):
    """A body that can be painted sheet by sheet."""

    def paint(self, z: float, thickness: float) -> np.ndarray:
        """The tissue of a sheet, float32 (2, j, i): HU at 120 kVp, and the mineral's share of them."""


class PaintedBody:
    """Tissue painted once, every ``step`` mm from ``bottom`` up, of which several scans are made."""

    def __init__(self, body: Paintable, bottom: float, step: float, count: int) -> None:
        self.bottom, self.step = bottom, step
        self._sheets = np.stack([body.paint(bottom + n * step, step) for n in range(count)]).astype(np.float16)

    def tissue(self, z: float, thickness: float, factor: float) -> np.ndarray:
        """HU (j, i) of a slice, the mean of the sheets inside of it."""
        low, high = ((z + side * thickness / 2 - self.bottom) / self.step for side in (-1, 1))
        first = int(np.clip(np.ceil(low - 1e-6), 0, len(self._sheets) - 1))
        last = int(np.clip(np.ceil(high - 1e-6), first + 1, len(self._sheets)))
        both = self._sheets[first:last].mean(axis=0, dtype=np.float32)
        return both[0] + np.float32(factor - 1) * both[1]


def cover_of(shape, grid: Grid, z: float) -> tuple[np.ndarray, tuple[slice, slice]] | None:
    """Share of each pixel that a small shape fills at height ``z``, and where; None when it does not reach."""
    part = _slice_of(shape, z, 0.5)
    if part is None:
        return None
    bounds = part.bounds
    i0, i1 = _window(bounds[0], grid.x, grid.pixel)
    j0, j1 = _window(bounds[1], grid.y, grid.pixel)
    if i0 >= i1 or j0 >= j1:
        return None
    fine = grid.pixel / SUPERSAMPLING
    shift = (np.arange(SUPERSAMPLING) - (SUPERSAMPLING - 1) / 2) * fine
    x = (grid.x[i0:i1, None] + shift).reshape(-1)
    y = (grid.y[j0:j1, None] + shift).reshape(-1)
    distance = part.distance(x[None, :], y[:, None], np.full((1, 1), z))
    cover = np.clip(0.5 - distance / fine, 0, 1)
    cover = cover.reshape(j1 - j0, SUPERSAMPLING, i1 - i0, SUPERSAMPLING).mean(axis=(1, 3))
    return cover.astype(np.float32), (slice(j0, j1), slice(i0, i1))


@dataclass(frozen=True, eq=False)
class Motion:
    """How far the heart moves during a slice: ghosts at ``shifts`` (n, 2), mm along x and y, with ``weights`` (n,)."""

    shifts: np.ndarray
    weights: np.ndarray

    @staticmethod
    def none() -> "Motion":
        """A heart that stands still."""
        return Motion(np.zeros((1, 2)), np.ones(1))

    @staticmethod
    def draw(random: np.random.Generator, reach: float, form: str = "line") -> "Motion":
        """The ghosts of one slice, up to about ``reach`` mm apart; none where that is less than half a millimeter.

        ``form`` is one of ``MOTION_FORMS``: three along a "line", a "double" contour of two places where the heart
        rests, or an "arc", along which it is seen for part of the turn, with tails on its tangents.
        """
        angle = random.uniform(0, 2 * np.pi)
        if reach < 0.5:
            return Motion.none()
        if form == "line":
            steps = np.array([-0.5, 0.0, 0.5]) * reach * random.uniform(0.3, 1.3)
            return Motion(np.outer(steps, [np.cos(angle), np.sin(angle)]), random.dirichlet([2, 4, 2]))
        if form == "double":
            steps = np.array([-0.5, -0.2, 0.2, 0.5]) * reach * random.uniform(0.8, 2.0)
            return Motion(np.outer(steps, [np.cos(angle), np.sin(angle)]), random.dirichlet([6, 1, 1, 6]))
        return Motion._arc(random, reach * random.uniform(0.5, 1.3), angle)

    @staticmethod
    def _arc(random: np.random.Generator, radius: float, angle: float) -> "Motion":
        turns = angle + np.linspace(-0.5, 0.5, _ARC_GHOSTS) * random.uniform(1.2, 3.8)
        arc = radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        weights = random.dirichlet(np.full(_ARC_GHOSTS, 1.5))
        # Views that saw the calcium elsewhere leave a faint streak where they enter, and darken beside it.
        tangents = np.stack([-np.sin(turns[[0, -1]]), np.cos(turns[[0, -1]])], axis=1) * [[-1.0], [1.0]]
        reaches = random.uniform(0.7, 2.5, (2, 1))
        tails = arc[[0, -1]] + tangents * reaches
        beyond = arc[[0, -1]] + 2 * tangents * reaches
        shares = np.concatenate([weights, random.uniform(0, 0.12, 2), random.uniform(-0.06, 0.05, 2)])
        shifts = np.vstack([arc - np.average(arc, axis=0, weights=weights), *((tails, beyond) - arc.mean(axis=0))])
        return Motion(shifts, shares / shares.sum())


def smear(image: np.ndarray, grid: Grid, motion: Motion) -> np.ndarray:
    """The slice (j, i) with the ghosts of a moving heart, whose center is at x = y = 0; the chest wall stands still."""
    if len(motion.weights) < 2:
        return image
    # Only where it moves, and where from: a quarter of a chest scan.
    reach = _MOVING_MM + float(np.abs(motion.shifts).max()) + 2 * grid.pixel
    (i0, i1), (j0, j1) = (_window((-reach, reach), values, 0.0) for values in (grid.x, grid.y))
    box = image[j0:j1, i0:i1]
    moved = sum(
        float(weight) * ndimage.shift(box, shift[::-1] / grid.pixel, order=1, mode="nearest")
        for shift, weight in zip(motion.shifts, motion.weights)
    )
    distance = np.hypot(grid.x[None, i0:i1], grid.y[j0:j1, None])
    share = np.clip((_MOVING_MM - distance) / 25, 0, 1).astype(np.float32)
    smeared = image.copy()
    smeared[j0:j1, i0:i1] += share * (moved - box)
    return smeared


@dataclass(frozen=True, eq=False)
class SlicePlace:
    """A slice of a scan, as small shapes are painted into it.

    Attributes
    ----------
    grid : its pixels.
    z, thickness : where it lies, in mm.
    motion : how the heart moves meanwhile.
    finest_step : shapes are sampled through the slice every so many mm.
    """

    grid: Grid
    z: float
    thickness: float
    motion: Motion
    finest_step: float = FINEST_STEP_MM


def cover_in_slice(shape, place: SlicePlace) -> tuple[np.ndarray, tuple[slice, slice]] | None:
    """Share of each voxel of the slice that a small shape fills, and in which rows and columns."""
    grid, motion, thickness = place.grid, place.motion, place.thickness
    part = _slice_of(shape, place.z, thickness)
    if part is None:
        return None
    reach = float(np.abs(motion.shifts).max()) + 2 * grid.pixel
    bounds = part.bounds
    i0, i1 = _window(bounds[0], grid.x, reach)
    j0, j1 = _window(bounds[1], grid.y, reach)
    if i0 >= i1 or j0 >= j1:
        return None
    box = Grid(grid.x[i0:i1], grid.y[j0:j1], grid.z, grid.pixel)
    count = max(4, int(np.ceil(thickness / place.finest_step)))
    cover = np.zeros((j1 - j0, i1 - i0), dtype=np.float32)
    for height in place.z + ((np.arange(count) + 0.5) / count - 0.5) * thickness:
        found = cover_of(part, box, height)
        if found is not None:
            cover[found[1]] += found[0] / count
    if len(motion.weights) > 1:
        cover = sum(
            float(weight) * ndimage.shift(cover, shift[::-1] / grid.pixel, order=1, mode="constant")
            for shift, weight in zip(motion.shifts, motion.weights)
        )
    return cover, (slice(j0, j1), slice(i0, i1))


def add_deposits(
    tissue: np.ndarray, extra: np.ndarray, deposits: list[Deposit], place: SlicePlace, factor: float = 1.0
) -> None:
    """Paint the calcium of a slice into ``tissue`` (j, i), HU before the kernel's blur.

    ``extra`` (5, j, i) gains what it adds: LM, LAD, LCX, RCA, and last what is not coronary. ``factor`` is calcium's
    HU relative to 120 kVp; metal, above 4000 HU, keeps its own.
    """
    for deposit in deposits:
        found = cover_in_slice(deposit.shape, place)
        if found is None:
            continue
        cover, where = found
        hu = deposit.hu * (factor if deposit.hu < 4000 else 1.0)
        change = cover * (hu - tissue[where])
        tissue[where] += change
        extra[deposit.label - 1][where] += np.maximum(change, 0)
