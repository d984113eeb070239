"""A cohort as a whole: the table as CSV and Parquet, and a page with distributions, rejections and uncertain cases."""

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from coronary_calcium.atomic_write import whole_file, write_whole
from coronary_calcium.cohort.cases import CASE_PICTURE, CASES, DONE, FAILED, REJECTED, STATES
from coronary_calcium.cohort.state import select
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.formatting import cell
from coronary_calcium.scoring.risk import in_scheme_order

TABLE_CSV, TABLE_PARQUET, PAGE = "cohort.csv", "cohort.parquet", "cohort.html"
# The smallest groups beyond these are shown together; a picture is 200 kB.
_MOST_GROUPS = 12
MOST_SLOW, MOST_PICTURES = 10, 12
_GROUPED_BY = (
    ("Kernel", "COALESCE(kernel, 'not stated')"),
    ("Slice thickness", "COALESCE(printf('%g mm', slice_thickness_mm), 'not stated')"),
    ("Tube voltage", "COALESCE(printf('%g kVp', kvp), 'not stated')"),
    ("Scanner", "COALESCE(manufacturer || ' ' || COALESCE(model, ''), 'not stated')"),
)
# Widths of the bars of the histogram's scores, on which 0 has its own place.
_BINS = (0.0, 1.0, 10.0, 30.0, 100.0, 200.0, 400.0, 1000.0, 2000.0)


def write_tables(folder: Path) -> list[Path]:
    """Write cohort.csv and, where pyarrow is there, cohort.parquet; returns their paths.

    Without pyarrow an earlier cohort.parquet goes: it would say other things than the table beside it.
    """
    names, rows = select(folder, "SELECT * FROM cohort")
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(names)
    table.writerows([cell(value) for value in row] for row in rows)
    write_whole(folder / TABLE_CSV, stream.getvalue())
    written = [folder / TABLE_CSV]
    try:
        import pyarrow  # noqa: PLC0415 - an optional package
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        (folder / TABLE_PARQUET).unlink(missing_ok=True)
        return written
    _, kinds = select(folder, "SELECT name, type FROM pragma_table_info('cohort')")
    types = {"REAL": pyarrow.float64(), "INTEGER": pyarrow.int64()}
    schema = pyarrow.schema([(name, types.get(kind, pyarrow.string())) for name, kind in kinds])
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    with whole_file(folder / TABLE_PARQUET) as partial:
        parquet.write_table(pyarrow.table(columns, schema=schema), partial)
    return [*written, folder / TABLE_PARQUET]


@dataclass(frozen=True)
class Group:
    """The done cases that share a kernel, a thickness, ...: how many by category, and the median score."""

    name: str
    cases: int
    categories: tuple[int, ...]
    median: float


def write_page(folder: Path, created: datetime) -> Path:
    """Write cohort.html, one file that loads nothing from anywhere; returns its path."""
    from coronary_calcium.reports.html_report import page_environment  # noqa: PLC0415 - jinja2 comes with it
    from coronary_calcium.resources import resource  # noqa: PLC0415

    counts = dict.fromkeys(STATES, 0) | dict(select(folder, "SELECT state, COUNT(*) FROM cohort GROUP BY state")[1])
    scores = [row[0] for row in select(folder, "SELECT agatston FROM cohort WHERE state = ?", (DONE,))[1]]
    categories = _categories(folder)
    css = "".join(resource("Report", name).read_text(encoding="utf-8") for name in ("report.css", "evaluation.css"))
    page = (
        page_environment()
        .get_template("cohort.html.j2")
        .render(
            css=css,
            research_use=RESEARCH_USE,
            created=created.astimezone(),
            counts=counts,
            total=sum(counts.values()),
            median=statistics.median(scores) if scores else None,
            categories=categories,
            histogram=histogram_svg(scores, 620, 240),
            groups={title: _groups(folder, sql, list(categories)) for title, sql in _GROUPED_BY},
            reasons=_reasons(folder),
            warnings=select(
                folder, "SELECT code, COUNT(*) AS n, MIN(message) FROM warnings GROUP BY code ORDER BY n DESC, code"
            )[1],
            slowest=select(
                folder,
                "SELECT id, seconds, slices, spacing_mm FROM cohort WHERE state = ? ORDER BY seconds DESC LIMIT ?",
                (DONE, MOST_SLOW),
            )[1],
            uncertain=_uncertain(folder),
        )
    )
    write_whole(folder / PAGE, page)
    return folder / PAGE


