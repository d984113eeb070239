"""Branching vessels that grow from a hilum to every part of a lung."""

import numpy as np

from coronary_calcium.simulation.shapes import unit
from coronary_calcium.simulation.tube_cover import Segments

# Radius of the last twigs, and Murray's exponent: a vessel's radius to this power is the sum of its branches'.
TWIG_MM, MURRAY = 0.62, 3.2
_STEP_MM, _WIGGLE_MM, _STRAIGHTNESS = 6.0, 0.7, 1.1


def grow_tree(r: np.random.Generator, root: np.ndarray, targets: np.ndarray, widest: float) -> Segments:
    """The tree's pieces: every target (n, 3) is joined to the branch from which it is reached with least turning.

    The first targets get long straight branches, from which those to later ones leave. Lengths in mm; no vessel gets a
    radius above ``widest``.
    """
    reach = np.linalg.norm(targets - root, axis=1)
    points, headings = (np.zeros((len(targets) + int(reach.sum() / _STEP_MM), 3)) for _ in range(2))
    parents = np.full(len(points), -1)
    points[0], count = root, 1
    for target in targets:
        way = target - points[:count]
        distance = np.sqrt(np.einsum("ij,ij->i", way, way)) + 1e-6
        turn = 1 - np.einsum("ij,ij->i", way, headings[:count]) / distance
        at = int(np.argmin(distance * (1 + _STRAIGHTNESS * turn)))
        steps = max(round(float(distance[at]) / _STEP_MM), 1)
        # It leaves along the branch and bends towards its target.
        start, control = points[at].copy(), points[at] + 0.35 * distance[at] * headings[at]
        for share in (np.arange(steps) + 1) / steps:
            place = (1 - share) ** 2 * start + 2 * share * (1 - share) * control + share**2 * target
            points[count] = place + r.normal(0, _WIGGLE_MM, 3) * (share < 1)
            headings[count] = unit(points[count] - points[at] + 1e-9)
            parents[count] = at
            at, count = count, count + 1
    return _as_segments(points[:count], parents[:count], widest)


def _as_segments(points: np.ndarray, parents: np.ndarray, widest: float) -> Segments:
    twigs = np.zeros(len(points))
    has_branch = np.zeros(len(points), dtype=bool)
    has_branch[parents[1:]] = True
    # Children come after their parents.
    for n in range(len(points) - 1, 0, -1):
        twigs[n] += not has_branch[n]
        twigs[parents[n]] += twigs[n]
    radius = np.minimum(TWIG_MM * twigs ** (1 / MURRAY), widest)
    return Segments(points[parents[1:]], points[1:], radius[1:])
