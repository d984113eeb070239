"""The pixel data element of a DICOM file, by its bytes: complete or not, and the stored values if uncompressed.

Layouts: PS3.5 sections 7.1 (elements), 8.1 and 8.2 (native pixels), A.4 (encapsulated fragments).
"""

import struct
from typing import BinaryIO

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io.slice_header import SliceHeader

_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_NATIVE = (_IMPLICIT_LITTLE, _EXPLICIT_LITTLE, _EXPLICIT_BIG)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0"
_ALLOCATED = (8, 16, 32)
# PS3.6: JPEG 2000 and HTJ2K that may be either lossless or lossy.
_WAVELETS = ("1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203")
# ITU-T T.800 (JPEG 2000), annex A: markers in the main header of a codestream. The coding style's last byte but the
# precincts is the wavelet, 0 for the irreversible 9-7 one.
_SOC, _COD, _SOT = b"\xff\x4f", b"\xff\x52", b"\xff\x90"
_WAVELET_BYTE, _IRREVERSIBLE = 9, 0
_LONGEST_MAIN_HEADER = 2**16
_PIECE = 2**20


def is_compressed(header: SliceHeader) -> bool:
    """Whether the pixels are not simply one after the other in the file."""
    return header.transfer_syntax not in _NATIVE or header.pixel_offset is None


def reject_incomplete(header: SliceHeader) -> None:
    """Reject a file that does not hold the pixels that its header promises.

    Raises InputError: ``"truncated"``, ``"pixel-mismatch"``, ``"cannot-decode"``.
    """
    if header.pixel_offset is None:
        return  # a deflated file, whose damage its own checksum shows when it is decoded
    with header.path.open("rb") as file:
        if is_compressed(header):
            _reject_incomplete_fragments(file, header)
            return
        needed = _frame_bytes(header) * header.frames
        length = _element_length(file, header)
        if length not in (needed, needed + 1):
            raise InputError(
                "pixel-mismatch",
                f"{header.place} declares {length} bytes of pixels where {needed} are needed for its rows and columns: "
                "export the series again.",
            )
        begin = file.tell()
        if file.seek(0, 2) < begin + needed:
            raise _truncated(header)


def stored_values(header: SliceHeader) -> np.ndarray | None:
    """The stored pixel values of a slice (row, column) as int64, or None if they are compressed.

    The file has passed ``reject_incomplete``.
    """
    if is_compressed(header):
        return None
    size = _frame_bytes(header)
    with header.path.open("rb") as file:
        _element_length(file, header)
        file.seek(size * header.frame, 1)
        data = file.read(size)
    allocated = int(header.bits_allocated or 0)
    order = ">" if header.transfer_syntax == _EXPLICIT_BIG else "<"
    values = np.frombuffer(data, f"{order}u{allocated // 8}").astype(np.int64)
    bits = int(header.bits_stored or allocated)
    high_bit = header.high_bit if header.high_bit is not None else bits - 1
    values = (values >> (high_bit + 1 - bits)) & (2**bits - 1)
    values = values.reshape(int(header.rows or 0), int(header.columns or 0))
    return np.where(values >= 2 ** (bits - 1), values - 2**bits, values) if header.signed else values


def is_irreversible(header: SliceHeader) -> bool:
    """Whether the pixels were compressed by JPEG 2000 with the wavelet that loses information, whatever is stated.

    False also for what cannot be told: another compression, damaged pixels, or a reversible wavelet whose last
    coefficients were left out. Raises InputError("truncated") when the file ends before its pixels.
    """
    if header.transfer_syntax not in _WAVELETS or header.pixel_offset is None:
        return False
    with header.path.open("rb") as file:
        _element_length(file, header)
        offsets = file.read(8)
        if len(offsets) < 8:
            return False
        file.seek(struct.unpack("<I", offsets[4:])[0] + 8, 1)
        codestream = file.read(_LONGEST_MAIN_HEADER)
    if codestream[:2] != _SOC:
        return False
    place = 2
    while len(codestream) >= place + 4 and codestream[place : place + 2] != _SOT:
        length = struct.unpack(">H", codestream[place + 2 : place + 4])[0]
        segment = codestream[place + 4 : place + 2 + length]
        if codestream[place : place + 2] == _COD:
            return len(segment) > _WAVELET_BYTE and segment[_WAVELET_BYTE] == _IRREVERSIBLE
        place += 2 + length
    return False