def _categories(folder: Path) -> dict[str, int]:
    sql = "SELECT risk_category, COUNT(*) FROM cohort WHERE state = ? GROUP BY 1"
    return in_scheme_order(dict(select(folder, sql, (DONE,))[1]))


def _groups(folder: Path, sql: str, categories: list[str]) -> list[Group]:
    # One of the expressions above, nothing of the user's.
    query = f"SELECT {sql} AS name, risk_category, agatston FROM cohort WHERE state = ?"  # noqa: S608
    rows = select(folder, query, (DONE,))[1]
    by_name: dict[str, list[tuple[str, float]]] = {}
    for name, category, score in rows:
        by_name.setdefault(str(name).strip(), []).append((category, score))
    ordered = sorted(by_name.items(), key=lambda item: (-len(item[1]), item[0]))
    if len(ordered) > _MOST_GROUPS:
        rest = [one for _, members in ordered[_MOST_GROUPS - 1 :] for one in members]
        ordered = [*ordered[: _MOST_GROUPS - 1], (f"{len(ordered) - _MOST_GROUPS + 1} others", rest)]
    return [
        Group(
            name,
            len(members),
            tuple(sum(category == one for category, _ in members) for one in categories),
            statistics.median(score for _, score in members),
        )
        for name, members in ordered
    ]


def _reasons(folder: Path) -> list[tuple[str, str, int, str, str]]:
    """State, code, count, and one case's id and sentence of what was rejected or failed, the most frequent first."""
    # With MIN, SQLite takes the other columns from the same row.
    return select(
        folder,
        "SELECT state, code, COUNT(*) AS n, MIN(id), reason FROM cohort WHERE state IN (?, ?) GROUP BY state, code "
        "ORDER BY n DESC, code",
        (REJECTED, FAILED),
    )[1]


def _uncertain(folder: Path) -> list[dict[str, Any]]:
    names, rows = select(
        folder,
        "SELECT id, agatston, risk_category, uncertainty, uncertainty_reason FROM cohort WHERE uncertainty > 0 "
        "ORDER BY uncertainty DESC, id LIMIT ?",
        (MOST_PICTURES,),
    )
    cases = [dict(zip(names, row, strict=True)) for row in rows]
    for case in cases:
        picture = folder / CASES / case["id"] / CASE_PICTURE
        case["picture"] = picture.read_bytes() if picture.is_file() else None
    return cases


def histogram_svg(scores: Sequence[float], width: int, height: int) -> str:
    """How many scores are 0, and how many lie between the ticks, as an SVG."""
    edges = [*_BINS, float("inf")]
    counts = [sum(score == 0 for score in scores)]
    counts += [sum(low < score <= high for score in scores) for low, high in pairwise(edges)]
    names = ["0", *(f"≤ {high:g}" for high in edges[1:-1]), f"> {edges[-2]:g}"]
    step, most = (width - 20) / len(counts), max([*counts, 1])
    parts = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="Distribution of the scores">']
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        tall = (height - 60) * count / most
        x, y = 10 + place * step, height - 30 - tall
        parts.append(f'<rect x="{x + 3:.1f}" y="{y:.1f}" width="{step - 6:.1f}" height="{tall:.1f}" fill="#0072b2"/>')
        parts.append(f'<text x="{x + step / 2:.1f}" y="{y - 5:.1f}" text-anchor="middle">{count}</text>')
        parts.append(f'<text x="{x + step / 2:.1f}" y="{height - 12}" text-anchor="middle">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])
