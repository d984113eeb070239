"""Calcium in a simulated chest: plaques along the coronary arteries, and everything bright that is not coronary."""

import numpy as np

from coronary_calcium.simulation.heart_anatomy import BRANCH_LABEL, Heart
from coronary_calcium.simulation.shapes import Ellipsoid, Tube, frame, smooth_path, unit
from coronary_calcium.simulation.thorax_anatomy import Thorax
from coronary_calcium.simulation.tissue import Deposit

# How often a plaque lies in each branch: the LAD leads, the LM is short.
BRANCH_WEIGHT = {
    "LM": 0.1,
    "LAD": 0.34,
    "D1": 0.07,
    "D2": 0.03,
    "LCX": 0.16,
    "OM1": 0.05,
    "OM2": 0.03,
    "RCA": 0.19,
    "PDA": 0.03,
}
# Plaque counts per patient, chosen so that none, few and very many all occur often.
COUNT_RANGES = ((0, 0), (1, 3), (3, 7), (7, 14), (14, 30))
COUNT_WEIGHTS = (0.14, 0.2, 0.26, 0.22, 0.18)


def coronary_plaques(random: np.random.Generator, heart: Heart) -> list[Deposit]:
    """Plaques in the coronary arteries: spotty, long or shell-like, from below 130 HU to 1500 HU."""
    r = random
    low, high = COUNT_RANGES[r.choice(len(COUNT_RANGES), p=COUNT_WEIGHTS)]
    names = [name for name in BRANCH_WEIGHT if name in heart.arteries]
    weights = np.array([BRANCH_WEIGHT[name] for name in names])
    # Disease clusters: some arteries carry most of it.
    weights = weights * r.gamma(1.2, 1.0, len(names))
    deposits = []
    for _ in range(r.integers(low, high + 1)):
        name = names[r.choice(len(names), p=weights / weights.sum())]
        deposits += plaque_along(r, heart.arteries[name], heart.vessel_radius[name], BRANCH_LABEL[name])
    return deposits


def plaque_along(r, path, vessel, label, kind="plaque"):
    """One plaque as one to five irregular tubes along the wall of the vessel around ``path`` (1 mm a point)."""
    length = float(np.clip(np.exp(r.normal(1.25, 0.85)), 0.6, 60.0))
    count = len(path)
    start = int(min(r.beta(1.1, 2.6), 0.98) * max(count - 2, 1))
    stop = min(start + max(round(length), 1) + 1, count)
    stretch = path[start:stop]
    if len(stretch) < 2:
        stretch = path[-2:]
    hu = float(np.clip(np.exp(r.normal(6.05, 0.5)), 150, 1600))
    shell = r.random() < 0.14 and length > 3
    deposits = []
    along = unit(stretch[-1] - stretch[0])
    axes = frame(along)
    angle = r.uniform(0, 2 * np.pi)
    for part in range(r.integers(3, 6) if shell else r.integers(1, 3)):
        turn = angle + (part * 1.3 if shell else r.normal(0, 0.5))
        offset = vessel * r.uniform(0.5, 0.95) * (np.cos(turn) * axes[1] + np.sin(turn) * axes[2])
        points = stretch + offset + r.normal(0, 0.25, stretch.shape)
        radius = float(np.clip(np.exp(r.normal(-0.05, 0.45)), 0.3, 2.6)) * (0.7 if shell else 1.0)
        radii = radius * np.clip(r.normal(1, 0.35, len(points)), 0.15, 1.8)
        radii[[0, -1]] *= 0.6
        deposits.append(Deposit(Tube(points, radii), hu * r.uniform(0.85, 1.15), label, kind))
    return deposits


