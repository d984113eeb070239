"""Data sets of one folder a case, in which the same files are expected of every case."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from coronary_calcium.datasets.case import Case, DataSet, Entry, LeftOut, folders_in, in_order
from coronary_calcium.errors import InputRefused
from coronary_calcium.progress import Progress


def find_with(mark: str, folder: Path) -> Path | None:
    """The folder when it is a case, or holds one: a case has the file ``mark``; None when this is another layout."""
    found = (folder / mark).is_file() or any((path / mark).is_file() for path in folders_in(folder).values())
    return folder if found else None


def open_with(
    mark: str,
    folder: Path,
    *,
    layout: str,
    parts: tuple[str, ...],
    open_case: Callable[[str, Path, Progress], Case],
    what: str,
    remedy: str,
) -> DataSet:
    """The data set in a folder that ``find_with`` found.

    ``parts`` are the files of a case, folders with a slash at their end; ``open_case`` opens a case by its name and
    folder. ``what`` is a case in words, and ``remedy`` what to do when one lacks a part. Raises
    InputRefused("partial-data-set") when no case is whole.
    """
    cases = {folder.name: folder} if (folder / mark).is_file() else folders_in(folder)
    entries, left_out = [], []
    for name in in_order(set(cases)):
        path = cases[name]
        missing = [part for part in parts if not _is_there(path, part)]
        if missing:
            left_out.append(LeftOut(name, f"It lacks {' and '.join(missing)}: {remedy}."))
        else:
            entries.append(Entry(name, tuple(path / part for part in parts), partial(open_case, name, path)))
    if not entries:
        *others, last = parts
        raise InputRefused(
            "partial-data-set", f"No {what} in {folder} is complete ({', '.join(others)} and {last}): {remedy}."
        )
    return DataSet(layout, folder, tuple(entries), tuple(left_out))


def _is_there(folder: Path, part: str) -> bool:
    return (folder / part).is_dir() if part.endswith("/") else (folder / part).is_file()
