"""Tubes of any width on the pixels of a slice: how much of each voxel they fill, and how far away they are."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Segments:
    """Straight pieces of tubes from ``start`` to ``stop`` (n, 3), each of one ``radius`` (n,), in mm."""

    start: np.ndarray
    stop: np.ndarray
    radius: np.ndarray

    @staticmethod
    def along(paths: Iterable[tuple[np.ndarray, np.ndarray]]) -> "Segments":
        """The pieces of polylines (n, 3) with a radius at each point."""
        made = [(points[:-1], points[1:], (radii[:-1] + radii[1:]) / 2) for points, radii in paths]
        return Segments(*(np.concatenate(part) for part in zip(*made)))

    def near(self, z: float, margin: float) -> "Segments":
        """Those that reach within ``margin`` of the height ``z``."""
        low = np.minimum(self.start[:, 2], self.stop[:, 2]) - self.radius - margin
        high = np.maximum(self.start[:, 2], self.stop[:, 2]) + self.radius + margin
        near = (low <= z) & (z <= high)
        return Segments(self.start[near], self.stop[near], self.radius[near])

    def _windows(self, x: np.ndarray, y: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """The columns and rows (n, 4) that each can reach."""
        low = np.minimum(self.start, self.stop) - reach[:, None]
        high = np.maximum(self.start, self.stop) + reach[:, None]
        sides = [np.searchsorted(x, low[:, 0]), np.searchsorted(x, high[:, 0])]
        return np.stack([*sides, np.searchsorted(y, low[:, 1]), np.searchsorted(y, high[:, 1])], axis=1)


def segments_cover(segments: Segments, x: np.ndarray, y: np.ndarray, z: float, thickness: float) -> np.ndarray:
    """The share of each voxel (j, i) of a slice that the segments fill, float32.

    A vertical line through the pixel lies in a cylinder along a stretch that a quadratic gives; its share of the slice
    is the cover. Between pixels, edges are blended over half of one.
    """
    cover = np.zeros((len(y), len(x)), dtype=np.float32)
    near = segments.near(z, thickness / 2)
    pixel = float(x[1] - x[0])
    row, column = x.astype(np.float32), y.astype(np.float32)[:, None]
    for n, (i0, i1, j0, j1) in enumerate(near._windows(x, y, near.radius + pixel)):
        if i0 >= i1 or j0 >= j1:
            continue
        (x0, y0, z0), radius = near.start[n].tolist(), float(near.radius[n])
        ux, uy, uz = (near.stop[n] - near.start[n]).tolist()
        length = max((ux * ux + uy * uy + uz * uz) ** 0.5, 1e-6)
        ux, uy, uz = ux / length, uy / length, uz / length
        dx, dy = row[i0:i1] - x0, column[j0:j1] - y0
        along = dx * ux + dy * uy
        square = max(1 - uz * uz, 1e-5)
        middle = along * (uz / square)
        # A little wider by the pixel's own extent, and as much fainter.
        wide = radius * radius + (0.3 * pixel) ** 2
        half = np.sqrt(np.maximum(middle**2 - (dx * dx + dy * dy - along * along - wide) / square, 0))
        low = np.maximum(middle - half, max(z - thickness / 2 - z0, min(uz * length, 0) - radius))
        high = np.minimum(middle + half, min(z + thickness / 2 - z0, max(uz * length, 0) + radius))
        share = np.maximum(high - low, 0) * ((radius * radius / wide) ** 0.5 / thickness)
        at = along + uz * (low + high) / 2
        share *= (at > -radius) & (at < length + radius)
        part = cover[j0:j1, i0:i1]
        np.maximum(part, share, out=part)
    return np.minimum(cover, 1)


def segments_distance(segments: Segments, x: np.ndarray, y: np.ndarray, z: float, reach: float) -> np.ndarray:
    """Signed distance (j, i) to the segments' surface, float32; ``reach`` where it is larger."""
    distance = np.full((len(y), len(x)), reach, dtype=np.float32)
    near = segments.near(z, reach)
    row, column = x.astype(np.float32), y.astype(np.float32)[:, None]
    for n, (i0, i1, j0, j1) in enumerate(near._windows(x, y, near.radius + reach)):
        if i0 >= i1 or j0 >= j1:
            continue
        x0, y0, z0 = near.start[n].tolist()
        ux, uy, uz = (near.stop[n] - near.start[n]).tolist()
        square = max(ux * ux + uy * uy + uz * uz, 1e-9)
        dx, dy, dz = row[i0:i1] - x0, column[j0:j1] - y0, z - z0
        t = np.clip((dx * ux + dy * uy + dz * uz) / square, 0, 1)
        found = np.sqrt((dx - t * ux) ** 2 + (dy - t * uy) ** 2 + (dz - t * uz) ** 2) - float(near.radius[n])
        part = distance[j0:j1, i0:i1]
        np.minimum(part, found, out=part)
    return distance