def other_calcium(random: np.random.Generator, heart: Heart, thorax: Thorax, age: float) -> list[Deposit]:
    """Calcium and metal that must not be scored; more of it with age."""
    r = random
    likely = np.clip((age - 35) / 45, 0.1, 1.0)
    deposits: list[Deposit] = []
    if r.random() < 0.75 * likely:
        deposits += _aortic_wall(r, heart, r.integers(1, 14))
    if r.random() < 0.4 * likely:
        deposits += _valve(r, *heart.valve_rings["aortic"], "aortic valve", r.integers(1, 7), 0.15, 0.95)
    if r.random() < 0.35 * likely:
        deposits += _valve(r, *heart.valve_rings["mitral"], "mitral annulus", r.integers(1, 9), 0.9, 1.1)
    if r.random() < 0.08:
        center = heart.landmarks["ventricle"]
        directions = r.normal(0, 1, (r.integers(1, 5), 3))
        for direction in directions:
            spot = center + unit(direction) * r.uniform(48, 58)
            deposits.append(_blob(r, spot, (3, 9), "pericardium"))
    if r.random() < 0.5:
        for _ in range(r.integers(1, 7)):
            spot = thorax.hila[r.integers(2)] + r.normal(0, 11, 3)
            deposits.append(_blob(r, spot, (1.0, 5.0), "lymph node"))
    if r.random() < 0.25:
        spot = np.array([thorax.midline, 42.0, 48.0]) + r.normal(0, 11, 3)
        deposits.append(_blob(r, spot, (1.5, 6.0), "lymph node"))
    if r.random() < 0.3:
        for _ in range(r.integers(1, 5)):
            spot = thorax.hila[r.integers(2)] + r.normal(0, 26, 3)
            deposits.append(_blob(r, spot, (0.8, 3.5), "lung granuloma"))
    if r.random() < 0.07:
        deposits += _sternal_wires(r, thorax)
    if r.random() < 0.06:
        deposits += _pacemaker_leads(r, heart)
    return deposits


def _blob(r, center, size, kind):
    radii = r.uniform(*size) * r.uniform(0.4, 1.0, 3)
    hu = float(np.clip(np.exp(r.normal(6.1, 0.5)), 160, 1500))
    return Deposit(Ellipsoid(np.asarray(center, dtype=float), radii, frame(r.normal(0, 1, 3))), hu, 0, kind)


def _aortic_wall(r, heart, count):
    """Plates in the wall of the ascending aorta, the arch and the descending aorta."""
    deposits = []
    path = heart.aorta
    for _ in range(count):
        start = int(r.integers(4, len(path) - 12))
        stretch = path[start : start + r.integers(2, 9)]
        axes = frame(stretch[-1] - stretch[0])
        position = start / len(path)
        radius = np.interp(position, [0, 0.3, 0.5, 1], [16, 15.5, 13, 11.5])
        angle = r.uniform(0, 2 * np.pi)
        for turn in angle + np.arange(r.integers(1, 5)) * 0.14:
            points = (
                stretch + radius * (np.cos(turn) * axes[1] + np.sin(turn) * axes[2]) + r.normal(0, 0.3, stretch.shape)
            )
            hu = float(np.clip(np.exp(r.normal(6.2, 0.45)), 180, 1500))
            deposits.append(
                Deposit(Tube(points, r.uniform(0.4, 1.7) * r.uniform(0.5, 1.3, len(points))), hu, 0, "aortic wall")
            )
    return deposits


def _valve(r, center, normal, radius, kind, count, inner, outer):
    """Clumps and arcs in the ring of a valve."""
    axes = frame(normal)
    deposits = []
    for _ in range(count):
        start, extent = r.uniform(0, 2 * np.pi), abs(r.normal(0, 0.5)) + 0.08
        turns = np.linspace(start, start + extent, max(int(extent * radius / 1.5), 2))
        reach = radius * r.uniform(inner, outer)
        points = center + reach * (np.cos(turns)[:, None] * axes[1] + np.sin(turns)[:, None] * axes[2])
        points = points + r.normal(0, 0.6, points.shape)
        hu = float(np.clip(np.exp(r.normal(6.3, 0.5)), 180, 1600))
        deposits.append(Deposit(Tube(points, r.uniform(0.6, 3.2) * r.uniform(0.5, 1.2, len(points))), hu, 0, kind))
    return deposits


def _sternal_wires(r, thorax):
    deposits = []
    for height in np.arange(-40, 90, 26.0):
        turns = np.linspace(0, 2 * np.pi, 24)
        points = np.stack(
            [
                thorax.midline + 13 * np.cos(turns),
                thorax.sternum_y - 4 + 8 * np.sin(turns),
                height + r.normal(0, 0.5, 24),
            ],
            axis=1,
        )
        deposits.append(Deposit(Tube(points, np.full(24, 0.5)), 9000.0, 0, "sternal wire"))
    return deposits


def _pacemaker_leads(r, heart):
    marks = heart.landmarks
    top = marks["root"] + np.array([-30.0, 8, 90])
    atrium = marks["ring"] + marks["right"] * 28 - marks["axis"] * 8
    tip = marks["ventricle"] + marks["axis"] * 30 + marks["right"] * 14
    path = smooth_path([top, atrium + [0, 0, 25], atrium, marks["ring"] + marks["right"] * 14, tip])
    return [Deposit(Tube(path, np.full(len(path), 1.0)), 6000.0, 0, "pacemaker lead")]
