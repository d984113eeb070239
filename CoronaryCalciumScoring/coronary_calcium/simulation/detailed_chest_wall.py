"""The chest wall in detail: skin, fat with its septa, muscles, ribs that run obliquely through a slice, and the table.

Around the cage's middle everything lies at a depth outside of the pleura that depends on the angle and the height, so
that one coarse plane of depths describes all layers. Angles are 0 at the spine and 1 at the sternum, on either side.
"""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.simulation.painting import Grid
from coronary_calcium.simulation.shapes import Pose
from coronary_calcium.simulation.skeleton import BOTTOM, TOP
from coronary_calcium.simulation.smooth_fields import Noise, Plane, ramp, smooth_max, smooth_min
from coronary_calcium.simulation.thorax_anatomy import Build

# Depth outside of the pleura of the middle of the ribs, and of the muscles' inner surface, mm.
RIB_DEPTH_MM, MUSCLE_DEPTH_MM = 5.6, 10.5
RIB_HALF_MM, RIB_HALF_HEIGHT_MM, CORTEX_MM = 4.1, 7.0, 1.1
# Ribs are this far apart, sink this far from spine to cartilage, and end at this angle; cartilages rise again.
RIB_SPACING_MM, RIB_DROP_MM, RIB_END, CARTILAGE_RISE_MM = 26.0, 138.0, 0.77, 42.0
_HEIGHTS = np.array([BOTTOM, -120.0, -40.0, 40.0, 110.0, 160.0, TOP])
_WIDE = np.array([0.95, 1.0, 1.0, 0.96, 0.84, 0.62, 0.36])
_DEEP = np.array([1.0, 1.0, 1.0, 0.95, 0.85, 0.68, 0.45])


@dataclass(frozen=True, eq=False)
class WallSheet:
    """Fields (j, i) at one height, mm: depth outside of the pleura, outer surface of the muscles and of the skin
    (signed distances), the angle from spine to sternum, and the height relative to rib 0 in ribs.
    """

    depth: np.ndarray
    muscle: np.ndarray
    skin: np.ndarray
    gland: np.ndarray
    angle: np.ndarray
    ribs: np.ndarray


