"""Opening .nrrd, .nii, .mha and .mhd files.

SimpleITK reads a raw file that is cut in half, or a detached file that is too long, without complaint in places, and
turns NaN in a NIfTI file into 0. So the bytes are counted here first, compressed ones by unpacking them in pieces; that
pass keeps the plane in the middle and every plane's range and sum, to be compared with what SimpleITK made of the file.
"""

import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses

from coronary_calcium.errors import InputError
from coronary_calcium.io.checks import NOT_FINITE
from coronary_calcium.io.image_header import ImageHeader, damaged
from coronary_calcium.io.metaimage import read_meta_header
from coronary_calcium.io.nifti import read_nifti_header
from coronary_calcium.io.nrrd import read_nrrd_header

_STDERR = 2


@contextmanager
def quiet_simpleitk() -> Iterator[None]:
    """Nothing from SimpleITK and the C libraries under it on stderr.

    OpenJPEG and niftilib write to the file descriptor itself, so that is pointed elsewhere; keep the block to the one
    call that reads, so that nobody else's messages are lost.
    """
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a Windows program without a console has no stderr
        kept = None
    try:
        if kept is not None:
            if sys.stderr is not None:
                sys.stderr.flush()
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        if kept is not None:
            os.dup2(kept, _STDERR)
            os.close(kept)
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


_PIECE = 2**20
# zlib: recognize either kind of header.
_GZIP_OR_ZLIB = 47
_READERS = {
    ".nrrd": (read_nrrd_header, "NrrdImageIO"),
    ".nhdr": (read_nrrd_header, "NrrdImageIO"),
    ".mha": (read_meta_header, "MetaImageIO"),
    ".mhd": (read_meta_header, "MetaImageIO"),
    ".nii": (read_nifti_header, "NiftiImageIO"),
    ".nii.gz": (read_nifti_header, "NiftiImageIO"),
}
# Geometry of header and toolkit must agree to this, in mm and in direction cosines; NIfTI has 32-bit numbers.
_GEOMETRY_TOLERANCE = 1e-2


def image_suffix(path: Path) -> str | None:
    """The ending that tells a supported image file, or None."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(_READERS, key=len, reverse=True) if name.endswith(suffix)), None)


def read_image_header(path: Path) -> ImageHeader:
    """The promise of a supported image file; raises InputError (see ``image_header``)."""
    suffix = image_suffix(path)
    assert suffix is not None  # noqa: S101 - callers ask image_suffix first
    return _READERS[suffix][0](path)


def read_voxels(path: Path, header: ImageHeader) -> np.ndarray:
    """The voxels (k, j, i) in file order, or (k, j, i, layer), with the header's intensity scale applied.

    Raises InputError: ``"truncated"``, ``"pixel-mismatch"``, ``"nan"``, ``"bad-header"``.
    """
    promised = _promised(header)
    image = _read_image(path, header)
    if image.GetSize() != header.shape[::-1] or image.GetNumberOfComponentsPerPixel() != header.layers:
        raise _mismatch("size")
    _compare_geometry(image, header)
    voxels = sitk.GetArrayFromImage(image)
    read = np.array([(plane.min(), plane.max(), plane.sum(dtype=np.float64)) for plane in voxels])
    # Scaled by 32-bit numbers, sums of a plane may be off by the rounding of each voxel.
    allowed = np.array([1e-3, 1e-3, 1e-3 * voxels[0].size]) + 1e-5 * np.abs(promised.planes)
    middle = voxels[header.shape[0] // 2].reshape(promised.middle.shape)
    if np.any(np.abs(read - promised.planes) > allowed) or not np.allclose(middle, promised.middle, 1e-5, 1e-3):
        raise _mismatch("content")
    return voxels


def _read_image(path: Path, header: ImageHeader) -> sitk.Image:
    """The image as SimpleITK reads it, without a fourth axis of one volume."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_READERS[image_suffix(path) or ""][1])
    with _readable(path, header) as named, quiet_simpleitk():
        reader.SetFileName(str(named))
        try:
            image = reader.Execute()
        except RuntimeError:
            raise damaged("its data cannot be read") from None
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    if image.GetDimension() != 3:
        raise _mismatch("size")
    return image


