"""What all data sets share: cases opened one at a time, folders of one case each, JSON read without trusting it."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.volume import CaseWarning, CTVolume

# The largest that the project writes has a few thousand bytes.
MAXIMUM_JSON_BYTES = 2**24


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises InputError("data-set-file")."""
    try:
        if path.stat().st_size > MAXIMUM_JSON_BYTES:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError("data-set-file", f"{path.name} is damaged or cannot be read: copy it again.") from None
    if not isinstance(content, dict):
        raise InputError("data-set-file", f"{path.name} does not contain what it should: copy it again.")
    return content


# What a case's reference scores are called beside the arteries' names.
TOTAL = "total"


@dataclass(frozen=True, eq=False)
class Case:
    """One case of a data set.

    Attributes
    ----------
    name : what the data set calls it.
    volume : the CT; its warnings are those of the reading.
    labels : (k, j, i) uint8 on the volume's grid, as it was drawn: 0, 1 LM, 2 LAD, 3 LCX, 4 RCA, 5 calcium whose
        artery the data set does not tell. None where the data set has no marked calcium.
    reference : Agatston scores that come with the data set, by the arteries' names and ``"total"``; None without any.
    facts : ``source``, ``gated`` (True, False, or None when not stated), ``left_main_in_lad`` (calcium of the left
        main artery is labeled or scored as LAD), and what the layout adds.
    warnings : what is odd about the labels or scores.

    """

    name: str
    volume: CTVolume
    labels: np.ndarray | None
    reference: dict[str, float] | None
    facts: dict[str, Any]
    warnings: tuple[CaseWarning, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A case that is not used, and why, in one sentence."""

    name: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """A case that can be opened.

    ``open`` raises InputError when it cannot be used. ``sources`` are the files and folders that it is made of:
    what was made from it is out of date when one of them is younger.
    """

    name: str
    sources: tuple[Path, ...]
    open: Callable[[Progress], Case] = field(repr=False)


@dataclass(frozen=True)
class DataSet:
    """The cases of a folder.

    Attributes
    ----------
    layout : name of the layout, a key of ``registry.LAYOUTS``.
    folder : the data set's own folder.
    entries : the cases that seem complete, by name.
    left_out : the cases that are not.
    marked : whether the calcium is marked in the CTs, as training needs it, and not only scored.

    """

    layout: str
    folder: Path
    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]
    marked: bool = True

    def cases(self, progress: Progress = no_progress) -> Iterator[Case | LeftOut]:
        """All cases, opened one at a time; those that are left out come as ``LeftOut``, in no case silently."""
        yield from self.left_out
        for number, entry in enumerate(self.entries):
            count = len(self.entries)
            yield opened(entry, part_of(progress, number / count, (number + 1) / count))


def opened(entry: Entry, progress: Progress = no_progress) -> Case | LeftOut:
    """The case of an entry, or why it is left out."""
    try:
        return entry.open(progress)
    except InputError as rejection:
        return LeftOut(entry.name, str(rejection))


def in_order(names: set[str]) -> list[str]:
    """Names in their order, 2 before 10."""
    return sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))


def folders_in(folder: Path) -> dict[str, Path]:
    """The folders in a folder by name; hidden ones, such as those of unfinished work, are left out."""
    return {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}


def files_in(folder: Path, *suffixes: str) -> dict[str, Path]:
    """The files in a folder that end so, by their names without the ending; hidden ones are left out."""
    return {
        path.stem: path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")
    }


def checked_scores(stated: Mapping[str, Any]) -> dict[str, float]:
    """Scores as numbers; raises ValueError when one of them is not a number of at least 0."""
    found = {}
    for name, value in stated.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is not a score")
        found[name] = float(value)
    return found


def data_set(layout: str, folder: Path, entries: list[Entry], left_out: list[LeftOut], lacking: str) -> DataSet:
    """The data set of these cases. Raises InputError("partial-data-set") with the sentence ``lacking`` without any."""
    if not entries:
        raise InputError("partial-data-set", lacking)
    return DataSet(layout, folder, tuple(entries), tuple(left_out))


@dataclass(frozen=True)
class CaseFolders:
    """A layout with a folder for each case.

    Attributes
    ----------
    layout : its name.
    mark : the file that tells a case.
    parts : the files of a case, folders with a slash at their end.
    open_case : opens a case by its name and folder.
    what, remedy : a case in words, and what to do when one lacks a part.
    """

    layout: str
    mark: str
    parts: tuple[str, ...]
    open_case: Callable[[str, Path, Progress], Case]
    what: str
    remedy: str

    def find(self, folder: Path) -> Path | None:
        """The folder when it is a case, or holds one; None when this is another layout."""
        found = any((path / self.mark).is_file() for path in (folder, *folders_in(folder).values()))
        return folder if found else None

    def open(self, folder: Path) -> DataSet:
        """The data set in a folder that ``find`` found; raises InputError("partial-data-set") when no case is whole."""
        cases = {folder.name: folder} if (folder / self.mark).is_file() else folders_in(folder)
        entries, left_out = [], []
        for name in in_order(set(cases)):
            path = cases[name]
            missing = [part for part in self.parts if not _is_there(path, part)]
            if missing:
                left_out.append(LeftOut(name, f"It lacks {' and '.join(missing)}: {self.remedy}."))
            else:
                sources = tuple(path / part for part in self.parts)
                entries.append(Entry(name, sources, partial(self.open_case, name, path)))
        *others, last = self.parts
        lacking = f"No {self.what} in {folder} is complete ({', '.join(others)} and {last}): {self.remedy}."
        return data_set(self.layout, folder, entries, left_out, lacking)


def _is_there(folder: Path, part: str) -> bool:
    return (folder / part).is_dir() if part.endswith("/") else (folder / part).is_file()
