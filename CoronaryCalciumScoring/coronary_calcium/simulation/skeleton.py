"""The bones of a simulated chest: spine, sternum, and ribs with their cartilages."""

import numpy as np

from coronary_calcium.simulation.shapes import Column, Ellipsoid, Tube, smooth_path
from coronary_calcium.simulation.tissue import Layer

# The chest's top and bottom around the heart's center, in mm; the scan's range is cut out of this.
TOP, BOTTOM = 210.0, -190.0


def build_bones(
    r: np.random.Generator, cage: Column, midline: float, sternum_y: float, spine_y: float, age: float
) -> tuple[list[Layer], tuple[np.ndarray, ...]]:
    """Layers of all bones, and the paths (n, 3) of the costal cartilages; lengths in mm, age in years."""
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
    for height in np.arange(BOTTOM + 30, TOP + 50, 24.0):
        for side in (-1, 1):
            rib, cartilage = _rib(r, cage, midline, height, side, sternum_y)
            layers += [
                Layer(Tube(rib, np.full(len(rib), 5.2)), cortex, True),
                Layer(Tube(rib, np.full(len(rib), 3.4)), marrow * 0.8, True),
            ]
            if cartilage is not None:
                cartilages.append(cartilage)
                layers.append(Layer(Tube(cartilage, np.full(len(cartilage), r.uniform(5.6, 8.0))), r.uniform(75, 140)))
                for _ in range(r.poisson(7 * ossified)):
                    spot = cartilage[r.integers(len(cartilage))] + r.normal(0, 3.2, 3)
                    layers.append(Layer(Ellipsoid(spot, r.uniform(0.8, 3.4, 3)), r.uniform(180, 650), True))
    return layers, tuple(cartilages)


def _rib(r, cage, midline, height, side, sternum_y):
    """A rib from the spine, sloping down to the front, and the cartilage that joins it to the sternum."""
    angles = np.radians(np.linspace(97, -58, 40))
    drop = 95 * np.linspace(0, 1, 40) ** 1.1
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
