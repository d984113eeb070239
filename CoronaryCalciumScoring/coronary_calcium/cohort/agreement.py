"""How well readers of a cohort agree, the network among them: scores, categories, lesions and time, pair by pair."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.atomic_write import write_whole
from coronary_calcium.cohort.reading_differences import artery_by, marked_by
from coronary_calcium.cohort.readings import Reading, cases_done, read_reading, reading_folder
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.errors import InputError
from coronary_calcium.evaluation.report import Point, bland_altman_svg, percent, two
from coronary_calcium.evaluation.statistics import (
    BLAND_ALTMAN_SOURCE,
    BOOTSTRAP_SOURCE,
    ICC_SOURCE,
    KAPPA_SOURCE,
    WILSON_SOURCE,
    BlandAltman,
    bootstrap,
    confusion,
    score_agreement,
    share,
    weighted_kappa,
    wilson,
)
from coronary_calcium.formatting import cell
from coronary_calcium.scoring.risk import FIVE_CATEGORIES

PAGE, CASES_CSV, NUMBERS = "agreement.html", "agreement.csv", "agreement.json"
CATEGORIES = FIVE_CATEGORIES.categories
_TOTALS = ("total", *(artery.name for artery in ARTERIES))
DEFINITIONS = {
    "Cases": "Cases that every named reader has marked as done; the AI counts as having done every case it scored.",
    "ICC": f"Intraclass correlation of the Agatston scores, not transformed: {ICC_SOURCE}.",
    "Kappa": f"Weighted kappa of the risk categories, linear, and quadratic with the squares: {KAPPA_SOURCE}. The "
    "scores' five categories, whatever scheme the cohort was scored with.",
    "Bland-Altman": f"Differences are second - first: {BLAND_ALTMAN_SOURCE}.",
    "Lesions": "A lesion is what scoring calls one. It is found by both when the other marks at least one of its "
    "voxels, whatever the artery; a lesion of the one that is two of the other counts as the first reader sees it.",
    "Intervals": f"ICC and kappa: {BOOTSTRAP_SOURCE}. Proportions: {WILSON_SOURCE}.",
}


@dataclass(frozen=True)
class SharedCases:
    """The readings of the cases that all readers have done: ``readings[reader][n]`` is of ``ids[n]``."""

    ids: list[str]
    readings: dict[str, list[Reading]]


def shared_cases(cohort: Path, readers: list[str]) -> SharedCases:
    """The readings of the cases that every reader has done.

    Raises InputError: "agreement-readers" for fewer than two readers, "agreement-cases" when there is no such case,
    "reading" for one that is damaged or was made on another CT.
    """
    if len(set(readers)) != len(readers) or len(readers) < 2:
        raise InputError("agreement-readers", "Name two or more readers, each once; AI is the network.")
    ids = sorted(set.intersection(*(cases_done(cohort, reader) for reader in readers)))
    if not ids:
        raise InputError(
            "agreement-cases", f"There is no case that all of {', '.join(readers)} have done: check the names."
        )
    readings = {
        reader: [read_reading(reading_folder(cohort, reader, case_id)) for case_id in ids] for reader in readers
    }
    for case_id, *of_case in zip(ids, *readings.values(), strict=True):
        if len({reading.shape for reading in of_case}) > 1:
            raise InputError("reading", f"The readings of {case_id} are of different CTs; read the case again.")
    return SharedCases(ids, readings)


def agreement(cases: SharedCases) -> dict[str, Any]:
    """Every figure of every pair of readers, as JSON knows them; ``DEFINITIONS`` says what each means."""
    return {
        "readers": list(cases.readings),
        "cases": len(cases.ids),
        "definitions": DEFINITIONS,
        "time": {reader: _time(readings) for reader, readings in cases.readings.items()},
        "pairs": [
            {"first": first, "second": second, **_pair(cases.readings[first], cases.readings[second])}
            for first, second in combinations(cases.readings, 2)
        ],
    }


def _time(readings: list[Reading]) -> dict[str, Any]:
    seconds = [one.status.seconds for one in readings if one.status.seconds is not None]
    clicks = [one.status.clicks for one in readings if one.status.clicks is not None]
    return {
        "cases": len(seconds),
        "median_seconds": float(np.median(seconds)) if seconds else None,
        "median_clicks": float(np.median(clicks)) if clicks else None,
    }


def _pair(first: list[Reading], second: list[Reading]) -> dict[str, Any]:
    one, other = (np.array([_category(reading) for reading in readings], int) for readings in (first, second))
    table = confusion(one, other, len(CATEGORIES))
    same = int(np.trace(table))

    def kappa(power: int) -> Callable[[np.ndarray], float | None]:
        return lambda drawn: weighted_kappa(confusion(one[drawn], other[drawn], len(CATEGORIES)), power)

    return {
        "categories": list(CATEGORIES),
        "table": table.tolist(),
        "same_category": {"count": same, "share": share(same, len(first)), "interval": wilson(same, len(first))},
        "kappa": {
            name: {"value": weighted_kappa(table, power), "interval": bootstrap(kappa(power), len(first))}
            for name, power in (("linear", 1), ("quadratic", 2))
        },
        "agatston": {name: _scores(first, second, name) for name in _TOTALS},
        "lesions": _lesions(first, second),
    }


def _category(reading: Reading) -> int:
    return CATEGORIES.index(FIVE_CATEGORIES.category(reading.agatston["total"]))


def _scores(first: list[Reading], second: list[Reading], name: str) -> dict[str, Any]:
    both = np.array([(one.agatston[name], other.agatston[name]) for one, other in zip(first, second, strict=True)])
    return score_agreement(both[:, 0], both[:, 1])


def _lesions(first: list[Reading], second: list[Reading]) -> dict[str, Any]:
    both = only_first = only_second = same_artery = neither = 0
    for one, other in zip(first, second, strict=True):
        neither += not one.lesions and not other.lesions
        for lesion in one.lesions:
            artery = artery_by(lesion, other)
            both += artery is not None
            only_first += artery is None
            same_artery += artery == lesion.artery
        only_second += sum(not marked_by(lesion, one).size for lesion in other.lesions)
    return {
        "both": both,
        "only_first": only_first,
        "only_second": only_second,
        "share_of_all": share(both, both + only_first + only_second),
        "same_artery": same_artery,
        "same_artery_share": share(same_artery, both),
        "cases_without": neither,
    }


def write_agreement(folder: Path, cases: SharedCases, content: dict[str, Any], created: datetime) -> Path:
    """Write agreement.json, agreement.csv (one row a case) and agreement.html; returns the page's path."""
    from coronary_calcium.reports.html_report import page_environment  # noqa: PLC0415 - jinja2 comes with it
    from coronary_calcium.resources import resource  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / NUMBERS, json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_whole(folder / CASES_CSV, _table(cases))
    environment = page_environment()
    environment.filters.update(percent=percent, two=two)
    css = "".join(resource("Report", name).read_text(encoding="utf-8") for name in ("report.css", "evaluation.css"))
    page = environment.get_template("agreement.html.j2").render(
        css=css,
        research_use=RESEARCH_USE,
        created=created.astimezone(),
        content=content,
        totals=_TOTALS,
        plots=[_plot(cases, pair) for pair in content["pairs"]],
    )
    write_whole(folder / PAGE, page)
    return folder / PAGE


