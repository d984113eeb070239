"""The header of .nrrd and .nhdr files (teem.sourceforge.net/nrrd/format.html)."""

from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io.image_header import (
    MAXIMUM_HEADER_BYTES,
    MAXIMUM_LAYERS,
    NO_ORIENTATION,
    ImageHeader,
    affine_from,
    check_header,
    damaged,
    data_file,
    floats,
    integers,
    unsupported,
)
from coronary_calcium.volume import CaseWarning

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_CODES = {name: code for code, names in _TYPES.items() for name in names}
_CODECS = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
# The file's world axes as factors to LPS.
_SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}


_SPACES_WITH_TIME = {
    **{f"{space}-time": space for space in _SPACES if "-" in space},
    **{f"{space}t": space for space in _SPACES if "-" not in space},
}
_TAKEN_AS_LPS = CaseWarning(
    "no-orientation",
    "The file does not name its anatomical axes; they were taken as left, posterior and superior, as ITK writes a "
    "series of volumes, and the arteries' names are wrong if they are not.",
)


def read_nrrd_header(path: Path) -> ImageHeader:
    """The promise of a NRRD file; raises InputError (see ``image_header``, and ``"not-3d"``, ``"missing-tags"``)."""
    fields, pairs, end = _lines(path)
    dimension = integers(fields.get("dimension", ""), "dimension")
    sizes = integers(fields.get("sizes", ""), "sizes")
    if len(dimension) != 1 or len(sizes) != dimension[0]:
        raise damaged("sizes do not fit the dimension")
    series = len(sizes) == 4
    if series:
        sizes, fields = _single_volume(sizes, fields)
    series = series and len(sizes) == 3
    kinds = fields.get("kinds", "").lower().split()
    layers, sizes = _layers(sizes, kinds, fields)
    code = _CODES.get(fields.get("type", "").lower())
    if code is None:
        raise unsupported(f"has voxels of type {fields.get('type', 'none')!r}")
    codec = _CODECS.get(fields.get("encoding", "").lower())
    if codec is None:
        raise unsupported(f"has the encoding {fields.get('encoding', 'none')!r}")
    endian = fields.get("endian", "little" if code.endswith("1") else "").lower()
    if endian not in ("little", "big"):
        raise damaged("no byte order")
    if any(fields.get(name, "0") != "0" for name in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise unsupported("skips a part of its data")
    name = fields.get("data file", fields.get("datafile"))
    if name is None and end is None:
        raise damaged("no data")
    affine, warnings = _geometry(fields)
    i, j, k = sizes
    return check_header(
        ImageHeader(
            data=path if name is None else data_file(path, name),
            offset=int(end or 0) if name is None else 0,
            codec=codec,
            shape=(k, j, i),
            layers=layers,
            dtype=np.dtype(("<" if endian == "little" else ">") + code),
            slope=1.0,
            intercept=0.0,
            affine=affine,
            fields=pairs,
            warnings=warnings,
            for_toolkit=_plain_header(affine, sizes, code, endian, codec) if series else None,
        )
    )


def _plain_header(affine: np.ndarray, sizes: list[int], code: str, endian: str, codec: str) -> bytes:
    """The header of one volume: ITK reads a series only if its fourth axis is of a kind that it knows."""

    def vector(values: np.ndarray) -> str:
        return f"({','.join(repr(float(value)) for value in values)})"

    lines = (
        *("NRRD0004", f"type: {_TYPES[code][0]}", "dimension: 3", "space: left-posterior-superior"),
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(vector(affine[:3, axis]) for axis in range(3))}",
        *(f"space origin: {vector(affine[:3, 3])}", f"encoding: {codec}", f"endian: {endian}"),
    )
    return ("\n".join(lines) + "\n\n").encode()


def _lines(path: Path) -> tuple[dict[str, str], dict[str, str], int | None]:
    """Fields, key-value pairs, and where the data begin (None if the header ends with the file)."""
    with path.open("rb") as file:
        start = file.read(MAXIMUM_HEADER_BYTES)
    if not start.startswith(b"NRRD000"):
        raise damaged("not a NRRD file")
    cuts = [(start.find(mark), len(mark)) for mark in (b"\n\n", b"\r\n\r\n")]
    cuts = [cut for cut in cuts if cut[0] >= 0]
    end = min(cuts) if cuts else None
    if end is None and len(start) == MAXIMUM_HEADER_BYTES:
        raise damaged("no end of the header")
    text = start[: end[0] if end else None].decode("utf-8", "replace")
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        if line.startswith("#") or not line.strip():
            continue
        pair, field = line.find(":="), line.find(": ")
        if pair >= 0 and (field < 0 or pair < field):
            pairs[line[:pair]] = line[pair + 2 :]
        elif field >= 0:
            key = line[:field].strip().lower()
            if key in fields:
                raise damaged(f"{key} twice")
            fields[key] = line[field + 2 :].strip()
    return fields, pairs, sum(end) if end else None


