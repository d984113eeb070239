"""One reading of a case, a reader's or the network's: its marked voxels, its lesions with their scores, its status.

A reading is small: only marked voxels are kept, so that it is written after every stroke, and the agreement of readers
needs no CT. It is two files: the voxels, whose name is their checksum, and ``reading.json``, which is written last and
names them.
"""

import hashlib
import io
import json
import shutil
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.atomic_write import write_whole
from coronary_calcium.cohort.cases import CASES, READERS, checked_id, is_id
from coronary_calcium.errors import InputError, not_written
from coronary_calcium.scoring.agatston import CaseScore

FACTS = "reading.json"
FORMAT = "coronary-calcium-reading/1"
# The network's reading lies in the case's own folder.
AI = "AI"

OPEN, DONE, SECOND_LOOK, NOT_GRADABLE = MARKS = ("open", "done", "second-look", "not-gradable")


@dataclass(frozen=True)
class ReadingStatus:
    """What a reader says of a case, and what it took.

    Attributes
    ----------
    mark : open, done, second-look or not-gradable.
    reason : why a case is not gradable.
    seconds, clicks : spent on the case, all visits together; None where nobody counted.
    saw_ai, saw_readers : whether the network's lesions, and which other readers' readings, were shown.
    """

    mark: str = OPEN
    reason: str = ""
    seconds: float | None = None
    clicks: int | None = None
    saw_ai: bool = False
    saw_readers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the mark; raises InputError("reading-mark")."""
        if self.mark not in MARKS:
            raise InputError("reading-mark", f"A case is marked {', '.join(MARKS)}, not {self.mark!r}.")
        if self.mark == NOT_GRADABLE and not self.reason.strip():
            raise InputError("reading-mark", "Say why the case is not gradable.")


@dataclass(frozen=True, eq=False)
class ReadLesion:
    """A lesion of a reading: its artery, its score, and its voxels as flat (k, j, i) indices."""

    artery: str
    agatston: float
    voxels: np.ndarray


@dataclass(frozen=True, eq=False)
class Reading:
    """A reading.

    Attributes
    ----------
    shape : of the CT, (k, j, i).
    voxels : flat indices of the marked voxels, ascending, and
    labels : uint8, the label (``arteries``) of each.
    lesions : by descending score.
    agatston : the total and each artery's score.
    category : the risk category.
    status : what the reader says of it.
    """

    shape: tuple[int, int, int]
    voxels: np.ndarray
    labels: np.ndarray
    lesions: tuple[ReadLesion, ...]
    agatston: dict[str, float]
    category: str
    status: ReadingStatus = ReadingStatus()

    def label_map(self) -> np.ndarray:
        """(k, j, i) uint8 of the CT's shape."""
        labels = np.zeros(self.shape, np.uint8)
        labels.reshape(-1)[self.voxels] = self.labels
        return labels


def reading_of(score: CaseScore, labels: np.ndarray, category: str, status: ReadingStatus = ReadingStatus()) -> Reading:
    """The reading of a label map (k, j, i) and its score."""
    voxels = np.flatnonzero(labels)
    return reading_of_voxels(score, labels.shape, (voxels, labels.reshape(-1)[voxels]), category, status)


def reading_of_voxels(
    score: CaseScore,
    shape: tuple[int, ...],
    marked: tuple[np.ndarray, np.ndarray],
    category: str,
    status: ReadingStatus = ReadingStatus(),
) -> Reading:
    """The reading of marked voxels on a CT of a shape (k, j, i) and their score.

    ``marked`` are ascending flat indices and the label of each.
    """
    return Reading(
        shape=(shape[0], shape[1], shape[2]),
        voxels=marked[0],
        labels=marked[1].astype(np.uint8),
        lesions=tuple(ReadLesion(one.artery, one.agatston, one.voxels) for one in score.lesions),
        agatston={"total": score.total.agatston} | {one.name: score.by_artery[one.name].agatston for one in ARTERIES},
        category=category,
        status=status,
    )


def reading_of_nothing(status: ReadingStatus) -> Reading:
    """The reading of a case whose CT cannot be opened, and which is therefore not gradable; its CT has no voxels."""
    nothing = np.empty(0, np.int64)
    scores = dict.fromkeys(("total", *(one.name for one in ARTERIES)), 0.0)
    return Reading((0, 0, 0), nothing, nothing.astype(np.uint8), (), scores, "", status)


def reading_folder(cohort: Path, reader: str, case_id: str) -> Path:
    """Where a reader's reading of a case lies; the network's for ``AI``."""
    checked_id(case_id)
    return cohort / CASES / case_id if reader == AI else cohort / READERS / checked_id(reader) / case_id


