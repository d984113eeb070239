"""Shapes of the calcium and metal that is not coronary: aorta, valves, annulus, pericardium, nodes, leads, stents.

All functions return deposits with label 0, in the coordinates (mm) of the paths and points that they are given, so that
the same calcium can be put into a simulated chest and, along drawn paths, into a real scan.
"""

from collections.abc import Collection

import numpy as np

from coronary_calcium.simulation.shapes import Ellipsoid, Tube, frame, resample_path, smooth_path, unit
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
    """``count`` plates in the wall of a vessel: ``path`` (n, 3) is its centre line, ``radii`` (n,) its radius."""
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

    ``ring`` is the valve's centre, its normal and its radius in mm.
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