def _plot(cases: SharedCases, pair: dict[str, Any]) -> str:
    first, second = cases.readings[pair["first"]], cases.readings[pair["second"]]
    points = [
        Point(one.agatston["total"], other.agatston["total"], None, case_id)
        for case_id, one, other in zip(cases.ids, first, second, strict=True)
    ]
    stated = pair["agatston"]["total"]
    limits = None if stated["limits"] is None else BlandAltman(stated["bias"], stated["deviation"], *stated["limits"])
    names = (pair["first"], pair["second"])
    return bland_altman_svg(points, limits, 620, 330, f"Bland-Altman plot of {names[0]} and {names[1]}", names)


def _table(cases: SharedCases) -> str:
    stream = io.StringIO()
    table = csv.writer(stream)
    names = [*(f"agatston_{name}" for name in _TOTALS), "risk_category", "lesions", "seconds", "clicks"]
    table.writerow(["id", *(f"{reader}_{name}" for reader in cases.readings for name in names)])
    for n, case_id in enumerate(cases.ids):
        row: list[object] = [case_id]
        for readings in cases.readings.values():
            one = readings[n]
            row += [one.agatston[name] for name in _TOTALS]
            row += [CATEGORIES[_category(one)], len(one.lesions), one.status.seconds, one.status.clicks]
        table.writerow([cell(value) for value in row])
    return stream.getvalue()
