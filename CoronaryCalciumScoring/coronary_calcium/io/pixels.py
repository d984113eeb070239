"""Reading a stack's pixels with SimpleITK, and proving that they are what the headers promised.

SimpleITK (GDCM) applies rescale slope and intercept itself. Uncompressed pixels are read a second time here, by
arithmetic on the file's bytes, and compared voxel by voxel: 64 slices take 0.1 s, and no wrong sign, byte order, bit
mask, slope or truncated file gets past. Compressed pixels are checked for completeness and range.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses

from coronary_calcium.errors import InputError
from coronary_calcium.io.image_files import quiet_simpleitk
from coronary_calcium.io.pixel_data import is_compressed, reject_incomplete, stored_values
from coronary_calcium.io.slice_geometry import Placement
from coronary_calcium.io.slice_header import SliceHeader
from coronary_calcium.progress import Progress

AIR_HU = -1024
# Where a declared padding value means an intensity outside this range, it cannot be the patient.
_LOWEST_TISSUE_HU = -1000.0
_HIGHEST_TISSUE_HU = 3071.0
_CALCIUM_HU = 130.0
_INT16 = np.iinfo(np.int16)


def read_pixels(placement: Placement, progress: Progress) -> np.ndarray:
    """The stack's HU: an array (slice, row, column), int16 where every rescale is integral, else float32.

    Voxels of the declared padding value become -1024 HU. Raises InputError: ``"truncated"``, ``"cannot-decode"``,
    ``"pixel-mismatch"``, ``"ambiguous-padding"``, ``"not-hu"``.
    """
    slices = placement.slices
    whole = all(float(value or 0).is_integer() for header in slices for value in (header.slope, header.intercept))
    shape = (len(slices), int(slices[0].rows or 0), int(slices[0].columns or 0))
    hu = np.empty(shape, np.int16 if whole else np.float32)
    for done, (index, values) in enumerate(_decoded(slices), start=1):
        hu[index] = _checked(values, slices[index], whole)
        if done % 8 == 0 or done == len(slices):
            progress(done / len(slices), "reading pixels")
    return hu


def slice_hu(header: SliceHeader) -> np.ndarray:
    """The HU (row, column) of one slice alone, to look at and not to score; raises InputError as ``read_pixels``."""
    reject_incomplete(header)
    return _read_file(header.path, header)[header.frame]


def _decoded(slices: tuple[SliceHeader, ...]) -> Iterator[tuple[int, np.ndarray]]:
    """Index and decoded HU (row, column) of every slice; each file is read once."""
    scales = {(header.slope, header.intercept) for header in slices}
    if len(scales) > 1 and any(header.frames > 1 and is_compressed(header) for header in slices):
        raise InputError(
            "unsupported",
            "The frames of the compressed multi-frame CT are scaled differently, which cannot be read with certainty: "
            "export the series again, uncompressed.",
        )
    by_file = sorted(range(len(slices)), key=lambda index: (str(slices[index].path), slices[index].frame))
    for path, indices in groupby(by_file, key=lambda index: slices[index].path):
        image = None
        for index in indices:
            header = slices[index]
            if image is None:
                reject_incomplete(header)
                image = _read_file(path, header)
            yield index, image[header.frame]


def _read_file(path: Path, header: SliceHeader) -> np.ndarray:
    """One file's pixels as (frame, row, column), rescaled by GDCM."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        with quiet_simpleitk():
            image = reader.Execute()
    except RuntimeError:
        raise InputError(
            "cannot-decode",
            f"{header.place} cannot be decoded (transfer syntax {header.transfer_syntax}); its file is "
            "damaged or of an unsupported compression: export the series again, uncompressed.",
        ) from None
    expected = (header.columns, header.rows, header.frames)
    size = (*image.GetSize(), 1)[:3]
    if size != expected or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            "pixel-mismatch",
            f"{header.place} holds {size} pixels where its header promises {expected}: export the series again.",
        )
    values = sitk.GetArrayFromImage(image)
    return values.reshape(header.frames, *values.shape[-2:])


def _checked(values: np.ndarray, header: SliceHeader, whole: bool) -> np.ndarray:
    """One slice's HU (row, column), proven against the header, with padding made air."""
    slope, intercept = float(header.slope or 1), float(header.intercept or 0)
    stored = stored_values(header)
    if stored is None:
        stored = (values - intercept) / slope
        bits = int(header.bits_stored or 16)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if header.signed else (0, 2**bits - 1)
        agrees = (
            low - 0.5 <= stored.min() and stored.max() <= high + 0.5 and np.allclose(stored, np.rint(stored), 0, 0.01)
        )
        stored = np.rint(stored).astype(np.int64)
    else:
        promised = stored * slope + intercept
        agrees = np.allclose(values, promised, rtol=1e-5, atol=1e-3)
    if not agrees:
        raise InputError(
            "pixel-mismatch",
            f"{header.place} has other intensities, once decoded, than its header promises: export the "
            "series again, uncompressed.",
        )
    result = np.rint(values).astype(np.int32) if whole else values.astype(np.float32)
    _fill_padding(result, stored, header, slope, intercept)
    if whole:
        # Padding without a declaration, such as stored -32768 less 1024, does not fit 16 bits; it lies below air.
        result[result < _INT16.min] = AIR_HU
        if result.max() > _INT16.max:
            raise InputError(
                "not-hu",
                f"{header.place} holds an intensity of {result.max()} HU, which no tissue has: give the CT series "
                "in Hounsfield units.",
            )
    return result


def _fill_padding(result: np.ndarray, stored: np.ndarray, header: SliceHeader, slope: float, intercept: float) -> None:
    """Turn voxels of the declared padding value (or range) into air, in place."""
    if header.padding is None:
        return
    limit = header.padding if header.padding_limit is None else header.padding_limit
    span = 2 ** int(header.bits_allocated or 16)
    # The padding value is often written with the wrong signedness.
    low, high = sorted(_in_range(value, span, bool(header.signed)) for value in (header.padding, limit))
    padded = (stored >= low) & (stored <= high)
    if not padded.any():
        return
    meant = sorted((low * slope + intercept, high * slope + intercept))
    if meant[0] > _LOWEST_TISSUE_HU and meant[1] < _CALCIUM_HU:
        return  # cannot become calcium, and may as well be the patient: left as it is
    if meant[0] <= _HIGHEST_TISSUE_HU and meant[1] >= _CALCIUM_HU:
        raise InputError(
            "ambiguous-padding",
            f"The header declares {meant[0]:g} HU to mean 'no data', which calcium has as well: export the series "
            "again with a padding value outside the range of tissue.",
        )
    result[padded] = AIR_HU


def _in_range(value: int, span: int, signed: bool) -> int:
    """A stored value as the pixels' signedness has it."""
    value %= span
    return value - span if signed and value >= span // 2 else value
