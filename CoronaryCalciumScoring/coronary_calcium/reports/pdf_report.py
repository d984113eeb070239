"""The report to print and sign: one page with all that a reader needs, then every lesion with its pictures.

A4; the printed area is 186 x 257 mm, which an unscaled print on Letter paper holds too.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, PageBreak, SimpleDocTemplate, Spacer

from coronary_calcium.arteries import ARTERIES, BY_NAME, UNASSIGNED
from coronary_calcium.reports.case_pictures import CasePictures, LesionPictures
from coronary_calcium.reports.html_report import number
from coronary_calcium.reports.identity import Identity
from coronary_calcium.reports.pdf_parts import (
    BOLD,
    FONT,
    INK,
    LINE,
    PANEL,
    QUIET,
    bar,
    facts_table,
    picture,
    register_fonts,
    swatch,
    table,
    text,
)
from coronary_calcium.statements import NO_CLINICAL_LABELS, RESEARCH_USE

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

WIDTH = 186 * mm
_SIDE, _TOP, _BOTTOM = 12 * mm, 16 * mm, 24 * mm
# Warnings that the first page shows; the others follow on the lesions' pages.
MOST_WARNINGS = 5
_KEY_PICTURE = 44 * mm
_LESION_PICTURE = 58 * mm


def write_report_pdf(
    result: "CaseResult", facts: dict[str, Any], pictures: CasePictures, path: Path, identity: Identity | None
) -> None:
    """Write the PDF; ``facts`` is ``scores_json.scores(result)``. Raises OSError when it cannot be written."""
    register_fonts()
    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
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
        canvas.drawRightString(A4[0] - _SIDE, 16 * mm, f"Page {canvas.getPageNumber()}")

    story = [*_first_page(result, facts, pictures, identity), *_lesion_pages(result, facts, pictures)]
    document.build(story, onFirstPage=foot, onLaterPages=foot)


def _first_page(
    result: "CaseResult", facts: dict[str, Any], pictures: CasePictures, identity: Identity | None
) -> list[Flowable]:
    created = datetime.fromisoformat(facts["provenance"]["created"]).astimezone()
    marked = NO_CLINICAL_LABELS if not result.mask_given else "The calcium was marked in a given label map."
    head = table(
        [[text("Coronary calcium score", 14, bold=True), text(f"{created:%Y-%m-%d %H:%M}", color=QUIET, right=True)]],
        [WIDTH - 40 * mm, 40 * mm],
    )
    page = [head, text(f"{RESEARCH_USE} {marked}", 7.5), Spacer(0, 2 * mm)]
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
    page += [_result(result, facts), Spacer(0, 2 * mm), *_warnings(facts["warnings"][:MOST_WARNINGS])]
    left = len(facts["warnings"]) - MOST_WARNINGS
    if left > 0:
        page.append(text(f"{left} more warning(s) on the next page.", 7.5, bold=True))
    page += [Spacer(0, 2 * mm), _arteries(result), Spacer(0, 3 * mm)]
    shown = [*pictures.overview, *(lesion.surroundings for lesion in pictures.lesions[:2])]
    if shown:
        page.append(
            table(
                [
                    [picture(one, _KEY_PICTURE) for one in shown],
                    [text(one.caption, 6.5, color=QUIET) for one in shown],
                ],
                [WIDTH / 4] * len(shown),
            )
        )
    half = WIDTH / 2
    page += [
        Spacer(0, 2 * mm),
        table(
            [[facts_table(_technique(facts), half, 30 * mm, 7), facts_table(_rules(facts), half, 30 * mm, 7)]],
            [half, half],
            [("VALIGN", (0, 0), (-1, -1), "TOP")],
        ),
        CondPageBreak(14 * mm),
        Spacer(0, 8 * mm),
        table(
            [[text(label, 7, color=QUIET) for label in ("Read by", "Date", "Signature")]],
            [WIDTH / 3] * 3,
            [("LINEABOVE", (column, 0), (column, 0), 0.6, INK) for column in range(3)],
        ),
    ]
    return page


def _result(result: "CaseResult", facts: dict[str, Any]) -> Flowable:
    """The total, its category among those of the scheme, and what goes with it."""
    categories = facts["rules"]["risk_categories"]
    here = categories.index(facts["risk_category"])
    scale = table(
        [categories],
        [120 * mm / len(categories)] * len(categories),
        [
            ("FONT", (0, 0), (-1, -1), FONT, 8),
            ("ALIGN", (0, 0), (-1, -1), "CENTER"),
            ("BACKGROUND", (0, 0), (-1, -1), PANEL),
            ("BOX", (0, 0), (-1, -1), 0.5, LINE),
            ("BACKGROUND", (here, 0), (here, 0), INK),
            ("TEXTCOLOR", (here, 0), (here, 0), colors.white),
            ("FONT", (here, 0), (here, 0), BOLD, 8),
        ],
        padding=2,
    )
    lesions, standing = result.score.total.lesions, facts["standing"]
    least = "" if standing["vessels_known"] else "at least "
    mass = "" if result.quantities.calibration.calibrated else " (not calibrated)"
    words = (
        f"{lesions} lesion{'' if lesions == 1 else 's'}, volume {number(facts['volume_mm3']['total'])} mm³, "
        f"mass {number(facts['mass_mg']['total'])} mg{mass}; CAC-DRS {standing['cac_drs']}: {least}"
        f"{standing['vessels']} vessel{'' if standing['vessels'] == 1 else 's'} with calcium"
    )
    risk = [
        text(f"Risk category {facts['risk_category']} (scheme {facts['rules']['risk_scheme']})", 9, bold=True),
        Spacer(0, 1 * mm),
        scale,
        Spacer(0, 1 * mm),
        text(words, 8),
    ]
    total = [text(number(result.score.total.agatston), 26, bold=True), text("Agatston score", 8)]
    return table([[total, risk]], [60 * mm, WIDTH - 60 * mm])


def _warnings(warnings: list[dict[str, str]]) -> list[Flowable]:
    if not warnings:
        return []
    rows = [[text("Warnings", 8, bold=True)], *([text(f"• {warning['message']}", 7.5)] for warning in warnings)]
    edges = [("LINEBEFORE", (0, 0), (0, -1), 2, INK), ("LEFTPADDING", (0, 0), (-1, -1), 6)]
    return [table(rows, [WIDTH], [*edges, ("BACKGROUND", (0, 0), (-1, -1), PANEL)])]


def _arteries(result: "CaseResult") -> Flowable:
    quantities, total = result.quantities, result.score.total
    names = ("", "Artery", "Lesions", "Agatston", "Volume mm³", "Mass mg", "", "Share of the Agatston score")
    rows: list[list[Any]] = [[text(name, 7, color=QUIET, right=2 <= place <= 5) for place, name in enumerate(names)]]
    for artery in ARTERIES:
        tally = result.score.by_artery[artery.name]
        share = tally.agatston / total.agatston if total.agatston else 0.0
        numbers = (
            str(tally.lesions),
            number(tally.agatston),
            number(quantities.volume_mm3.by_artery[artery.name]),
            number(quantities.mass_mg.by_artery[artery.name]),
        )
        name = "Not assigned" if artery is UNASSIGNED else artery.name
        cells = [text(value, 8, right=True) for value in (*numbers, f"{100 * share:.0f} %" if tally.lesions else "")]
        rows.append([swatch(artery.color), text(name, 8, bold=True), *cells, bar(share, 50 * mm, artery.color)])
    sums = (str(total.lesions), number(total.agatston), number(quantities.volume_mm3.total))
    cells = [text(value, 8, bold=True, right=True) for value in (*sums, number(quantities.mass_mg.total))]
    rows.append(["", text("Total", 8, bold=True), *cells, "", ""])
    widths = [4 * mm, 26 * mm, 16 * mm, 21 * mm, 22 * mm, 20 * mm, 16 * mm, 61 * mm]
    return table(rows, widths, [("LINEBELOW", (0, 0), (-1, -2), 0.4, LINE), ("LINEABOVE", (0, -1), (-1, -1), 0.6, INK)])


def _stated(value: object, unit: str = "") -> str:
    return "not stated" if value is None else f"{value}{unit}"


def _technique(facts: dict[str, Any]) -> list[tuple[str, object]]:
    scan, coverage = facts["acquisition"], facts["coverage"]
    return [
        ("Scanner", f"{_stated(scan['manufacturer'])}, {_stated(scan['model'])}"),
        ("Tube voltage", _stated(scan["kvp"], " kVp")),
        ("Kernel", _stated(scan["kernel"])),
        ("Slices", f"{_stated(scan['slice_thickness_mm'], ' mm')} thick, every {scan['spacing_mm']['slice']:g} mm"),
        ("Cardiac gating", _stated(scan["cardiac_gating"])),
        ("Contrast agent", _stated(scan["contrast_agent"])),
        ("Marked by", "a given label map" if coverage["labels_from"] == "mask" else "the network"),
    ]


def _rules(facts: dict[str, Any]) -> list[tuple[str, object]]:
    rules, weights = facts["rules"], facts["provenance"]["weights"]
    limits = ", ".join(number(limit, 0) for limit in rules["weight_limits_hu"])
    return [
        ("Rule set", rules["name"]),
        ("Threshold", f"{number(rules['threshold_hu'], 0)} HU; weights 2, 3, 4 from {limits} HU"),
        ("Smallest part", f"{rules['minimum_area_mm2']:g} mm², here {rules['minimum_pixels']} pixel(s)"),
        ("Spacing factor", number(rules["spacing_factor"], 3)),
        ("Weights", "none run" if weights is None else f"{weights['name']}, SHA-256 {weights['sha256'][:16]}…"),
    ]


def _lesion_pages(result: "CaseResult", facts: dict[str, Any], pictures: CasePictures) -> list[Flowable]:
    """The lesions by descending score, each on one page, and what the first page had no room for."""
    more = facts["warnings"][MOST_WARNINGS:]
    if not (more or pictures.lesions):
        return []
    pages: list[Flowable] = [PageBreak(), *_warnings(more), text("Lesions by descending score", 10, bold=True)]
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
