"""Calcium and metal that is not coronary: aorta, valves, annulus, pericardium, nodes, leads, stents. All of label 0.

All functions return deposits with label 0, in the coordinates (mm) of the paths and points that they are given, so that
the same calcium can be put into a simulated chest and, along drawn paths, into a real scan.
"""

from collections.abc import Collection

import numpy as np

from coronary_calcium.simulation.heart_anatomy import Heart
from coronary_calcium.simulation.shapes import Ellipsoid, Tube, frame, resample_path, smooth_path, unit
from coronary_calcium.simulation.thorax_anatomy import Thorax
from coronary_calcium.simulation.tissue import Deposit

METAL_HU = 6000.0


def calcium_hu(r: np.random.Generator, middle: float = 450.0) -> float:
    """The HU of a deposit at 120 kVp: log-normal around ``middle``, from just visible to dense."""
    return float(np.clip(np.exp(r.normal(np.log(middle), 0.5)), 160, 1600))


def blob(r: np.random.Generator, center, size: tuple[float, float], kind: str, middle: float = 450.0) -> Deposit:
    """An ellipsoid of any direction with semi-axes up to ``size`` mm."""
    radii = r.uniform(*size) * r.uniform(0.4, 1.0, 3)
    shape = Ellipsoid(np.asarray(center, dtype=float), radii, frame(r.normal(0, 1, 3)))
    return Deposit(shape, calcium_hu(r, middle), 0, kind)


def wall_plates(r: np.random.Generator, path: np.ndarray, radii: np.ndarray, count: int, kind: str) -> list[Deposit]:
    """``count`` plates in the wall of a vessel: ``path`` (n, 3) is its center line, ``radii`` (n,) its radius."""
    deposits = []
    for _ in range(count):
        start = int(r.integers(0, max(len(path) - 2, 1)))
        stop = min(start + int(r.integers(2, 10)), len(path))
        stretch, axes = path[start:stop], frame(path[stop - 1] - path[start])
        angle, hu, thick = r.uniform(0, 2 * np.pi), calcium_hu(r, 480), r.uniform(0.4, 1.7)
        # Side by side, 2 mm apart, strips along the vessel make a plate around it.
        for turn in angle + np.arange(r.choice([1, 1, 2, 3, 5, 8])) * 2.0 / radii[start]:
            outwards = np.cos(turn) * axes[1] + np.sin(turn) * axes[2]
            points = stretch + radii[start:stop, None] * outwards + r.normal(0, 0.3, stretch.shape)
            lumps = thick * np.clip(r.normal(1, 0.35, len(points)), 0.2, 1.8)
            deposits.append(Deposit(Tube(points, lumps), hu * r.uniform(0.85, 1.15), 0, kind))
    return deposits


def valve_leaflets(
    r: np.random.Generator, ring: tuple[np.ndarray, np.ndarray, float], severity: float, kind: str
) -> list[Deposit]:
    """A calcified valve with three leaflets: clumps along the seams and the ring; ``severity`` 0 to 1.

    ``ring`` is the valve's center, its normal and its radius in mm.
    """
    center, normal, radius = ring
    axes = frame(normal)
    seams = r.uniform(0, 2 * np.pi) + np.arange(3) * 2 * np.pi / 3
    deposits = []
    for _ in range(1 + r.poisson(14 * severity)):
        on_ring = r.random() < 0.35
        turn = r.uniform(0, 2 * np.pi) if on_ring else r.choice(seams) + r.normal(0, 0.25)
        extent = abs(r.normal(0, 0.45)) + 0.1
        turns = turn + np.linspace(0, extent if on_ring else 0.2, 5)
        reach = np.full(5, r.uniform(0.92, 1.05)) if on_ring else np.linspace(1, r.uniform(0.2, 0.9), 5)
        around = np.cos(turns)[:, None] * axes[1] + np.sin(turns)[:, None] * axes[2]
        points = np.asarray(center) + radius * reach[:, None] * around + axes[0] * r.normal(0, 1.5)
        thick = r.uniform(0.5, 1.3 + 1.6 * severity) * np.clip(r.normal(1, 0.35, 5), 0.3, 1.8)
        deposits.append(Deposit(Tube(points + r.normal(0, 0.4, points.shape), thick), calcium_hu(r, 560), 0, kind))
    return deposits


