"""A simulated heart: chambers, great vessels, and the coronary tree in its grooves of fat.

The heart's center is the origin. The long axis points to the left, to the front and to the feet; around it lies
the ring of the atrioventricular groove, which carries the right coronary artery on one side and the circumflex on the
other; the anterior descending artery runs from the ring's upper left to the apex.
"""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.simulation.shapes import Ellipsoid, Tube, resample_path, smooth_path, unit
from coronary_calcium.simulation.tissue import BLOOD, FAT, MYOCARDIUM, Layer


@dataclass(frozen=True, eq=False)
class Heart:
    """Layers in painting order, and the coronary arteries as paths of points 1 mm apart, by name of the branch.

    LPDA stands for the posterior descending artery where the left coronary artery is dominant, else PDA.
    """

    layers: tuple[Layer, ...]
    arteries: dict[str, np.ndarray]
    vessel_radius: dict[str, float]
    landmarks: dict[str, np.ndarray]
    aorta: np.ndarray
    aorta_radius: np.ndarray
    valve_rings: dict[str, tuple[np.ndarray, np.ndarray, float]]
    mitral_arc: np.ndarray
    surface: tuple[np.ndarray, ...]
    papillary: np.ndarray
    # Left and right ventricle, left and right atrium, left appendage.
    chambers: tuple[Ellipsoid, ...]
    # Pulmonary trunk, right and left pulmonary artery, aorta, upper and lower vena cava, four pulmonary veins.
    vessels: tuple[Tube, ...]


# Which label's artery a branch belongs to.
BRANCH_LABEL = {"LM": 1, "LAD": 2, "D1": 2, "D2": 2, "LCX": 3, "OM1": 3, "OM2": 3, "RCA": 4, "PDA": 4, "LPDA": 3}


def _surface_point(chambers, origin, direction, lift):
    """Where the ray from ``origin`` leaves the union of the chambers, raised by ``lift`` mm."""
    t = np.arange(0.0, 95.0, 0.75)
    points = origin + t[:, None] * unit(direction)
    depth = np.min([shape.distance(*points.T) for shape in chambers], axis=0)
    inside = np.flatnonzero(depth < 0)
    radius = t[inside[-1]] if inside.size else 30.0
    return origin + (radius + lift) * unit(direction)


def _between(first, second, t):
    """The direction at ``t`` on the great circle between two directions."""
    first, second = unit(first), unit(second)
    angle = np.arccos(np.clip(first @ second, -1, 1))
    return (np.sin((1 - t) * angle) * first + np.sin(t * angle) * second) / max(np.sin(angle), 1e-6)


@dataclass(frozen=True, eq=False)
class _Frame:
    """Which way a heart lies, as unit vectors (x, y, z), and its linear size relative to the average adult's."""

    size: float
    axis: np.ndarray
    up: np.ndarray
    right: np.ndarray


@dataclass(frozen=True, eq=False)
class _Chambers:
    """Left and right of each, the left appendage, and the centers of left ventricle and atrioventricular ring."""

    ventricles: list[Ellipsoid]
    atria: list[Ellipsoid]
    appendage: Ellipsoid
    center: np.ndarray
    ring: np.ndarray

    @property
    def walls(self) -> list[Ellipsoid]:
        """The four that carry the coronary arteries and the fat."""
        return [*self.ventricles, *self.atria]


@dataclass(frozen=True, eq=False)
class _Aorta:
    """Its root, with its radius, and the path with the radius at each point."""

    root: np.ndarray
    root_radius: float
    path: np.ndarray
    radius: np.ndarray


def build_heart(random: np.random.Generator, size: float, spine: tuple[float, float] = (-16.0, 75.0)) -> Heart:
    """A heart of linear ``size`` relative to the average adult; ``spine`` is where x and y of the vertebrae lie."""
    r, s = random, size
    frame = _draw_frame(r, s)
    axis, up, right = frame.axis, frame.up, frame.right
    chambers = _draw_chambers(r, frame)
    ring_center = chambers.ring
    aorta = _draw_aorta(r, frame, ring_center, spine)
    pulmonary, vessels = _draw_vessels(r, frame, chambers, aorta)
    arteries = _coronaries(r, frame, chambers, aorta)
    layers, radii = _paint(r, frame, chambers, aorta, pulmonary, vessels, arteries)
    return Heart(
        tuple(layers),
        arteries,
        radii,
        {
            "ring": ring_center,
            "axis": axis,
            "up": up,
            "right": right,
            "ventricle": chambers.center,
            "root": aorta.root,
        },
        aorta.path,
        aorta.radius,
        {
            "aortic": (aorta.root, unit(up + 0.3 * right), aorta.root_radius * 0.75),
            "tricuspid": (ring_center + right * s * 22 - up * s * 6, axis, s * r.uniform(15, 19)),
        },
        _mitral_arc(r, s, arteries["LCX"], ring_center - right * s * 12 - up * s * 4, up, right),
        _surface_runs(chambers.walls, chambers.center, axis, up, right),
        np.array([chambers.center + s * (6 * axis - 14 * right + turn * 12 * up) for turn in (-1.0, 1.0)]),
        (*chambers.walls, chambers.appendage),
        tuple(layer.shape for layer in vessels if isinstance(layer.shape, Tube)),
    )


