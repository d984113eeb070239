"""The pages to read: an evaluation's figures and worst cases, and the paper's tables."""

from datetime import datetime
from typing import Any

from coronary_calcium.arteries import ARTERIES, NAMED_ARTERIES
from coronary_calcium.drawing import MEDIASTINUM_WINDOW
from coronary_calcium.evaluation.charts import COLORS, OTHER_COLOR, Point, bland_altman_svg
from coronary_calcium.evaluation.kept import Kept
from coronary_calcium.evaluation.paper import PAPER_PATIENTS, PARTS, ROWS
from coronary_calcium.evaluation.picture import SIDE_MM
from coronary_calcium.evaluation.result import PatientResult
from coronary_calcium.evaluation.statistics import BlandAltman
from coronary_calcium.evaluation.summary import worst_first
from coronary_calcium.reports.html_report import page_environment
from coronary_calcium.resources import resource
from coronary_calcium.statements import RESEARCH_USE

# A picture is about 200 kB; twelve of the worst cases are more than one looks at closely.
MOST_PICTURES = 12


def evaluation_page(results: list[PatientResult], content: dict[str, Any], kept: Kept) -> str:
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
    """The paper's tables, ``paper.tables``, as one HTML page."""
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
