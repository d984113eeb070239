"""The tables of the PDF report's first page: result, warnings, arteries, reader versus AI, technique, rules."""

from typing import TYPE_CHECKING, Any

from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from coronary_calcium.arteries import ARTERIES, UNASSIGNED
from coronary_calcium.formatting import number, signed
from coronary_calcium.reports.pdf_fonts import BOLD, FONT
from coronary_calcium.reports.pdf_parts import (
    INK,
    LINE,
    PANEL,
    QUIET,
    bar,
    facts_table,
    swatch,
    table,
    text,
)
from coronary_calcium.scoring.quantity_table import quantity_table
from coronary_calcium.scoring.reader_vs_ai import listed_changes
from coronary_calcium.scoring.risk import RISK_SCHEMES
from coronary_calcium.scoring.rules import title_of

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

WIDTH = 186 * mm


def result_table(result: "CaseResult", facts: dict[str, Any]) -> Flowable:
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
    lesions, interpretation = result.score.total.lesions, facts["interpretation"]
    least = "" if interpretation["vessels_known"] else "at least "
    mass = "" if result.quantities.calibration.calibrated else " (not calibrated)"
    words = (
        f"{lesions} lesion{'' if lesions == 1 else 's'}, volume {number(facts['volume_mm3']['total'])} mm³, "
        f"mass {number(facts['mass_mg']['total'])} mg{mass}; CAC-DRS {interpretation['cac_drs']}: {least}"
        f"{interpretation['vessels']} vessel{'' if interpretation['vessels'] == 1 else 's'} with calcium"
    )
    risk = [
        text(
            f"Risk category {facts['risk_category']} (of {RISK_SCHEMES[facts['rules']['risk_scheme']].title})",
            9,
            bold=True,
        ),
        Spacer(0, 1 * mm),
        scale,
        Spacer(0, 1 * mm),
        text(words, 8),
    ]
    total = [text(number(result.score.total.agatston), 26, bold=True), text("Agatston score", 8)]
    return table([[total, risk]], [60 * mm, WIDTH - 60 * mm])


def warnings_table(warnings: list[dict[str, str]]) -> list[Flowable]:
    """The warnings in a box; nothing without any."""
    if not warnings:
        return []
    rows = [[text("Warnings", 8, bold=True)], *([text(f"• {warning['message']}", 7.5)] for warning in warnings)]
    edges = [("LINEBEFORE", (0, 0), (0, -1), 2, INK), ("LEFTPADDING", (0, 0), (-1, -1), 6)]
    return [table(rows, [WIDTH], [*edges, ("BACKGROUND", (0, 0), (-1, -1), PANEL)])]


def artery_table(result: "CaseResult") -> Flowable:
    """The scores artery by artery with bars of their shares; with a prediction, its scores and the reader's change."""
    quantities, total, difference = result.quantities, result.score.total, result.difference
    compared = [] if difference is None else ["AI", "Change"]
    titles = [
        "",
        "Artery",
        "Lesions",
        "Agatston",
        "Volume mm³",
        "Mass mg",
        *compared,
        "",
        "Share of the score",
    ]
    last_number = 5 + len(compared)
    rows: list[list[Any]] = [
        [text(name, 7, color=QUIET, right=2 <= place <= last_number) for place, name in enumerate(titles)]
    ]
    bar_width = (50 - 13 * len(compared)) * mm
    for artery in ARTERIES:
        tally = result.score.by_artery[artery.name]
        share = tally.agatston / total.agatston if total.agatston else 0.0
        numbers = [
            str(tally.lesions),
            number(tally.agatston),
            number(quantities.volume_mm3.by_artery[artery.name]),
            number(quantities.mass_mg.by_artery[artery.name]),
            *([] if difference is None else _compared(*difference.of_artery(artery.name))),
            f"{100 * share:.0f} %" if tally.lesions else "",
        ]
        name = "Not assigned" if artery is UNASSIGNED else artery.name
        cells = [text(value, 8, right=True) for value in numbers]
        rows.append([swatch(artery.color), text(name, 8, bold=True), *cells, bar(share, bar_width, artery.color)])
    sums = [
        str(total.lesions),
        number(total.agatston),
        number(quantities.volume_mm3.total),
        number(quantities.mass_mg.total),
        *([] if difference is None else _compared(*difference.of_total)),
    ]
    rows.append(["", text("Total", 8, bold=True), *(text(value, 8, bold=True, right=True) for value in sums), "", ""])
    widths = [4 * mm, 26 * mm, 16 * mm, 21 * mm, 22 * mm, 20 * mm, *[17 * mm] * len(compared), 14 * mm]
    lines = [("LINEBELOW", (0, 0), (-1, -2), 0.4, LINE), ("LINEABOVE", (0, -1), (-1, -1), 0.6, INK)]
    return table(rows, [*widths, WIDTH - sum(widths)], lines)


def _compared(predicted: float, change: float) -> tuple[str, str]:
    return number(predicted), signed(change)


