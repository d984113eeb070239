"""Training cases: small .npz files of a CT around the heart with its calcium labeled.

A case file has these arrays:

* ``hu`` int16 (k, j, i), cropped around the heart at the scan's own resolution;
* ``labels`` uint8 (k, j, i), 1 LM, 2 LAD, 3 LCX, 4 RCA, 5 an artery that is not known, on calcium voxels of at least
  130 HU, 0 elsewhere;
* ``spacing`` (3,) in mm, along (k, j, i);
* ``field_center`` (2,), the voxel index (j, i) of the center of the heart's window;
* ``other`` (n, 3) uint16, where it is known: the voxels (k, j, i) of at least 130 HU that are calcium or metal but not
  coronary. A case without this array is searched for small bright parts instead;
* ``unjudged`` (n, 3) uint16, if there are any: voxels (k, j, i) that count neither way, such as calcium of which a
  reader was not sure. They take no part in losses and figures;
* ``facts``, a JSON object as a string: how the case was made. Sampling knows two of them: ``kind``, "chest" or
  "cardiac", and ``source``, whose beginning says where the calcium comes from.
"""

import json
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.atomic_write import whole_file
from coronary_calcium.errors import InputError
from coronary_calcium.heart.field import Window
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume

# What a simulated patient's folder holds. The truth is the last to appear: a folder that has it is complete.
CT_FOLDER, LABELS_FILE, PLAQUES_FILE, TRUTH_FILE = "dicom", "labels.nrrd", "plaques.csv", "truth.json"
# A case file made of a whole scan keeps a square of this side around the heart: a window of 192 mm with room for shifts
# and scales.
BOX_MM = 250.0
# Where a case does not say which voxels are other calcium, bright parts of a slice that are larger or further from the
# window's center are taken for bone. Of the pixels of at least 130 HU within 80 mm of it, two thirds were bone.
HARD_NEGATIVE_RADIUS_MM, HARD_NEGATIVE_AREA_MM2 = 70.0, 300.0
# What a sample's labels are where a pixel counts neither way.
UNJUDGED = 255
_ARRAYS = ("hu", "labels", "spacing", "field_center", "facts")
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class CaseSummary:
    """What is known of a case without its voxels: its facts and how many slices it has."""

    facts: dict[str, Any]
    slices: int


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """One case in memory; arrays as the module describes, ``name`` that of its file."""

    hu: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]
    field_center: tuple[float, float]
    facts: dict[str, Any]
    other: np.ndarray | None = None
    unjudged: np.ndarray | None = None
    name: str = ""

    @cached_property
    def calcium_slices(self) -> np.ndarray:
        """The slices that hold coronary calcium, ascending."""
        return np.flatnonzero(self.labels.any(axis=(1, 2)))

    @cached_property
    def bright_slices(self) -> np.ndarray:
        """The slices with something bright near the heart that is not coronary calcium and could be taken for it."""
        if self.other is not None:
            return np.unique(self.other[:, 0]).astype(int)
        near = _disc(self.hu.shape[1:], self.field_center, self.spacing[1:])
        bright = (_is_bright(hu, labels, near, self.spacing[1:]).any() for hu, labels in zip(self.hu, self.labels))
        return np.flatnonzero(np.fromiter(bright, bool))

    def marked(self, k: int) -> np.ndarray:
        """Slice ``k`` of the labels, (j, i) uint8, with ``UNJUDGED`` where nobody has judged."""
        if self.unjudged is None or not len(self.unjudged):
            return self.labels[k]
        marked = self.labels[k].copy()
        places = self.unjudged[self.unjudged[:, 0] == k]
        marked[places[:, 1], places[:, 2]] = UNJUDGED
        return marked

    def calcium_pixels(self, k: int) -> np.ndarray:
        """(n, 2) voxel indices (j, i) of the calcium in slice ``k``."""
        return np.argwhere(self.labels[k] > 0)

    def bright_pixels(self, k: int) -> np.ndarray:
        """(n, 2) voxel indices (j, i) of what is bright, near the heart and not coronary calcium in slice ``k``."""
        if self.other is not None:
            return self.other[self.other[:, 0] == k, 1:]
        near = _disc(self.hu.shape[1:], self.field_center, self.spacing[1:])
        return np.argwhere(_is_bright(self.hu[k], self.labels[k], near, self.spacing[1:]))


def _disc(shape: tuple[int, ...], center: tuple[float, ...], spacing_ji: tuple[float, ...]) -> np.ndarray:
    j = (np.arange(shape[0]) - center[0])[:, None] * spacing_ji[0]
    i = (np.arange(shape[1]) - center[1])[None, :] * spacing_ji[1]
    return j**2 + i**2 <= HARD_NEGATIVE_RADIUS_MM**2


def _is_bright(hu: np.ndarray, labels: np.ndarray, near: np.ndarray, spacing_ji: tuple[float, ...]) -> np.ndarray:
    part_of, _ = ndimage.label(hu >= LITERATURE.threshold_hu, structure=_EIGHT)
    small = np.bincount(part_of.ravel()) * (spacing_ji[0] * spacing_ji[1]) <= HARD_NEGATIVE_AREA_MM2
    small[0] = False
    return small[part_of] & (labels == 0) & near


