"""The tubes of a detailed body: vessels of heart, lungs and chest wall, esophagus, airways; and nodes."""

import numpy as np

from coronary_calcium.simulation.lung_vessels import grow_tree
from coronary_calcium.simulation.shapes import smooth_path
from coronary_calcium.simulation.skeleton import BOTTOM, TOP
from coronary_calcium.simulation.thorax_anatomy import Build
from coronary_calcium.simulation.tube_cover import Segments

_TARGETS, _WIDEST_MM = (2000, 800, 800), (6.5, 5.0, 5.0)
# A bronchus beside an artery of at least this radius, mm, of this share of its radius.
_BRONCHUS_FROM_MM, _BRONCHUS_SHARE = 2.2, 0.6


class DetailedVessels:
    """Tubes of blood and air, in the pose of the patient."""

    def __init__(self, r: np.random.Generator, anatomy, lung_points: np.ndarray) -> None:
        heart, pose = anatomy.heart, anatomy.pose
        paths = [
            (pose.points(path), np.linspace(heart.vessel_radius[name], 0.55 * heart.vessel_radius[name], len(path)))
            for name, path in heart.arteries.items()
        ]
        self.coronary = Segments.along([(points[::2], radii[::2]) for points, radii in paths])
        self.small = Segments.along(
            [(pose.points(points), radii) for points, radii in [*_heart_veins(r, heart), *_wall_vessels(r, anatomy)]]
        )
        gullet = smooth_path(
            [[anatomy.build.midline + 9 + r.normal(0, 2), _before_spine(anatomy, 9), z] for z in (TOP, 60, 0, BOTTOM)]
        )
        self.esophagus = Segments.along([(pose.points(gullet), np.full(len(gullet), r.uniform(6.5, 8.5)))])
        self.gas = Segments.along([(pose.points(gullet), np.full(len(gullet), r.uniform(0.8, 2.6)))])
        airways = [(pose.points(points), radii) for points, radii in anatomy.thorax.airways]
        self.airways = Segments.along(airways)
        self.airway_walls = Segments.along([(points, radii + 1.3) for points, radii in airways])
        self.lung, self.bronchi = self._lungs(r, anatomy, lung_points)
        self.bronchial_walls = Segments(self.bronchi.start, self.bronchi.stop, self.bronchi.radius + 0.7)

    def _lungs(self, r, anatomy, lung_points) -> tuple[Segments, Segments]:
        """The vessels of both lungs, and the bronchi beside the larger arteries."""
        trees, bronchi = [], []
        ends = anatomy.pose.points(np.array([tube.points[-1] for tube in anatomy.heart.vessels]))
        # Pulmonary artery and two veins of the right lung, then of the left one.
        for side, roots in ((-1, ends[[1, 6, 7]]), (1, ends[[2, 8, 9]])):
            own = lung_points[(lung_points[:, 0] - anatomy.build.midline) * side > 0]
            if len(own) < max(_TARGETS):
                continue
            for root, count, widest in zip(roots, _TARGETS, _WIDEST_MM):
                # Each vein drains its half of the lung.
                chosen = own[np.argsort(own[:, 2] * np.sign(root[2] - roots[1:, 2].mean()))[-len(own) * 3 // 5 :]]
                pool = own if count == _TARGETS[0] else chosen
                trees.append(grow_tree(r, root, pool[r.choice(len(pool), count, replace=False)], widest))
            arteries = trees[-3]
            wide = arteries.radius > _BRONCHUS_FROM_MM
            aside = np.array([0.3, -0.6, 0.7]) * (1.9 * arteries.radius[wide] + 0.4)[:, None]
            bronchi.append(
                Segments(
                    arteries.start[wide] + aside, arteries.stop[wide] + aside, _BRONCHUS_SHARE * arteries.radius[wide]
                )
            )
        return _joined(trees), _joined(bronchi)


def detailed_airways(build: Build, carina: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Trachea, and the main bronchi down to the lower lobes, as paths (n, 3) with radii in mm: the left one flatter."""
    size = build.size
    trachea = smooth_path([carina + [3, -14, 120], carina + [1, -7, 60], carina])
    right = smooth_path(
        carina + size * np.array([[0, 0, 0], [-13, 2, -17], [-22, 5, -36], [-31, 10, -66], [-45, 22, -98]])
    )
    left = smooth_path(carina + size * np.array([[0, 0, 0], [17, 2, -15], [35, 7, -29], [46, 14, -58], [58, 26, -90]]))
    widths = ([8.5, 8.0], [7.0, 6.0, 5.2, 3.2, 1.8], [6.5, 5.6, 5.0, 3.2, 1.8])
    return tuple(
        (path, np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(radii)), np.multiply(radii, size**0.5)))
        for path, radii in zip((trachea, right, left), widths)
    )


def _joined(parts: list[Segments]) -> Segments:
    if not parts:
        return Segments(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    return Segments(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "stop", "radius")))


def _before_spine(anatomy, gap: float) -> float:
    """Y of what lies ``gap`` mm before the vertebrae."""
    return anatomy.build.spine_y - 13.5 * anatomy.build.size - gap


def _heart_veins(r, heart) -> list[tuple[np.ndarray, np.ndarray]]:
    """The great cardiac vein beside the LAD, and the coronary sinus in the groove of the LCX."""
    center = heart.landmarks["ventricle"]
    veins = []
    descending = heart.arteries["LAD"][::3] + r.normal(0, 0.3, 3) + 3.0 * heart.landmarks["right"] * -1
    veins.append((descending, np.linspace(1.5, 0.8, len(descending))))
    circumflex = heart.arteries["LCX"][len(heart.arteries["LCX"]) // 4 :: 3]
    inwards = center - circumflex
    sinus = circumflex + 3.6 * inwards / np.linalg.norm(inwards, axis=1, keepdims=True)
    veins.append((sinus, np.linspace(2.0, 4.2, len(sinus))))
    for name in ("RCA", "OM1", "D1"):
        if name in heart.arteries:
            path = heart.arteries[name][4::3] + r.normal(0, 2.0, 3)
            if len(path) > 1:
                veins.append((path, np.full(len(path), 0.7)))
    return veins


def _wall_vessels(r, anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    """Internal mammary vessels, azygos vein, nodes and small vessels of the mediastinum's fat."""
    build, thorax = anatomy.build, anatomy.thorax
    found = []
    for side in (-1, 1):
        for gap in (0.0, 3.6):
            x = build.midline + side * (19 * build.size + 4 + gap)
            path = smooth_path([[x + r.normal(0, 1.5), build.sternum_y + 3.5, z] for z in (110, 50, 0, -60)], 6.0)
            found.append((path, np.full(len(path), 1.3)))
    x, y = build.midline - 9, _before_spine(anatomy, 5)
    path = smooth_path(
        [[x - 1, y, BOTTOM], [x, y, -20], [x - 1, y, 48], [x - 6, y - 14, 56], [x - 14, y - 40, 54]], 4.0
    )
    found.append((path, np.full(len(path), r.uniform(3.2, 4.6))))
    for _ in range(14):
        spot = np.array([build.midline + r.normal(4, 16), r.uniform(-10, 30), r.uniform(40, 100)])
        found.append((np.array([spot, spot + r.normal(0, 2.5, 3)]), np.full(2, r.uniform(1.6, 3.6))))
    for hilum in thorax.hila:
        for _ in range(5):
            spot = hilum + r.normal(0, 8, 3)
            found.append((np.array([spot, spot + r.normal(0, 3, 3)]), np.full(2, r.uniform(2.5, 5.0))))
    for _ in range(22):
        spot = np.array([build.midline + r.normal(6, 18), r.uniform(build.sternum_y + 4, 20), r.uniform(-60, 100)])
        path = smooth_path([spot, spot + r.normal(0, 9, 3), spot + r.normal(0, 16, 3)], 4.0)
        found.append((path, np.full(len(path), r.uniform(0.5, 1.0))))
    return found
