"""An evaluation's files: the page with its Bland-Altman plots, one row per patient, all numbers, the paper's tables."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from coronary_calcium.arteries import ARTERIES, NAMED_ARTERIES
from coronary_calcium.atomic_write import write_whole
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.evaluation.paper_tables import PAPER_PATIENTS, PARTS, ROWS, markdown
from coronary_calcium.evaluation.picture import SIDE_MM
from coronary_calcium.evaluation.results import PatientMeasurement, PatientResult, ResultCache, as_json
from coronary_calcium.evaluation.scan_metadata import FACTS
from coronary_calcium.evaluation.statistics import BlandAltman
from coronary_calcium.evaluation.summary import worst_first
from coronary_calcium.formatting import cell
from coronary_calcium.imaging import MEDIASTINUM_WINDOW
from coronary_calcium.reports.html_report import page_environment
from coronary_calcium.resources import resource

# Okabe and Ito's blue and vermilion, which readers with any of the common color vision deficiencies can tell apart.
COLORS = {"chest": "#0072b2", "cardiac": "#d55e00"}
OTHER_COLOR = "#5c646d"
_X_TICKS = (0, 1, 10, 100, 400, 1000, 4000)
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 40


@dataclass(frozen=True)
class Point:
    """A patient: true and found score, its kind of scan, and its name."""

    true: float
    found: float
    kind: str | None
    name: str


def bland_altman_svg(
    points: Sequence[Point],
    limits: BlandAltman | None,
    width: int,
    height: int,
    label: str,
    names: tuple[str, str] = ("true", "found"),
) -> str:
    """The differences found - true over the means of both, as an SVG of ``width`` x ``height``.

    The means' axis is that of log(1 + score), on which scores of 0 have a place; the bias is a line, the limits of
    agreement are dashed. ``label`` says what is shown, ``names`` what a point's ``true`` and ``found`` are called.
    """
    differences = [point.found - point.true for point in points]
    extremes = [*differences, 0.0] + ([limits.low, limits.high] if limits else [])
    step = _nice((max(extremes) - min(extremes)) / 5 or 1.0)
    low, high = floor(min(extremes) / step) * step, ceil(max(extremes) / step) * step
    if low == high:
        low, high = -step, step
    most = max([(point.true + point.found) / 2 for point in points], default=0.0)
    right = log10(1 + max(most * 1.05, 10))

    def x(score: float) -> float:
        return _LEFT + log10(1 + score) / right * (width - _LEFT - _RIGHT)

    def y(difference: float) -> float:
        return _TOP + (high - difference) / (high - low) * (height - _TOP - _BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">']
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        parts.append(_line(x(0), y(value), width - _RIGHT, y(value), "grid" if value else "zero"))
        parts.append(_text(_LEFT - 6, y(value) + 4, f"{value:g}".replace("-", "−"), "end"))
    for score in _X_TICKS:
        if log10(1 + score) <= right:
            parts.append(_line(x(score), height - _BOTTOM, x(score), height - _BOTTOM + 4, "tick"))
            parts.append(_text(x(score), height - _BOTTOM + 17, f"{score}", "middle"))
    if limits is not None:
        for value, style in ((limits.bias, "bias"), (limits.low, "limit"), (limits.high, "limit")):
            parts.append(_line(x(0), y(value), width - _RIGHT, y(value), style))
    for point, difference in zip(points, differences):
        color = COLORS.get(point.kind or "", OTHER_COLOR)
        parts.append(
            f'<circle cx="{x((point.true + point.found) / 2):.1f}" cy="{y(difference):.1f}" r="3" fill="{color}" '
            f'fill-opacity="0.65"><title>{escape(point.name)}: {escape(names[0])} {point.true:.1f}, '
            f"{escape(names[1])} {point.found:.1f}"
            "</title></circle>"
        )
    parts.append(_text((_LEFT + width - _RIGHT) / 2, height - 6, f"mean of {names[0]} and {names[1]}", "middle"))
    return "".join([*parts, "</svg>"])


def _nice(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _line(x0: float, y0: float, x1: float, y1: float, style: str) -> str:
    return f'<line class="{style}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


# A picture is about 200 kB; twelve of the worst cases are more than one looks at closely.
MOST_PICTURES = 12


def evaluation_page(results: list[PatientResult], content: dict[str, Any], kept: ResultCache) -> str:
    """An evaluation as one HTML page that loads nothing from anywhere; ``content`` is its ``summary``."""
    agreement = content["figures"]["agatston"]
    worst = worst_first(results)[:MOST_PICTURES]
    return _render(
        "evaluation.html.j2",
        content=content,
        created=datetime.fromisoformat(content["provenance"]["created"]).astimezone(),
        groups={title: groups for title, groups in content["groups"].items() if len(groups) > 1},
        arteries=ARTERIES,
        named_arteries=NAMED_ARTERIES,
        plot=_plot(results, agreement, "total", 620, 330),
        artery_plots={artery.name: _plot(results, agreement, artery.name, 560, 250) for artery in NAMED_ARTERIES},
        colors=COLORS,
        other_color=OTHER_COLOR,
        worst=[(result, kept.picture(result.name)) for result in worst],
        side_mm=SIDE_MM,
        window=MEDIASTINUM_WINDOW,
        paper=ROWS[-1],
        paper_patients=PAPER_PATIENTS,
    )


def tables_page(content: dict[str, Any]) -> str:
    """The paper's tables, ``paper_tables.tables``, as one HTML page."""
    return _render("tables.html.j2", content=content, parts=PARTS)


