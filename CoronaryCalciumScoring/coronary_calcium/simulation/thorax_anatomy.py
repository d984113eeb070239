"""A simulated chest around the heart: skin to lungs, spine, ribs, sternum, diaphragm, airways and lung vessels."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.simulation.shapes import Column, Ellipsoid, Inside, Tube, smooth_path, unit
from coronary_calcium.simulation.skeleton import BOTTOM, TOP, build_bones
from coronary_calcium.simulation.tissue import AIR, FAT, LIVER, LUNG, MUSCLE, Layer


@dataclass(frozen=True, eq=False)
class Thorax:
    """Layers in painting order (``before`` the heart and ``after`` it), and where things can calcify."""

    before: tuple[Layer, ...]
    after: tuple[Layer, ...]
    cage: Column
    midline: float
    sternum_y: float
    spine_y: float
    hila: tuple[np.ndarray, np.ndarray]
    cartilages: tuple[np.ndarray, ...]
    airways: tuple[tuple[np.ndarray, np.ndarray], ...]
    skin: Column

    def skin_point(self, sideways: float, height: float) -> np.ndarray:
        """A point on the skin of the front: ``sideways`` -1 (right) to 1 (left), ``height`` in mm."""
        half_x = float(np.interp(height, self.skin.heights, self.skin.half_x))
        half_y = float(np.interp(height, self.skin.heights, self.skin.half_y))
        depth = half_y * (1 - abs(sideways) ** self.skin.exponent) ** (1 / self.skin.exponent)
        return np.array([self.skin.center[0] + sideways * half_x, self.skin.center[1] - depth - 2.0, height])


@dataclass(frozen=True)
class Build:
    """A patient's frame in mm: where the midline, sternum and spine are, the cage's half-axes, wall and fat."""

    size: float
    age: float
    female: bool
    midline: float
    sternum_y: float
    spine_y: float
    half_x: float
    half_y: float
    wall: float
    fat: float

    @property
    def center_y(self) -> float:
        """The cage's middle from front to back."""
        return self.sternum_y + 3 + self.half_y


def draw_build(r: np.random.Generator) -> Build:
    """A patient's age, sex and frame; women are smaller on average."""
    age, female = float(r.uniform(35, 90)), bool(r.random() < 0.5)
    size = float(np.clip(r.normal(1.03 if female else 1.12, 0.07), 0.85, 1.3))
    # The front of the heart lies against the chest wall: the sternum is about 66 mm in front of its center. From it to
    # the spine, 100 to 149 mm were measured on three chest scans; the lungs reach further back, beside the spine.
    sternum_y = -size * r.uniform(60, 74) - 3
    spine_y = sternum_y + size * r.uniform(100, 142) + 14
    half_y = (spine_y + r.uniform(22, 38) - sternum_y - 3) / 2
    return Build(
        size=size,
        age=age,
        female=female,
        midline=float(r.uniform(-24, -8)),
        sternum_y=float(sternum_y),
        spine_y=float(spine_y),
        half_x=float(size * r.uniform(108, 138)),
        half_y=float(half_y),
        wall=float(r.uniform(9, 18)),
        fat=float(r.uniform(4, 40)),
    )


