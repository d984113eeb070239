"""The folders that ``coronary-calcium simulate`` writes: ``dicom/``, ``labels.nrrd`` and ``truth.json`` a patient."""

import re
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import NAMED_ARTERIES
from coronary_calcium.datasets.case import TOTAL, Case, DataSet, checked_scores
from coronary_calcium.datasets.case_folders import find_with, open_with
from coronary_calcium.datasets.json_file import read_json
from coronary_calcium.errors import InputRefused
from coronary_calcium.progress import Progress
from coronary_calcium.reading import open_ct, open_mask
from coronary_calcium.simulation.patient_files import CT, LABELS, TRUTH

NAME = "simulated"
_PROTOCOL = re.compile(r"^patient-(chest|cardiac)-")


def find(folder: Path) -> Path | None:
    """The folder of the patients, or None when this is another layout; a single patient's folder is one, too."""
    return find_with(TRUTH, folder)


def open_folder(folder: Path) -> DataSet:
    """The data set in a folder that ``find`` found. Raises InputRefused("partial-data-set") when no case is whole."""
    return open_with(
        TRUTH,
        folder,
        layout=NAME,
        parts=(f"{CT}/", LABELS, TRUTH),
        open_case=_open,
        what="simulated patient",
        remedy="simulate the patient again",
    )


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