@contextmanager
def _readable(path: Path, header: ImageHeader) -> Iterator[Path]:
    """The header's path, or that of a copy that the toolkit can read.

    MetaIO would take a data file's name with a percent sign for a pattern; other headers bring their own.
    """
    if header.for_toolkit is not None:
        with tempfile.TemporaryDirectory(prefix="coronary-calcium-") as name, header.data.open("rb") as source:
            whole = Path(name, f"image{path.suffix.lower().replace('.nhdr', '.nrrd')}")
            source.seek(header.offset)
            with whole.open("wb") as file:
                file.write(header.for_toolkit)
                shutil.copyfileobj(source, file, _PIECE)
            yield whole
        return
    if path.suffix.lower() != ".mhd" or "%" not in header.data.name:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-") as name:
        copy, data = Path(name, "image.mhd"), Path(name, "image.raw")
        content = path.read_bytes()
        copy.write_bytes(content[: content.index(b"ElementDataFile")] + b"ElementDataFile = image.raw\n")
        try:
            os.link(header.data, data)
        except OSError:  # another disk
            shutil.copyfile(header.data, data)
        yield copy


def _compare_geometry(image: sitk.Image, header: ImageHeader) -> None:
    """Reject an image whose geometry the toolkit understood otherwise."""
    direction = np.array(image.GetDirection()).reshape(3, 3)
    pairs = (
        (image.GetSpacing(), header.spacing[::-1]),
        (image.GetOrigin(), header.origin),
        (direction, header.direction),
    )
    if any(np.abs(np.subtract(read, promised)).max() > _GEOMETRY_TOLERANCE for read, promised in pairs):
        raise _mismatch("geometry")


@dataclass(frozen=True, eq=False)
class _Promise:
    """What the file's bytes say: minimum, maximum and sum of every plane (k, 3), and plane k = n // 2 (j, i, layer)."""

    planes: np.ndarray
    middle: np.ndarray


def _promised(header: ImageHeader) -> _Promise:
    """Count the file's voxel bytes, and take from them what the toolkit's result is compared with."""
    size = header.data_bytes // header.shape[0]
    planes = np.zeros((header.shape[0], 3))
    middle: np.ndarray = np.empty(0)
    pending = bytearray()
    seen = done = 0
    try:
        for piece in _pieces(header):
            seen += len(piece)
            if seen > header.data_bytes:
                break
            pending += piece
            while len(pending) >= size:
                plane = np.frombuffer(bytes(pending[:size]), header.dtype)
                del pending[:size]
                if not np.isfinite(plane).all():
                    raise InputError("nan", NOT_FINITE)
                values = plane.astype(np.float64) * header.slope + header.intercept
                planes[done] = values.min(), values.max(), values.sum()
                if done == header.shape[0] // 2:
                    middle = values.reshape(*header.shape[1:], header.layers)
                done += 1
    except (OSError, EOFError, zlib.error):
        raise _truncated(seen, header) from None
    if seen < header.data_bytes:
        raise _truncated(seen, header)
    if seen > header.data_bytes:
        raise InputError(
            "pixel-mismatch",
            f"The file holds more data than the {header.data_bytes} bytes that its header promises: convert it again.",
        )
    return _Promise(planes, middle)


def _pieces(header: ImageHeader) -> Iterator[bytes]:
    """The voxel bytes in file order, unpacked, in pieces."""
    with header.data.open("rb") as file:
        # The offset of a compressed NIfTI counts unpacked bytes, that of the other formats bytes of the file.
        whole = header.codec == "gzip" and header.data.name.lower().endswith(".nii.gz")
        skip = header.offset if whole else 0
        file.seek(0 if whole else header.offset)
        if header.codec == "raw":
            yield from iter(lambda: file.read(_PIECE), b"")
            return
        for piece in _unpacked(file):
            yield piece[skip:]
            skip = max(0, skip - len(piece))


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """A gzip or zlib stream, unpacked in pieces of bounded size; raises EOFError and zlib.error."""
    unpacker = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    packed = b""
    while True:
        packed = packed or file.read(_PIECE)
        piece = unpacker.decompress(packed, _PIECE)
        if not piece and not packed and not unpacker.eof:
            raise EOFError
        packed = unpacker.unconsumed_tail
        yield piece
        if unpacker.eof:
            packed = unpacker.unused_data or file.read(_PIECE)
            if not packed:
                return
            unpacker = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)  # gzip files may be made of several streams


def _truncated(seen: int, header: ImageHeader) -> InputError:
    """The rejection of a file with too few bytes."""
    return InputError(
        "truncated",
        f"The file holds {seen} of the {header.data_bytes} bytes of voxels that its header promises: it is incomplete "
        "or damaged; copy or convert it again.",
    )


def _mismatch(what: str) -> InputError:
    """The rejection of a file that the toolkit understood otherwise than its header says."""
    return InputError(
        "pixel-mismatch",
        f"The file's {what}, once read, differs from what its header promises: convert it again from DICOM.",
    )