def same_pixels(first: SliceHeader, second: SliceHeader) -> bool:
    """Whether two files hold the same bytes from their pixel data on, or as a whole when it is deflated."""
    with first.path.open("rb") as one, second.path.open("rb") as other:
        one.seek(first.pixel_offset or 0)
        other.seek(second.pixel_offset or 0)
        while True:
            piece = one.read(_PIECE)
            if piece != other.read(_PIECE):
                return False
            if not piece:
                return True


def same_image(first: SliceHeader, second: SliceHeader) -> bool:
    """Whether two files show the same intensities, whatever else they say; False for frames of one file.

    Raises InputError as ``reject_incomplete`` does.
    """
    scale = [(one.rows, one.columns, one.slope, one.intercept, one.frames) for one in (first, second)]
    if first.path == second.path or scale[0] != scale[1]:
        return False
    layout = [(one.transfer_syntax, one.bits_stored, one.high_bit, one.signed) for one in (first, second)]
    if layout[0] == layout[1] and same_pixels(first, second):
        return True
    if is_compressed(first) or is_compressed(second) or first.frames != 1:
        return False
    for header in (first, second):
        reject_incomplete(header)
    return np.array_equal(stored_values(first), stored_values(second))  # type: ignore[arg-type]


def _frame_bytes(header: SliceHeader) -> int:
    """How many bytes the pixels of one slice take, uncompressed."""
    allocated, stored = int(header.bits_allocated or 0), int(header.bits_stored or 0)
    high_bit = header.high_bit if header.high_bit is not None else stored - 1
    if allocated not in _ALLOCATED or not 0 < stored <= high_bit + 1 <= allocated:
        raise InputError(
            "cannot-decode",
            f"{header.place} stores {stored} of {allocated} bits per pixel, which no CT does: export the series again.",
        )
    return int(header.rows or 0) * int(header.columns or 0) * allocated // 8


def _reject_incomplete_fragments(file: BinaryIO, header: SliceHeader) -> None:
    """Reject compressed pixels whose last fragment is cut off or missing."""
    if _element_length(file, header) != _UNDEFINED_LENGTH:
        raise InputError(
            "cannot-decode",
            f"{header.place} says that it is compressed but its pixels are not in fragments: export it again.",
        )
    begin = file.tell()
    end = file.seek(0, 2)
    file.seek(begin)
    while True:
        item = file.read(8)
        if item[:4] == _END:
            return
        if len(item) < 8 or item[:4] != _ITEM or file.seek(struct.unpack("<I", item[4:])[0], 1) > end:
            raise _truncated(header)


def _element_length(file: BinaryIO, header: SliceHeader) -> int:
    """The pixel data element's declared length; leaves the file at its first byte."""
    file.seek(int(header.pixel_offset or 0))
    order = ">" if header.transfer_syntax == _EXPLICIT_BIG else "<"
    head = file.read(8)
    if len(head) < 8:
        raise _truncated(header)
    if header.transfer_syntax == _IMPLICIT_LITTLE:
        return int(struct.unpack("<I", head[4:])[0])
    if head[4:6] not in (b"OB", b"OW", b"UN"):
        raise _truncated(header)
    tail = file.read(4)
    if len(tail) < 4:
        raise _truncated(header)
    return int(struct.unpack(f"{order}I", tail)[0])


def _truncated(header: SliceHeader) -> InputError:
    """The rejection of a file that ends too early."""
    return InputError(
        "truncated",
        f"{header.place} ends before all of its pixels: copy or export the series again, it is incomplete.",
    )
