"""Solid shapes as signed distances, evaluated slice by slice.

Coordinates are patient millimeters (x to the left, y to the back, z to the head). ``distance(x, y, z)`` takes
broadcastable arrays and returns approximate signed distances in mm, negative inside.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

# How far outside of a tube its distance is told; more than the blending of an edge over a pixel needs.
TUBE_REACH_MM = 2.5
# (low, high) along x, y and z.
Bounds = tuple[tuple[float, float], ...]


class Shape(Protocol):
    """What every shape can tell."""

    @property
    def bounds(self) -> Bounds:
        """A box around the shape."""

    def distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Approximate signed distance in mm, negative inside."""


def unit(vector) -> np.ndarray:
    """The vector scaled to length 1."""
    vector = np.asarray(vector, dtype=float)
    return vector / np.linalg.norm(vector)


def frame(axis) -> np.ndarray:
    """A right-handed orthonormal frame whose first row is ``axis``; rows are the frame's axes."""
    first = unit(axis)
    helper = np.array([0.0, 0.0, 1.0]) if abs(first[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    second = unit(np.cross(helper, first))
    return np.array([first, second, np.cross(first, second)])


def _power(values: np.ndarray, exponent: float) -> np.ndarray:
    """|values| to the power of ``exponent`` in float32, by logarithms: five times as fast as numpy's own in float64.

    The error, some 1e-6, is a ten thousandth of a millimeter at the body's outline.
    """
    positive = np.maximum(np.abs(values, dtype=np.float32, casting="same_kind"), np.float32(1e-9))
    return np.exp(np.float32(exponent) * np.log(positive))


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid; ``rotation`` rows are its axes, ``exponent`` above 2 makes it boxier."""

    center: np.ndarray
    radii: np.ndarray
    rotation: np.ndarray | None = None
    exponent: float = 2.0

    @cached_property
    def bounds(self) -> Bounds:
        """A box around the shape."""
        half = np.asarray(self.radii, dtype=float)
        if self.rotation is not None:
            # Exact for an ellipsoid; a boxier one reaches a little further.
            stretch = 1.0 if self.exponent == 2.0 else 1.35
            half = stretch * np.sqrt(((half[:, None] * self.rotation) ** 2).sum(axis=0))
        return tuple((float(c - h), float(c + h)) for c, h in zip(self.center, half))

    def distance(self, x, y, z):
        """Signed distance, exact on the surface and in scale near it."""
        local = [x - self.center[0], y - self.center[1], z - self.center[2]]
        if self.rotation is not None:
            local = [row[0] * local[0] + row[1] * local[1] + row[2] * local[2] for row in self.rotation]
        scaled = [np.abs(value) / radius for value, radius in zip(local, self.radii)]
        power = self.exponent
        if power == 2.0:
            norm = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
            gradient = np.sqrt(sum((value / radius) ** 2 for value, radius in zip(scaled, self.radii)))
            return norm * (norm - 1.0) / np.maximum(gradient, 1e-6)
        norm = (scaled[0] ** power + scaled[1] ** power + scaled[2] ** power) ** (1.0 / power)
        return (norm - 1.0) * min(self.radii[0], self.radii[1])


@dataclass(frozen=True, eq=False)
class Column:
    """A superelliptic column along z whose half-axes change with height (linear between ``heights``).

    It is turned around z by ``turn`` radians, and its center moves by ``lean`` mm along x and y a mm of height.
    """

    center: tuple[float, float]
    heights: np.ndarray
    half_x: np.ndarray
    half_y: np.ndarray
    exponent: float = 2.4
    turn: float = 0.0
    lean: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def bounds(self) -> Bounds:
        """A box around the shape."""
        wide, deep = float(self.half_x.max()), float(self.half_y.max())
        cosine, sine = abs(np.cos(self.turn)), abs(np.sin(self.turn))
        bottom, top = float(self.heights[0]), float(self.heights[-1])
        sides = []
        for center, half, lean in zip(
            self.center, (wide * cosine + deep * sine, wide * sine + deep * cosine), self.lean
        ):
            ends = (center + lean * bottom, center + lean * top)
            sides.append((float(min(ends) - half), float(max(ends) + half)))
        return (*sides, (bottom, top))

    def distance(self, x, y, z):
        """Signed distance within the plane of the slice; ``z`` is one height."""
        height = float(np.asarray(z).flat[0])
        hx = max(float(np.interp(height, self.heights, self.half_x)), 1e-3)
        hy = max(float(np.interp(height, self.heights, self.half_y)), 1e-3)
        right, back = x - self.center[0] - self.lean[0] * height, y - self.center[1] - self.lean[1] * height
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        along, across = (cosine * right + sine * back) / hx, (cosine * back - sine * right) / hy
        norm = _power(_power(along, self.exponent) + _power(across, self.exponent), 1.0 / self.exponent)
        return (norm - 1.0) * min(hx, hy)


@dataclass(frozen=True, eq=False)
class Rod:
    """A straight cylinder with its axis along z."""

    center: np.ndarray
    radius: float
    length: float

    @cached_property
    def bounds(self) -> Bounds:
        """A box around the shape."""
        half = (self.radius, self.radius, self.length / 2)
        return tuple((float(c - h), float(c + h)) for c, h in zip(self.center, half))

    def distance(self, x, y, z):
        """Signed distance, exact on the surface and inside."""
        radial = np.hypot(x - self.center[0], y - self.center[1]) - self.radius
        return np.maximum(radial, np.abs(z - self.center[2]) - self.length / 2)


@dataclass(frozen=True, eq=False)
class Tube:
    """A polyline with a radius at every point."""

    points: np.ndarray
    radii: np.ndarray

    @cached_property
    def bounds(self) -> Bounds:
        """A box around the shape."""
        low = (self.points - self.radii[:, None]).min(axis=0)
        high = (self.points + self.radii[:, None]).max(axis=0)
        return tuple((float(a), float(b)) for a, b in zip(low, high))

    @cached_property
    def _half_heights(self) -> np.ndarray:
        """How far below and above each point its stretch of the tube may reach, mm."""
        return self.radii + np.abs(np.gradient(self.points[:, 2]))

    def part_near(self, z: float, margin: float) -> "Tube | None":
        """The stretch of the tube that can reach the slice at ``z``."""
        reach = np.abs(self.points[:, 2] - z) <= self._half_heights + margin
        if not reach.any():
            return None
        where = np.flatnonzero(reach)
        first, last = max(where[0] - 1, 0), min(where[-1] + 2, len(self.points))
        if first == 0 and last == len(self.points):
            return self
        return Tube(self.points[first:last], self.radii[first:last])

    def distance(self, x, y, z):
        """Signed distance to the union of the cones between the points; infinite beyond ``TUBE_REACH_MM`` of it.

        ``x`` is a row and ``y`` a column of a slice's pixels, both ascending: each cone then looks only at the
        pixels that it can reach, which is what makes a body of several hundred tubes quick to paint.
        """
        best = np.full(np.broadcast(x, y, z).shape, np.inf, dtype=np.float32)
        if best.size == 0:
            return best
        row, column = np.ravel(x), np.ravel(y)
        height = float(np.ravel(z)[0])
        reach = np.maximum(self.radii[:-1], self.radii[1:]) + TUBE_REACH_MM
        low = np.minimum(self.points[:-1], self.points[1:]) - reach[:, None]
        high = np.maximum(self.points[:-1], self.points[1:]) + reach[:, None]
        i0, i1 = np.searchsorted(row, low[:, 0]), np.searchsorted(row, high[:, 0])
        j0, j1 = np.searchsorted(column, low[:, 1]), np.searchsorted(column, high[:, 1])
        touched = (i0 < i1) & (j0 < j1) & (low[:, 2] <= height) & (height <= high[:, 2])
        # float32 and plain numbers: half the time, and an error of a hundredth of a micrometre.
        row, column = row.astype(np.float32), column.astype(np.float32)
        for n in np.flatnonzero(touched):
            start, along = self.points[n].tolist(), (self.points[n + 1] - self.points[n]).tolist()
            r0, r1 = float(self.radii[n]), float(self.radii[n + 1])
            length2 = max(sum(value * value for value in along), 1e-9)
            dx = row[i0[n] : i1[n]] - start[0]
            dy, dz = column[j0[n] : j1[n], None] - start[1], height - start[2]
            t = (dx * (along[0] / length2)) + (dy * (along[1] / length2) + dz * along[2] / length2)
            # numpy's clip takes five times as long for so few pixels.
            t = np.minimum(np.maximum(t, 0.0), 1.0)
            square = (dx - t * along[0]) ** 2 + (dy - t * along[1]) ** 2 + (dz - t * along[2]) ** 2
            part = best[j0[n] : j1[n], i0[n] : i1[n]]
            np.minimum(part, np.sqrt(square) - (r0 + t * (r1 - r0)), out=part)
        return best


@dataclass(frozen=True)
class Inside:
    """A shape cut to the inside of another."""

    shape: Shape
    limit: Shape

    @cached_property
    def bounds(self) -> Bounds:
        """A box around the shape."""
        return tuple((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(self.shape.bounds, self.limit.bounds))

    def distance(self, x, y, z):
        """Signed distance of the intersection."""
        return np.maximum(self.shape.distance(x, y, z), self.limit.distance(x, y, z))


@dataclass(frozen=True)
class Pose:
    """How a patient lies: turned around z by ``roll`` radians, leaning by ``lean`` mm along x and y a mm of height."""

    roll: float
    lean: tuple[float, float]

    def points(self, points: np.ndarray) -> np.ndarray:
        """The points (n, 3) where they lie then; the heart's center, at 0, stays."""
        moved = np.asarray(points, dtype=float) @ self._rotation.T
        moved[..., :2] += moved[..., 2:] * self.lean
        return moved

    def shape(self, shape: Shape) -> Shape:
        """The shape in this pose; an ellipsoid's center leans, its form stays."""
        if isinstance(shape, Inside):
            return Inside(self.shape(shape.shape), self.shape(shape.limit))
        if isinstance(shape, Tube):
            return Tube(self.points(shape.points), shape.radii)
        if isinstance(shape, Ellipsoid):
            axes = np.eye(3) if shape.rotation is None else shape.rotation
            return replace(shape, center=self.points(shape.center), rotation=axes @ self._rotation.T)
        if isinstance(shape, Column):
            x, y, _ = self.points(np.array([*shape.center, 0.0]))
            return replace(shape, center=(x, y), turn=shape.turn + self.roll, lean=self.lean)
        raise TypeError(f"no pose for {type(shape).__name__}")

    @property
    def _rotation(self) -> np.ndarray:
        cosine, sine = np.cos(self.roll), np.sin(self.roll)
        return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def smooth_path(points, step: float = 2.0) -> np.ndarray:
    """A Catmull-Rom curve through the points, resampled every ``step`` mm; (n, 3)."""
    points = np.asarray(points, dtype=float)
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    pieces = []
    for p0, p1, p2, p3 in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:]):
        t = np.linspace(0, 1, 12, endpoint=False)[:, None]
        pieces.append(
            0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
        )
    return resample_path(np.vstack([*pieces, points[-1:]]), step)


def resample_path(points: np.ndarray, step: float) -> np.ndarray:
    """The polyline with points every ``step`` mm of its length."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = max(round(float(lengths[-1]) / step), 1) + 1
    at = np.linspace(0, lengths[-1], count)
    return np.stack([np.interp(at, lengths, points[:, axis]) for axis in range(3)], axis=1)
