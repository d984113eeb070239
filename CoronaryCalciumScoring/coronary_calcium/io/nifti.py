"""The header of .nii and .nii.gz files (nifti.nimh.nih.gov/nifti-1, nifti1.h)."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io.image_header import ImageHeader, check_header, damaged, unsupported
from coronary_calcium.volume import CaseWarning

_HEADER_BYTES = 348
_CODES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
# Lengths in the header, as factors to mm; 0 means that the unit is not stated.
_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# The two geometries that a header may state must agree to this part of a voxel, anywhere in the volume.
_AGREEMENT_VOXELS = 0.1
_UNITS_NOT_STATED = CaseWarning(
    "units-not-stated", "The file does not state its unit of length; voxel sizes were taken as millimeters."
)


def read_nifti_header(path: Path) -> ImageHeader:
    """The promise of a NIfTI-1 file.

    Raises InputError (see ``image_header``, and ``"not-3d"``, ``"no-orientation"``, ``"bad-geometry"``).
    """
    compressed = path.name.lower().endswith(".gz")
    raw = _start(path, compressed)
    order = next((order for order in "<>" if struct.unpack_from(f"{order}i", raw)[0] == _HEADER_BYTES), None)
    if order is None or raw[344:347] != b"n+1":
        raise unsupported("is not a single-file NIfTI-1 image")
    dim = struct.unpack_from(f"{order}8h", raw, 40)
    if not 3 <= dim[0] <= 7 or any(size != 1 for size in dim[4 : dim[0] + 1]):
        raise InputError(
            "not-3d", f"The NIfTI file has {dim[0]} dimensions: give a single three-dimensional CT volume."
        )
    code = _CODES.get(struct.unpack_from(f"{order}h", raw, 70)[0])
    if code is None:
        raise unsupported("has color, complex or extended voxels")
    offset, slope, intercept = struct.unpack_from(f"{order}3f", raw, 108)
    if not _HEADER_BYTES <= offset < 2**24 or not float(offset).is_integer():
        raise damaged("where its data begin")
    # nifti1.h: a slope of 0 means that intensities are not scaled; some write NaN, which other programs ignore as well.
    scaled = slope != 0 and not (math.isnan(slope) or math.isnan(intercept))
    unit = raw[123] & 7
    if unit not in _UNITS:
        raise damaged("its unit of length")
    affine = _geometry(raw, order, dim[1:4], _UNITS[unit])
    i, j, k = dim[1:4]
    return check_header(
        ImageHeader(
            data=path,
            offset=int(offset),
            codec="gzip" if compressed else "raw",
            shape=(k, j, i),
            layers=1,
            dtype=np.dtype(order + code),
            slope=slope if scaled else 1.0,
            intercept=intercept if scaled else 0.0,
            affine=affine,
            warnings=(_UNITS_NOT_STATED,) if unit == 0 else (),
        )
    )


def _start(path: Path, compressed: bool) -> bytes:
    """The header's bytes."""
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            raw = file.read(_HEADER_BYTES)
    except (OSError, EOFError, zlib.error):
        raise damaged("it cannot be unpacked") from None
    if len(raw) < _HEADER_BYTES:
        raise damaged("it is too short")
    return raw


def _geometry(raw: bytes, order: str, size: tuple[int, ...], unit: float) -> np.ndarray:
    """The affine to LPS in mm; rejects headers whose statements contradict each other."""
    pixdim = struct.unpack_from(f"{order}8f", raw, 76)
    qform, sform = struct.unpack_from(f"{order}2h", raw, 252)
    if not np.isfinite(pixdim[:4]).all() or min(pixdim[1:4]) <= 0:
        raise InputError("bad-geometry", "The NIfTI header's voxel sizes are not positive numbers: convert it again.")
    found = []
    if qform > 0:
        found.append(_from_quaternion(struct.unpack_from(f"{order}6f", raw, 256), pixdim))
    if sform > 0:
        affine = np.eye(4)
        affine[:3] = np.array(struct.unpack_from(f"{order}12f", raw, 280)).reshape(3, 4)
        found.append(affine)
    if not found:
        raise InputError(
            "no-orientation",
            "The NIfTI header does not state how the patient lies in the image (qform and sform are 0): convert it "
            "again from DICOM.",
        )
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * [*size, 1]
    reference = found[-1]
    lengths = np.linalg.norm(reference[:3, :3], axis=0)
    disagreement = max(float(np.abs(corners @ (affine - reference).T).max()) for affine in found)
    off = np.abs(lengths - pixdim[1:4]) * size
    if not disagreement <= _AGREEMENT_VOXELS * min(pixdim[1:4]) or not np.all(off <= _AGREEMENT_VOXELS * lengths):
        raise InputError(
            "bad-geometry",
            "The NIfTI header states two different geometries (qform, sform or pixdim): convert it again from DICOM.",
        )
    scale = np.diag([unit, unit, unit, 1.0])
    return _RAS_TO_LPS @ scale @ reference


def _from_quaternion(parts: tuple[float, ...], pixdim: tuple[float, ...]) -> np.ndarray:
    """The qform's affine to RAS, by nifti1.h's method 2."""
    b, c, d, x, y, z = parts
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    factor = -1.0 if pixdim[0] < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * [pixdim[1], pixdim[2], factor * pixdim[3]]
    affine[:3, 3] = (x, y, z)
    return affine