def write_reading(folder: Path, reading: Reading) -> None:
    """Write a reading in place of an earlier one; a crash in between leaves the one or the other, whole.

    Raises InputError("output") when it cannot be written.
    """
    packed = io.BytesIO()
    lesion_voxels = [lesion.voxels for lesion in reading.lesions]
    # Compressing indices takes most of the time of a save, and a reader's strokes are saved: half as many bytes.
    index = np.int32 if np.prod(reading.shape, dtype=np.int64) <= np.iinfo(np.int32).max else np.int64
    np.savez_compressed(
        packed,
        shape=np.array(reading.shape, np.int64),
        voxels=reading.voxels.astype(index),
        labels=reading.labels,
        lesion_voxels=np.concatenate([np.empty(0, np.int64), *lesion_voxels]).astype(index),
        lesion_sizes=np.array([voxels.size for voxels in lesion_voxels], np.int64),
    )
    content = packed.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    voxels_file = f"reading-{digest[:16]}.npz"
    facts = {
        "format": FORMAT,
        "voxels_file": voxels_file,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "agatston": reading.agatston,
        "risk_category": reading.category,
        "lesions": [{"artery": one.artery, "agatston": one.agatston} for one in reading.lesions],
        "status": asdict(reading.status),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / voxels_file, content)
        write_whole(folder / FACTS, json.dumps(facts, indent=2, allow_nan=False) + "\n")
        for earlier in folder.glob("reading-*.npz*"):  # also what a killed process left of one
            if earlier.name != voxels_file:
                earlier.unlink(missing_ok=True)
    except OSError as error:
        raise not_written("The reading", folder, error) from error


def version_of(folder: Path) -> str:
    """A checksum of a reading as it is on disk, which every save changes; empty where there is none."""
    try:
        return hashlib.sha256((folder / FACTS).read_bytes()).hexdigest()
    except OSError:
        return ""


def set_aside(folder: Path) -> Path:
    """Move a reading under a hidden name beside it, where no list shows it; returns its new place.

    Raises InputError("output") when it cannot be moved.
    """
    aside = folder.with_name(f".{folder.name}-{version_of(folder)[:16]}")
    try:
        if aside.exists():  # the same reading, kept before
            shutil.rmtree(aside)
        return folder.rename(aside)
    except OSError as error:
        raise not_written("The earlier reading", aside, error) from error


def has_reading(folder: Path) -> bool:
    """Whether there is a reading."""
    return (folder / FACTS).is_file()


def read_status(folder: Path) -> tuple[ReadingStatus, dict[str, Any]]:
    """A reading's status and its other facts, without its voxels. Raises InputError("reading")."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        status = ReadingStatus(**{**facts["status"], "saw_readers": tuple(facts["status"]["saw_readers"])})
        if facts["format"] != FORMAT:
            raise ValueError("of another version")
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged(folder) from None
    return status, facts


def read_reading(folder: Path) -> Reading:
    """A reading. Raises InputError("reading") when there is none, or when it is damaged."""
    status, facts = read_status(folder)
    try:
        with np.load(folder / Path(facts["voxels_file"]).name, allow_pickle=False) as archive:
            shape = tuple(int(size) for size in archive["shape"])
            voxels, labels = archive["voxels"].astype(np.int64), archive["labels"]
            sizes = archive["lesion_sizes"]
            pieces = np.split(archive["lesion_voxels"].astype(np.int64), np.cumsum(sizes)[:-1]) if sizes.size else []
        size = int(np.prod(shape))
        if len(shape) != 3 or voxels.shape != labels.shape or len(pieces) != len(facts["lesions"]):
            raise ValueError("parts that do not fit")
        if voxels.size and not 0 <= int(voxels.min()) <= int(voxels.max()) < size:
            raise ValueError("voxels outside of the CT")
        lesions = tuple(
            ReadLesion(str(one["artery"]), float(one["agatston"]), piece)
            for one, piece in zip(facts["lesions"], pieces, strict=True)
        )
        agatston = {name: float(facts["agatston"][name]) for name in ("total", *(one.name for one in ARTERIES))}
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile, zlib.error):
        raise _damaged(folder) from None
    return Reading((shape[0], shape[1], shape[2]), voxels, labels, lesions, agatston, facts["risk_category"], status)


def mark_reading(folder: Path, status: ReadingStatus) -> None:
    """Give a reading another status."""
    write_reading(folder, replace(read_reading(folder), status=status))


def _damaged(folder: Path) -> InputError:
    return InputError(
        "reading",
        f"The reading of {folder.name} is missing, damaged or of another version: use the newest version of this "
        f"program, or move the folder {folder} away and read the case again.",
    )


def readers_of(cohort: Path) -> list[str]:
    """The names of the readers who have read any case, sorted."""
    folder = cohort / READERS
    return (
        sorted(place.name for place in folder.iterdir() if place.is_dir() and is_id(place.name))
        if folder.is_dir()
        else []
    )


def cases_read(cohort: Path, reader: str) -> list[str]:
    """The ids of the cases of which a reader has a reading, sorted."""
    folder = cohort / CASES if reader == AI else cohort / READERS / checked_id(reader)
    if not folder.is_dir():
        return []
    return sorted(place.name for place in folder.iterdir() if not place.name.startswith(".") and has_reading(place))


def cases_done(cohort: Path, reader: str) -> set[str]:
    """The ids of the cases that a reader has marked as done; the network has done every case that it scored.

    Raises InputError("reading") for a damaged one.
    """
    ids = cases_read(cohort, reader)
    if reader == AI:
        return set(ids)
    return {one for one in ids if read_status(reading_folder(cohort, reader, one))[0].mark == DONE}
