"""COCA's chest CTs without gating (Stanford AIMI): ``<id>/<id>/*.dcm``, and Agatston scores in ``scores.xlsx``.

No calcium is marked in them: they are for evaluation, not for training.
"""

from functools import partial
from pathlib import Path

from coronary_calcium.datasets.case import TOTAL, Case, DataSet, Entry, LeftOut, folders_in, in_order
from coronary_calcium.datasets.coca_scores import read_scores
from coronary_calcium.errors import InputRefused
from coronary_calcium.progress import Progress
from coronary_calcium.reading import open_ct
from coronary_calcium.volume import CaseWarning

NAME = "coca-nongated"
RELEASE, SCORES = "deidentified_nongated", "scores.xlsx"
# A total may differ by this much from the sum of the arteries, which are rounded.
_ROUNDING = 1.0


def find(folder: Path) -> Path | None:
    """The release's folder at or below this one, or None when this is another layout."""
    places = (folder, folder / RELEASE, *(path / RELEASE for path in folders_in(folder).values()))
    for place in places:
        if (place / SCORES).is_file() or (place.name == RELEASE and place.is_dir()):
            return place
    return None


def open_folder(folder: Path) -> DataSet:
    """The data set in a folder that ``find`` found.

    Raises InputRefused: ``"partial-data-set"`` when CTs or scores are missing altogether, ``"data-set-file"`` for a
    table that cannot be read, ``"needs-package"``.
    """
    if not (folder / SCORES).is_file():
        raise InputRefused(
            "partial-data-set", f"COCA's folder {folder} lacks {SCORES}: download the whole of {RELEASE}."
        )
    cts = folders_in(folder)
    scores, left_out = read_scores(folder / SCORES)
    both = in_order(cts.keys() & scores.keys())
    if not both:
        raise InputRefused(
            "partial-data-set",
            f"In {folder} no patient has both a CT and a row in {SCORES}: download the whole of {RELEASE}.",
        )
    told = {one.name for one in left_out}
    left_out += [
        *(LeftOut(name, f"It has no row in {SCORES}.") for name in in_order(cts.keys() - scores.keys() - told)),
        *(LeftOut(name, "It has scores, but its CT is missing.") for name in in_order(scores.keys() - cts.keys())),
    ]
    entries = [
        Entry(name, (folder / SCORES, cts[name]), partial(_open, name, cts[name], scores[name])) for name in both
    ]
    return DataSet(NAME, folder, tuple(entries), tuple(left_out), marked=False)


def _open(name: str, folder: Path, reference: dict[str, float], progress: Progress) -> Case:
    volume = open_ct(folder, progress=progress).volume
    parts = sum(score for artery, score in reference.items() if artery != TOTAL)
    warnings: tuple[CaseWarning, ...] = ()
    if abs(parts - reference[TOTAL]) > _ROUNDING:
        text = f"The arteries' scores add up to {parts:g}, but the total is stated as {reference[TOTAL]:g}."
        warnings = (CaseWarning("scores-sum", text),)
    facts = {"source": "COCA non-gated", "gated": False, "left_main_in_lad": False}
    return Case(name, volume, None, reference, facts, warnings)
