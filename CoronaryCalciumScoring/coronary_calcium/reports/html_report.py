"""The page to read: scores first, then warnings, every lesion with its pictures, and what the scores depend on."""

import base64
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coronary_calcium.arteries import ARTERIES, BY_NAME, UNASSIGNED, Artery
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.formatting import number, signed
from coronary_calcium.imaging import MEDIASTINUM_WINDOW
from coronary_calcium.reports.identity import Identity
from coronary_calcium.reports.pictures import DETAIL_WINDOW, SLAB_MM, CasePictures, ViewPicture
from coronary_calcium.resources import resource
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.quantity_table import quantity_table
from coronary_calcium.scoring.reader_vs_ai import listed_changes
from coronary_calcium.scoring.rules import title_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from coronary_calcium.pipeline import CaseResult

# A bar's full length in the artery table, in the units of its drawing.
BAR_LENGTH = 100.0
# Lesions whose pictures stand beside the overview: with its two pictures, one row.
KEY_PICTURES = 2


def write_report(
    result: "CaseResult",
    facts: dict[str, Any],
    pictures: CasePictures,
    path: Path,
    identity: Identity | None = None,
    views: tuple[ViewPicture, ...] = (),
) -> None:
    """Write the page as one HTML file that loads nothing from anywhere; ``facts`` is ``scores_json.scores(result)``.

    Patient and study are on it only when ``identity`` is given; ``views`` are a reader's slice views.
    """
    page = (
        page_environment()
        .get_template("report.html.j2")
        .render(
            css=resource("Report", "report.css").read_text(encoding="utf-8"),
            facts=facts,
            score=result.score,
            difference=result.difference,
            changes=[] if result.difference is None else listed_changes(result.difference),
            key_pictures=pictures.lesions[:KEY_PICTURES],
            calibration=result.quantities.calibration,
            quantities=None if result.all_quantities is None else quantity_table(result.all_quantities),
            created=datetime.fromisoformat(facts["provenance"]["created"]).astimezone(),
            research_use=RESEARCH_USE,
            how_marked=result.how_marked,
            arteries=[_artery_row(result, artery) for artery in ARTERIES],
            artery_of=BY_NAME,
            identity=identity,
            overview=pictures.overview,
            views=views,
            lesions=pictures.lesions,
            covered=_covered(facts["coverage"]["windows"]),
            left_out=pictures.left_out,
            slab_mm=SLAB_MM,
            bar_length=BAR_LENGTH,
            windows=(MEDIASTINUM_WINDOW, DETAIL_WINDOW),
        )
    )
    path.write_text(page, encoding="utf-8")


def page_environment() -> "Environment":
    """Where pages find their templates, and what these may call."""
    # Slicer can be without jinja2 until the module's packages are installed, and must still be able to import this.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(resource("Report")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        signed=signed,
        data_uri=data_uri,
        css_color=css_color,
        key_caption=key_caption,
        rules_title=title_of,
    )
    return environment


def _artery_row(result: "CaseResult", artery: Artery) -> dict[str, Any]:
    tally = result.score.by_artery[artery.name]
    total = result.score.total.agatston
    share = tally.agatston / total if total else 0.0
    quantities = result.quantities
    predicted, change = (None, None) if result.difference is None else result.difference.of_artery(artery.name)
    return {
        "predicted": predicted,
        "change": change,
        "artery": artery,
        "tally": tally,
        "volume_mm3": quantities.volume_mm3.by_artery[artery.name],
        "mass_mg": quantities.mass_mg.by_artery[artery.name],
        "share": share,
        "bar": share * BAR_LENGTH,
    }


def _covered(windows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """The slices of any window as ranges (first, last), ascending; ranges that touch are one."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted((window["first_slice"], window["last_slice"]) for window in windows):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
        else:
            ranges.append((first, last))
    return ranges


def key_caption(lesion: Lesion) -> str:
    """What a key picture shows, in a few words."""
    artery = "not assigned" if lesion.artery == UNASSIGNED.name else lesion.artery
    return f"{lesion.id} · {artery}, slice {lesion.main_slice}: {number(lesion.agatston)}"


def data_uri(picture: bytes) -> str:
    """A PNG as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def css_color(color: tuple[float, float, float]) -> str:
    """An sRGB color in 0..1 as CSS writes it."""
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in color)
