"""The header of .mha and .mhd files (itk.org/Wiki/ITK/MetaIO/Documentation)."""

from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io.image_header import (
    MAXIMUM_HEADER_BYTES,
    NO_ORIENTATION,
    ImageHeader,
    affine_from,
    check_header,
    damaged,
    data_file,
    floats,
    integers,
    is_beside,
    unsupported,
)

_CODES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
# The last field of the header; the data of a LOCAL file begin after its line.
_LAST = b"ElementDataFile"


def read_meta_header(path: Path) -> ImageHeader:
    """The promise of a MetaImage; raises InputError (see ``image_header``, and ``"not-3d"``, ``"missing-tags"``)."""
    fields, end = _fields(path)
    sizes = integers(fields.get("DimSize", ""), "DimSize")
    if fields.get("NDims") != str(len(sizes)):
        raise damaged("DimSize does not fit NDims")
    if len(sizes) == 4 and sizes[3] == 1:
        sizes, fields = sizes[:3], _first_volume(fields)
    if len(sizes) != 3 or fields.get("ElementNumberOfChannels", "1") != "1":
        raise InputError(
            "not-3d",
            "The MetaImage is not one three-dimensional gray-value volume: give a single CT volume, not a picture, a "
            "color image or a time series.",
        )
    code = _CODES.get(fields.get("ElementType", ""))
    if code is None:
        raise unsupported(f"has voxels of type {fields.get('ElementType', 'none')}")
    if fields.get("BinaryData", "True").lower() != "true":
        raise unsupported("stores its voxels as text")
    if fields.get("HeaderSize", "0") != "0":
        raise unsupported("has its data behind a foreign header")
    slope = fields.get("ElementToIntensityFunctionSlope", "1")
    offset = fields.get("ElementToIntensityFunctionOffset", "0")
    if floats(f"{slope} {offset}", 2, "intensity function") != [1.0, 0.0]:
        raise unsupported("scales its intensities in the header")
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true"
    name = fields["ElementDataFile"]
    local = name.upper() in ("LOCAL", "LOCAL FILE")
    # "%" and numbers behind the name stand for a file a slice, unless a file is really called so.
    several = name.split()[0].upper() == "LIST" or "%" in name or len(name.split()) > 1
    if not local and several and not is_beside(path, name):
        raise unsupported("keeps its slices in separate files")
    affine, warnings = _geometry(fields)
    modality = fields.get("Modality", "MET_MOD_UNKNOWN").removeprefix("MET_MOD_")
    i, j, k = sizes
    return check_header(
        ImageHeader(
            data=path if local else data_file(path, name),
            offset=end if local else 0,
            codec="zlib" if fields.get("CompressedData", "False").lower() == "true" else "raw",
            shape=(k, j, i),
            layers=1,
            dtype=np.dtype((">" if big else "<") + code),
            slope=1.0,
            intercept=0.0,
            affine=affine,
            modality=modality if modality in ("CT", "MR", "NM", "US") else None,
            fields=fields,
            warnings=warnings,
        )
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The header's fields, and the byte after its last line."""
    with path.open("rb") as file:
        start = file.read(MAXIMUM_HEADER_BYTES)
    last = start.find(_LAST)
    end = start.find(b"\n", last)
    if last < 0:
        raise damaged("not a MetaImage, or no ElementDataFile")
    end = len(start) if end < 0 else end
    fields: dict[str, str] = {}
    for line in start[:end].decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if not equals:
            continue
        if key.strip() in fields:
            raise damaged(f"{key.strip()} twice")
        fields[key.strip()] = value.strip()
    if not fields.get("ElementDataFile"):
        raise damaged("no ElementDataFile")
    return fields, end + 1


def _first_volume(fields: dict[str, str]) -> dict[str, str]:
    """The fields of a series of one volume as those of the volume: without the fourth axis."""
    shorter = dict(fields)
    for name in ("ElementSpacing", "Offset", "Position", "Origin"):
        if name in fields:
            shorter[name] = " ".join(fields[name].split()[:3])
    for name in ("TransformMatrix", "Rotation", "Orientation"):
        if name in fields:
            values = fields[name].split()
            shorter[name] = " ".join(value for row in range(3) for value in values[4 * row : 4 * row + 3])
    return shorter


def _geometry(fields: dict[str, str]) -> tuple[np.ndarray, tuple]:
    """The affine to LPS, and warnings."""
    if "ElementSpacing" not in fields:
        raise InputError(
            "missing-tags",
            "The MetaImage header states no ElementSpacing, without which there is no score: convert again.",
        )
    steps = floats(fields["ElementSpacing"], 3, "ElementSpacing")
    if min(steps) <= 0:
        raise InputError("bad-geometry", "The header's ElementSpacing is not positive: convert the file again.")
    matrix = next((fields[name] for name in ("TransformMatrix", "Rotation", "Orientation") if name in fields), None)
    origin = next((fields[name] for name in ("Offset", "Position", "Origin") if name in fields), "0 0 0")
    rows = np.eye(3) if matrix is None else np.array(floats(matrix, 9, "TransformMatrix")).reshape(3, 3)
    if np.any(np.abs(np.linalg.norm(rows, axis=1) - 1) > 1e-3):
        raise damaged("TransformMatrix is not made of unit vectors")
    columns = [(row * step).tolist() for row, step in zip(rows, steps)]
    return affine_from(columns, floats(origin, 3, "Offset")), (NO_ORIENTATION,) if matrix is None else ()