def build_thorax(random: np.random.Generator, build: Build) -> Thorax:
    """The chest of a build; older bones are thinner and calcify more."""
    r, size, age = random, build.size, build.age
    midline, sternum_y, spine_y = build.midline, build.sternum_y, build.spine_y
    heights = np.array([BOTTOM, -120, -40, 40, 110, 160, TOP])
    cage = Column(
        (midline, build.center_y),
        heights,
        build.half_x * np.array([0.92, 1.0, 1.0, 0.97, 0.84, 0.6, 0.3]),
        build.half_y * np.array([1, 1, 1, 0.95, 0.84, 0.65, 0.4]),
        float(r.uniform(2.0, 2.4)),
    )
    outer = lambda extra: Column(  # noqa: E731 (a local shorthand)
        (midline, build.center_y + 6),
        heights,
        cage.half_x + extra * np.array([1, 1, 1, 1.1, 1.4, 2.4, 2.6]),
        cage.half_y + 4 + extra * np.array([1, 1, 1, 1, 1.1, 1.2, 1.3]),
        cage.exponent,
    )
    skin = outer(build.wall + build.fat)
    before = _table(r, skin)
    if build.female:
        before += _breasts(r, build)
    before += [
        Layer(skin, FAT + r.normal(0, 5)),
        Layer(outer(build.wall), MUSCLE + r.normal(0, 5)),
        Layer(outer(build.wall * 0.45), -20.0),
    ]
    before += _muscles(r, build)
    before.append(Layer(cage, LUNG + r.normal(0, 25)))
    # Beside the spine the lungs reach further back than its front: soft tissue stands between them.
    paraspinal = Column((midline, spine_y + 22), heights, np.full(7, r.uniform(19, 26)), np.full(7, 36.0), 2.4)
    before.append(Layer(paraspinal, 40.0))
    before += _mediastinum(r, midline, sternum_y, spine_y)
    before += _diaphragm(r, size, cage, midline)
    hila = (np.array([midline - 38, 34.0, 34.0]), np.array([midline + 46, 38.0, 30.0]))
    before += _lung_vessels(r, cage, hila)
    bones, cartilages = build_bones(r, cage, midline, sternum_y, spine_y, age)
    carina = np.array([midline, min(40.0, spine_y - 30), 62.0])
    airways = [Tube(smooth_path([carina + [0, -14, 120], carina]), np.full(61, 8.5))]
    airways += [_airway(carina, hila[0] + [-6, 4, 0], 6.5), _airway(carina, hila[1] + [6, 4, 0], 6.0)]
    after = []
    for tube in airways:
        after += [Layer(Tube(tube.points, tube.radii + 1.4), 10.0), Layer(tube, AIR)]
    oesophagus = smooth_path([[midline + 10, spine_y - 24, z] for z in (TOP, 100, 20, -60, BOTTOM)], 5.0)
    before.append(Layer(Tube(oesophagus, np.full(len(oesophagus), r.uniform(6, 9))), 40.0))
    if r.random() < 0.4:
        before.append(Layer(Tube(oesophagus, np.full(len(oesophagus), r.uniform(1.5, 3.5))), -600.0))
    return Thorax(
        tuple(before),
        tuple([*after, *bones]),
        cage,
        midline,
        sternum_y,
        spine_y,
        hila,
        cartilages,
        tuple((tube.points, tube.radii) for tube in airways),
        skin,
    )


def _table(r, skin):
    """The table's shell and foam below the patient."""
    back = skin.center[1] + float(skin.half_y[2]) + 6
    heights, wide = np.array([BOTTOM - 400, TOP + 400]), r.uniform(190, 230)
    center = (skin.center[0] + r.normal(0, 8), back + 14)
    return [
        Layer(Column(center, heights, np.full(2, wide), np.full(2, 17.0), 5.0), r.uniform(-150, 120)),
        Layer(Column(center, heights, np.full(2, wide - 2.5), np.full(2, 14.5), 5.0), -920.0),
    ]


def _breasts(r, build):
    """Fat with some gland, on the front; lying on the back they spread to the sides."""
    layers = []
    full, gland = r.uniform(0.5, 1.5), r.uniform(-60, 30)
    for side in (-1, 1):
        center = np.array([build.midline + side * 72 * build.size, build.sternum_y - build.wall + 2, 34.0])
        radii = np.array([62, 20 + 26 * full, 62]) * build.size
        layers += [
            Layer(Ellipsoid(center, radii), FAT),
            Layer(Ellipsoid(center - [0, 6 * full, 0], radii * [0.5, 0.55, 0.5]), gland),
        ]
    return layers


def _muscles(r, build):
    """Pectorals, the muscles of the back and below the shoulder blades, and the blades themselves."""
    layers, thick = [], r.uniform(6, 15)
    for side in (-1, 1):
        front = np.array([build.midline + side * 70 * build.size, build.sternum_y + 8, 80.0])
        layers.append(Layer(Ellipsoid(front, np.array([62, thick + 12, 50])), MUSCLE))
        back = np.array([build.midline + side * 26, build.spine_y + 36, 0.0])
        layers.append(Layer(Ellipsoid(back, np.array([27, 14 + thick, 420])), MUSCLE))
    return layers


