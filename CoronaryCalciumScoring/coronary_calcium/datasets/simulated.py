"""The folders that ``coronary-calcium simulate`` writes: ``dicom/``, ``labels.nrrd`` and ``truth.json`` a patient."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import NAMED_ARTERIES
from coronary_calcium.datasets.case import TOTAL, Case, DataSet, Entry, LeftOut, checked_scores, folders_in, in_order
from coronary_calcium.datasets.json_file import read_json
from coronary_calcium.errors import InputRefused
from coronary_calcium.progress import Progress
from coronary_calcium.reading import open_ct, open_mask

NAME = "simulated"
CT, LABELS, TRUTH = "dicom", "labels.nrrd", "truth.json"
_PROTOCOL = re.compile(r"^patient-(chest|cardiac)-")


def find(folder: Path) -> Path | None:
    """The folder of the patients, or None when this is another layout; a single patient's folder is one, too."""
    found = (folder / TRUTH).is_file() or any((path / TRUTH).is_file() for path in folders_in(folder).values())
    return folder if found else None


def open_folder(folder: Path) -> DataSet:
    """The data set in a folder that ``find`` found. Raises InputRefused("partial-data-set") when no case is whole."""
    patients = {folder.name: folder} if (folder / TRUTH).is_file() else folders_in(folder)
    entries, left_out = [], []
    for name in in_order(set(patients)):
        path = patients[name]
        missing = [
            part for part, there in (
                (f"{CT}/", (path / CT).is_dir()),
                (LABELS, (path / LABELS).is_file()),
                (TRUTH, (path / TRUTH).is_file()),
            ) if not there
        ]  # fmt: skip
        if missing:
            left_out.append(LeftOut(name, f"It lacks {' and '.join(missing)}: simulate the patient again."))
        else:
            sources = (path / CT, path / LABELS, path / TRUTH)
            entries.append(Entry(name, sources, partial(_open, name, path)))
    if not entries:
        raise InputRefused(
            "partial-data-set",
            f"No simulated patient in {folder} is complete (dicom/, labels.nrrd and truth.json): simulate them again.",
        )
    return DataSet(NAME, folder, tuple(entries), tuple(left_out))


def _open(name: str, folder: Path, progress: Progress) -> Case:
    truth = read_json(folder / TRUTH)
    volume = open_ct(folder / CT, progress=progress).volume
    protocol = _PROTOCOL.match(name)
    facts = {
        "source": "simulated patient",
        "gated": protocol[1] == "cardiac" if protocol else None,
        "left_main_in_lad": False,
        "seed": truth.get("seed"),
    }
    return Case(name, volume, open_mask(folder / LABELS, volume), _reference(truth), facts)


def _reference(truth: dict[str, Any]) -> dict[str, float]:
    """The scores of the true labels on the scan."""
    try:
        scores = truth["agatston_as_imaged"]
        by_artery = {artery.name: scores["by_artery"][artery.name] for artery in NAMED_ARTERIES}
        return checked_scores({TOTAL: scores["total"], **by_artery})
    except (KeyError, TypeError, ValueError):
        raise InputRefused(
            "data-set-file", f"{TRUTH} does not hold the scores that it should: simulate the patient again."
        ) from None
