"""orCaScore's training set: ``TRV<v>P<p>CTI.mhd`` (CT without contrast) and ``TRV<v>P<p>R.mhd`` (labels).

Labels are 1 LAD with the left main artery, 2 LCX, 3 RCA (orcascore.isi.uu.nl/data), and 4 for calcium whose artery was
not determined (orcascore.isi.uu.nl/submit). The CTs with contrast beside them, ``...CTAI.mhd``, are not read.
"""

import re
from functools import partial
from pathlib import Path

from coronary_calcium.arteries import LAD, LCX, RCA, UNASSIGNED
from coronary_calcium.datasets.base import Case, DataSet, Entry, LeftOut, data_set, in_order
from coronary_calcium.io import open_ct, open_mask
from coronary_calcium.progress import Progress

NAME = "orcascore"
_CT = re.compile(r"^(TRV\d+P\d+)CTI\.mhd$", re.IGNORECASE)
_LABELS = re.compile(r"^(TRV\d+P\d+)(?:CT|CTI)?R\.mhd$", re.IGNORECASE)
# Challenge_data/Training_set/Images lies three folders down.
_DEPTH = 3
VALUES = {0: 0, 1: LAD.label, 2: LCX.label, 3: RCA.label, 4: UNASSIGNED.label}


def find(folder: Path) -> Path | None:
    """The folder when the files lie in it or up to three folders below, or None when it is another layout."""
    return folder if _files(folder, _CT) or _files(folder, _LABELS) else None


def open_folder(folder: Path) -> DataSet:
    """The data set in a folder that ``find`` found. Raises InputError("partial-data-set") when no case is whole."""
    cts, labels = _files(folder, _CT), _files(folder, _LABELS)
    entries = []
    left_out = [
        *(LeftOut(name, "Its labels (...R.mhd) are missing.") for name in in_order(cts.keys() - labels.keys())),
        *(LeftOut(name, "Its CT (...CTI.mhd) is missing.") for name in in_order(labels.keys() - cts.keys())),
    ]
    for name in in_order(cts.keys() & labels.keys()):
        if len(cts[name]) > 1 or len(labels[name]) > 1:
            left_out.append(LeftOut(name, "Its files are there more than once: leave one copy."))
            continue
        ct, label = cts[name][0], labels[name][0]
        entries.append(Entry(name, (ct, label), partial(_open, name, ct, label)))
    lacking = (
        f"In {folder} no patient has both a CT (TRV...CTI.mhd) and labels (TRV...R.mhd): unpack the whole training set "
        "of orCaScore."
    )
    return data_set(NAME, folder, entries, left_out, lacking)


def _files(folder: Path, pattern: re.Pattern[str]) -> dict[str, list[Path]]:
    """Files whose names match, by patient."""
    found: dict[str, list[Path]] = {}
    for depth in range(_DEPTH + 1):
        for path in sorted(folder.glob("*/" * depth + "*.[mM][hH][dD]")):
            match = pattern.match(path.name)
            if match:
                found.setdefault(match[1].upper(), []).append(path)
    return found


def _open(name: str, ct: Path, label: Path, progress: Progress) -> Case:
    volume = open_ct(ct, progress=progress).volume
    facts = {"source": "orCaScore", "gated": True, "left_main_in_lad": True}
    return Case(name, volume, open_mask(label, volume, VALUES), None, facts)
