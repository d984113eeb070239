"""A whole simulated patient: anatomy, calcium, scan and ground truth; and the seeds kept for testing.

Training never uses these seeds, nor any above them.
"""

from dataclasses import dataclass, replace

import numpy as np

from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.simulation.anatomy import Anatomy, draw_anatomy
from coronary_calcium.simulation.detailed_body import DetailedBody, with_details
from coronary_calcium.simulation.other_calcium import other_calcium
from coronary_calcium.simulation.painting import Body, Grid, scan_grid
from coronary_calcium.simulation.plaques import plaques_in
from coronary_calcium.simulation.protocol import Protocol, draw_protocol
from coronary_calcium.simulation.scanner import Tissue, expose, scanned_volume
from coronary_calcium.simulation.tissue import Deposit
from coronary_calcium.volume import CTVolume

CHEST_SEEDS = range(900_000, 900_100)
CARDIAC_SEEDS = range(900_100, 900_144)
# Seed and kind of scan of every patient, in order.
TEST_SET = tuple((seed, "chest") for seed in CHEST_SEEDS) + tuple((seed, "cardiac") for seed in CARDIAC_SEEDS)
FIRST_TEST_SEED = CHEST_SEEDS[0]


# A voxel is a plaque's when the plaque adds at least this much to it. Below, noise and neighboring tissue decide
# whether it passes 130 HU, and a reader would not mark it.
LABEL_FROM_HU = 45.0
# Body, scanner, scan and calcium draw from streams of their own: a change in how bodies are drawn leaves the calcium's
# numbers as they are.
_STREAMS = (0, 1, 2, 4)
_DETAIL_STREAM = 5


@dataclass(frozen=True, eq=False)
class SimulatedPatient:
    """A scan with its truth: ``labels`` (k, j, i) uint8 holds the artery of each calcified voxel of at least 130 HU.

    ``other`` (n, 3) are the voxels (k, j, i) of calcium and metal that is not coronary, ``heart_center`` is the
    (k, j, i) voxel index of the heart's center, ``deposits`` everything calcified in it.
    """

    volume: CTVolume
    labels: np.ndarray
    other: np.ndarray
    heart_center: tuple[float, float, float]
    protocol: Protocol
    deposits: tuple[Deposit, ...]
    anatomy: Anatomy
    seed: int


@dataclass(frozen=True, eq=False)
class DrawnPatient:
    """A patient before the scan: the seed, the body, and all that is calcified or of metal in it."""

    seed: int
    anatomy: Anatomy
    deposits: tuple[Deposit, ...]


def draw_deposits(
    r: np.random.Generator, anatomy: Anatomy, more: float = 1.0, more_on_surface: float = 1.0
) -> list[Deposit]:
    """The calcium and metal of a patient with this anatomy; the factors are those of ``other_calcium``."""
    heart = anatomy.heart
    upright = [
        *other_calcium(r, heart, anatomy.thorax, anatomy.build.age, more, more_on_surface),
        *plaques_in(r, heart.arteries, heart.vessel_radius),
    ]
    return [replace(deposit, shape=anatomy.pose.shape(deposit.shape)) for deposit in upright]


def simulate_patient(
    seed: int,
    kind: str = "chest",
    *,
    box: float | None = None,
    detailed: bool = False,
    progress: Progress = no_progress,
    **changes,
) -> SimulatedPatient:
    """Make the patient of one seed.

    ``kind`` is ``"chest"`` or ``"cardiac"``. With ``box`` only a square of that many mm around the heart is scanned
    (for training). A ``detailed`` body has the same arteries and calcium in a chest that looks like a real one; the
    test set's patients are without details. ``changes`` replace values of the drawn protocol, such as ``spacing=1.0``.
    """
    number = 0 if kind == "chest" else 1
    body, scanner, scan, calcium = (np.random.default_rng([seed, number, stream]) for stream in _STREAMS)
    anatomy = draw_anatomy(body)
    if detailed:
        anatomy = with_details(anatomy)
    protocol = replace(draw_protocol(scanner, kind), **changes)
    deposits = draw_deposits(calcium, anatomy)
    grid = scan_grid(protocol, box)
    painted = body_of(anatomy, grid, [seed, number, _DETAIL_STREAM])
    drawn = DrawnPatient(seed, anatomy, tuple(deposits))
    return scan_patient(scan, drawn, painted, protocol, grid, progress)


def body_of(anatomy: Anatomy, grid: Grid, details: list[int]) -> Body | DetailedBody:
    """The body to scan; ``details`` seeds what a detailed one draws besides the anatomy."""
    if anatomy.detailed:
        return DetailedBody(np.random.default_rng(details), anatomy, grid)
    return Body(anatomy.layers, grid)


def scan_patient(
    r: np.random.Generator,
    drawn: DrawnPatient,
    body: Tissue,
    protocol: Protocol,
    grid: Grid,
    progress: Progress = no_progress,
) -> SimulatedPatient:
    """Scan a patient, whose tissue is ``body``, on the pixels and slices of ``grid``."""
    hu, added = expose(r, body, list(drawn.deposits), protocol, grid, progress)
    volume = scanned_volume(hu, protocol, grid, "Coronary Calcium Scoring simulator")
    center = (-grid.z[0] / protocol.spacing, -grid.y[0] / protocol.pixel, -grid.x[0] / protocol.pixel)
    labels = label_voxels(hu, added)
    other = other_voxels(hu, added, labels)
    return SimulatedPatient(volume, labels, other, center, protocol, drawn.deposits, drawn.anatomy, drawn.seed)


def label_voxels(hu: np.ndarray, added: np.ndarray) -> np.ndarray:
    """The artery label of every voxel that passes the threshold because of a plaque; (k, j, i) uint8.

    ``added`` is (5, k, j, i) as the scanner's ``ADDED_BY`` lists. Where more comes from calcium that is not coronary,
    such as a calcified mitral annulus beside the LCX, the voxel is not the artery's.
    """
    labels = np.zeros(hu.shape, dtype=np.uint8)
    for k in range(len(hu)):
        coronary = added[:4, k]
        if coronary.any():
            strongest = coronary.max(axis=0)
            marked = (strongest >= LABEL_FROM_HU) & (strongest > added[4, k]) & (hu[k] >= LITERATURE.threshold_hu)
            labels[k][marked] = coronary.argmax(axis=0)[marked] + 1
    return labels


def other_voxels(hu: np.ndarray, added: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n, 3) voxels (k, j, i) that pass the threshold because of calcium or metal that is not coronary.

    Arguments as for ``label_voxels``, and what it returns.
    """
    return np.argwhere((added[4] >= LABEL_FROM_HU) & (hu >= LITERATURE.threshold_hu) & (labels == 0))
