"""The page to read: scores first, then warnings, every lesion with its pictures, and what the scores depend on."""

import base64
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coronary_calcium.arteries import ARTERIES, BY_NAME, Artery
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.reports.pictures import (
    DETAIL_WINDOW,
    SLAB_MM,
    SURROUNDINGS_WINDOW,
    Picture,
    lesion_pictures,
    overview_pictures,
)
from coronary_calcium.resources import resource
from coronary_calcium.scoring.risk import RISK_CATEGORIES
from coronary_calcium.statements import NO_CLINICAL_LABELS, RESEARCH_USE

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

# Two pictures a lesion are about 150 kB; 60 lesions keep the page below 10 MB, and more than that nobody reads.
MOST_PICTURES = 60
# How far around the lesions the overview looks when no heart was searched for, in mm.
OVERVIEW_MARGIN_MM = 20.0
# A bar's full length in the artery table, in the units of its drawing.
BAR_LENGTH = 100.0


def write_report(result: "CaseResult", facts: dict[str, Any], path: Path, progress: Progress = no_progress) -> None:
    """Write the page as one HTML file that loads nothing from anywhere; ``facts`` is ``scores_json.scores(result)``.

    ``progress`` is told of each lesion's pictures and may stop the work.
    """
    # Slicer can be without jinja2 until the module's packages are installed, and must still be able to import this.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(resource("Report")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, data_uri=data_uri, css_color=css_color)
    overview = _overview(result)
    lesions = []
    for lesion in result.score.lesions[:MOST_PICTURES]:
        progress(lesion.id / (len(result.score.lesions) + 1), "Drawing lesions")
        lesions.append(
            (lesion, lesion_pictures(result.volume, lesion), result.volume.position((lesion.main_slice, 0, 0))[2])
        )
    page = environment.get_template("report.html.j2").render(
        css=resource("Report", "report.css").read_text(encoding="utf-8"),
        facts=facts,
        score=result.score,
        created=datetime.fromisoformat(facts["provenance"]["created"]).astimezone(),
        research_use=RESEARCH_USE,
        no_clinical_labels=NO_CLINICAL_LABELS,
        arteries=[_artery_row(result, artery) for artery in ARTERIES],
        artery_of=BY_NAME,
        risk_categories=[category.name for category in RISK_CATEGORIES],
        overview=overview,
        lesions=lesions,
        covered=_covered(facts["coverage"]["windows"]),
        left_out=result.score.lesions[MOST_PICTURES:],
        slab_mm=SLAB_MM,
        bar_length=BAR_LENGTH,
        windows=(SURROUNDINGS_WINDOW, DETAIL_WINDOW),
    )
    path.write_text(page, encoding="utf-8")


def _artery_row(result: "CaseResult", artery: Artery) -> dict[str, Any]:
    tally = result.score.by_artery[artery.name]
    total = result.score.total.agatston
    share = tally.agatston / total if total else 0.0
    return {"artery": artery, "tally": tally, "share": share, "bar": share * BAR_LENGTH}


def _overview(result: "CaseResult") -> tuple[Picture, ...]:
    """The heart from the front and from below; nothing when there is neither a heart nor a lesion to show."""
    volume, lesions = result.volume, result.score.lesions
    calcium = np.zeros(volume.shape, dtype=np.uint8)
    for lesion in lesions:
        calcium.flat[lesion.voxels] = BY_NAME[lesion.artery].label
    if result.proposal is not None and result.proposal.covered.found:
        windows = result.proposal.covered.windows
        first, last = min(window.k0 for window in windows), max(window.k1 for window in windows) - 1
        weights = [window.k1 - window.k0 for window in windows]
        center_j = np.average([window.center_j for window in windows], weights=weights)
        center_i = np.average([window.center_i for window in windows], weights=weights)
    elif lesions:
        k, j, i = np.unravel_index(np.concatenate([lesion.voxels for lesion in lesions]), volume.shape)
        margin = round(OVERVIEW_MARGIN_MM / volume.spacing[0])
        first, last = max(0, k.min() - margin), min(volume.shape[0] - 1, k.max() + margin)
        center_j, center_i = (j.min() + j.max()) / 2, (i.min() + i.max()) / 2
    else:
        return ()
    center = ((first + last) / 2, float(center_j), float(center_i))
    return overview_pictures(volume, calcium, center, (int(first), int(last)))


def _covered(windows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """The slices of any window as ranges (first, last), ascending; ranges that touch are one."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted((window["first_slice"], window["last_slice"]) for window in windows):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
        else:
            ranges.append((first, last))
    return ranges


def number(value: float | None, digits: int = 1) -> str:
    """A number for the reader, rounded; a dash when there is none.

    Nothing but an exact 0 is shown as "0": a value that would round to it is shown as "< 0.1".
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    smallest = 10.0**-digits
    if 0 < value < smallest / 2:
        return f"< {smallest:.{digits}f}"
    return f"{value:.{digits}f}"


def data_uri(picture: bytes) -> str:
    """A PNG as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def css_color(color: tuple[float, float, float]) -> str:
    """An sRGB colour in 0..1 as CSS writes it."""
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in color)
