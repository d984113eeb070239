"""Finding the cases of a cohort: studies and images under folders, rows of a CSV file, studies of a DICOMweb server."""

import csv
import hashlib
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom

from coronary_calcium.cohort.cases import DATABASE, FoundCase, checked_id
from coronary_calcium.errors import InputError
from coronary_calcium.io.image_files import image_suffix
from coronary_calcium.io.slice_header import META_BYTES, inflates_too_far

if TYPE_CHECKING:
    from coronary_calcium.cohort.state import CohortState

# Label maps as this program and the Slicer module name them; a folder of patients holds them beside the CTs.
_LABEL_MAPS = re.compile(r"(labels|prediction|mask|segmentation)\.|.*\.seg\.nrrd$", re.IGNORECASE)
_STUDY_TAGS = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"]


@dataclass(frozen=True)
class FolderContent:
    """What lies directly in a folder.

    Attributes
    ----------
    path : the folder.
    modified : its time of change in ns, from before it was read.
    studies : names of its DICOM files by the key of their study.
    images : names of its image files and ZIP archives.
    folders : names of the folders in it.
    label_maps, other : how many files are left out as label maps, and as nothing that is known.
    """

    path: str
    modified: int
    studies: dict[str, list[str]] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    label_maps: int = 0
    other: int = 0


def salted(salt: str, *parts: str) -> str:
    """A key of a case: a checksum that can be compared within this cohort only."""
    return hashlib.sha256("\0".join((salt, *parts)).encode()).hexdigest()[:24]


def read_folder(path: str, salt: str) -> FolderContent:
    """What lies directly in a folder; links are not followed, nor is a cohort's own folder entered."""
    content = FolderContent(path, os.stat(path).st_mtime_ns)
    studies: dict[str, list[str]] = defaultdict(list)
    label_maps = other = 0
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            if not os.path.exists(os.path.join(entry.path, DATABASE)):
                content.folders.append(entry.name)
        elif not entry.is_file():
            continue
        elif _LABEL_MAPS.match(entry.name):
            label_maps += 1
        elif image_suffix(Path(entry.name)) or entry.name.lower().endswith(".zip"):
            content.images.append(entry.name)
        elif (study := _study_of(Path(entry.path), salt)) is not None:
            studies[study].append(entry.name)
        else:
            other += 1
    return FolderContent(path, content.modified, dict(studies), content.images, content.folders, label_maps, other)


def _study_of(path: Path, salt: str) -> str | None:
    """The key of a DICOM file's patient and study; None for what is no DICOM file or says no study."""
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            start = file.read(META_BYTES)
            if start[128:132] != b"DICM" or inflates_too_far(file, start):
                return None
            file.seek(0)
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_STUDY_TAGS)
            study = str(dataset.get("StudyInstanceUID") or dataset.get("SeriesInstanceUID") or "")
            # A directory file (DICOMDIR) lists the others.
            return salted(salt, str(dataset.get("PatientID") or ""), study) if study else None
    except Exception:  # noqa: BLE001 - a damaged file of a cohort must not stop the search; its study warns of it
        return None


Read = Callable[[list[str]], Iterable[FolderContent]]


@dataclass
class SearchCounts:
    """What a search came across."""

    folders_read: int = 0
    label_maps: int = 0
    other: int = 0


def search_folder(
    state: "CohortState", top: Path, read: Read, progress: Callable[[int], None] = lambda count: None
) -> SearchCounts:
    """Bring the state up to date with a folder and all folders in it; those that have not changed are not read again.

    ``read`` reads many folders at once. Files that are overwritten in place are not noticed: the folder's time of
    change tells what was added, taken away or renamed. Raises InputError("no-file") when the folder is not there.
    """
    if not top.is_dir():
        raise InputError("no-file", f"{top} is neither a folder nor a CSV file: check the path.")
    known, counts = state.known_folders(), SearchCounts()
    waiting, seen = [str(top.resolve())], set()
    while waiting:
        changed, following = [], []
        for path in waiting:
            seen.add(path)
            entry = known.get(path)
            try:
                same = entry is not None and entry[0] == os.stat(path).st_mtime_ns
            except OSError:
                continue
            if same and entry is not None:
                following += [os.path.join(path, name) for name in entry[1]]
            else:
                changed.append(path)
        for content in read(changed):
            state.put_folder(content)
            following += [os.path.join(content.path, name) for name in content.folders]
            counts.folders_read += 1
            counts.label_maps += content.label_maps
            counts.other += content.other
            progress(counts.folders_read)
        waiting = following
    state.forget_folders(path for path in known if path not in seen and _is_below(path, str(top.resolve())))
    return counts


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def rows_of_csv(path: Path, salt: str) -> Iterator[FoundCase]:
    """The cases of a CSV file with a column ``path`` and, where wanted, ``id`` and ``mask``.

    Paths are relative to the file's own folder. Raises InputError("cohort-csv") for a file that cannot be used.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            names = {name.strip().lower(): name for name in table.fieldnames or ()}
            if "path" not in names:
                raise InputError(
                    "cohort-csv", f"{path.name} has no column 'path': give path and, if need be, id, mask."
                )
            rows = [{name: (row.get(column) or "").strip() for name, column in names.items()} for row in table]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(
            "cohort-csv", f"{path.name} cannot be read as a CSV file in UTF-8 ({type(error).__name__}): save it as one."
        ) from None
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        if not row["path"]:
            raise InputError("cohort-csv", f"{path.name}, line {line}: the path is empty.")
        case_id = checked_id(row["id"]) if row.get("id") else None
        if case_id in seen:
            raise InputError(
                "cohort-csv", f"{path.name}, line {line}: the id {case_id} is there twice; name each once."
            )
        seen.update([case_id] if case_id else [])
        place = str((path.parent / row["path"]).resolve())
        mask = str((path.parent / row["mask"]).resolve()) if row.get("mask") else None
        yield FoundCase(salted(salt, "path", case_id or place), place, id=case_id, mask=mask)


def studies_of_server(url: str, query: dict[str, str], salt: str) -> Iterator[FoundCase]:
    """The studies with CT series that a DICOMweb server finds for ``query`` (keyword: value)."""
    from coronary_calcium.dicomweb import find_ct_studies  # noqa: PLC0415 - not needed without a server

    for study in find_ct_studies(url, query):
        yield FoundCase(salted(salt, "dicomweb", url, study), url, study=study)