def annulus_ring(r: np.random.Generator, arc: np.ndarray, severity: float, kind: str) -> list[Deposit]:
    """Mitral annulus calcium along the points ``arc`` of the ring: spots, or a thick C at ``severity`` 1."""
    path = smooth_path(np.asarray(arc) + r.normal(0, 1.0, 3), 1.5)
    deposits = []
    for _ in range(1 + r.poisson(1.5)):
        length = int(np.clip(len(path) * r.uniform(0.05, 0.2 + 0.9 * severity), 2, len(path)))
        start = int(r.integers(0, len(path) - length + 1))
        stretch = path[start : start + length]
        thick = r.uniform(0.7, 1.6 + 4.2 * severity)
        hu = calcium_hu(r, 620)
        for _ in range(r.integers(1, 4)):
            lumps = thick * np.clip(1 + smooth_noise(r, len(stretch), 3.0, 0.4), 0.25, 1.9)
            lumps[[0, -1]] *= 0.5
            points = stretch + r.normal(0, 0.7 * thick, 3) + smooth_noise(r, len(stretch), 3.0, 0.8, 3)
            deposits.append(Deposit(Tube(points, lumps), hu * r.uniform(0.75, 1.2), 0, kind))
    return deposits


def surface_plates(r: np.random.Generator, path: np.ndarray, count: int, kind: str) -> list[Deposit]:
    """Plates of pericardial calcium, 1 to 4 mm thick, along the drawn run ``path`` (n, 3) on the heart's surface."""
    run = resample_path(np.asarray(path, dtype=float), 2.0)
    deposits = []
    for _ in range(count):
        start = int(r.integers(0, max(len(run) - 3, 1)))
        stretch = run[start : start + r.integers(2, 16)]
        if len(stretch) < 2:
            continue
        hu, thick = calcium_hu(r, 600), r.uniform(0.6, 2.0)
        for rise in np.arange(r.integers(1, 6)) * 2.2:
            points = stretch + np.array([0, 0, rise]) + r.normal(0, 0.3, stretch.shape)
            lumps = thick * np.clip(r.normal(1, 0.3, len(points)), 0.3, 1.7)
            deposits.append(Deposit(Tube(points, lumps), hu, 0, kind))
    return deposits


def lead(r: np.random.Generator, points, kind: str = "pacemaker lead") -> Deposit:
    """A pacemaker's lead along ``points``."""
    path = smooth_path(np.asarray(points, dtype=float) + r.normal(0, 2.0, (len(points), 3)), 2.0)
    return Deposit(Tube(path, np.full(len(path), r.uniform(0.7, 1.2))), METAL_HU, 0, kind)


def stented_artery(r: np.random.Generator, names: Collection[str]) -> str:
    """The artery of the ``names`` that has a stent: one of the three that are wide enough for it."""
    return str(r.choice([name for name in ("LAD", "LCX", "RCA") if name in names]))


def stent(r: np.random.Generator, path: np.ndarray, vessel: float) -> list[Deposit]:
    """Struts of metal, 10 to 30 mm long, around a vessel of radius ``vessel`` mm and ``path`` (n, 3) of 1 mm steps."""
    start = int(r.integers(3, max(len(path) - 12, 4)))
    run = path[start : start + r.integers(10, 30)]
    axes = frame(unit(run[-1] - run[0]))
    deposits = []
    for turn in np.arange(5) * 2 * np.pi / 5:
        turns = turn + np.arange(len(run)) * 0.5
        points = run + vessel * (np.cos(turns)[:, None] * axes[1] + np.sin(turns)[:, None] * axes[2])
        deposits.append(Deposit(Tube(points, np.full(len(run), 0.16)), 8000.0, 0, "stent"))
    return deposits


def smooth_noise(
    r: np.random.Generator, count: int, points: float, deviation: float, columns: int | None = None
) -> np.ndarray:
    """Noise (count,) or (count, columns) along a path, correlated over about ``points`` points, of that deviation."""
    knots = max(round(count / points) + 2, 3)
    at, knot_at = np.linspace(0, 1, count), np.linspace(0, 1, knots)
    noise = [np.interp(at, knot_at, r.normal(0, deviation, knots)) for _ in range(columns or 1)]
    return np.stack(noise, axis=1) if columns else noise[0]


def other_calcium(
    random: np.random.Generator,
    heart: Heart,
    thorax: Thorax,
    age: float,
    more: float = 1.0,
    more_on_surface: float = 1.0,
) -> list[Deposit]:
    """Calcium and metal that must not be scored; more of it with age, and ``more`` times as likely in the heart.

    ``more_on_surface`` multiplies how likely those are that lie in the same fat as the coronary arteries: calcium of
    the pericardium, stents, leads, catheters, and the clips of a bypass.
    """
    likely = float(np.clip((age - 28) / 42, 0.2, 1.0))
    return [
        *_heart_calcium(random, heart, more * likely, more_on_surface),
        *_lung_calcium(random, thorax, likely),
        *_metal(random, heart, more_on_surface),
        *_chest_wall_metal(random, heart, thorax, more_on_surface),
    ]


