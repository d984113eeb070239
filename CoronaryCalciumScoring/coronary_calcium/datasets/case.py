"""A data set's cases: a CT with what is known about its calcium, opened one at a time."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.errors import InputRefused
from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.volume import CaseWarning, CTVolume

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
        main artery is labelled or scored as LAD), and what the layout adds.
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

    ``open`` raises InputRefused when it cannot be used. ``sources`` are the files and folders that it is made of:
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
    layout : name of the layout, a key of ``layouts.LAYOUTS``.
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
    except InputRefused as refusal:
        return LeftOut(entry.name, str(refusal))


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
            raise ValueError(f"{name} is no score")
        found[name] = float(value)
    return found
