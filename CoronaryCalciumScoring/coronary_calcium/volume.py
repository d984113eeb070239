"""The CT volume that everything else works on, and the facts and warnings that travel with it."""

from dataclasses import dataclass, field, replace

import numpy as np

# Spacings are rounded to a nanometer, so that the same scan read by different readers (pydicom's decimal strings,
# VTK's matrices) gives the same score to the last digit.
SPACING_DECIMALS = 6
# 380 mm / 512 pixels is 0.7421875 mm, halfway between two roundings: rounded up, whatever a reader's last digit is.
_HALF_UP = 1e-7


@dataclass(frozen=True)
class CaseWarning:
    """Something that a reader of the score must know: a stable ``code`` and a sentence."""

    code: str
    message: str


def each_once(*warnings: CaseWarning) -> tuple[CaseWarning, ...]:
    """The warnings without repetitions of a code, the first of each kept."""
    kept: dict[str, CaseWarning] = {}
    for warning in warnings:
        kept.setdefault(warning.code, warning)
    return tuple(kept.values())


@dataclass(frozen=True)
class Acquisition:
    """What the score depends on in how the scan was made; never who was scanned. None means not stated.

    ``tin_filter`` says that a filter of tin hardened the beam. The mass factors are those of calcium scoring in
    mg/cm3/HU: DICOM (0018,9351), and of (0018,9352) the one for a medium-sized patient.
    """

    modality: str | None = None
    kvp: float | None = None
    kernel: str | None = None
    slice_thickness_mm: float | None = None
    manufacturer: str | None = None
    model: str | None = None
    contrast_agent: str | None = None
    lossy_compression: bool | None = None
    cardiac_gating: str | None = None
    tin_filter: bool = False
    mass_factor_patient: float | None = None
    mass_factor_device: float | None = None


@dataclass(frozen=True)
class SeriesReference:
    """Which DICOM series the voxels came from, one instance per slice, k ascending; for derived DICOM objects.

    ``files`` are local paths and never leave this machine; the UIDs are written only into DICOM objects.
    """

    series_uid: str
    instance_uids: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CTVolume:
    """A CT on axial slices.

    Attributes
    ----------
    hu : (k, j, i) int16 or float32 array of HU; k ascends to the head, j to the back, i to the patient's left.
    spacing : (k, j, i) in mm; the first is the distance between slice positions, not the slice thickness.
    origin : LPS position in mm of the center of voxel (0, 0, 0).
    direction : (3, 3) array whose columns are the LPS unit vectors of the i, j and k axes, in this order.
    acquisition : what the scanner did.
    warnings : what the reader of the input found.
    series : the DICOM series it came from, or None.

    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: np.ndarray = field(default_factory=lambda: np.eye(3))
    acquisition: Acquisition = field(default_factory=Acquisition)
    warnings: tuple[CaseWarning, ...] = ()
    series: SeriesReference | None = None

    def __post_init__(self) -> None:
        """Round the spacing and check that the parts fit each other; raises ValueError (a programming error)."""
        spacing = tuple(round(float(value) + _HALF_UP, SPACING_DECIMALS) for value in self.spacing)
        if self.hu.ndim != 3:
            raise ValueError(f"a CT volume has three axes (k, j, i), not {self.hu.ndim}")
        if len(spacing) != 3 or not all(np.isfinite(spacing)) or min(spacing) <= 0:
            raise ValueError(f"spacing must be three positive numbers, not {self.spacing}")
        if np.shape(self.direction) != (3, 3):
            raise ValueError("direction must be a 3 x 3 matrix")
        object.__setattr__(self, "spacing", spacing)
        object.__setattr__(self, "origin", tuple(float(value) for value in self.origin))
        object.__setattr__(self, "direction", np.asarray(self.direction, dtype=float))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (k, j, i)."""
        return self.hu.shape

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3."""
        return float(np.prod(self.spacing))

    def position(self, index: tuple[float, float, float]) -> np.ndarray:
        """LPS position in mm of a (fractional) voxel index (k, j, i)."""
        k, j, i = index
        dk, dj, di = self.spacing
        return np.asarray(self.origin) + self.direction @ np.array([i * di, j * dj, k * dk])

    def with_warnings(self, *warnings: CaseWarning) -> "CTVolume":
        """The same volume with more warnings."""
        return replace(self, warnings=self.warnings + warnings)
