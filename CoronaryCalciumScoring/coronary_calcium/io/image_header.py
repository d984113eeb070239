"""What an image file's header promises, read by the project itself before any toolkit allocates a byte for it."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io import checks
from coronary_calcium.io.axes import axial_order
from coronary_calcium.volume import CaseWarning

# Text headers are a few kilobytes, also in files with many segments.
MAXIMUM_HEADER_BYTES = 2**20
# More components per voxel than this is no layered segmentation.
MAXIMUM_LAYERS = 64


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """The promise of an image file.

    ``shape`` is (k, j, i) in file order, ``layers`` the number of values a voxel has (1 for a CT), ``affine`` the 4 x 4
    matrix from index (i, j, k) to LPS in mm, ``data`` and ``offset`` where the voxels begin, ``codec`` one of raw,
    gzip, zlib. ``fields`` holds the header's own key-value pairs. ``for_toolkit`` is a header of the same
    voxels for the toolkit, where it cannot read the file's own.
    """

    data: Path
    offset: int
    codec: str
    shape: tuple[int, int, int]
    layers: int
    dtype: np.dtype
    slope: float
    intercept: float
    affine: np.ndarray
    modality: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    warnings: tuple[CaseWarning, ...] = ()
    for_toolkit: bytes | None = None

    @property
    def is_segmentation(self) -> bool:
        """Whether the file is a segmentation with named segments, which may be cropped to a single slice."""
        return "Segment0_Name" in self.fields

    @property
    def data_bytes(self) -> int:
        """How many bytes of voxels the header promises, uncompressed."""
        return math.prod(self.shape) * self.layers * self.dtype.itemsize

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along (k, j, i) in mm."""
        i, j, k = (float(value) for value in np.linalg.norm(self.affine[:3, :3], axis=0))
        return k, j, i

    @property
    def direction(self) -> np.ndarray:
        """Columns: LPS unit vectors of i, j, k."""
        return self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def origin(self) -> tuple[float, float, float]:
        """LPS position of voxel (0, 0, 0) in mm."""
        x, y, z = (float(value) for value in self.affine[:3, 3])
        return x, y, z


NO_ORIENTATION = CaseWarning(
    "no-orientation",
    "The file does not state how the patient lies in the image; it was taken as axial with the first slice lowest, "
    "and the arteries' names are wrong if it is not.",
)


def damaged(what: str) -> InputError:
    """The rejection of a header that cannot be read."""
    return InputError("bad-header", f"The file's header is damaged or unusual ({what}): convert it again from DICOM.")


def unsupported(what: str) -> InputError:
    """The rejection of a legal but rare variety."""
    return InputError("unsupported", f"The file {what}, which is not supported: convert it again from DICOM.")


def check_header(header: ImageHeader) -> ImageHeader:
    """Reject impossible geometry and sizes, before memory is taken.

    Raises InputError: ``"not-3d"``, ``"absurd-size"``, ``"bad-geometry"``, ``"bad-header"``, and those of
    ``axes.axial_order``.
    """
    if any(side < 1 for side in header.shape):
        raise damaged("a side without voxels")
    if min(header.shape) < 2 and not header.is_segmentation:
        raise InputError("not-3d", "The image is a single slice: give the whole three-dimensional CT volume.")
    if max(header.shape) > checks.MAXIMUM_SIDE or math.prod(header.shape) > checks.MAXIMUM_VOXELS:
        raise InputError(
            "absurd-size",
            f"The header claims {' x '.join(str(side) for side in header.shape)} voxels, more than any CT has: the "
            "file is damaged.",
        )
    if not np.isfinite(header.affine).all() or min(header.spacing) <= 0:
        raise InputError(
            "bad-geometry",
            "The header's spacing or orientation is not made of positive, finite numbers: convert it again.",
        )
    if not (math.isfinite(header.slope) and math.isfinite(header.intercept)) or header.slope == 0:
        raise damaged("its intensity scale")
    axial_order(header.direction)
    return header


def is_beside(header: Path, name: str) -> bool:
    """Whether a header's folder holds a file of exactly that name."""
    plain = name.strip().removeprefix("./")
    return Path(plain).name == plain and (header.resolve().parent / plain).is_file()


def data_file(header: Path, name: str) -> Path:
    """The detached data file that a header names: a plain file in the header's own folder.

    Raises InputError (``"unsafe-path"``, ``"truncated"``).
    """
    plain = name.strip().removeprefix("./")
    folder = header.resolve().parent
    path = folder / plain
    if not plain or Path(plain).name != plain or "\\" in plain or path.is_symlink() or path.resolve().parent != folder:
        raise InputError(
            "unsafe-path",
            "The header names a data file outside its own folder: put both files into one folder and name the data "
            "file without a path.",
        )
    if not path.is_file():
        raise InputError(
            "truncated", "The data file that the header names is not in its folder: give both files together."
        )
    return path


def floats(text: str, count: int, what: str) -> list[float]:
    """Exactly ``count`` finite numbers from a header line."""
    try:
        values = [float(item) for item in text.replace(",", " ").split()]
    except ValueError:
        raise damaged(what) from None
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise damaged(what)
    return values


def integers(text: str, what: str) -> list[int]:
    """Whole numbers from a header line."""
    try:
        return [int(item) for item in text.split()]
    except ValueError:
        raise damaged(what) from None


def affine_from(columns: list[list[float]], origin: list[float]) -> np.ndarray:
    """The 4 x 4 matrix whose columns are the steps along i, j, k, and the origin."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns).T
    affine[:3, 3] = origin
    return affine
