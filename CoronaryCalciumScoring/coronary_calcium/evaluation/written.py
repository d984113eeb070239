"""An evaluation's files: the page, one row a patient, all numbers, and the paper's tables."""

import csv
import io
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.evaluation.facts import FACTS
from coronary_calcium.evaluation.kept import Kept, as_json, replace_file
from coronary_calcium.evaluation.page import evaluation_page, tables_page
from coronary_calcium.evaluation.paper import markdown
from coronary_calcium.evaluation.result import Measured, PatientResult

PAGE, PATIENTS, NUMBERS = "evaluation.html", "patients.csv", "evaluation.json"
TABLES = "tables"
_COUNTS = ("true_positive", "false_positive", "false_negative", "precision", "recall", "f1")
_TOTALS = ("total", *(artery.name for artery in ARTERIES))
COLUMNS = (
    "patient",
    *FACTS,
    "refused",
    *_COUNTS,
    "true_category",
    "found_category",
    "unfiltered_category",
    *(f"true_agatston_{name}" for name in _TOTALS),
    *(f"found_agatston_{name}" for name in _TOTALS),
    "unfiltered_agatston",
    "true_lesions",
    "detected_lesions",
    "found_lesions",
    "false_positive_lesions",
    "artery_right",
    "out_of_sight",
    "slices_run",
    "seconds",
)
# What a spreadsheet program would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_evaluation(folder: Path, results: list[PatientResult], content: dict[str, Any], kept: Kept) -> Path:
    """Write evaluation.json (``content``, a ``summary``), patients.csv and evaluation.html; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / NUMBERS, as_json(content))
    replace_file(folder / PATIENTS, patients_csv(results).encode())
    replace_file(folder / PAGE, evaluation_page(results, content, kept).encode())
    return folder / PAGE


def write_tables(folder: Path, content: dict[str, Any]) -> Path:
    """Write the paper's tables (``paper.tables``) as tables.md, .json and .html; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{TABLES}.json", as_json(content))
    replace_file(folder / f"{TABLES}.md", markdown(content).encode())
    replace_file(folder / f"{TABLES}.html", tables_page(content).encode())
    return folder / f"{TABLES}.html"


def patients_csv(results: list[PatientResult]) -> str:
    """One row a patient below a header; numbers are not rounded, what is not known is empty."""
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(COLUMNS)
    for result in results:
        refused = "" if result.refusal is None else result.refusal.code
        measured = [""] * (len(COLUMNS) - len(FACTS) - 2) if result.measured is None else _measured(result.measured)
        row = [result.name, *(result.facts[name] for name in FACTS), refused, *measured]
        table.writerow([_cell(value) for value in row])
    return stream.getvalue()


def _measured(one: Measured) -> list[object]:
    matched = [lesion for lesion in one.true_lesions if lesion.matched]
    return [
        *(getattr(one.marked, name) for name in _COUNTS),
        one.true_category,
        one.found_category,
        one.unfiltered_category,
        *(one.true_agatston[name] for name in _TOTALS),
        *(one.found_agatston[name] for name in _TOTALS),
        one.unfiltered_agatston,
        len(one.true_lesions),
        len(matched),
        len(one.found_lesions),
        sum(not lesion.matched for lesion in one.found_lesions),
        sum(lesion.other_artery == lesion.artery for lesion in matched),
        one.out_of_sight,
        one.slices_run,
        round(sum(one.seconds.values()), 3),
    ]


def _cell(value: object) -> object:
    """Empty for None; text that a spreadsheet program would run is kept from it by an apostrophe."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
