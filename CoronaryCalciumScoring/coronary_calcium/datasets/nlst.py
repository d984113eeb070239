"""The layout of the NLST annotations (qurAI): ``images/*.mha``, ``annotations/*.mha`` and ``dataset.csv``.

Values of the annotations and columns of the table as in github.com/sgmvanvelzen/calcium-scoring
(src/calciumscoring/datasets.py @ c6cc49c): 8 LAD with the left main artery, 9 LCX, 10 RCA; 15, 52 and 54 to 57 aorta,
53 aortic valve, 58 mitral valve. Those that are not coronary are background here.
"""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

from coronary_calcium.arteries import LAD, LCX, RCA
from coronary_calcium.datasets.base import Case, DataSet, Entry, LeftOut, data_set, files_in, in_order
from coronary_calcium.errors import InputError
from coronary_calcium.io import check_ct, open_ct, open_mask
from coronary_calcium.progress import Progress

NAME = "nlst"
CTS, LABELS, TABLE = "images", "annotations", "dataset.csv"
_SERIES, _KERNEL, _SUBSET = "series instance uid", "fbp reconstruction kernel", "subset"
_EXCLUDED = "excluded"
MAXIMUM_BYTES = 2**26
_AORTA_AND_VALVES = (15, 52, 53, 54, 55, 56, 57, 58)
VALUES = {0: 0, 8: LAD.label, 9: LCX.label, 10: RCA.label, **dict.fromkeys(_AORTA_AND_VALVES, 0)}


def find(folder: Path) -> Path | None:
    """The folder, or None when it is another layout."""
    there = [(folder / CTS).is_dir(), (folder / LABELS).is_dir(), (folder / TABLE).is_file()]
    return folder if sum(there) > 1 else None


def open_folder(folder: Path) -> DataSet:
    """The data set in a folder that ``find`` found.

    Raises InputError: ``"partial-data-set"`` when a part is missing altogether, ``"data-set-file"`` for a table that
    cannot be read.
    """
    missing = [name for name in (CTS, LABELS) if not (folder / name).is_dir()]
    if not (folder / TABLE).is_file():
        missing.append(TABLE)
    if missing:
        raise InputError("partial-data-set", f"The folder {folder} lacks {missing[0]}: copy the whole data set.")
    cts, labels = files_in(folder / CTS, ".mha"), files_in(folder / LABELS, ".mha")
    table = _read_table(folder / TABLE)
    entries, left_out = [], []
    for name in in_order(cts.keys() | labels.keys()):
        reason = _reason(name in cts, name in labels, table.get(name))
        if reason:
            left_out.append(LeftOut(name, reason))
        else:
            sources = (cts[name], labels[name])
            entries.append(Entry(name, sources, partial(_open, name, *sources, table[name])))
    lacking = (
        f"In {folder} no scan has an image in {CTS}/, an annotation in {LABELS}/ and a row in {TABLE}: copy the whole "
        "data set."
    )
    return data_set(NAME, folder, entries, left_out, lacking)


def _reason(image: bool, annotation: bool, row: dict[str, str] | None) -> str:
    """Why a scan is left out; empty when it is not."""
    if not image:
        return f"Its image is missing in {CTS}/."
    if not annotation:
        return f"Its annotation is missing in {LABELS}/."
    if row is None:
        return f"It has no row in {TABLE}."
    return f"It is marked as excluded in {TABLE}." if row[_SUBSET].lower() == _EXCLUDED else ""


def _read_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows by series, with lower-case column names."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ValueError("too large")
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
    except (OSError, ValueError, csv.Error):
        raise InputError("data-set-file", f"{TABLE} is damaged or cannot be read: copy it again.") from None
    header = [name.lower() for name in rows[0]] if rows else []
    missing = [name for name in (_SERIES, _KERNEL, _SUBSET) if name not in header]
    if missing:
        raise InputError("data-set-file", f"{TABLE} has no column '{missing[0]}': copy it again.")
    width = len(header)
    found = [dict(zip(header, (row + [""] * width)[:width])) for row in rows[1:]]
    return {row[_SERIES]: row for row in found}


def _open(name: str, ct: Path, label: Path, row: dict[str, str], progress: Progress) -> Case:
    volume = open_ct(ct, progress=progress).volume
    if row[_KERNEL]:
        # The images state no kernel; the table does, and sharp ones are warned of.
        acquisition = replace(volume.acquisition, kernel=row[_KERNEL])
        kept = tuple(warning for warning in volume.warnings if warning.code != "missing-tags")
        volume = check_ct(replace(volume, acquisition=acquisition, warnings=kept))
    facts = {"source": "NLST annotations", "gated": False, "left_main_in_lad": True, "subset": row[_SUBSET]}
    return Case(name, volume, open_mask(label, volume, VALUES), None, facts)
