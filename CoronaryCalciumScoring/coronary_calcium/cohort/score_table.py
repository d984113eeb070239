"""The columns of a cohort's table: one row a case, and how a row is made of what `score` writes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.scoring.lesion_warnings import Uncertainty, uncertain_lesions
from coronary_calcium.scoring.risk import RiskScheme
from coronary_calcium.scoring.rules import RuleSet
from coronary_calcium.volume import CTVolume

if TYPE_CHECKING:
    from coronary_calcium.io import OpenedCT
    from coronary_calcium.pipeline import CaseResult


@dataclass(frozen=True)
class Column:
    """A column of the table: its name, SQLite's kind, and what it means, with its unit."""

    name: str
    kind: str
    meaning: str


_QUANTITIES = (
    ("agatston", "Agatston score"),
    ("volume_mm3", "volume by the rule set, mm3"),
    ("mass_mg", "calcium mass, mg; see mass_calibrated"),
)
COLUMNS = (
    Column("agatston", "REAL", "Agatston score"),
    Column("risk_category", "TEXT", "risk category of the chosen scheme"),
    Column("cac_drs", "TEXT", "CAC-DRS category"),
    *(
        Column(f"{name}_{artery.name.lower()}", "REAL", f"{meaning}, {artery.name}")
        for name, meaning in _QUANTITIES
        for artery in ARTERIES
    ),
    Column("volume_mm3", "REAL", "volume by the rule set, mm3"),
    Column("volume_interpolated_mm3", "REAL", "volume of the interpolated CT, mm3"),
    Column("mass_mg", "REAL", "calcium mass, mg"),
    Column("mass_calibrated", "INTEGER", "1 where the mass is calibrated"),
    Column("lesions", "INTEGER", "number of lesions"),
    Column("uncertain_lesions", "INTEGER", "lesions that the network only just counted or left out"),
    Column("uncertainty", "REAL", "0 to 1: uncertain share of the score; from 0.5 on when the category depends on it"),
    Column("uncertainty_reason", "TEXT", "why, in words"),
    Column("warning_codes", "TEXT", "codes of the warnings with spaces between"),
    Column("kernel", "TEXT", "convolution kernel"),
    Column("slice_thickness_mm", "REAL", "slice thickness, mm"),
    Column("spacing_mm", "REAL", "distance between slices, mm"),
    Column("kvp", "REAL", "tube voltage, kVp"),
    Column("manufacturer", "TEXT", "maker of the scanner"),
    Column("model", "TEXT", "model of the scanner"),
    Column("slices", "INTEGER", "number of slices"),
    Column("other_series", "TEXT", "series of the study that were not scored, and why"),
    Column("device", "TEXT", "where the network ran"),
)
LESION_COLUMNS = (
    Column("lesion", "INTEGER", "number within the case, by descending score"),
    Column("artery", "TEXT", "artery"),
    Column("agatston", "REAL", "Agatston score"),
    Column("volume_mm3", "REAL", "volume, mm3"),
    Column("mass_mg", "REAL", "calcium mass, mg"),
    Column("maximum_hu", "REAL", "highest HU"),
    Column("main_slice", "INTEGER", "slice with the highest score"),
    Column("probability", "REAL", "mean of the network's probability"),
)
_ID = Column("id", "TEXT", "the case's id")
# What can be asked: every column of the views that ``state`` makes, in their order.
VIEWS: dict[str, tuple[Column, ...]] = {
    "cohort": (
        _ID,
        Column("state", "TEXT", "done, rejected, failed, queued or running"),
        Column("code", "TEXT", "code of the reason why a case was rejected or failed"),
        Column("reason", "TEXT", "why a case was rejected or failed"),
        *COLUMNS,
        Column("seconds", "REAL", "time that the case took, s"),
        Column("attempts", "INTEGER", "attempts that ended with the worker's death"),
    ),
    "warnings": (
        _ID,
        Column("code", "TEXT", "code of the warning"),
        Column("message", "TEXT", "the warning"),
    ),
    "lesions": (_ID, *LESION_COLUMNS),
}


@dataclass(frozen=True)
class CaseUncertainty:
    """How much of a score is uncertain.

    Attributes
    ----------
    value : 0 to 1. Half the share that uncertain lesions have in the score with all of them, and half more when with
        or without them the risk category would be another.
    lesions : how many there are.
    reason : why, in a few words for a table.
    """

    value: float
    lesions: int
    reason: str


def case_uncertainty(
    volume: CTVolume, score: CaseScore, rules: RuleSet, scheme: RiskScheme, uncertainty: Uncertainty | None
) -> CaseUncertainty:
    """How uncertain a score is; nothing without a network's ``uncertainty``."""
    if uncertainty is None:
        return CaseUncertainty(0.0, 0, "")
    absent, counted = uncertain_lesions(score, uncertainty, uncertainty.left_out_lesions(volume, rules))
    total = score.total.agatston
    more, less = sum(one.agatston for one in absent), sum(one.agatston for one in counted)
    lowest, highest = scheme.category(max(total - less, 0.0)), scheme.category(total + more)
    share = (more + less) / (total + more) if more + less else 0.0
    value = min(share, 1.0) / 2 + (0.5 if lowest != highest else 0.0)
    count = len(absent) + len(counted)
    if not count:
        return CaseUncertainty(0.0, 0, "")
    lesions = f"{count} uncertain lesion{'' if count == 1 else 's'}, {100 * share:.0f} % of the score"
    return CaseUncertainty(value, count, f"{lowest} or {highest}: {lesions}" if lowest != highest else lesions)


def table_row(result: "CaseResult", content: dict[str, Any], opened: "OpenedCT") -> dict[str, Any]:
    """A case's row; ``content`` is what its scores.json holds. No text in it says who was scanned."""
    doubt = case_uncertainty(result.volume, result.score, result.rules, result.options.risk_scheme, result.uncertainty)
    scan, mass = content["acquisition"], content["mass_mg"]
    row: dict[str, Any] = {
        "agatston": content["agatston"]["total"],
        "risk_category": content["risk_category"],
        "cac_drs": content["interpretation"]["cac_drs"],
        "volume_mm3": content["volume_mm3"]["total"],
        "volume_interpolated_mm3": content["volume_interpolated_mm3"]["total"],
        "mass_mg": mass["total"],
        "mass_calibrated": int(mass["calibration"]["calibrated"]),
        "lesions": len(content["lesions"]),
        "uncertain_lesions": doubt.lesions,
        "uncertainty": round(doubt.value, 4),
        "uncertainty_reason": doubt.reason,
        "warning_codes": " ".join(one["code"] for one in content["warnings"]),
        **{name: scan[name] for name in ("kernel", "slice_thickness_mm", "kvp", "manufacturer", "model")},
        "spacing_mm": scan["spacing_mm"]["slice"],
        "slices": scan["size"]["slices"],
        "other_series": "; ".join(
            f"{one.slices} slices, {one.kernel or 'kernel not stated'}: {one.reason}" for one in opened.others
        ),
        "device": content["provenance"]["device"],
    }
    for name, _ in _QUANTITIES:
        for artery in ARTERIES:
            row[f"{name}_{artery.name.lower()}"] = content[name]["by_artery"][artery.name]
    return row


def lesion_rows(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The lesions' rows of what scores.json holds."""
    return [
        {
            "lesion": one["id"],
            "main_slice": one["slices"]["main"],
            **{
                column.name: one[column.name]
                for column in LESION_COLUMNS
                if column.name not in ("lesion", "main_slice")
            },
        }
        for one in content["lesions"]
    ]