def _draw_frame(r: np.random.Generator, size: float) -> _Frame:
    axis = unit(np.array([0.68, -0.48, -0.55]) + r.normal(0, 0.09, 3))
    up = unit(np.array([0.1, -0.35, 0.95]) - axis * (np.array([0.1, -0.35, 0.95]) @ axis))
    right = np.cross(up, axis)
    if right[0] > 0:
        right = -right
    return _Frame(size, axis, up, right)


def _jitter(r: np.random.Generator, scale: float) -> np.ndarray:
    """A shift by chance of ``scale`` mm along each axis."""
    return r.normal(0, scale, 3)


def _draw_chambers(r: np.random.Generator, frame: _Frame) -> _Chambers:
    s, axis, up, right = frame.size, frame.axis, frame.up, frame.right
    ventricle_center = s * (np.array([16.0, -10.0, -12.0]) + _jitter(r, 2))
    long_radius, wide = s * r.uniform(50, 58), s * r.uniform(36, 42)
    basis = np.array([axis, up, right])
    ventricles = [
        Ellipsoid(ventricle_center, np.array([long_radius, wide, wide * r.uniform(0.95, 1.1)]), basis),
        Ellipsoid(
            ventricle_center + s * (0.45 * 38 * right - 4 * axis + np.array([0, -7, 0]) + _jitter(r, 1.5)),
            s * np.array([44, 33, 31]) * r.uniform(0.94, 1.06, 3),
            basis,
        ),
    ]
    ring_center = ventricle_center - axis * long_radius * r.uniform(0.52, 0.62)
    atria = [
        Ellipsoid(
            ring_center - axis * s * 20 + s * np.array([6.0, 14.0, 4.0]) + _jitter(r, 1.5),
            s * np.array([37, 22, 25]) * r.uniform(0.9, 1.12),
        ),
        Ellipsoid(
            ring_center + right * s * 27 - axis * s * 8 + _jitter(r, 1.5),
            s * np.array([25, 28, 33]) * r.uniform(0.9, 1.12),
        ),
    ]
    appendage = Ellipsoid(ring_center - right * s * 34 + up * s * 20 - axis * s * 2, s * np.array([11, 9, 12]))
    return _Chambers(ventricles, atria, appendage, ventricle_center, ring_center)


def _draw_aorta(r: np.random.Generator, frame: _Frame, ring_center: np.ndarray, spine: tuple[float, float]) -> _Aorta:
    s, up, right = frame.size, frame.up, frame.right
    root = ring_center + up * s * r.uniform(14, 18) + right * s * r.uniform(-2, 4)
    root_radius = s * r.uniform(14.5, 18)
    # The descending aorta lies before the spine, on its left.
    behind = np.array(spine) + [r.uniform(22, 29), -r.uniform(12, 20)]
    path = smooth_path(
        [
            root - up * 8 * s,
            root + up * 8 * s,
            root + s * np.array([-12, -9, 32]) + _jitter(r, 2),
            root + s * np.array([-14, -4, 60]) + _jitter(r, 2),
            root + s * np.array([-4, 10, 82]) + _jitter(r, 2),
            np.array([(root[0] + behind[0]) / 2, (root[1] + behind[1]) / 2 + 8, root[2] + 84 * s]),
            [*(behind + [2, -2]), root[2] + 56],
            [*behind, root[2] - 20],
            [*(behind + [-6, 2]), root[2] - 120],
            [*(behind + [-10, 2]), root[2] - 220],
        ]
    )
    taper = np.interp(np.linspace(0, 1, len(path)), [0, 0.3, 0.5, 1], [1.0, 0.98, 0.82, 0.72]) * root_radius
    return _Aorta(root, root_radius, path, taper)


