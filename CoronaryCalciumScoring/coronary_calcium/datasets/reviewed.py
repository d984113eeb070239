"""Cases that a reader corrected and saved in Slicer: ``ct.nrrd``, ``labels.nrrd`` and ``case.json`` a case.

Beside each case's folder Slicer writes the part around the heart as a training case (.npz), made of these files by
``crop.write_training_case`` as ``prepare`` makes it; so either is enough.
"""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import BY_NAME
from coronary_calcium.datasets.case import TOTAL, Case, DataSet, checked_scores
from coronary_calcium.datasets.case_folders import find_with, open_with
from coronary_calcium.datasets.json_file import read_json
from coronary_calcium.datasets.saved_case import CT, FACTS, LABELS
from coronary_calcium.errors import InputRefused
from coronary_calcium.progress import Progress
from coronary_calcium.reading import check_ct, open_ct, open_mask
from coronary_calcium.volume import Acquisition, CTVolume

NAME = "reviewed"


def find(folder: Path) -> Path | None:
    """The folder of the cases, or None when this is another layout; a single case's folder is one, too."""
    return find_with(FACTS, folder)


def open_folder(folder: Path) -> DataSet:
    """The data set in a folder that ``find`` found. Raises InputRefused("partial-data-set") when no case is whole."""
    return open_with(
        FACTS,
        folder,
        layout=NAME,
        parts=(CT, LABELS, FACTS),
        open_case=_open,
        what="case saved from Slicer",
        remedy="save the case in Slicer again",
    )


def _open(name: str, folder: Path, progress: Progress) -> Case:
    saved = read_json(folder / FACTS)
    volume = _as_scanned(open_ct(folder / CT, progress=progress).volume, saved.get("acquisition"))
    gating = volume.acquisition.cardiac_gating
    facts = {**saved, "gated": None if gating is None else True, "left_main_in_lad": False}
    return Case(name, volume, open_mask(folder / LABELS, volume), _reference(saved), facts)


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
        raise InputRefused("data-set-file", f"{FACTS} does not hold what it should: save the case again.") from None


def _reference(saved: dict[str, Any]) -> dict[str, float] | None:
    scores = saved.get("agatston")
    if not isinstance(scores, dict) or TOTAL not in scores:
        return None
    try:
        return checked_scores({name: value for name, value in scores.items() if name == TOTAL or name in BY_NAME})
    except ValueError:
        raise InputRefused("data-set-file", f"{FACTS} does not hold what it should: save the case again.") from None
