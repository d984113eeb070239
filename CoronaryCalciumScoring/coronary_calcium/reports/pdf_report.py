"""The report to print and sign: one page with all that a reader needs, then every lesion with its pictures.

A4 or Letter; both hold the 186 mm that everything is wide.
"""

import locale
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, PageBreak, SimpleDocTemplate, Spacer

from coronary_calcium.arteries import BY_NAME, UNASSIGNED
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.formatting import number
from coronary_calcium.reports.html_report import key_caption
from coronary_calcium.reports.identity import Identity
from coronary_calcium.reports.pdf_fonts import FONT, register_fonts
from coronary_calcium.reports.pdf_parts import (
    INK,
    LINE,
    QUIET,
    facts_table,
    picture,
    swatch,
    table,
    text,
)
from coronary_calcium.reports.pdf_tables import (
    WIDTH,
    artery_table,
    quantities_table,
    reading_notes,
    result_table,
    rules_compared_table,
    technique_and_rules,
    warnings_table,
)
from coronary_calcium.reports.pictures import CasePictures, LesionPictures

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

PAPERS = {"a4": A4, "letter": LETTER}
# Where offices print on Letter paper, as the language settings name the country.
_LETTER_COUNTRIES = ("US", "CA", "MX", "PH", "CL", "CO", "VE", "CR", "GT", "PA", "PR", "DO", "SV", "NI")
_SIDE, _TOP, _BOTTOM = 12 * mm, 16 * mm, 24 * mm
# Warnings that the first page shows; the others follow on the lesions' pages.
MOST_WARNINGS = 5
_KEY_PICTURE = 44 * mm
_IN_A_ROW, _MOST_KEY_ROWS = 4, 3
# reportlab's frame keeps 6 points free above and below, and rounding must not push the signature to another page.
_FRAME_PADDING = 16
_LESION_PICTURE = 58 * mm


def write_report_pdf(
    result: "CaseResult",
    facts: dict[str, Any],
    pictures: CasePictures,
    path: Path,
    identity: Identity | None,
    paper: str | None = None,
) -> None:
    """Write the PDF; ``facts`` is ``scores_json.scores(result)``. Raises OSError when it cannot be written.

    ``paper`` is a key of ``PAPERS``; by default the one that is usual where the computer is.
    """
    register_fonts()
    page = PAPERS[paper or usual_paper()]
    document = SimpleDocTemplate(
        str(path),
        pagesize=page,
        leftMargin=_SIDE,
        rightMargin=_SIDE,
        topMargin=_TOP,
        bottomMargin=_BOTTOM,
        title="Coronary calcium score",
        author="Coronary Calcium Scoring",
    )
    version = facts["provenance"]["version"]

    def foot(canvas: Canvas, _document: SimpleDocTemplate) -> None:
        canvas.setFont(FONT, 6.5)
        canvas.setFillColor(QUIET)
        canvas.drawString(_SIDE, 16 * mm, f"Coronary Calcium Scoring {version}. {RESEARCH_USE}")
        canvas.drawRightString(page[0] - _SIDE, 16 * mm, f"Page {canvas.getPageNumber()}")

    story = [*_first_page(result, facts, pictures, identity, page[1]), *_lesion_pages(result, facts, pictures)]
    document.build(story, onFirstPage=foot, onLaterPages=foot)


def usual_paper() -> str:
    """The paper of the country that the computer's language settings name."""
    stated = next((os.environ[name] for name in ("LC_ALL", "LC_PAPER", "LANG") if os.environ.get(name)), "")
    language = stated.partition(".")[0] or (locale.getlocale()[0] or "")
    return "letter" if language.rpartition("_")[2] in _LETTER_COUNTRIES else "a4"


