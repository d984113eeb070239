"""Which data set a folder holds, and its cases."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coronary_calcium.datasets import coca, local, nlst, orcascore
from coronary_calcium.datasets.base import DataSet
from coronary_calcium.errors import InputError

AUTO = "auto"


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk.

    ``find`` returns the folder, at or below the one given, that is the data set's own, even when parts of it are
    missing, or None; ``open`` lists the cases of that folder, or rejects what is missing in one sentence.
    """

    title: str
    find: Callable[[Path], Path | None]
    open: Callable[[Path], DataSet]


LAYOUTS = {
    local.SIMULATED.layout: Layout("simulated patients", local.SIMULATED.find, local.SIMULATED.open),
    local.REVIEWED.layout: Layout("cases saved from Slicer", local.REVIEWED.find, local.REVIEWED.open),
    coca.GATED: Layout("COCA gated", coca.find_gated, coca.open_gated),
    coca.NONGATED: Layout("COCA non-gated", coca.find_nongated, coca.open_nongated),
    orcascore.NAME: Layout("orCaScore", orcascore.find, orcascore.open_folder),
    nlst.NAME: Layout("the NLST annotations", nlst.find, nlst.open_folder),
}


def detect(folder: Path) -> str:
    """The name of a folder's layout, a key of ``LAYOUTS``.

    Raises InputError: ``"no-data-set"`` when there is no such folder, ``"unknown-layout"``, ``"several-layouts"``.
    """
    found = [name for name, layout in LAYOUTS.items() if layout.find(_existing(folder))]
    if not found:
        *titles, last = (layout.title for layout in LAYOUTS.values())
        raise InputError(
            "unknown-layout",
            f"{folder} holds none of the data sets that can be read, {', '.join(titles)} or {last}: give the folder of "
            "one of them.",
        )
    if len(found) > 1:
        raise InputError(
            "several-layouts",
            f"{folder} holds several data sets: name the one to read, --layout {' or --layout '.join(found)}.",
        )
    return found[0]


def open_data_set(folder: str | Path, layout: str = AUTO) -> DataSet:
    """The data set in a folder, whose layout is detected or named (a key of ``LAYOUTS``).

    Raises InputError as ``detect`` does, ``"other-layout"`` when the folder is not of the layout that was named, and
    what the layout rejects: ``"partial-data-set"``, ``"data-set-file"``, ``"needs-package"``. Single cases that cannot
    be used are rejected when they are opened.
    """
    folder = Path(folder)
    chosen = LAYOUTS[detect(folder) if layout == AUTO else layout]
    root = chosen.find(_existing(folder))
    if root is None:
        raise InputError(
            "other-layout", f"{folder} does not hold {chosen.title}: name another layout, or leave --layout out."
        )
    return chosen.open(root)


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError("no-data-set", f"{folder} is not a folder: give the folder of a data set.")
    return folder
