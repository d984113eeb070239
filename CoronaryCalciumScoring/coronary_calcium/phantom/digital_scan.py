"""A simulated scan of the insert, at any slice thickness, kernel, noise and tube voltage."""

import math
from dataclasses import dataclass

import numpy as np

from coronary_calcium.phantom.qrm_insert import (
    CALIBRATION_HEIGHT_MM,
    CYLINDERS,
    ROD_DIAMETER_MM,
    ROD_MG_PER_CM3,
    Placement,
)
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.simulation.painting import Body, scan_grid
from coronary_calcium.simulation.protocol import KERNEL_NOISE, KERNELS, Protocol
from coronary_calcium.simulation.scanner import Rendering, expose, scanned_volume
from coronary_calcium.simulation.shapes import Rod
from coronary_calcium.simulation.tissue import CALCIUM_FACTOR, HU_PER_MG_PER_CM3, Deposit, Layer
from coronary_calcium.volume import CTVolume

WATER_HU = 0.0
# Of the scan: pixels of 0.49 mm over a field that holds the insert, whose diameter is 100 mm, and air around it.
FIELD_OF_VIEW_MM, PIXELS = 140.0, 287
INSERT_DIAMETER_MM = 100.0
ROD_LENGTH_MM = 20.0
# How far the scan reaches below and above the cylinders' middle: the insert's end, and the end of the rod.
_BELOW_MM, _ABOVE_MM = 18.0, 42.0
# The insert's own length reaches beyond the scan.
_BODY_LENGTH_MM = 200.0
# Through the slice, cylinders are sampled finely enough that their ends are right to 2 % of the smallest.
_FINEST_STEP_MM = 0.1
# Noise in HU at a dose of 1, with the standard kernel and slices of 3 mm.
NOISE_HU = 20.0


@dataclass(frozen=True)
class Scan:
    """How the insert is scanned; lengths in mm.

    Attributes
    ----------
    thickness, spacing : of the slices.
    kernel : one of ``scanner.KERNELS``.
    noise : SD in HU.
    kvp : tube voltage in kV, one of ``tissue.CALCIUM_FACTOR``.
    offset : how far the cylinders' middle lies above the center of a slice.
    seed : of the noise.

    """

    thickness: float = 3.0
    spacing: float = 3.0
    kernel: str = "standard"
    noise: float = NOISE_HU
    kvp: int = 120
    offset: float = 0.0
    seed: int = 1


def noise_at(dose: float, thickness: float, kernel: str) -> float:
    """SD of the noise in HU: it falls with the root of the dose and of the slice thickness, and depends on the kernel.

    ``dose`` is a share of the one that gives 20 HU with the standard kernel and slices of 3 mm.
    """
    return NOISE_HU * KERNEL_NOISE[kernel] * math.sqrt(3.0 / thickness / dose)


def scan_insert(scan: Scan, progress: Progress = no_progress) -> tuple[CTVolume, Placement]:
    """The scan, and where the insert lies in it.

    Raises ValueError for a kernel or a tube voltage that the simulator does not know.
    """
    if scan.kernel not in KERNELS or scan.kvp not in CALCIUM_FACTOR:
        raise ValueError(f"the simulator has kernels {list(KERNELS)} and tube voltages {list(CALCIUM_FACTOR)}")
    angles = {"high": math.pi, "medium": -math.pi / 3, "low": math.pi / 3}
    outwards = {name: np.array([math.cos(angle), math.sin(angle), 0.0]) for name, angle in angles.items()}
    placement = Placement(np.array([0.0, 0.0, scan.offset]), outwards, np.array([0.0, 0.0, 1.0]))
    body = Layer(Rod(np.zeros(3), INSERT_DIAMETER_MM / 2, _BODY_LENGTH_MM), WATER_HU)
    rod = Rod(placement.center + [0.0, 0.0, CALIBRATION_HEIGHT_MM], ROD_DIAMETER_MM / 2, ROD_LENGTH_MM)
    deposits = [Deposit(rod, ROD_MG_PER_CM3 * HU_PER_MG_PER_CM3, 0, "rod")]
    for cylinder in CYLINDERS:
        shape = Rod(placement.position(cylinder), cylinder.diameter_mm / 2, cylinder.diameter_mm)
        deposits.append(Deposit(shape, cylinder.mg_per_cm3 * HU_PER_MG_PER_CM3, 0, cylinder.name))
    protocol = Protocol(
        gated=True,
        field_of_view=FIELD_OF_VIEW_MM,
        pixels=PIXELS,
        thickness=scan.thickness,
        spacing=scan.spacing,
        kernel=scan.kernel,
        noise=scan.noise,
        kvp=scan.kvp,
        motion=0.0,
        center=(0.0, 0.0),
        # Whole spacings from the cylinders' height, so that ``offset`` is their distance from a slice's center.
        z_range=(-math.ceil(_BELOW_MM / scan.spacing) * scan.spacing, _ABOVE_MM),
    )
    grid = scan_grid(protocol)
    hu, _ = expose(
        np.random.default_rng(scan.seed),
        Body([body], grid),
        deposits,
        protocol,
        grid,
        progress,
        Rendering(textured=False, finest_step=_FINEST_STEP_MM),
    )
    return scanned_volume(hu, protocol, grid, "Digital QRM insert"), placement