def _heart_calcium(r, heart, likely, more_on_surface):
    happens = lambda share: r.random() < share * likely  # noqa: E731 (a local shorthand)
    deposits: list[Deposit] = []
    if happens(0.8):
        deposits += wall_plates(r, heart.aorta[4:], heart.aorta_radius[4:], 1 + r.poisson(9), "aortic wall")
    if happens(0.45):
        deposits += wall_plates(r, heart.aorta[:9], heart.aorta_radius[:9], 1 + r.poisson(3), "aortic root")
    if happens(0.55):
        deposits += valve_leaflets(r, heart.valve_rings["aortic"], r.beta(1, 1.4), "aortic valve")
    if happens(0.5):
        deposits += annulus_ring(r, heart.mitral_arc, r.beta(1, 1.3), "mitral annulus")
    if happens(0.1):
        deposits += valve_leaflets(r, heart.valve_rings["tricuspid"], 0.1, "tricuspid annulus")
    if happens(0.12):
        for tip in heart.papillary:
            deposits += [blob(r, tip + r.normal(0, 3, 3), (1.0, 3.5), "papillary muscle") for _ in range(r.poisson(1))]
    if happens(0.14 * more_on_surface):
        for n in r.permutation(len(heart.surface))[: r.integers(1, len(heart.surface) + 1)]:
            deposits += surface_plates(r, heart.surface[n], int(r.integers(1, 7)), "pericardium")
    return deposits


def _lung_calcium(r, thorax, likely):
    deposits: list[Deposit] = []
    if r.random() < 0.5:
        for _ in range(r.integers(1, 7)):
            spot = thorax.hila[r.integers(2)] + r.normal(0, 11, 3)
            deposits.append(blob(r, spot, (1.0, 5.0), "lymph node"))
    if r.random() < 0.25:
        spot = np.array([thorax.midline, 42.0, 48.0]) + r.normal(0, 11, 3)
        deposits.append(blob(r, spot, (1.5, 6.0), "lymph node"))
    if r.random() < 0.3:
        for _ in range(r.integers(1, 5)):
            spot = thorax.hila[r.integers(2)] + r.normal(0, 26, 3)
            deposits.append(blob(r, spot, (0.8, 3.5), "lung granuloma"))
    if r.random() < 0.35 * likely:
        for path, radius in thorax.airways:
            deposits += wall_plates(r, path, radius + 0.7, int(r.poisson(3)), "bronchus")
    return deposits


def _metal(r, heart, more):
    """Leads, catheters and stents.

    A stent carries label 0: its struts are metal, whose HU says nothing about calcium, and readers leave stented
    stretches out of the score.
    """
    marks = heart.landmarks
    deposits = []
    top = marks["root"] + np.array([-30.0, 8, 90])
    atrium = marks["ring"] + marks["right"] * 28 - marks["axis"] * 8
    if r.random() < 0.08 * more:
        tip = marks["ventricle"] + marks["axis"] * 30 + marks["right"] * 14
        points = [top, atrium + [0, 0, 25], atrium, marks["ring"] + marks["right"] * 14, tip]
        deposits.append(lead(r, points))
    if r.random() < 0.06 * more:
        path = np.array([top, atrium + [0, 0, 40], atrium + [0, 0, r.uniform(0, 30)]])
        wall = Tube(path, np.full(3, r.uniform(0.7, 1.1)))
        deposits.append(Deposit(wall, r.uniform(250, 900), 0, "catheter"))
    if r.random() < 0.07 * more:
        name = stented_artery(r, heart.arteries)
        deposits += stent(r, heart.arteries[name], heart.vessel_radius[name])
    return deposits


def _chest_wall_metal(r, heart, thorax, more):
    """Sternal wires with the clips of a bypass, and electrodes on the skin."""
    deposits = []
    if r.random() < 0.08 * more:
        deposits += _sternal_wires(r, thorax)
        for _ in range(r.poisson(3)):
            deposits.append(
                blob(r, heart.landmarks["root"] + r.normal(0, 25, 3) + [0, -15, 10], (0.8, 1.6), "clip", METAL_HU)
            )
    if r.random() < 0.1:
        for _ in range(r.integers(1, 5)):
            spot = thorax.skin_point(r.uniform(-0.9, 0.9), r.uniform(-70, 90))
            deposits.append(blob(r, spot, (2.0, 5.0), "electrode", 1500.0))
    return deposits


def _sternal_wires(r, thorax):
    deposits = []
    for height in np.arange(-40, 90, 26.0):
        turns = np.linspace(0, 2 * np.pi, 24)
        ring = [thorax.midline + 13 * np.cos(turns), thorax.sternum_y - 4 + 8 * np.sin(turns)]
        points = np.stack([*ring, height + r.normal(0, 0.5, 24)], axis=1)
        deposits.append(Deposit(Tube(points, np.full(24, 0.5)), 9000.0, 0, "sternal wire"))
    return deposits
