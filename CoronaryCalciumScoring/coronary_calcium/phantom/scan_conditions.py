"""The insert under many conditions: what each does to every quantity, digital or in changes of a real scan."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from coronary_calcium.phantom.digital_scan import Scan, noise_at, scan_insert
from coronary_calcium.phantom.insert_quantities import QuantityErrors, insert_quantities, quantity_errors
from coronary_calcium.phantom.measurement import calibrate
from coronary_calcium.phantom.qrm_insert import Placement
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.volume import CTVolume

# Each digital condition is scanned so often, the insert a part of a slice higher each time, with other noise.
REPEATS = 4
# A real scan is changed by: noise of this SD in HU and correlated over this SD in mm, and blur of this SD in mm.
ADDED_NOISE_HU, NOISE_GRAIN_MM, ADDED_BLUR_MM = 20.0, 0.5, 0.7


@dataclass(frozen=True)
class Condition:
    """How the insert is scanned, beside 120 kVp, full dose, the standard kernel and slices of 3 mm."""

    title: str
    kvp: int = 120
    dose: float = 1.0
    kernel: str = "standard"
    thickness: float = 3.0

    def scans(self) -> list[Scan]:
        """The scans: as often as ``REPEATS``, the insert at other heights in its slices."""
        noise = noise_at(self.dose, self.thickness, self.kernel)
        return [
            Scan(self.thickness, self.thickness, self.kernel, noise, self.kvp, self.thickness * n / REPEATS, n + 1)
            for n in range(REPEATS)
        ]


CONDITIONS = (
    Condition("120 kVp, standard, 3 mm"),
    Condition("80 kVp", kvp=80),
    Condition("100 kVp", kvp=100),
    Condition("140 kVp", kvp=140),
    Condition("dose x 4", dose=4.0),
    Condition("dose / 4", dose=0.25),
    Condition("soft kernel", kernel="soft"),
    Condition("sharp kernel", kernel="sharp"),
    Condition("slices of 1 mm", thickness=1.0),
    Condition("slices of 5 mm", thickness=5.0),
)


@dataclass(frozen=True)
class ConditionErrors:
    """The errors of each quantity, by name, under a condition."""

    title: str
    errors: dict[str, QuantityErrors]


def digital_errors(
    conditions: tuple[Condition, ...] | None = None, progress: Progress = no_progress
) -> tuple[ConditionErrors, ...]:
    """Scan the digital insert under each condition, ``CONDITIONS`` by default, and measure every quantity.

    The calibration is that of rod and water in each scan. Raises Cancelled when ``progress`` does.
    """
    conditions = CONDITIONS if conditions is None else conditions
    found, done, number = [], 0, sum(len(condition.scans()) for condition in conditions)
    for condition in conditions:
        measured = []
        for scan in condition.scans():
            progress(done / number, f"Scanning the digital insert: {condition.title}")
            measured.append(insert_quantities(*scan_insert(scan)))
            done += 1
        found.append(ConditionErrors(condition.title, quantity_errors(measured)))
    progress(1.0, "Measured")
    return tuple(found)


def changed_scans(volume: CTVolume) -> dict[str, CTVolume]:
    """A scan of the insert as it is and as other scans would have been, by what was done to it."""
    rng = np.random.default_rng(1)
    grain = ndimage.gaussian_filter(rng.standard_normal(volume.shape), [0.0, *_in_plane(volume, NOISE_GRAIN_MM)])
    noise = volume.hu + grain * (ADDED_NOISE_HU / grain.std())
    blur = ndimage.gaussian_filter(volume.hu.astype(np.float32), [0.0, *_in_plane(volume, ADDED_BLUR_MM)])
    changes: dict[str, Callable[[], CTVolume]] = {
        "as scanned": lambda: volume,
        "slices of 1 mm": lambda: _resampled(volume, 1.0),
        "slices of 5 mm": lambda: _resampled(volume, 5.0),
        f"noise of {ADDED_NOISE_HU:g} HU more": lambda: replace(volume, hu=noise.astype(np.float32)),
        f"blur of {ADDED_BLUR_MM:g} mm more": lambda: replace(volume, hu=blur),
        "moved by half a voxel": lambda: _moved(volume),
    }
    return {title: change() for title, change in changes.items()}


def changed_errors(
    volume: CTVolume, placement: Placement, progress: Progress = no_progress
) -> tuple[ConditionErrors, ...]:
    """The errors of every quantity in a real scan and its changes, and last the variation between all of them.

    One calibration, that of rod and water in the scan as it is, holds for all.
    """
    calibration = calibrate(volume, placement)
    scans = changed_scans(volume)
    measured = {}
    for number, (title, changed) in enumerate(scans.items()):
        progress(number / len(scans), f"Measuring the insert: {title}")
        measured[title] = insert_quantities(changed, placement, calibration)
    progress(1.0, "Measured")
    single = tuple(ConditionErrors(title, quantity_errors([one])) for title, one in measured.items())
    return (*single, ConditionErrors("between these scans", quantity_errors(list(measured.values()))))


def _in_plane(volume: CTVolume, millimeters: float) -> list[float]:
    return [millimeters / step for step in volume.spacing[1:]]


def _resampled(volume: CTVolume, thickness: float) -> CTVolume:
    """The scan in slices of another thickness, each the mean of what it covers, on straight lines between slices."""
    parts = 10
    step = volume.spacing[0]
    number = int((volume.shape[0] - 1) * step / thickness)
    middles = (np.arange(number) + 0.5) * thickness
    within = ((np.arange(parts) + 0.5) / parts - 0.5) * thickness
    places = np.clip((middles[:, None] + within) / step, 0, volume.shape[0] - 1)
    weights = np.zeros((number, volume.shape[0]))
    below = np.minimum(places.astype(int), volume.shape[0] - 2)
    share = places - below
    for row in range(number):
        np.add.at(weights[row], below[row], (1 - share[row]) / parts)
        np.add.at(weights[row], below[row] + 1, share[row] / parts)
    origin = volume.position((float(middles[0]) / step, 0.0, 0.0))
    return replace(
        volume,
        hu=np.tensordot(weights, volume.hu.astype(np.float32), axes=1).astype(np.float32),
        spacing=(thickness, *volume.spacing[1:]),
        origin=tuple(origin),
        acquisition=replace(volume.acquisition, slice_thickness_mm=thickness),
    )


def _moved(volume: CTVolume) -> CTVolume:
    """The scan on voxels that lie half a voxel further along each axis."""
    hu = ndimage.shift(volume.hu.astype(np.float32), -0.5, order=3, mode="nearest")
    return replace(volume, hu=hu, origin=tuple(volume.position((0.5, 0.5, 0.5))))