def _single_volume(sizes: list[int], fields: dict[str, str]) -> tuple[list[int], dict[str, str]]:
    """Sizes and fields of a series of one volume, without its fourth axis; those of other files as they are.

    The fourth axis is the one that is no direction in space by its vector or kind, or the last. Raises
    InputError("not-3d") for a series of several volumes.
    """
    kinds, vectors = fields.get("kinds", "").lower().split(), fields.get("space directions", "").split()
    outside = [place for place, vector in enumerate(vectors) if vector == "none"] or [
        place for place, kind in enumerate(kinds) if kind not in ("domain", "space")
    ]
    axis = outside[0] if len(outside) == 1 else 3
    kind = kinds[axis] if len(kinds) == len(sizes) else ""
    if kind == "vector" or "color" in kind or (axis == 0 and kind == "list"):
        return sizes, fields  # a layered segmentation, or several values in each voxel
    if sizes[axis] != 1:
        raise InputError(
            "not-3d",
            f"The NRRD file has four axes and may hold {sizes[axis]} volumes, such as heart phases: save the one to be "
            "scored as a file of its own.",
        )
    shorter = dict(fields)
    for name in ("kinds", "space directions", "spacings"):
        values = fields.get(name, "").split()
        if len(values) == len(sizes):
            shorter[name] = " ".join(value for place, value in enumerate(values) if place != axis)
    return [size for place, size in enumerate(sizes) if place != axis], _without_time(shorter)


def _without_time(fields: dict[str, str]) -> dict[str, str]:
    """The fields of a volume whose world has time as a fourth axis, in the three axes of space."""
    space = _SPACES_WITH_TIME.get(fields.get("space", "").lower())
    if space is None and fields.get("space dimension") != "4":
        return fields
    shorter = {**fields, "space": space or ""}
    for name in ("space directions", "space origin"):
        vectors = [vector.strip("()").split(",") for vector in fields.get(name, "").split()]
        if any(len(vector) != 4 for vector in vectors) or (
            name == "space directions" and any(floats(vector[3], 1, name) != [0.0] for vector in vectors)
        ):
            raise damaged(name)
        shorter[name] = " ".join(f"({','.join(vector[:3])})" for vector in vectors)
    return shorter


def _layers(sizes: list[int], kinds: list[str], fields: dict[str, str]) -> tuple[int, list[int]]:
    """Values a voxel, and the three sizes; only a layered segmentation has a fourth axis, its first."""
    listed = len(sizes) == 4 and kinds[:1] in (["list"], ["vector"])
    if listed and 1 <= sizes[0] <= MAXIMUM_LAYERS:
        return sizes[0], sizes[1:]
    vectors = fields.get("space directions", "")
    if len(sizes) != 3 or "none" in vectors or any("color" in kind or kind == "vector" for kind in kinds):
        raise InputError(
            "not-3d",
            "The NRRD file is not one three-dimensional gray-value volume: give a single CT volume, not a picture, a "
            "color image or a time series.",
        )
    return 1, sizes


def _geometry(fields: dict[str, str]) -> tuple[np.ndarray, tuple]:
    """The affine to LPS, and warnings."""
    units = fields.get("space units", fields.get("units", "")).replace('"', " ").split()
    if any(unit.lower() not in ("mm", "millimeter", "none", "???") for unit in units):
        raise unsupported("states lengths in other units than mm")
    vectors = fields.get("space directions")
    if vectors is None:
        if "spacings" not in fields:
            raise InputError(
                "missing-tags",
                "The NRRD header states no voxel spacing, without which there is no score: convert again.",
            )
        steps = floats(" ".join(fields["spacings"].split()[-3:]), 3, "spacings")
        if min(steps) <= 0:
            raise damaged("spacings are not positive")
        return affine_from(np.diag(steps).tolist(), [0.0, 0.0, 0.0]), (NO_ORIENTATION,)
    nameless = fields.get("space dimension") == "4" and not fields.get("space")
    factors = (1, 1, 1) if nameless else _SPACES.get(fields.get("space", "").lower())
    if factors is None:
        raise unsupported(f"has the space {fields.get('space', 'none')!r}")
    columns = [_vector(item, factors) for item in vectors.replace("none", "").split()]
    if len(columns) != 3:
        raise damaged("space directions")
    origin = _vector(fields.get("space origin") or "(0,0,0)", factors)
    return affine_from(columns, origin), (_TAKEN_AS_LPS,) if nameless else ()


def _vector(text: str, factors: tuple[int, int, int]) -> list[float]:
    """A NRRD vector "(x,y,z)" in LPS."""
    if not (text.startswith("(") and text.endswith(")")):
        raise damaged("a vector without brackets")
    return [factor * value for factor, value in zip(factors, floats(text[1:-1], 3, "a vector"))]
