"""Training cases: small .npz files of a CT around the heart with its calcium labelled.

A case file has these arrays:

* ``hu`` int16 (k, j, i), cropped around the heart at the scan's own resolution;
* ``labels`` uint8 (k, j, i), 1 LM, 2 LAD, 3 LCX, 4 RCA, 5 an artery that is not known, on calcium voxels of at least
  130 HU, 0 elsewhere;
* ``spacing`` (3,) in mm, along (k, j, i);
* ``field_center`` (2,), the voxel index (j, i) of the centre of the heart's window;
* ``other`` (n, 3) uint16, where it is known: the voxels (k, j, i) of at least 130 HU that are calcium or metal but not
  coronary. A case without this array is searched for small bright parts instead;
* ``facts``, a JSON object as a string: how the case was made. Sampling knows two of them: ``kind``, "chest" or
  "cardiac", and ``source``, whose beginning says where the calcium comes from.
"""

import json
import logging
import threading
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.errors import InputRefused
from coronary_calcium.rules import LITERATURE

# A case file made of a whole scan keeps a square of this side around the heart: a window of 192 mm with room for shifts
# and scales.
BOX_MM = 250.0
# Where a case does not say which voxels are other calcium, bright parts of a slice that are larger or further from the
# window's centre are taken for bone. Of the pixels of at least 130 HU within 80 mm of it, two thirds were bone.
HARD_NEGATIVE_RADIUS_MM, HARD_NEGATIVE_AREA_MM2 = 70.0, 300.0
_ARRAYS = ("hu", "labels", "spacing", "field_center", "facts")
_EIGHT = np.ones((3, 3), bool)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseOptions:
    """Which cases take part, and how often.

    Attributes
    ----------
    kinds : the ``kind`` facts that take part; all cases when empty. A case that does not say its kind is then left out.
    shares : beginnings of the ``source`` fact and the share of samples from such cases; all other cases have the rest.
    """

    kinds: tuple[str, ...] = ()
    shares: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseSummary:
    """What is known of a case without its voxels: its facts and how many slices it has."""

    facts: dict[str, Any]
    slices: int


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """One case in memory; arrays as the module describes.

    ``calcium_slices`` are the slices that hold coronary calcium, ``bright_slices`` those with something bright near the
    heart that is not coronary calcium and could be taken for it.
    """

    name: str
    hu: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]
    field_center: tuple[float, float]
    facts: dict[str, Any]
    calcium_slices: np.ndarray
    bright_slices: np.ndarray
    other: np.ndarray | None = None

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
    """Read a case's facts and size, in a millisecond. Raises InputRefused("training-case")."""
    try:
        with np.load(path, allow_pickle=False) as archive, archive.zip.open("labels.npy") as stream:
            np.lib.format.read_magic(stream)
            shape, _, _ = np.lib.format.read_array_header_1_0(stream)
            return CaseSummary(dict(json.loads(str(archive["facts"]))), int(shape[0]))
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise _refused(path, "it cannot be read, being damaged or another kind of file") from error