def read_summary(path: Path) -> CaseSummary:
    """Read a case's facts and size, in a millisecond. Raises InputError("training-case")."""
    try:
        with np.load(path, allow_pickle=False) as archive, archive.zip.open("labels.npy") as stream:
            np.lib.format.read_magic(stream)
            shape, _, _ = np.lib.format.read_array_header_1_0(stream)
            return CaseSummary(dict(json.loads(str(archive["facts"]))), int(shape[0]))
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise _rejected(path, "it is damaged or another kind of file") from error


def load_case(path: Path) -> TrainingCase:
    """Read a case file. Raises InputError("training-case") when it is not one."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive]
            if missing:
                raise _rejected(path, f"it lacks {', '.join(missing)}")
            hu, labels = archive["hu"], archive["labels"]
            spacing = tuple(float(value) for value in archive["spacing"])
            center = tuple(float(value) for value in archive["field_center"])
            facts = json.loads(str(archive["facts"]))
            other = archive.get("other")
            unjudged = archive.get("unjudged")
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        raise _rejected(path, "it is damaged or another kind of file") from error
    if hu.ndim != 3 or hu.shape != labels.shape or hu.dtype != np.int16 or labels.dtype != np.uint8:
        raise _rejected(path, "hu must be int16 and labels uint8, both of the same (k, j, i) shape")
    if len(spacing) != 3 or len(center) != 2 or min(spacing) <= 0:
        raise _rejected(path, "spacing must be three positive numbers and field_center two numbers")
    highest = max(artery.label for artery in ARTERIES)
    if labels.max(initial=0) > highest:
        raise _rejected(path, f"labels must be 0 to {highest}")
    for name, places in (("other", other), ("unjudged", unjudged)):
        if places is not None and not (places.ndim == 2 and places.shape[1] == 3 and (places < hu.shape).all()):
            raise _rejected(path, f"{name} must be voxel indices (k, j, i) inside the case")
    return TrainingCase(
        hu, labels, (spacing[0], spacing[1], spacing[2]), (center[0], center[1]), facts, other, unjudged, path.name
    )


def _rejected(path: Path, reason: str) -> InputError:
    return InputError("training-case", f"{path.name} is not a training case: {reason}; make the cases again.")


def arrays_of(case: TrainingCase) -> dict[str, np.ndarray]:
    """The arrays of a case's file, by name."""
    arrays: dict[str, np.ndarray] = {
        "hu": case.hu.astype(np.int16),
        "labels": case.labels.astype(np.uint8),
        "spacing": np.asarray(case.spacing, float),
        "field_center": np.asarray(case.field_center, float),
        "facts": np.array(json.dumps(case.facts)),
    }
    if case.other is not None:
        arrays["other"] = case.other.astype(np.uint16)
    if case.unjudged is not None and len(case.unjudged):
        arrays["unjudged"] = case.unjudged.astype(np.uint16)
    return arrays


def save_case(path: Path, case: TrainingCase) -> None:
    """Write a case file; it appears under its name only when it is complete, so that training may run meanwhile."""
    # An .npz file by hand: numpy's own compression level took a fifth of the time that a simulated case takes.
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays_of(case).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


# The files of a case that was corrected and saved in Slicer ("Save as training case").
REVIEWED_CT, REVIEWED_LABELS, REVIEWED_PREDICTION, REVIEWED_FACTS = (
    "ct.nrrd",
    "labels.nrrd",
    "prediction.nrrd",
    "case.json",
)


def around_heart(
    volume: CTVolume, windows: tuple[Window, ...], labels: np.ndarray
) -> tuple[tuple[float, float], tuple[slice, slice, slice]]:
    """The heart's center (j, i), and the part of the CT to keep: ``BOX_MM`` around it, and all that is labeled.

    ``windows`` are where the heart was found, ``labels`` (k, j, i) of the volume's shape.
    """
    weights = [window.k1 - window.k0 for window in windows]
    center = (
        float(np.average([window.center_j for window in windows], weights=weights)),
        float(np.average([window.center_i for window in windows], weights=weights)),
    )
    low = [min(window.k0 for window in windows)]
    high = [max(window.k1 for window in windows)]
    for middle, step in zip(center, volume.spacing[1:]):
        low.append(int(np.floor(middle - BOX_MM / 2 / step)))
        high.append(int(np.ceil(middle + BOX_MM / 2 / step)))
    for axis in range(3):
        marked = np.flatnonzero(labels.any(axis=tuple(other for other in range(3) if other != axis)))
        if marked.size:
            low[axis], high[axis] = min(low[axis], marked[0]), max(high[axis], marked[-1] + 1)
    box = [slice(max(0, a), min(size, b)) for a, b, size in zip(low, high, volume.shape)]
    return center, (box[0], box[1], box[2])


def write_training_case(
    path: Path, volume: CTVolume, labels: np.ndarray, windows: tuple[Window, ...], facts: dict[str, Any]
) -> None:
    """Write the part around the heart as ``training.cases`` reads it; labels below 130 HU are left out.

    Raises OSError when the file cannot be written.
    """
    labels = np.where(volume.hu >= LITERATURE.threshold_hu, labels, 0).astype(np.uint8)
    center, box = around_heart(volume, windows, labels)
    shifted = (center[0] - box[1].start, center[1] - box[2].start)
    save_case(path, TrainingCase(_as_int16(volume.hu[box]), labels[box], volume.spacing, shifted, facts))


def _as_int16(hu: np.ndarray) -> np.ndarray:
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(hu), limits.min, limits.max).astype(np.int16)