def _draw_vessels(
    r: np.random.Generator, frame: _Frame, chambers: _Chambers, aorta: _Aorta
) -> tuple[np.ndarray, list[Layer]]:
    """The pulmonary trunk's path, and the great vessels; the aorta is the fourth."""
    s, axis, up, right = frame.size, frame.axis, frame.up, frame.right
    ring_center, atria, root = chambers.ring, chambers.atria, aorta.root
    outflow = ring_center + up * s * 22 - right * s * 12 + axis * s * 14
    pulmonary = smooth_path([outflow, outflow + s * np.array([4, 2, 22]), outflow + s * np.array([6, 26, 44])])
    fork = pulmonary[-1]
    vessels = [
        Layer(Tube(pulmonary, np.full(len(pulmonary), s * r.uniform(12, 15))), BLOOD),
        Layer(
            _tapered([fork, fork + s * np.array([-30, 8, -4]), fork + s * np.array([-58, 20, -12])], s * 11, s * 8),
            BLOOD,
        ),
        Layer(
            _tapered([fork, fork + s * np.array([18, 18, 0]), fork + s * np.array([38, 34, -10])], s * 11, s * 8), BLOOD
        ),
        Layer(Tube(aorta.path, aorta.radius), BLOOD),
        Layer(
            _tapered(
                [
                    root + s * np.array([-30, 12, 90]),
                    root + s * np.array([-30, 6, 40]),
                    atria[1].center + s * np.array([0, 2, 10]),
                ],
                s * 9,
                s * 10,
            ),
            BLOOD,
        ),
        Layer(
            _tapered(
                [
                    atria[1].center - s * np.array([0, -4, 15]),
                    atria[1].center + s * np.array([4, 14, -60]),
                    atria[1].center + s * np.array([8, 24, -130]),
                ],
                s * 12,
                s * 12,
            ),
            BLOOD,
        ),
    ]
    for side in (-1, 1):
        for height in (10, -12):
            mouth = atria[0].center + s * np.array([side * 26, 6, height * 0.6])
            vessels.append(
                Layer(_tapered([mouth, mouth + s * np.array([side * 22, 10, height * 0.7])], s * 7, s * 5), BLOOD)
            )
    return pulmonary, vessels


def _paint(
    r: np.random.Generator,
    frame: _Frame,
    chambers: _Chambers,
    aorta: _Aorta,
    pulmonary: np.ndarray,
    vessels: list[Layer],
    arteries: dict[str, np.ndarray],
) -> tuple[list[Layer], dict[str, float]]:
    """The layers in painting order, fat first, and the radius of each coronary artery at its start."""
    s = frame.size
    fat_amount = r.uniform(0.5, 1.5)
    # Epicardial fat follows the chambers, but lies to one side of each: a margin of even width would tell them apart.
    layers = _fat_pads(r, s, fat_amount, chambers.center, frame.axis, frame.up, frame.right)
    coats = []
    for chamber in chambers.walls:
        padding = r.uniform(0.5, 4.0) * fat_amount
        coats.append((chamber.center + r.normal(0, 0.55 * padding, 3), chamber.radii + padding, chamber.rotation))
    # The pericardium shows as a thin line around the fat.
    layers += [Layer(Ellipsoid(center, radii + 0.8, rotation), -10.0) for center, radii, rotation in coats]
    layers += [Layer(Ellipsoid(center, radii, rotation), FAT + 8) for center, radii, rotation in coats]
    layers.append(Layer(Tube(aorta.path[:40], aorta.radius[:40] + 4 * fat_amount), FAT + 8))
    layers.append(Layer(Tube(pulmonary, np.full(len(pulmonary), s * 15 + 4 * fat_amount)), FAT + 8))
    layers += [Layer(shape, MYOCARDIUM + r.normal(0, 2)) for shape in chambers.ventricles]
    layers += [Layer(shape, BLOOD + r.normal(0, 2)) for shape in [*chambers.atria, chambers.appendage]]
    layers += vessels
    radii = {}
    for path in arteries.values():
        fat_radius = np.linspace(6.5, 3.0, len(path)) * (0.4 + 0.7 * fat_amount)
        layers.append(Layer(Tube(path[::3], fat_radius[::3]), FAT))
    layers.append(vessels[3])
    for name, path in arteries.items():
        start = {"LM": 2.3, "LAD": 1.9, "LCX": 1.7, "RCA": 1.9}.get(name, 1.3) * r.uniform(0.85, 1.2)
        radii[name] = start
        layers.append(Layer(Tube(path[::2], np.linspace(start, start * 0.55, len(path[::2]))), BLOOD))
    return layers, radii


