"""COCA's table of Agatston scores: columns ``filename`` (with spaces about it), LCA, LAD, LCX, RCA and total.

A file name is a patient's number with the letter A behind it, "12A", or the number alone. LCA is the left main artery.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import LAD, LCX, LM, RCA
from coronary_calcium.datasets.case import TOTAL, LeftOut, checked_scores
from coronary_calcium.errors import InputRefused

# COCA's has 213 rows and some 20,000 bytes.
MAXIMUM_BYTES, MAXIMUM_ROWS, MAXIMUM_COLUMNS = 2**26, 100_000, 64
_FILE_NAME = "filename"
_COLUMNS = {"lca": LM.name, "lad": LAD.name, "lcx": LCX.name, "rca": RCA.name, "total": TOTAL}
_PATIENT = re.compile(r"^(\d+)[A-Za-z]?$")


def read_scores(path: Path) -> tuple[dict[str, dict[str, float]], list[LeftOut]]:
    """Scores by patient, each by the arteries' names and ``"total"``; and the patients whose row cannot be used.

    Raises InputRefused: ``"data-set-file"``, ``"needs-package"``.
    """
    rows = _rows(path)
    header = [str(cell).strip().lower() if cell is not None else "" for cell in next(rows, ())]
    missing = [name for name in (_FILE_NAME, *_COLUMNS) if header.count(name) != 1]
    if missing:
        raise InputRefused(
            "data-set-file", f"{path.name} has no single column {', '.join(missing)}: download it again."
        )
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
        raise InputRefused(
            "needs-package",
            "COCA's scores are read with openpyxl, which is not installed: pip install "
            "'coronary-calcium-scoring[datasets]'.",
        ) from None
    damaged = InputRefused("data-set-file", f"{path.name} is damaged or no Excel workbook: download it again.")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAXIMUM_BYTES:
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
        if isinstance(error, InputRefused):
            raise
        raise damaged from None
    return iter(rows)