def load_case(path: Path) -> TrainingCase:
    """Read a case file. Raises InputRefused("training-case") when it is not one."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive]
            if missing:
                raise _refused(path, f"it lacks {', '.join(missing)}")
            hu, labels = archive["hu"], archive["labels"]
            spacing = tuple(float(value) for value in archive["spacing"])
            center = tuple(float(value) for value in archive["field_center"])
            facts = json.loads(str(archive["facts"]))
            other = archive.get("other")
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputRefused):
            raise
        raise _refused(path, "it cannot be read, being damaged or another kind of file") from error
    if hu.ndim != 3 or hu.shape != labels.shape or hu.dtype != np.int16 or labels.dtype != np.uint8:
        raise _refused(path, "hu must be int16 and labels uint8, both of the same (k, j, i) shape")
    if len(spacing) != 3 or len(center) != 2 or min(spacing) <= 0:
        raise _refused(path, "spacing must be three positive numbers and field_center two numbers")
    highest = max(artery.label for artery in ARTERIES)
    if labels.max(initial=0) > highest:
        raise _refused(path, f"labels must be 0 to {highest}")
    if other is not None and not (other.ndim == 2 and other.shape[1] == 3 and (other < hu.shape).all()):
        raise _refused(path, "other must be voxel indices (k, j, i) inside of the case")
    return case_of(path.name, hu, labels, spacing, center, facts, other)


def case_of(
    name: str,
    hu: np.ndarray,
    labels: np.ndarray,
    spacing: tuple[float, ...],
    field_center: tuple[float, ...],
    facts: dict[str, Any],
    other: np.ndarray | None = None,
) -> TrainingCase:
    """A case of arrays in memory, as the module describes them."""
    if other is None:
        near = _disc(hu.shape[1:], field_center, spacing[1:])
        bright = [k for k in range(len(hu)) if _is_bright(hu[k], labels[k], near, spacing[1:]).any()]
    else:
        bright = np.unique(other[:, 0]).tolist()
    return TrainingCase(
        name=name,
        hu=hu,
        labels=labels,
        spacing=(spacing[0], spacing[1], spacing[2]),
        field_center=(field_center[0], field_center[1]),
        facts=facts,
        calcium_slices=np.flatnonzero(labels.any(axis=(1, 2))),
        bright_slices=np.array(bright, int),
        other=other,
    )


def _refused(path: Path, reason: str) -> InputRefused:
    return InputRefused("training-case", f"{path.name} is not a training case: {reason}; make the cases again.")


class CaseFolder:
    """The cases of a folder, which may grow while training runs.

    Files that appear are found by ``rescan``. At most ``in_memory`` cases are kept, the oldest being dropped first.
    ``names`` are the files that take part. Raises InputRefused("no-training-data") for what is no folder.
    """

    def __init__(self, folder: Path, in_memory: int = 200, options: CaseOptions | None = None) -> None:
        self.folder = Path(folder)
        self._in_memory = in_memory
        self._options = options or CaseOptions()
        self._loaded: dict[str, TrainingCase] = {}
        self._lock = threading.Lock()
        self._summaries: dict[str, CaseSummary] = {}
        self._refused: set[str] = set()
        self._groups: list[tuple[float, list[str]]] = []
        self.names: list[str] = []
        if not self.folder.is_dir():
            raise InputRefused("no-training-data", f"{folder} is not a folder; name the folder of the case files.")
        self.rescan()

    def rescan(self) -> int:
        """Look for case files again; returns how many take part. A file that is not a case is logged and left out."""
        for name in sorted({path.name for path in self.folder.glob("*.npz")} - self._summaries.keys() - self._refused):
            try:
                self._summaries[name] = read_summary(self.folder / name)
            except InputRefused as refusal:
                _LOG.warning("%s", refusal)
                self._refused.add(name)
        kinds = self._options.kinds
        self.names = sorted(
            name
            for name, summary in self._summaries.items()
            if (not kinds or summary.facts.get("kind") in kinds) and (self.folder / name).exists()
        )
        self._groups = self._grouped()
        return len(self.names)

    def _grouped(self) -> list[tuple[float, list[str]]]:
        """The names with the share that they have together, for each source that has a share and for the others."""
        left, groups = list(self.names), []
        for source, share in self._options.shares.items():
            chosen = [name for name in left if str(self._summaries[name].facts.get("source", "")).startswith(source)]
            left = [name for name in left if name not in set(chosen)]
            groups.append((share, chosen))
        groups.append((max(0.0, 1.0 - sum(self._options.shares.values())), left))
        return [(share, names) for share, names in groups if names and share > 0]

    def absent_sources(self) -> list[str]:
        """The sources that have a share and no case."""
        return [
            source for source in self._options.shares if not any(found.startswith(source) for found in self.sources())
        ]

    def require(self) -> None:
        """Raise InputRefused("no-training-data") when no file of the folder takes part."""
        if not self._summaries.keys() - self._refused:
            raise InputRefused(
                "no-training-data",
                f"{self.folder} holds no case (*.npz) that can be read; make them with coronary-calcium prepare.",
            )
        if not self._groups:
            raise InputRefused(
                "no-training-data",
                f"None of the {len(self._summaries)} cases in {self.folder} is of the kind or source that the recipe "
                "asks for; change its [cases] or name another folder.",
            )

    def case(self, name: str) -> TrainingCase:
        """A case by its file name, from memory if it is there; several threads may ask."""
        with self._lock:
            known = self._loaded.get(name)
        if known is not None:
            return known
        case = load_case(self.folder / name)
        with self._lock:
            while len(self._loaded) >= self._in_memory:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[name] = case
        return case

    def draw(self, generator: np.random.Generator) -> TrainingCase:
        """A case at random. A file that turns out to be no case is logged and replaced by another draw.

        What is drawn depends on the generator and on ``names`` alone, not on what was drawn before: a run that is
        resumed draws as one that was not interrupted.
        """
        while True:
            self.require()
            place = generator.random() * sum(share for share, _ in self._groups)
            names = self._groups[-1][1]
            for share, group in self._groups:
                if place < share:
                    names = group
                    break
                place -= share
            name = names[generator.integers(len(names))]
            if name not in self._refused:
                try:
                    return self.case(name)
                except InputRefused as refusal:
                    _LOG.warning("%s", refusal)
                    self._refused.add(name)

    def slices(self) -> list[tuple[str, int]]:
        """Every slice of every case, as the file's name and the slice's index."""
        return [(name, k) for name in self.names for k in range(self._summaries[name].slices)]

    def sources(self) -> list[str]:
        """What the cases that take part say of their origin (``source`` in their facts), sorted."""
        return sorted({str(self._summaries[name].facts.get("source", "unknown")) for name in self.names})


def save_case(
    path: Path,
    hu: np.ndarray,
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    field_center: tuple[float, float],
    facts: dict[str, Any],
    other: np.ndarray | None = None,
) -> None:
    """Write a case file; it appears under its name only when it is complete, so that training may run meanwhile."""
    partial = path.with_name(path.name + ".partial")
    arrays: dict[str, np.ndarray] = {
        "hu": hu.astype(np.int16),
        "labels": labels.astype(np.uint8),
        "spacing": np.asarray(spacing, float),
        "field_center": np.asarray(field_center, float),
        "facts": np.array(json.dumps(facts)),
    }
    if other is not None:
        arrays["other"] = other.astype(np.uint16)
    # An .npz file by hand: numpy's own compression level took a fifth of the time that a simulated case takes.
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, array, allow_pickle=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