def _mitral_arc(r, s, circumflex, center, up, right):
    """The mitral ring from its left end around the back to the septum, a few mm within the circumflex."""
    inwards = center - circumflex
    depth = s * r.uniform(4.5, 9.0)
    arc = circumflex + inwards / np.linalg.norm(inwards, axis=1, keepdims=True) * depth
    arc = arc[len(arc) // 6 :: 6]
    end = center - up * s * 16 + right * s * 12
    return np.vstack([arc, (arc[-1] + end) / 2, end]) if np.linalg.norm(arc[-1] - end) > 8 else arc


def _surface_runs(chambers, center, axis, up, right):
    """Runs of points 3 mm outside of the chambers, where the pericardium is."""
    runs = []
    for tilt, first, last in ((0.9, 150, 260), (0.3, 130, 280), (0.3, -60, 60), (1.6, 140, 300)):
        angles = np.radians(np.arange(first, last, 8.0))
        rays = [tilt * axis + np.cos(a) * right + np.sin(a) * up for a in angles]
        runs.append(np.array([_surface_point(chambers, center, ray, 4.0) for ray in rays]))
    return tuple(runs)


def _fat_pads(r, s, amount, center, axis, up, right):
    """Fat at the apex and in the angles between heart and diaphragm, and before the right heart."""
    spots = (0.95 * axis - 0.45 * up, 0.5 * axis + 0.9 * right - 0.5 * up, 0.5 * axis + 0.8 * right + 0.3 * up)
    layers = []
    for spot in spots:
        reach = s * r.uniform(34, 46) * unit(spot)
        radii = s * r.uniform(12, 26, 3) * np.sqrt(amount)
        layers.append(Layer(Ellipsoid(center + reach, radii, np.array([axis, up, right])), FAT))
    return layers


def _tapered(points, first, last):
    path = smooth_path(points)
    return Tube(path, np.linspace(first, last, len(path)))


def _coronaries(r: np.random.Generator, frame: _Frame, heart: _Chambers, aorta: _Aorta) -> dict[str, np.ndarray]:
    """Paths of the coronary tree, 1 mm between points."""
    s, axis, up, right = frame.size, frame.axis, frame.up, frame.right
    chambers, center, ring_center = heart.walls, heart.center, heart.ring
    root, root_radius = aorta.root, aorta.root_radius
    lift = 2.6

    def ring(degrees):
        # The mean of three rays: chambers that bulge over the groove would make the artery jump from one to the next.
        angles = np.radians([degrees - 11, degrees, degrees + 11])
        origin = ring_center + axis * s * 3
        rays = [_surface_point(chambers, origin, np.cos(a) * right + np.sin(a) * up, lift) for a in angles]
        radius = np.mean([np.linalg.norm(point - origin) for point in rays])
        return origin + radius * (np.cos(angles[1]) * right + np.sin(angles[1]) * up)

    def wall(first, second, stops):
        return [_surface_point(chambers, center, _between(first, second, t), lift) for t in stops]

    fork_angle = r.uniform(112, 128)
    fork = ring(fork_angle)
    left_ostium = root + root_radius * unit(fork - root - up * ((fork - root) @ up) * 0.7) + up * s * 5
    middle = (left_ostium + fork) / 2 + up * s * r.uniform(0, 4)
    arteries = {"LM": [left_ostium, middle, fork]}
    apex = axis + 0.12 * r.normal(0, 1, 3)
    bulge = unit(fork - center) + r.uniform(0.4, 1.1) * np.array([0.12, -0.9, 0.1]) + r.normal(0, 0.06, 3)
    descending = wall(fork - center, bulge, [0.35, 0.8]) + wall(bulge, apex, [0.25, 0.5, 0.75, 0.95])
    arteries["LAD"] = [fork, *descending]
    for name, at, lean in (("D1", 1, 0.75), ("D2", 2, 0.6)):
        start = arteries["LAD"][at + 1]
        aside = unit(np.cross(axis, start - center))
        aside = aside if aside @ right < 0 else -aside
        goal = unit(start - center) + lean * aside + 0.7 * axis
        arteries[name] = [start, *wall(start - center, goal, [0.35, 0.7, 1.0])]
    left_dominant = r.random() < 0.12
    last = 265 if left_dominant else r.uniform(205, 240)
    around = np.arange(fork_angle, last, 14)
    arteries["LCX"] = [fork, *[ring(a) for a in around[1:]]]
    for name, at in (("OM1", 2), ("OM2", 4)):
        if at < len(arteries["LCX"]):
            start = arteries["LCX"][at]
            arteries[name] = [start, *wall(start - center, unit(start - center) + 1.1 * axis, [0.3, 0.6, 1.0])]
    right_ostium = root + root_radius * unit(0.7 * right + np.array([0, -0.7, 0])) + up * s * 5
    end = -70 if left_dominant else -92
    arteries["RCA"] = [right_ostium, *[ring(a) for a in np.arange(52, end, -14)]]
    # The posterior descending artery is the circumflex's branch where the left coronary artery is dominant.
    if left_dominant:
        crux = arteries["LCX"][-1]
        arteries["LPDA"] = [crux, *wall(crux - center, apex, [0.2, 0.45, 0.7])]
    else:
        crux = arteries["RCA"][-1]
        arteries["PDA"] = [crux, *wall(crux - center, apex, [0.2, 0.45, 0.7])]
    wander = 0.8
    return {
        name: resample_path(
            smooth_path(np.asarray(points) + np.vstack([np.zeros(3), r.normal(0, wander, (len(points) - 1, 3))])), 1.0
        )
        for name, points in arteries.items()
    }