def reading_notes(result: "CaseResult", facts: dict[str, Any]) -> list[Flowable]:
    """What the reader changed, the score's repeatability, and the risk for risk factors that were entered."""
    notes: list[Flowable] = []
    if result.difference is not None:
        notes.append(text(f"Reader versus AI: {result.difference.summary}", 7.5, bold=True))
        notes += [text(f"{title}: {lesions}.", 7) for title, lesions in listed_changes(result.difference)]
    rescan, risk = facts["interpretation"]["rescan"], facts["interpretation"]["mesa_10_year_chd_risk"]
    if rescan is not None:
        notes.append(
            text(
                f"95 % repeatability limit: ± {number(rescan['limit_95'], 0)} (two cardiac scans on the same day: "
                f"{number(rescan['agatston_low'], 0)} to {number(rescan['agatston_high'], 0)}); "
                "larger without ECG gating.",
                7,
                color=QUIET,
            )
        )
    if risk is not None:
        notes.append(
            text(
                "10-year risk of coronary heart disease (MESA), for the risk factors that were entered: "
                f"{number(100 * risk['with_calcium'])} % with this score, {number(100 * risk['without_calcium'])} % "
                "from the risk factors alone.",
                7.5,
            )
        )
    return notes


def technique_and_rules(facts: dict[str, Any]) -> Flowable:
    """How the scan was made, beside the rules that counted."""
    half = WIDTH / 2
    return table(
        [[facts_table(technique(facts), half, 30 * mm, 7), facts_table(rules_facts(facts), half, 30 * mm, 7)]],
        [half, half],
        [("VALIGN", (0, 0), (-1, -1), "TOP")],
    )


def rules_compared_table(facts: dict[str, Any]) -> list[Flowable]:
    """The same lesions by every rule set; nothing unless it was asked for."""
    if not facts["rules_compared"]:
        return []
    names = ("Rules", "Smallest component", "Neighbors", "Lesions", "Agatston", "Volume mm³", "Mass mg", "Volume by")
    rows = [[text(name, 7, color=QUIET, right=0 < place < 7) for place, name in enumerate(names)]]
    for other in facts["rules_compared"]:
        numbers = (
            f"{other['minimum_pixels']} pixel{'' if other['minimum_pixels'] == 1 else 's'}",
            str(other["connectivity_in_slice"]),
            str(other["lesions"]),
            number(other["agatston"]),
            number(other["volume_mm3"]),
            number(other["mass_mg"]),
        )
        volume_by = f"{other['volume_method']} from {number(other['volume_threshold_hu'], 0)} HU"
        cells = [text(value, 8, right=True) for value in numbers]
        rows.append([text(title_of(other["name"]), 8, bold=True), *cells, text(f"  {volume_by}", 8)])
    widths = [28 * mm, 22 * mm, 19 * mm, 15 * mm, 20 * mm, 22 * mm, 17 * mm]
    return [
        text("The same lesions by other rules", 10, bold=True),
        table(rows, [*widths, WIDTH - sum(widths)], [("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE)]),
        text(
            "All rules count the voxels that are marked here; what is not marked counts by none of them.",
            7,
            color=QUIET,
        ),
        Spacer(0, 4 * mm),
    ]


def quantities_table(result: "CaseResult") -> list[Flowable]:
    """Every quantity by artery; nothing unless it was asked for."""
    if result.all_quantities is None:
        return []
    shown = quantity_table(result.all_quantities)
    names = ["Not assigned" if name == UNASSIGNED.name else name for name in shown.columns]
    rows = [[text("Quantity", 7, color=QUIET), *(text(name, 7, color=QUIET, right=True) for name in names)]]
    rows += [[text(row.title, 8), *(text(cell, 8, right=True) for cell in row.cells)] for row in shown.rows]
    first = 62 * mm
    widths = [first, *[(WIDTH - first) / len(names)] * len(names)]
    return [
        text("More quantities", 10, bold=True),
        table(rows, widths, [("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE)]),
        *(text(note, 7, color=QUIET) for note in shown.notes),
        Spacer(0, 4 * mm),
    ]


def _stated(value: object, unit: str = "") -> str:
    return "not stated" if value is None else f"{value}{unit}"


def technique(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """How the scan was made: names and values."""
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


def rules_facts(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """What the score was counted by: names and values."""
    rules, weights = facts["rules"], facts["provenance"]["weights"]
    limits = ", ".join(number(limit, 0) for limit in rules["weight_limits_hu"])
    return [
        ("Rule set", title_of(rules["name"])),
        ("Threshold", f"{number(rules['threshold_hu'], 0)} HU; weights 2, 3, 4 from {limits} HU"),
        ("Smallest component", f"{rules['minimum_area_mm2']:g} mm², here {rules['minimum_pixels']} pixel(s)"),
        ("Spacing factor", number(rules["spacing_factor"], 3)),
        ("Weights", "none run" if weights is None else f"{weights['name']}, SHA-256 {weights['sha256'][:16]}…"),
    ]
