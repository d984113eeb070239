"""Coronary calcium: plaques along the paths of the arteries, in a simulated chest or a real one."""

import numpy as np

from coronary_calcium.simulation.heart_anatomy import BRANCH_LABEL
from coronary_calcium.simulation.other_calcium import smooth_noise
from coronary_calcium.simulation.shapes import Tube, frame, unit
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
    "LPDA": 0.03,
}
# Plaques per patient, and how much longer they are than spots; none, a trace, few and very many all occur often.
BURDENS = ((0, 0, 1.0), (1, 2, 0.4), (1, 3, 1.0), (3, 7, 1.0), (7, 14, 1.1), (14, 30, 1.3), (25, 45, 1.7))
BURDEN_WEIGHTS = (0.13, 0.16, 0.18, 0.22, 0.14, 0.1, 0.07)


def plaques_in(
    r: np.random.Generator, arteries: dict[str, np.ndarray], radii: dict[str, float], least: int = 0
) -> list[Deposit]:
    """Plaques along paths (n, 3) of about 1 mm steps, by branch: spotty, long or shell-like, 130 to 1600 HU.

    ``least`` is the first of ``BURDENS`` that may be drawn.
    """
    weights = np.array(BURDEN_WEIGHTS[least:])
    low, high, stretch = BURDENS[least + r.choice(len(weights), p=weights / weights.sum())]
    names = [name for name in BRANCH_WEIGHT if name in arteries]
    # Disease clusters: some arteries carry most of it.
    shares = np.array([BRANCH_WEIGHT[name] for name in names]) * r.gamma(1.2, 1.0, len(names))
    deposits = []
    for number in range(1, int(r.integers(low, high + 1)) + 1):
        name = names[r.choice(len(names), p=shares / shares.sum())]
        deposits += plaque_along(r, arteries[name], radii[name], BRANCH_LABEL[name], stretch, number)
    return deposits


def plaque_along(r, path, vessel, label, stretch=1.0, number=0):
    """One plaque as one to five irregular tubes along the wall of the vessel around ``path`` (1 mm a point).

    ``stretch`` multiplies the length; below 1, the plaque is thinner too. Some long plaques lie on opposite walls, like
    tram tracks, and some are shells.
    """
    length = float(np.clip(stretch * np.exp(r.normal(1.25, 0.85)), 0.6, 60.0))
    count = len(path)
    start = int(min(r.beta(1.1, 2.6), 0.98) * max(count - 2, 1))
    run = path[start : min(start + max(round(length), 1) + 1, count)]
    if len(run) < 2:
        run = path[-2:]
    hu = float(np.clip(np.exp(r.normal(6.05, 0.5)), 150, 1600))
    chance = r.random()
    shell, tram = chance < 0.14 and length > 3, chance > 0.75 and length > 6
    form = "shell" if shell else "tram track" if tram else "long" if length > 6 else "spot"
    parts = r.integers(3, 6) if shell else 2 if tram else r.integers(1, 3)
    slender = min(np.sqrt(stretch), 1.0) * (0.7 if shell or tram else 1.0)
    axes = frame(unit(run[-1] - run[0]))
    angle = r.uniform(0, 2 * np.pi)
    deposits = []
    for part in range(parts):
        turn = angle + (part * 1.3 if shell else part * np.pi if tram else r.normal(0, 0.5))
        turns = turn + smooth_noise(r, len(run), 8.0, 0.5)
        outwards = np.cos(turns)[:, None] * axes[1] + np.sin(turns)[:, None] * axes[2]
        points = run + vessel * r.uniform(0.5, 0.95) * outwards + r.normal(0, 0.25, run.shape)
        radius = float(np.clip(np.exp(r.normal(-0.05, 0.45)), 0.3, 2.6)) * slender
        radii = radius * np.clip(r.normal(1, 0.35, len(points)), 0.15, 1.8)
        radii[[0, -1]] *= 0.6
        deposits.append(Deposit(Tube(points, radii), hu * r.uniform(0.85, 1.15), label, "plaque", number, form))
    return deposits