def _airway(start, stop, radius):
    path = smooth_path([start, (start + stop) / 2 + np.array([0, -2, -4]), stop])
    return Tube(path, np.linspace(radius, radius * 0.7, len(path)))


def _mediastinum(r, midline, sternum_y, spine_y):
    heights = np.array([BOTTOM, -60, 0, 60, 110, 160, TOP])
    upper = Column(
        (midline + 4, (sternum_y + spine_y) / 2 + 6),
        np.array([40.0, 56, 130, TOP]),
        np.array([26.0, 40, 40, 44]),
        np.array([40.0, 46, 48, 40]),
        2.2,
    )
    # From the left atrium to the spine, and past the descending aorta.
    deep = (spine_y - 16.0) / 2 + 4
    back = Column(
        (midline + 14, 16.0 + deep), heights, np.full(7, r.uniform(17, 25)), np.full(7, max(deep + 4, 18.0)), 2.0
    )
    front = Column(
        (midline + r.uniform(-4, 12), sternum_y + 8),
        heights,
        np.full(7, r.uniform(3, 14)),
        np.full(7, r.uniform(12, 20)),
        1.4,
    )
    return [Layer(front, FAT), Layer(back, FAT + 15), Layer(upper, FAT + 15)]


def _diaphragm(r, size, cage, midline):
    right_top, left_top = r.uniform(-36, -8) * size, r.uniform(-56, -34) * size
    layers = [
        Layer(
            Inside(
                Ellipsoid(np.array([midline - 55 * size, 10, right_top - 110]), np.array([88 * size, 100, 110])), cage
            ),
            LIVER,
        ),
        Layer(
            Inside(
                Ellipsoid(np.array([midline + 60 * size, 12, left_top - 110]), np.array([84 * size, 98, 110])), cage
            ),
            FAT + 60,
        ),
        Layer(Inside(Ellipsoid(np.array([midline, 5, -165]), np.array([150, 120, 95])), cage), FAT),
        Layer(
            Inside(
                Ellipsoid(np.array([midline - 60 * size, 8, right_top - 118]), np.array([84 * size, 94, 112])), cage
            ),
            LIVER,
        ),
    ]
    lobe = np.array([midline + 20 * size, -20.0, min(left_top, -40.0) - 62])
    layers.append(Layer(Inside(Ellipsoid(lobe, np.array([90.0, 62, 58]) * size), cage), LIVER))
    stomach = np.array([midline + 58 * size, -8 + r.normal(0, 8), left_top - 34])
    radii = np.array([40, 36, 26]) * r.uniform(0.8, 1.2)
    layers += [Layer(Ellipsoid(stomach, radii), 40.0), Layer(Ellipsoid(stomach + [0, -9, 2], radii * 0.7), AIR)]
    layers.append(Layer(Ellipsoid(np.array([midline + 92 * size, 50, left_top - 40]), np.array([26, 36, 34])), 50.0))
    return layers


def _lung_vessels(r, cage, hila):
    layers = []
    for hilum in hila:
        side = np.sign(hilum[0] - cage.center[0])
        layers.append(Layer(Ellipsoid(hilum, np.array([16, 17, 22]) * r.uniform(0.8, 1.15)), 38.0))
        for _ in range(34):
            direction = unit(np.array([side * abs(r.normal(0.8, 0.5)), r.normal(0, 0.8), r.normal(-0.1, 0.9)]))
            length = r.uniform(35, 95)
            bend = hilum + direction * length * 0.5 + r.normal(0, 6, 3)
            path = smooth_path([hilum, bend, hilum + direction * length + r.normal(0, 9, 3)], 3.0)
            layers.append(Layer(Inside(Tube(path, np.linspace(r.uniform(2.2, 4.8), 0.7, len(path))), cage), 40.0))
    return layers
