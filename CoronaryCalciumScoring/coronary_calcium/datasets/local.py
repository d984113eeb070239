"""Data sets made with this program: cases saved from Slicer, and simulated patients.

Beside each case's folder Slicer writes the part around the heart as a training case (.npz), made of these files by
``case_format.write_training_case`` as ``prepare`` makes it; so either is enough.
"""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import BY_NAME, NAMED_ARTERIES
from coronary_calcium.datasets.base import TOTAL, Case, CaseFolders, checked_scores, read_json
from coronary_calcium.datasets.case_format import (
    CT_FOLDER,
    LABELS_FILE,
    REVIEWED_CT,
    REVIEWED_FACTS,
    REVIEWED_LABELS,
    TRUTH_FILE,
)
from coronary_calcium.errors import InputError
from coronary_calcium.io import check_ct, open_ct, open_mask
from coronary_calcium.progress import Progress
from coronary_calcium.volume import Acquisition, CTVolume


def _open_reviewed(name: str, folder: Path, progress: Progress) -> Case:
    saved = read_json(folder / REVIEWED_FACTS)
    volume = _as_scanned(open_ct(folder / REVIEWED_CT, progress=progress).volume, saved.get("acquisition"))
    gating = volume.acquisition.cardiac_gating
    facts = {**saved, "gated": None if gating is None else True, "left_main_in_lad": False}
    return Case(name, volume, open_mask(folder / REVIEWED_LABELS, volume), _reviewed_scores(saved), facts)


def _as_scanned(volume: CTVolume, stated: Any) -> CTVolume:
    """The CT with what its DICOM header said of the scan, which an image file does not hold, and warned accordingly."""
    if not isinstance(stated, dict):
        return volume
    known = {field.name for field in fields(Acquisition)}
    try:
        acquisition = Acquisition(**{name: value for name, value in stated.items() if name in known})
        kept = tuple(warning for warning in volume.warnings if warning.code != "missing-tags")
        return check_ct(replace(volume, acquisition=acquisition, warnings=kept))
    except TypeError:  # such as text in the place of a number
        raise InputError(
            "data-set-file", f"{REVIEWED_FACTS} does not contain what it should: save the case again."
        ) from None


def _reviewed_scores(saved: dict[str, Any]) -> dict[str, float] | None:
    scores = saved.get("agatston")
    if not isinstance(scores, dict) or TOTAL not in scores:
        return None
    try:
        return checked_scores({name: value for name, value in scores.items() if name == TOTAL or name in BY_NAME})
    except ValueError:
        raise InputError(
            "data-set-file", f"{REVIEWED_FACTS} does not contain what it should: save the case again."
        ) from None


_PROTOCOL = re.compile(r"^patient-(chest|cardiac)-")


def _open_simulated(name: str, folder: Path, progress: Progress) -> Case:
    truth = read_json(folder / TRUTH_FILE)
    volume = open_ct(folder / CT_FOLDER, progress=progress).volume
    protocol = _PROTOCOL.match(name)
    facts = {
        "source": "simulated patient",
        "gated": protocol[1] == "cardiac" if protocol else None,
        "left_main_in_lad": False,
        "seed": truth.get("seed"),
    }
    return Case(name, volume, open_mask(folder / LABELS_FILE, volume), _true_scores(truth), facts)


def _true_scores(truth: dict[str, Any]) -> dict[str, float]:
    """The scores of the true labels on the scan."""
    try:
        scores = truth["agatston_as_imaged"]
        by_artery = {artery.name: scores["by_artery"][artery.name] for artery in NAMED_ARTERIES}
        return checked_scores({TOTAL: scores["total"], **by_artery})
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "data-set-file", f"{TRUTH_FILE} does not contain the scores that it should: simulate the patient again."
        ) from None


REVIEWED = CaseFolders(
    "reviewed",
    REVIEWED_FACTS,
    (REVIEWED_CT, REVIEWED_LABELS, REVIEWED_FACTS),
    _open_reviewed,
    what="case saved from Slicer",
    remedy="save the case in Slicer again",
)
SIMULATED = CaseFolders(
    "simulated",
    TRUTH_FILE,
    (f"{CT_FOLDER}/", LABELS_FILE, TRUTH_FILE),
    _open_simulated,
    what="simulated patient",
    remedy="simulate the patient again",
)
