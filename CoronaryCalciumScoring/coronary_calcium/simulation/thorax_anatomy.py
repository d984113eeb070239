"""A simulated chest around the heart: skin to lungs, spine, ribs, sternum, diaphragm, airways and lung vessels."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.simulation.shapes import Column, Ellipsoid, Inside, Tube, smooth_path, unit
from coronary_calcium.simulation.tissue import AIR, FAT, LIVER, LUNG, MUSCLE, Layer

# The chest's top and bottom around the heart's centre, in mm; the scan's range is cut out of this.
TOP, BOTTOM = 210.0, -190.0


@dataclass(frozen=True)
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


def build_thorax(random: np.random.Generator, size: float, age: float) -> Thorax:
    """A chest for a heart of linear ``size``; older bones are thinner and calcify more."""
    r = random
    midline = r.uniform(-24, -8)
    half_x, half_y = size * r.uniform(108, 138), size * r.uniform(76, 98)
    # The front of the heart lies against the chest wall: the sternum is about 66 mm in front of its centre.
    center_y = half_y - size * r.uniform(60, 74)
    heights = np.array([BOTTOM, -120, -40, 40, 110, 160, TOP])
    cage = Column(
        (midline, center_y),
        heights,
        half_x * np.array([0.92, 1.0, 1.0, 0.97, 0.84, 0.6, 0.3]),
        half_y * np.array([1, 1, 1, 0.95, 0.84, 0.65, 0.4]),
    )
    wall, fat = r.uniform(16, 26), r.uniform(6, 42)
    outer = lambda extra: Column(  # noqa: E731 (a local shorthand)
        (midline, center_y + 4),
        heights,
        cage.half_x + extra * np.array([1, 1, 1, 1.1, 1.4, 2.4, 2.6]),
        cage.half_y + extra * np.array([1, 1, 1, 1, 1.1, 1.2, 1.3]),
    )
    sternum_y, spine_y = center_y - half_y - 3, center_y + half_y - 22
    before = [
        Layer(outer(wall + fat), FAT + r.normal(0, 5)),
        Layer(outer(wall), MUSCLE + r.normal(0, 5)),
        Layer(outer(wall * 0.45), -20.0),
    ]
    before.append(Layer(cage, LUNG + r.normal(0, 25)))
    before += _mediastinum(r, midline, sternum_y, spine_y)
    before += _diaphragm(r, size, cage, midline)
    hila = (np.array([midline - 38, 34.0, 34.0]), np.array([midline + 46, 38.0, 30.0]))
    before += _lung_vessels(r, cage, hila)
    bones, cartilages = _bones(r, cage, midline, sternum_y, spine_y, age)
    carina = np.array([midline, 40.0, 62.0])
    airways = [Tube(smooth_path([carina + [0, -14, 120], carina]), np.full(61, 8.5))]
    airways += [_airway(carina, hila[0] + [-6, 4, 0], 6.5), _airway(carina, hila[1] + [6, 4, 0], 6.0)]
    after = []
    for tube in airways:
        after += [Layer(Tube(tube.points, tube.radii + 1.4), 10.0), Layer(tube, AIR)]
    oesophagus = smooth_path([[midline + 6, spine_y - 30, z] for z in (TOP, 100, 20, -60, BOTTOM)])
    before.append(Layer(Tube(oesophagus, np.full(len(oesophagus), 7.5)), 40.0))
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
        outer(wall + fat),
    )


def _airway(start, stop, radius):
    path = smooth_path([start, (start + stop) / 2 + np.array([0, -2, -4]), stop])
    return Tube(path, np.linspace(radius, radius * 0.7, len(path)))


def _mediastinum(r, midline, sternum_y, spine_y):
    heights = np.array([BOTTOM, -60, 0, 60, 110, 160, TOP])
    upper = Column(
        (midline, (sternum_y + spine_y) / 2 + 4),
        np.array([48.0, 60, 130, TOP]),
        np.array([26.0, 36, 38, 44]),
        np.array([46.0, 52, 54, 40]),
        2.2,
    )
    back = Column(
        (midline + 6, spine_y - 8), heights, np.full(7, r.uniform(24, 32)), np.full(7, r.uniform(20, 28)), 2.2
    )
    front = Column(
        (midline + r.uniform(-4, 8), sternum_y + 12),
        heights,
        np.full(7, r.uniform(5, 22)),
        np.full(7, r.uniform(14, 24)),
        2.0,
    )
    return [Layer(front, FAT), Layer(back, FAT + 20), Layer(upper, FAT + 15)]


def _diaphragm(r, size, cage, midline):
    right_top, left_top = r.uniform(-48, -28) * size, r.uniform(-66, -46) * size
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
        for _ in range(26):
            direction = unit(np.array([side * abs(r.normal(0.8, 0.5)), r.normal(0, 0.8), r.normal(-0.1, 0.9)]))
            length = r.uniform(35, 95)
            bend = hilum + direction * length * 0.5 + r.normal(0, 6, 3)
            path = smooth_path([hilum, bend, hilum + direction * length + r.normal(0, 9, 3)], 3.0)
            layers.append(Layer(Inside(Tube(path, np.linspace(r.uniform(2.2, 4.8), 0.7, len(path))), cage), 40.0))
    return layers


def _bones(r, cage, midline, sternum_y, spine_y, age):
    """Layers of all bones, and the paths of the costal cartilages."""
    cortex, marrow = r.uniform(500, 1100), r.uniform(110, 330) - 1.5 * max(age - 50, 0)
    layers = []
    for height in np.arange(BOTTOM - 10, TOP + 20, 24.0):
        layers += _vertebra(r, midline, spine_y, height, cortex, marrow, age)
    canal = smooth_path([[midline, spine_y + 20, z] for z in (TOP, 0, BOTTOM)], 4.0)
    layers.append(Layer(Tube(canal, np.full(len(canal), 8.0)), 30.0))
    layers += _sternum(midline, sternum_y, cortex, marrow)
    ribs, cartilages = _ribs(r, cage, midline, sternum_y, cortex, marrow, age)
    return [*layers, *ribs], cartilages


def _vertebra(r, midline, spine_y, height, cortex, marrow, age):
    """A vertebra with the disc above it; now and then with an osteophyte at its front."""
    body = Column((midline, spine_y), np.array([height - 10.5, height + 10.5]), np.full(2, 17.0), np.full(2, 14.0), 2.6)
    core = Column((midline, spine_y), np.array([height - 9.2, height + 9.2]), np.full(2, 15.4), np.full(2, 12.4), 2.6)
    disc = Ellipsoid(np.array([midline, spine_y, height + 12.0]), np.array([17.0, 14.0, 3.2]))
    layers = [Layer(body, cortex * 0.75, True), Layer(core, marrow, True), Layer(disc, 90.0)]
    spinous = [
        [midline - 13, spine_y + 12, height],
        [midline - 11, spine_y + 24, height],
        [midline, spine_y + 32, height - 4],
        [midline, spine_y + 52, height - 14],
    ]
    transverse = [[midline - 11, spine_y + 22, height], [midline - 34, spine_y + 30, height + 2]]
    mirrored = [[[2 * midline - x, y, z] for x, y, z in points] for points in (spinous[:3], transverse)]
    for points, radius in ((spinous, 4.6), (mirrored[0], 4.6), (transverse, 4.4), (mirrored[1], 4.4)):
        path = smooth_path(points, 3.0)
        layers += [
            Layer(Tube(path, np.full(len(path), radius)), cortex, True),
            Layer(Tube(path, np.full(len(path), radius - 1.8)), marrow, True),
        ]
    if r.random() < (age - 40) / 60:
        spur = np.array([midline + r.choice([-1, 1]) * r.uniform(8, 17), spine_y - r.uniform(8, 14), height + 11])
        layers.append(Layer(Ellipsoid(spur, r.uniform(2.5, 5.5, 3)), cortex * 0.8, True))
    return layers


def _sternum(midline, sternum_y, cortex, marrow):
    """The sternum as a chain of boxes, the manubrium wider; first the shell, then what it holds."""
    chain = [np.array([midline, sternum_y - 4, z]) for z in np.arange(-55, 105, 10.0)]
    layers = []
    for half_x, half_y, hu in ((15.0, 6.2, cortex * 0.6), (13.2, 4.4, marrow * 0.8)):
        for index, center in enumerate(chain):
            radii = np.array([half_x + 5 * (index > 12), half_y, 8.5])
            layers.append(Layer(Ellipsoid(center, radii, exponent=3.0), hu, True))
    return layers


def _ribs(r, cage, midline, sternum_y, cortex, marrow, age):
    """Ribs, costal cartilages with their calcifications (more with age), and the cartilages' paths."""
    layers, cartilages = [], []
    ossified = max(0.0, (age - 35) / 55)
    for height in np.arange(BOTTOM + 30, TOP - 20, 24.0):
        for side in (-1, 1):
            rib, cartilage = _rib(r, cage, midline, height, side, sternum_y)
            layers += [
                Layer(Tube(rib, np.full(len(rib), 5.2)), cortex, True),
                Layer(Tube(rib, np.full(len(rib), 3.4)), marrow * 0.8, True),
            ]
            if cartilage is not None:
                cartilages.append(cartilage)
                layers.append(Layer(Tube(cartilage, np.full(len(cartilage), 5.6)), r.uniform(75, 125)))
                for _ in range(r.poisson(7 * ossified)):
                    spot = cartilage[r.integers(len(cartilage))] + r.normal(0, 3.2, 3)
                    layers.append(Layer(Ellipsoid(spot, r.uniform(0.8, 3.4, 3)), r.uniform(180, 650), True))
    return layers, tuple(cartilages)


def _rib(r, cage, midline, height, side, sternum_y):
    """A rib from the spine, sloping down to the front, and the cartilage that joins it to the sternum."""
    angles = np.radians(np.linspace(97, -58, 40))
    drop = 52 * np.linspace(0, 1, 40) ** 1.1
    z = height + 26 - drop + r.normal(0, 1.0)
    hx = np.interp(z, cage.heights, cage.half_x) + 5.5
    hy = np.interp(z, cage.heights, cage.half_y) + 5.5
    power = 2 / cage.exponent
    x = cage.center[0] + side * hx * np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** power
    y = cage.center[1] + hy * np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** power
    rib = np.stack([x, y, z], axis=1)
    if not -70 < z[-1] < 100:
        return rib, None
    end = np.array([midline + side * 15, sternum_y - 3, np.clip(z[-1] + 14, -50, 95)])
    front = (rib[-1] + end) / 2 + np.array([side * 6, -3.0, -3.0])
    return rib, smooth_path([rib[-1], front, end], 2.5)
