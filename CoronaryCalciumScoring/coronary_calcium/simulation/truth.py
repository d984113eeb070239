"""The truth of a simulated patient: its files, each plaque's volume and mass, and the score without scanner.

All of it comes from the plaques' shapes on a grid that is fine beside them, without noise, blur, motion or tissue, at
120 kVp. The exact Agatston score is that of planes through the plaques' own HU: for every plane, the area of each
connected piece of at least 130 HU times the weight of its highest HU, integrated along z and divided by 3 mm. It is
the limit of the literature's rules for ever finer pixels and thinner slices, in which nothing is partially filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coronary_calcium.arteries import NAMED_ARTERIES
from coronary_calcium.scoring import score_labels
from coronary_calcium.simulation.tissue import HU_PER_MG_PER_CM3, Deposit
from coronary_calcium.volume import Acquisition, CTVolume

# The grid's steps: with the finer one, volumes of spheres of 1 mm radius come out within 1 %; with the coarser one,
# which has to hold a whole diseased artery, scores of rods within 3 %.
VOLUME_STEP_MM, SCORE_STEP_MM = 0.1, 0.2
# A plaque that would need more points than this gets a coarser grid.
_MOST_POINTS = 6_000_000


@dataclass(frozen=True)
class Plaque:
    """One coronary plaque: its artery's label, middle (x, y, z in mm), true volume and mass, and HU at 120 kVp."""

    number: int
    label: int
    form: str
    middle: tuple[float, float, float]
    length_mm: float
    hu: float
    volume_mm3: float
    mass_mg: float


@dataclass(frozen=True, eq=False)
class Raster:
    """Deposits on a grid of ``step`` mm: ``hu`` float32 and ``labels`` uint8, both (k, j, i), 0 where nothing is."""

    hu: np.ndarray
    labels: np.ndarray
    step: float


def rasterized(deposits: Sequence[Deposit], step: float) -> Raster:
    """The deposits on a grid of ``step`` mm around them; where they overlap, the later one counts, as in a scan."""
    bounds = np.array([deposit.shape.bounds for deposit in deposits])
    low, high = bounds[:, :, 0].min(axis=0) - step, bounds[:, :, 1].max(axis=0) + step
    step = max(step, float(np.prod(high - low) / _MOST_POINTS) ** (1 / 3))
    x, y, z = (np.arange(a, b + step, step) + step / 2 for a, b in zip(low, high))
    hu = np.zeros((len(z), len(y), len(x)), dtype=np.float32)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    for deposit, box in zip(deposits, bounds):
        i, j, k = (slice(*np.searchsorted(axis, side)) for axis, side in zip((x, y, z), box))
        for n in range(k.start, k.stop):
            inside = deposit.shape.distance(x[None, i], y[j, None], np.full((1, 1), z[n])) < 0
            hu[n, j, i][inside] = deposit.hu
            labels[n, j, i][inside] = deposit.label
    return Raster(hu, labels, step)


def plaques_of(deposits: Sequence[Deposit]) -> list[Plaque]:
    """The coronary plaques among the deposits, which may consist of several each, in the order of their numbers."""
    groups: dict[int, list[Deposit]] = {}
    for deposit in deposits:
        if deposit.label:
            groups.setdefault(deposit.plaque, []).append(deposit)
    return [_plaque(number, parts) for number, parts in sorted(groups.items())]


def _plaque(number: int, parts: list[Deposit]) -> Plaque:
    raster = rasterized(parts, VOLUME_STEP_MM)
    voxel = raster.step**3
    bounds = np.array([part.shape.bounds for part in parts])
    low, high = bounds[:, :, 0].min(axis=0), bounds[:, :, 1].max(axis=0)
    x, y, z = (float(value) for value in (low + high) / 2)
    volume = float((raster.labels > 0).sum() * voxel)
    return Plaque(
        number=number,
        label=parts[0].label,
        form=parts[0].form,
        middle=(x, y, z),
        length_mm=float(np.linalg.norm(high - low)),
        hu=float(np.mean([part.hu for part in parts])),
        volume_mm3=volume,
        mass_mg=float(raster.hu.sum(dtype=np.float64) * voxel / HU_PER_MG_PER_CM3 / 1000),
    )


def exact_agatston(deposits: Sequence[Deposit]) -> dict[str, float]:
    """The exact score, as the module defines it, by the artery's name and in ``"total"``."""
    scores = dict.fromkeys(("total", *(artery.name for artery in NAMED_ARTERIES)), 0.0)
    for group in _touching([deposit for deposit in deposits if deposit.label]):
        raster = rasterized(group, SCORE_STEP_MM)
        hu = np.rint(raster.hu).astype(np.int16)
        volume = CTVolume(hu, (raster.step,) * 3, (0.0, 0.0, 0.0), acquisition=Acquisition(modality="CT", kvp=120.0))
        score = score_labels(volume, raster.labels)
        scores["total"] += score.total.agatston
        for artery in NAMED_ARTERIES:
            scores[artery.name] += score.by_artery[artery.name].agatston
    return scores


def _touching(deposits: list[Deposit]) -> list[list[Deposit]]:
    """The deposits in groups whose boxes do not reach each other: what may be connected is together."""
    boxes = np.array([deposit.shape.bounds for deposit in deposits]).reshape(-1, 3, 2)
    left = list(range(len(deposits)))
    groups = []
    while left:
        group, waiting = [], [left.pop(0)]
        while waiting:
            one = waiting.pop()
            group.append(one)
            near = [n for n in left if _overlap(boxes[one], boxes[n])]
            left = [n for n in left if n not in near]
            waiting += near
        groups.append([deposits[n] for n in sorted(group)])
    return groups


def _overlap(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(
        (first[:, 0] <= second[:, 1] + SCORE_STEP_MM).all() and (second[:, 0] <= first[:, 1] + SCORE_STEP_MM).all()
    )
