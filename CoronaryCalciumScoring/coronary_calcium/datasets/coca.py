"""COCA (Stanford AIMI): gated cardiac CTs with outlines, and chest CTs with Agatston scores.

A file name is a patient's number with the letter A behind it, "12A", or the number alone. LCA is the left main artery.

No calcium is marked in them: they are for evaluation, not for training.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import LAD, LCX, LM, RCA
from coronary_calcium.datasets import osirix
from coronary_calcium.datasets.base import (
    TOTAL,
    Case,
    DataSet,
    Entry,
    LeftOut,
    checked_scores,
    files_in,
    folders_in,
    in_order,
)
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct
from coronary_calcium.progress import Progress, part_of
from coronary_calcium.volume import CaseWarning, CTVolume

# COCA's has 213 rows and some 20,000 bytes.
MAXIMUM_TABLE_BYTES, MAXIMUM_ROWS, MAXIMUM_COLUMNS = 2**26, 100_000, 64
_FILE_NAME = "filename"
_COLUMNS = {"lca": LM.name, "lad": LAD.name, "lcx": LCX.name, "rca": RCA.name, "total": TOTAL}
_PATIENT = re.compile(r"^(\d+)[A-Za-z]?$")


def read_scores(path: Path) -> tuple[dict[str, dict[str, float]], list[LeftOut]]:
    """Scores by patient, each by the arteries' names and ``"total"``; and the patients whose row cannot be used.

    Raises InputError: ``"data-set-file"``, ``"needs-package"``.
    """
    rows = _rows(path)
    header = [str(cell).strip().lower() if cell is not None else "" for cell in next(rows, ())]
    missing = [name for name in (_FILE_NAME, *_COLUMNS) if header.count(name) != 1]
    if missing:
        raise InputError("data-set-file", f"{path.name} has no single column {', '.join(missing)}: download it again.")
    place = {name: header.index(name) for name in (_FILE_NAME, *_COLUMNS)}
    scores: dict[str, dict[str, float]] = {}
    unusable: dict[str, str] = {}
    for cells in rows:
        row = (*cells, *[None] * len(header))
        if all(cell is None for cell in cells):
            continue
        patient = _patient(row[place[_FILE_NAME]])
        if patient in scores or patient in unusable:
            scores.pop(patient, None)
            unusable[patient] = f"{path.name} has several rows for it."
            continue
        try:
            scores[patient] = checked_scores({name: row[place[column]] for column, name in _COLUMNS.items()})
        except ValueError:
            unusable[patient] = f"Its scores in {path.name} are not all numbers of at least 0."
    return scores, [LeftOut(name, reason) for name, reason in unusable.items()]


def _patient(cell: Any) -> str:
    """The patient's number as text, or the cell's own text where it is something else."""
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    match = _PATIENT.match(text)
    return match[1] if match else text


def _rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """The rows of the first sheet, with the values of formulas."""
    try:
        import openpyxl  # noqa: PLC0415 - an extra of the package
    except ImportError:
        raise InputError(
            "needs-package",
            "COCA's scores are read with openpyxl, which is not installed: pip install "
            "'coronary-calcium-scoring[datasets]'.",
        ) from None
    damaged = InputError("data-set-file", f"{path.name} is damaged or not an Excel workbook: download it again.")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAXIMUM_TABLE_BYTES:
                raise damaged
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(max_row=MAXIMUM_ROWS, max_col=MAXIMUM_COLUMNS, values_only=True))
        book.close()
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:  # fmt: skip - SyntaxError is what XML parsers raise
        if isinstance(error, InputError):
            raise
        raise damaged from None
    return iter(rows)


GATED = "coca-gated"
GATED_RELEASE, CTS, OUTLINES = "Gated_release_final", "patient", "calcium_xml"
# The share of a case's outlines that must hold the sum of HU that they state. In the right order of slices nearly all
# do, in any other none but by chance.
_LEAST_SHARE = 0.5
_NOT_FITTING = (
    "The outlines do not hold the HU that they state on this CT, so they belong to another series or to other slices: "
    "put the CT that belongs to the XML file into the patient's folder."
)


def find_gated(folder: Path) -> Path | None:
    """The release's folder at or below this one, or None when this is another layout."""
    places = (folder, folder / GATED_RELEASE, *(path / GATED_RELEASE for path in folders_in(folder).values()))
    for place in places:
        if (place / OUTLINES).is_dir() or (place.name == GATED_RELEASE and (place / CTS).is_dir()):
            return place
    return None


def open_gated(folder: Path) -> DataSet:
    """The data set in a folder that ``find_gated`` found.

    Raises InputError: ``"partial-data-set"`` when CTs or outlines are missing altogether, ``"needs-package"``.
    """
    missing = [name for name in (CTS, OUTLINES) if not (folder / name).is_dir()]
    if missing:
        raise InputError(
            "partial-data-set",
            f"COCA's folder {folder} lacks {missing[0]}/: download the whole of {GATED_RELEASE}.",
        )
    cts, outlines = folders_in(folder / CTS), files_in(folder / OUTLINES, ".xml")
    both = in_order(cts.keys() & outlines.keys())
    if not both:
        raise InputError(
            "partial-data-set",
            f"In {folder} no patient has both a CT in {CTS}/ and outlines in {OUTLINES}/: download the whole of "
            f"{GATED_RELEASE}.",
        )
    osirix.require_fill()
    entries = [
        Entry(name, (outlines[name], cts[name]), partial(_open_gated, name, cts[name], outlines[name])) for name in both
    ]
    left_out = [
        *(
            LeftOut(name, f"It has no outlines in {OUTLINES}/, and whether it is free of calcium is not stated.")
            for name in in_order(cts.keys() - outlines.keys())
        ),
        *(LeftOut(name, f"Its CT is missing in {CTS}/.") for name in in_order(outlines.keys() - cts.keys())),
    ]
    return DataSet(GATED, folder, tuple(entries), tuple(left_out))


