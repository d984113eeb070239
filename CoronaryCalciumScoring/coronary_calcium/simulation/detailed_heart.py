"""The mediastinum in detail: chambers in a pericardial sac of fat that fills the grooves, and the great vessels.

The sac is the envelope of the chambers without their creases; what lies between it and the chambers is epicardial fat:
thick in the grooves, where the coronary arteries run, and before the right ventricle, thin over the left one.
"""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.simulation.heart_anatomy import Heart
from coronary_calcium.simulation.shapes import Pose, Tube, unit
from coronary_calcium.simulation.smooth_fields import Noise, Plane, ramp, smooth_max, smooth_min
from coronary_calcium.simulation.tube_cover import Segments, segments_distance

# Radius of the fat around each artery at its start and end, mm: wide in the atrioventricular groove of the right one.
_GROOVES = {"LM": (6.5, 6.0), "LAD": (6.0, 3.4), "LCX": (6.0, 4.0), "RCA": (8.0, 5.5)}
_BRANCH_GROOVE = (3.4, 2.4)
# How far creases between chambers are filled by the sac, and between it and the vessels by mediastinal fat.
_SAC_FILL_MM, _FAT_FILL_MM = 24.0, 16.0
# Beyond this distance the vessels need not be told.
_VESSEL_REACH_MM = 28.0


@dataclass(frozen=True, eq=False)
class HeartSheet:
    """Signed distances (j, i) at one height: the chambers, the sac, the vessels, and all of the mediastinum."""

    chambers: np.ndarray
    sac: np.ndarray
    vessels: np.ndarray
    whole: np.ndarray


class DetailedHeart:
    """A heart with its sac, its fat and its vessels, in the pose of the patient."""

    def __init__(self, r: np.random.Generator, heart: Heart, pose: Pose) -> None:
        self._chambers = [pose.shape(shape) for shape in heart.chambers]
        self._center, self._right = pose.points(heart.landmarks["ventricle"]), heart.landmarks["right"]
        self.fat = float(r.uniform(0.8, 1.5))
        self._base = float(r.uniform(0.8, 1.6))
        self._pads = [(pose.points(center), radii * self.fat**0.3) for center, radii in _pads(r, heart)]
        vessels = [Tube(pose.points(tube.points), tube.radii) for tube in heart.vessels]
        self._vessels = Segments.along([_thinned(tube.points, tube.radii, 3) for tube in vessels])
        # The sac reaches up along the ascending aorta and the pulmonary trunk.
        roots = [(vessels[3].points[:22], vessels[3].radii[:22]), (vessels[0].points[:18], vessels[0].radii[:18])]
        self._roots = Segments.along([_thinned(*root, 3) for root in roots])
        grooves = []
        for name, path in heart.arteries.items():
            first, last = _GROOVES.get(name, _BRANCH_GROOVE)
            radii = np.linspace(first, last, len(path)) * (0.55 + 0.4 * self.fat)
            grooves.append(_thinned(pose.points(path), radii, 4))
        self._grooves = Segments.along(grooves)
        self._waves = Noise(r, 15.0), Noise(r, 22.0), Noise(r, 26.0)

    def sheet(self, plane: Plane, z: float) -> HeartSheet:
        """The distances at height ``z``."""
        x, y = plane.x[None, :], plane.y[:, None]
        fine, middle, wide = (noise.at(plane.x, plane.y, z) for noise in self._waves)
        each = [shape.distance(x, y, np.full((1, 1), z)) for shape in self._chambers]
        chambers, envelope = each[0], each[0]
        for distance in each[1:]:
            chambers, envelope = smooth_min(chambers, distance, 5.0), smooth_min(envelope, distance, _SAC_FILL_MM)
        roots = segments_distance(self._roots, plane.x, plane.y, z, _VESSEL_REACH_MM)
        envelope = smooth_min(envelope, roots, 14.0)
        groove = segments_distance(self._grooves, plane.x, plane.y, z, 14.0)
        sac = envelope - self._thickness(x, y, z) + 1.2 * wide
        sac = smooth_min(sac, groove + 0.5, 11.0)
        chambers = smooth_max(chambers + 1.1 * fine + 0.8 * middle, -groove, 3.5)
        chambers = smooth_max(chambers, sac + self._base, 2.0)
        vessels = segments_distance(self._vessels, plane.x, plane.y, z, _VESSEL_REACH_MM) + 0.35 * fine
        whole = smooth_min(sac - 1.2, vessels - 2.2 - 1.2 * self.fat, _FAT_FILL_MM)
        for center, radii in self._pads:
            scaled = [(x - center[0]) / radii[0], (y - center[1]) / radii[1], (z - center[2]) / radii[2]]
            norm = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
            whole = smooth_min(whole, (norm - 1) * float(np.min(radii)) + 2.5 * middle, 12.0)
        return HeartSheet(chambers, sac, vessels, whole + 0.9 * wide)

    def _thickness(self, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        """Of the fat over the chambers: thin on the left, thick before the right ventricle and towards the apex."""
        away = [x - self._center[0], y - self._center[1], z - self._center[2]]
        norm = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2) + 1e-3
        goal = unit(self._right + np.array([0.1, -0.9, 0.0]))
        toward = sum(value * share for value, share in zip(away, goal)) / norm
        return self._base + self.fat * 5.0 * ramp(toward, 0.1, 0.95)


def _pads(r: np.random.Generator, heart: Heart) -> list[tuple[np.ndarray, np.ndarray]]:
    """Paracardiac fat: at the apex, in both cardiophrenic angles, and before the right heart."""
    axis, up, right = (heart.landmarks[name] for name in ("axis", "up", "right"))
    spots = (0.95 * axis - 0.5 * up, 0.45 * axis + 0.9 * right - 0.6 * up, 0.6 * axis + 0.8 * right + 0.2 * up)
    reaches, sizes = (46.0, 48.0, 46.0), ((14, 24), (14, 26), (10, 18))
    return [
        (heart.landmarks["ventricle"] + reach * unit(spot), r.uniform(*size, 3))
        for spot, reach, size in zip(spots, reaches, sizes)
    ]


def _thinned(points: np.ndarray, radii: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Every ``step``-th point, and the last one."""
    kept = np.unique(np.append(np.arange(0, len(points), step), len(points) - 1))
    return points[kept], radii[kept]