def _first_page(
    result: "CaseResult", facts: dict[str, Any], pictures: CasePictures, identity: Identity | None, height: float
) -> list[Flowable]:
    """What is read and signed; as many pictures as a page of this ``height`` in points has room for."""
    created = datetime.fromisoformat(facts["provenance"]["created"]).astimezone()
    head = table(
        [[text("Coronary calcium score", 14, bold=True), text(f"{created:%Y-%m-%d %H:%M}", color=QUIET, right=True)]],
        [WIDTH - 40 * mm, 40 * mm],
    )
    page = [head, text(f"{RESEARCH_USE} {result.how_marked}", 7.5), Spacer(0, 2 * mm)]
    if identity is not None:
        rows = identity.rows()
        page += [
            table(
                [
                    [text(label, 7, color=QUIET) for label, _ in rows],
                    [text(value or "–", 8.5, bold=True) for _, value in rows],
                ],
                [62 * mm, *[(WIDTH - 62 * mm) / (len(rows) - 1)] * (len(rows) - 1)],
                [("BOX", (0, 0), (-1, -1), 0.5, LINE), ("LEFTPADDING", (0, 0), (-1, -1), 4)],
            ),
            Spacer(0, 2 * mm),
        ]
    page += [result_table(result, facts), Spacer(0, 2 * mm), *warnings_table(facts["warnings"][:MOST_WARNINGS])]
    left = len(facts["warnings"]) - MOST_WARNINGS
    if left > 0:
        page.append(text(f"{left} more warning(s) on the next page.", 7.5, bold=True))
    page += [
        Spacer(0, 2 * mm),
        artery_table(result),
        Spacer(0, 1 * mm),
        *reading_notes(result, facts),
        Spacer(0, 2 * mm),
    ]
    end = [Spacer(0, 2 * mm), technique_and_rules(facts), CondPageBreak(14 * mm), Spacer(0, 8 * mm), _signature()]
    keys = _key_pictures(pictures)
    room = height - _TOP - _BOTTOM - _FRAME_PADDING - _height([*page, *end])
    fitting = max(1, min(len(keys), int(room // _height(keys[:1])))) if keys else 0
    return [*page, *keys[:fitting], *end]


def _key_pictures(pictures: CasePictures) -> list[Flowable]:
    """Rows of four pictures: the overview and the lesions by descending score, as many as could fit on a page."""
    shown = [*pictures.overview, *(lesion.surroundings for lesion in pictures.lesions)]
    captions = [
        *(one.caption for one in pictures.overview),
        *(key_caption(lesion.lesion) for lesion in pictures.lesions),
    ]
    rows = []
    for first in range(0, min(len(shown), _MOST_KEY_ROWS * _IN_A_ROW), _IN_A_ROW):
        row = slice(first, first + _IN_A_ROW)
        drawn = [picture(one, _KEY_PICTURE) for one in shown[row]]
        rows.append(
            table(
                [drawn, [text(caption, 6.5, color=QUIET) for caption in captions[row]]],
                [WIDTH / _IN_A_ROW] * len(drawn),
            )
        )
    return rows


def _height(flowables: list[Flowable]) -> float:
    """How high the flowables are together, in points; spaces between them are theirs."""
    return sum(flowable.wrap(WIDTH, A4[1])[1] for flowable in flowables if not isinstance(flowable, CondPageBreak))


def _signature() -> Flowable:
    return table(
        [[text(label, 7, color=QUIET) for label in ("Read by", "Date", "Signature")]],
        [WIDTH / 3] * 3,
        [("LINEABOVE", (column, 0), (column, 0), 0.6, INK) for column in range(3)],
    )


def _lesion_pages(result: "CaseResult", facts: dict[str, Any], pictures: CasePictures) -> list[Flowable]:
    """The lesions by descending score, each on one page, and what the first page had no room for."""
    more = facts["warnings"][MOST_WARNINGS:]
    tables = [*rules_compared_table(facts), *quantities_table(result)]
    if not (more or tables or pictures.lesions):
        return []
    pages: list[Flowable] = [PageBreak(), *warnings_table(more), *tables]
    if pictures.lesions:
        pages.append(text("Lesions by descending score", 10, bold=True))
    for shown in pictures.lesions:
        pages += [_lesion(shown, result), Spacer(0, 2 * mm)]
    if pictures.left_out:
        rest = number(sum(lesion.agatston for lesion in pictures.left_out))
        pages.append(text(f"{len(pictures.left_out)} more lesion(s), together {rest} Agatston, are in lesions.csv."))
    return pages


def _lesion(shown: LesionPictures, result: "CaseResult") -> Flowable:
    lesion = shown.lesion
    rows = [
        ("Agatston", number(lesion.agatston)),
        ("Maximum", f"{number(lesion.maximum_hu, 0)} HU"),
        ("Volume", f"{number(lesion.volume_mm3)} mm³"),
        ("Mass", f"{number(result.quantities.calibration.mass_of(lesion))} mg"),
        ("Slices", f"{lesion.first_slice} to {lesion.last_slice}"),
        ("Slice shown", f"{lesion.main_slice}, z {shown.z_mm:.1f} mm"),
    ]
    if lesion.probability is not None:
        rows.append(("Probability", number(lesion.probability, 2)))
    width = WIDTH - 2 * _LESION_PICTURE - 6 * mm
    title = f"{lesion.id} · {'Not assigned' if lesion.artery == UNASSIGNED.name else lesion.artery}"
    name = table([[swatch(BY_NAME[lesion.artery].color), text(title, 9, bold=True)]], [4 * mm, width - 6 * mm])
    return table(
        [
            [
                picture(shown.surroundings, _LESION_PICTURE),
                picture(shown.detail, _LESION_PICTURE),
                [name, facts_table(rows, width - 2 * mm, 22 * mm)],
            ]
        ],
        [_LESION_PICTURE + 3 * mm, _LESION_PICTURE + 3 * mm, width],
        [("VALIGN", (0, 0), (-1, -1), "TOP")],
    )