def _open_gated(name: str, folder: Path, xml: Path, progress: Progress) -> Case:
    outlines, odd = osirix.read_outlines(xml)
    opened = open_ct(folder, progress=part_of(progress, 0.0, 0.6))
    # With several series in the folder, the one on which the outlines were drawn is that which they fit.
    others = [series.series_uid for series in opened.others]
    rejections = []
    for number, uid in enumerate([None, *others]):
        progress(0.6 + 0.4 * number / (len(others) + 1), "filling the outlines")
        try:
            volume = (opened if uid is None else open_ct(folder, series_uid=uid)).volume
            inexact = _fit(outlines, volume, alone=not others)
            labels, overlap = osirix.draw(outlines, volume)
        except InputError as rejection:
            rejections.append(rejection)
            continue
        facts = {"source": "COCA gated", "gated": True, "left_main_in_lad": False}
        return Case(name, volume, labels, None, facts, odd + inexact + overlap)
    raise rejections[0]


def _fit(outlines: tuple[osirix.Outline, ...], volume: CTVolume, *, alone: bool) -> tuple[CaseWarning, ...]:
    """Reject outlines that were not drawn on this CT; warn of those that do not hold what they state.

    ``alone`` says that there is no other series on which they may have been drawn.
    """
    if volume.series is None:
        raise InputError(
            "not-axial", "The series is not axial, so the outlines cannot be placed in it: give the original series."
        )
    matching, stated = osirix.matching(outlines, volume)
    if stated and matching < _LEAST_SHARE * stated:
        raise InputError("outlines-elsewhere", _NOT_FITTING)
    if not stated and not alone:
        raise InputError(
            "outlines-elsewhere",
            "The folder holds several series, and the XML file does not say on which one the outlines were drawn: "
            "leave only that one in the folder.",
        )
    if not stated and outlines:
        return (
            CaseWarning("outlines-unchecked", "The outlines state no sums of HU, so their position is not checked."),
        )
    if matching < stated:
        text = f"{stated - matching} of {stated} outlines do not hold exactly the HU that they state."
        return (CaseWarning("outlines-inexact", text),)
    return ()


NONGATED = "coca-nongated"
NONGATED_RELEASE, SCORES = "deidentified_nongated", "scores.xlsx"
# A total may differ by this much from the sum of the arteries, which are rounded.
_ROUNDING = 1.0


def find_nongated(folder: Path) -> Path | None:
    """The release's folder at or below this one, or None when this is another layout."""
    places = (folder, folder / NONGATED_RELEASE, *(path / NONGATED_RELEASE for path in folders_in(folder).values()))
    for place in places:
        if (place / SCORES).is_file() or (place.name == NONGATED_RELEASE and place.is_dir()):
            return place
    return None


def open_nongated(folder: Path) -> DataSet:
    """The data set in a folder that ``find_nongated`` found.

    Raises InputError: ``"partial-data-set"`` when CTs or scores are missing altogether, ``"data-set-file"`` for a
    table that cannot be read, ``"needs-package"``.
    """
    if not (folder / SCORES).is_file():
        raise InputError(
            "partial-data-set", f"COCA's folder {folder} lacks {SCORES}: download the whole of {NONGATED_RELEASE}."
        )
    cts = folders_in(folder)
    scores, left_out = read_scores(folder / SCORES)
    both = in_order(cts.keys() & scores.keys())
    if not both:
        raise InputError(
            "partial-data-set",
            f"In {folder} no patient has both a CT and a row in {SCORES}: download the whole of {NONGATED_RELEASE}.",
        )
    told = {one.name for one in left_out}
    left_out += [
        *(LeftOut(name, f"It has no row in {SCORES}.") for name in in_order(cts.keys() - scores.keys() - told)),
        *(LeftOut(name, "It has scores, but its CT is missing.") for name in in_order(scores.keys() - cts.keys())),
    ]
    entries = [
        Entry(name, (folder / SCORES, cts[name]), partial(_open_nongated, name, cts[name], scores[name]))
        for name in both
    ]
    return DataSet(NONGATED, folder, tuple(entries), tuple(left_out), marked=False)


def _open_nongated(name: str, folder: Path, reference: dict[str, float], progress: Progress) -> Case:
    volume = open_ct(folder, progress=progress).volume
    parts = sum(score for artery, score in reference.items() if artery != TOTAL)
    warnings: tuple[CaseWarning, ...] = ()
    if abs(parts - reference[TOTAL]) > _ROUNDING:
        text = f"The arteries' scores add up to {parts:g}, but the total is stated as {reference[TOTAL]:g}."
        warnings = (CaseWarning("scores-sum", text),)
    facts = {"source": "COCA non-gated", "gated": False, "left_main_in_lad": False}
    return Case(name, volume, None, reference, facts, warnings)