class ChestWall:
    """A chest wall around the cage of a build."""

    def __init__(self, r: np.random.Generator, build: Build, pose: Pose) -> None:
        self.build, self.pose = build, pose
        self._front, self._back = float(r.uniform(2.15, 2.4)), float(r.uniform(2.5, 2.9))
        self._bumps = r.normal(0, 1, (2, 5)) * np.array([0.4, 1.6, 1.1, 0.8, 0.5])
        self._phase = float(r.uniform(0, RIB_SPACING_MM))
        self._pectoral, self._lateral = float(r.uniform(9, 17)), float(r.uniform(8, 14))
        self._spinal, self._fat = float(r.uniform(15, 20)), 3 + 0.85 * build.fat
        self._breast = float(r.uniform(0.7, 1.2)) if build.female else 0.0
        self._waves = Noise(r, 28.0), Noise(r, 45.0)
        self.age = build.age
        # The back is flat where the patient lies on it.
        self.back_y = build.center_y + build.half_y + MUSCLE_DEPTH_MM + self._spinal + 0.3 * self._fat + 6
        self.table = (build.midline + float(r.normal(0, 8)), self.back_y + float(r.uniform(2, 9)), r.uniform(380, 520))

    def upright(self, plane: Plane, z: float) -> tuple[np.ndarray, np.ndarray]:
        """The plane's positions x and y (j, i) in the frame of a patient who lies straight."""
        return self._straight(plane.x, plane.y, z)

    def upright_pixels(self, grid: Grid, z: float) -> tuple[np.ndarray, np.ndarray]:
        """The same for the pixels of a scan."""
        return self._straight(grid.x, grid.y, z)

    def _straight(self, x: np.ndarray, y: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
        x, y = x[None, :] - self.pose.lean[0] * z, y[:, None] - self.pose.lean[1] * z
        cosine, sine = np.cos(self.pose.roll), np.sin(self.pose.roll)
        return cosine * x + sine * y, cosine * y - sine * x

    def sheet(self, plane: Plane, z: float) -> WallSheet:
        """The fields at height ``z``."""
        build = self.build
        x, y = self.upright(plane, z)
        right, back = x - build.midline, y - build.center_y
        radius = np.hypot(right, back) + 1e-3
        short, wide = (noise.at(plane.x, plane.y, z) for noise in self._waves)
        depth = radius - self._pleura(right, back, radius, z) + 1.2 * wide + 0.4 * short
        # 0 at the spine, 1 at the sternum.
        angle = np.arctan2(np.abs(right), back) / np.pi
        outside = MUSCLE_DEPTH_MM + self._muscles(right, back, angle, z)
        fat = self._fat * (0.45 + 0.35 * ramp(angle, 0.1, 0.4) + 0.35 * ramp(angle, 0.35, 0.7) * ramp(-z, -60, 60))
        muscle = depth - outside - 0.6 * wide
        skin = depth - outside - fat - 2.0 + 1.5 * wide
        gland = np.full(skin.shape, 30.0)
        if self._breast:
            skin, gland = self._with_breasts(skin, right, y, z, short)
        skin = smooth_max(skin, y - self.back_y, 22.0)
        drop = RIB_DROP_MM * (np.clip(angle, 0, RIB_END) / RIB_END) ** 1.1
        rise = CARTILAGE_RISE_MM * np.clip((angle - RIB_END) / (1 - RIB_END), 0, 1)
        side = np.where(right > 0, 5.0, 0.0)
        ribs = (z + drop - rise - self._phase + side + 1.3 * wide) / RIB_SPACING_MM
        return WallSheet(depth, smooth_max(muscle, skin + 3.0, 4.0), skin, gland, angle, ribs)

    def _pleura(self, right: np.ndarray, back: np.ndarray, radius: np.ndarray, z: float) -> np.ndarray:
        """Radius of the cage's inside along each pixel's direction from its middle."""
        build = self.build
        half_x = 0.92 * build.half_x * float(np.interp(z, _HEIGHTS, _WIDE))
        half_y = build.half_y * float(np.interp(z, _HEIGHTS, _DEEP))
        cosine, sine = np.abs(right) / radius, back / radius
        power = np.where(sine > 0, self._back, self._front)
        found = ((cosine / half_x) ** power + (np.abs(sine) / half_y) ** power) ** (-1 / power)
        turn = np.arctan2(back, right)
        for n, (first, second) in enumerate(self._bumps.T, start=1):
            found = found + first * np.cos(n * turn) + second * np.sin(n * turn)
        # The spine stands between the lungs: beside it they reach furthest back.
        return found + 6.0 * ramp(sine, 0.55, 0.8)

    def _muscles(self, right: np.ndarray, back: np.ndarray, angle: np.ndarray, z: float) -> np.ndarray:
        """Thickness of the muscles outside of the ribs."""
        size = self.build.size
        pectoral = self._pectoral * _bump(angle, 0.72, 0.2) * float(ramp(z, -45, 55))
        blade = 17.0 * _bump(angle, 0.27, 0.17) * float(ramp(z, -5, 70))
        lateral = self._lateral * _bump(angle, 0.42, 0.2)
        behind = ramp(back, 0, 50)
        spinal = self._spinal * np.exp(-((np.abs(np.abs(right) - 28 * size) / (24 * size)) ** 2.4)) * behind
        midline = (self._spinal - 5) * np.exp(-((right / (18 * size)) ** 2)) * behind
        broad = 11.0 * ramp(-angle, -0.42, -0.14)
        shoulder = 40.0 * _bump(angle, 0.5, 0.36) * float(ramp(z, 95, 190))
        return 3.0 + pectoral + lateral + np.maximum(blade, broad) + np.maximum(spinal, midline) + shoulder

    def _with_breasts(self, skin, right, y, z, noise):
        """The skin with the breasts, spread to the sides as of who lies on the back, and the distance to the gland."""
        build = self.build
        gland = np.full(skin.shape, 30.0)
        for side in (-1, 1):
            center = (side * 90 * build.size, build.sternum_y + 12, 20.0)
            radii = np.array([70, 30 + 18 * self._breast, 70]) * build.size
            local = [(right - center[0]) / radii[0], (y - center[1]) / radii[1], (z - center[2]) / radii[2]]
            norm = np.sqrt(local[0] ** 2 + local[1] ** 2 + local[2] ** 2)
            skin = smooth_min(skin, (norm - 1) * float(radii.min()), 34.0)
            core = np.sqrt((local[0] / 0.5) ** 2 + ((local[1] + 0.55) / 0.3) ** 2 + (local[2] / 0.5) ** 2)
            gland = np.minimum(gland, (core - 1) * 15.0 + 7.0 * noise)
        return skin, gland


def _bump(values: np.ndarray, middle: float, half: float) -> np.ndarray:
    """1 at ``middle``, smoothly 0 beyond ``half`` of it."""
    return 1 - ramp(np.abs(values - middle), 0.25 * half, half)
