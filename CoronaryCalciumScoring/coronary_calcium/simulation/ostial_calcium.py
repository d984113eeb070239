"""Calcium where the coronary arteries leave the aorta, and heavy disease behind it.

Calcium of the aortic wall around an ostium is not coronary, what goes on into the artery is. Both look alike; the
artery's course decides. The functions give both in all mixtures: the wall's part alone, the artery's alone, and one
plaque across the ostium. Paths start at the ostium, in mm with about 1 mm steps.
"""

import numpy as np

from coronary_calcium.simulation.other_calcium import calcium_hu, smooth_noise
from coronary_calcium.simulation.shapes import Tube, frame, unit
from coronary_calcium.simulation.tissue import Deposit

# How an ostium is diseased: the share of the wall alone, of the artery alone, and of one plaque across both.
_WALL, _ARTERY, _ACROSS = 0.3, 0.25, 0.45
# The artery's part ends this far behind the ostium, mm.
_REACH_MM = (2.0, 14.0)
# Half the width and height of a plate in the wall beside an ostium, mm.
_PLATE_MM = (1.5, 9.0)
# Heavy disease lies within this stretch behind the ostium, mm.
_PROXIMAL_MM = 45.0


def ostial_calcium(
    r: np.random.Generator, path: np.ndarray, vessel: float, aorta: np.ndarray, label: int, number: int
) -> list[Deposit]:
    """Calcium at one ostium: in the wall with label 0, in the artery with ``label``, or in one plaque across both.

    ``path`` (n, 3) is the artery from its ostium on, ``vessel`` its radius in mm, ``aorta`` (n, 3) the middle of the
    aorta near it, ``number`` the plaque's.
    """
    kind = r.choice(3, p=[_WALL, _ARTERY, _ACROSS])
    hu = calcium_hu(r, 520)
    deposits: list[Deposit] = []
    if kind != 1:
        deposits += _wall_plate(r, path, aorta, hu)
    if kind != 0:
        deposits += _ostial_plaque(r, path, vessel, hu * r.uniform(0.8, 1.2), label, number)
    return deposits


def _wall_plate(r: np.random.Generator, path: np.ndarray, aorta: np.ndarray, hu: float) -> list[Deposit]:
    """Strips in the wall around the ostium, side by side along the aorta."""
    ostium = path[0]
    center = aorta[np.argmin(np.linalg.norm(aorta - ostium, axis=1))]
    near = int(np.argmin(np.linalg.norm(aorta - center, axis=1)))
    axis = unit(aorta[min(near + 2, len(aorta) - 1)] - aorta[max(near - 2, 0)])
    outwards = ostium - center
    outwards = outwards - axis * (outwards @ axis)
    radius = max(float(np.linalg.norm(outwards)), 4.0)
    outwards = unit(outwards)
    aside = np.cross(axis, outwards)
    wide, high = r.uniform(*_PLATE_MM, 2)
    thick = r.uniform(0.5, 1.6)
    # The plate may lie to one side of the ostium, above or below it.
    turn, rise = r.normal(0, 0.6 * wide) / radius, r.normal(0, 0.6 * high)
    deposits = []
    for level in np.arange(-high, high + 1e-6, 1.6):
        half = wide * np.sqrt(max(1 - (level / high) ** 2, 0.05))
        turns = turn + np.linspace(-half, half, max(int(2 * half), 3)) / radius
        points = center + axis * ((ostium - center) @ axis + rise + level)
        points = points + radius * (np.cos(turns)[:, None] * outwards + np.sin(turns)[:, None] * aside)
        lumps = thick * np.clip(r.normal(1, 0.35, len(points)), 0.25, 1.8)
        shape = Tube(points + r.normal(0, 0.3, points.shape), lumps)
        deposits.append(Deposit(shape, hu * r.uniform(0.8, 1.2), 0, "aortic wall at an ostium"))
    return deposits


def _ostial_plaque(
    r: np.random.Generator, path: np.ndarray, vessel: float, hu: float, label: int, number: int
) -> list[Deposit]:
    """One to four lumpy strands from the ostium on, in the artery's wall or filling it."""
    run = path[: max(round(r.uniform(*_REACH_MM)) + 1, 3)]
    axes = frame(unit(run[-1] - run[0]))
    turn = r.uniform(0, 2 * np.pi)
    deposits = []
    for strand in range(r.integers(1, 5)):
        turns = turn + strand * 1.6 + smooth_noise(r, len(run), 6.0, 0.5)
        outwards = np.cos(turns)[:, None] * axes[1] + np.sin(turns)[:, None] * axes[2]
        points = run + vessel * r.uniform(0.2, 0.95) * outwards + r.normal(0, 0.25, run.shape)
        radii = r.uniform(0.5, 1.7) * np.clip(r.normal(1, 0.35, len(points)), 0.2, 1.8)
        deposits.append(Deposit(Tube(points, radii), hu * r.uniform(0.85, 1.15), label, "plaque", number, "ostial"))
    return deposits


def heavy_proximal(r: np.random.Generator, path: np.ndarray, vessel: float, label: int, number: int) -> list[Deposit]:
    """Large dense plaques in the first centimetres of an artery, up to filling it and twice as thick as it.

    Arguments as for ``ostial_calcium``; numbers go up from ``number``.
    """
    deposits = []
    reach = min(len(path) - 2, round(_PROXIMAL_MM))
    for plaque in range(r.integers(2, 7)):
        start = int(r.integers(0, max(reach, 1)))
        run = path[start : start + int(r.integers(4, 22))]
        if len(run) < 3:
            continue
        axes = frame(unit(run[-1] - run[0]))
        hu = float(np.clip(np.exp(r.normal(6.5, 0.4)), 300, 1800))
        turn = r.uniform(0, 2 * np.pi)
        for strand in range(r.integers(1, 5)):
            turns = turn + strand * 1.57 + smooth_noise(r, len(run), 8.0, 0.5)
            outwards = np.cos(turns)[:, None] * axes[1] + np.sin(turns)[:, None] * axes[2]
            points = run + vessel * r.uniform(0.3, 1.0) * outwards + r.normal(0, 0.3, run.shape)
            radii = r.uniform(0.7, 2.2) * np.clip(r.normal(1, 0.35, len(points)), 0.2, 1.8)
            radii[[0, -1]] *= 0.6
            shape = Tube(points, radii)
            deposits.append(Deposit(shape, hu * r.uniform(0.8, 1.2), label, "plaque", number + plaque, "heavy"))
    return deposits


def proximal_disease(
    r: np.random.Generator,
    arteries: dict[str, np.ndarray],
    radii: dict[str, float],
    aorta: np.ndarray,
    labels: dict[str, int],
    first_number: int = 1000,
) -> list[Deposit]:
    """What a patient with diseased ostia has more: calcium at the ostia of LM and RCA, and often heavy disease behind.

    ``arteries`` and ``radii`` are by branch, ``labels`` gives each branch's artery; plaques are numbered from
    ``first_number`` on.
    """
    deposits: list[Deposit] = []
    number = first_number
    for name in ("LM", "RCA"):
        if name in arteries and r.random() < 0.75:
            for _ in range(r.integers(1, 3)):
                deposits += ostial_calcium(r, arteries[name], radii[name], aorta, labels[name], number)
                number += 1
    for name, share in (("LM", 0.25), ("LAD", 0.45), ("RCA", 0.35), ("LCX", 0.2)):
        if name in arteries and r.random() < share:
            deposits += heavy_proximal(r, arteries[name], radii[name], labels[name], number)
            number += 10
    return deposits