def _render(template: str, **values: Any) -> str:
    environment = page_environment()
    environment.filters.update(percent=percent, two=two)
    css = "".join(resource("Report", name).read_text(encoding="utf-8") for name in ("report.css", "evaluation.css"))
    return environment.get_template(template).render(css=css, research_use=RESEARCH_USE, **values)


def _plot(results: list[PatientResult], agreement: dict[str, Any], name: str, width: int, height: int) -> str:
    points = []
    for result in results:
        if result.measured is not None:
            kind = result.facts["kind"]
            true, found = result.measured.true_agatston[name], result.measured.found_agatston[name]
            points.append(Point(true, found, kind if isinstance(kind, str) else None, result.name))
    stated = agreement[name]
    limits = None if stated["limits"] is None else BlandAltman(stated["bias"], stated["deviation"], *stated["limits"])
    return bland_altman_svg(points, limits, width, height, f"Bland-Altman plot of the Agatston score, {name}")


def two(value: float | None) -> str:
    """A ratio with two digits; a dash when there is none."""
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share in percent; a dash when there is none."""
    return "–" if value is None else f"{100 * value:.0f} %"


PAGE, PATIENTS, NUMBERS = "evaluation.html", "patients.csv", "evaluation.json"
TABLES = "tables"
_COUNTS = ("true_positive", "false_positive", "false_negative", "precision", "recall", "f1")
_TOTALS = ("total", *(artery.name for artery in ARTERIES))
COLUMNS = (
    "patient",
    *FACTS,
    "rejected",
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
    "outside_field_of_view",
    "slices_run",
    "seconds",
)


def write_evaluation(folder: Path, results: list[PatientResult], content: dict[str, Any], kept: ResultCache) -> Path:
    """Write evaluation.json (``content``, a ``summary``), patients.csv and evaluation.html; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / NUMBERS, as_json(content))
    write_whole(folder / PATIENTS, patients_csv(results))
    write_whole(folder / PAGE, evaluation_page(results, content, kept))
    return folder / PAGE


def write_tables(folder: Path, content: dict[str, Any]) -> Path:
    """Write the paper's tables (``paper_tables.tables``) as tables.md, .json and .html; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{TABLES}.json", as_json(content))
    write_whole(folder / f"{TABLES}.md", markdown(content))
    write_whole(folder / f"{TABLES}.html", tables_page(content))
    return folder / f"{TABLES}.html"


def patients_csv(results: list[PatientResult]) -> str:
    """One row per patient below a header; numbers are not rounded, what is not known is empty."""
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(COLUMNS)
    for result in results:
        rejected = "" if result.rejection is None else result.rejection.code
        measured = [""] * (len(COLUMNS) - len(FACTS) - 2) if result.measured is None else _measured(result.measured)
        row = [result.name, *(result.facts[name] for name in FACTS), rejected, *measured]
        table.writerow([cell(value) for value in row])
    return stream.getvalue()


def _measured(one: PatientMeasurement) -> list[object]:
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
        one.outside_field_of_view,
        one.slices_run,
        round(sum(one.seconds.values()), 3),
    ]
