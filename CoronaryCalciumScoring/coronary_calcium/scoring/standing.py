"""What a total score stands for: its category, CAC-DRS, and how far another scan of the same patient would differ."""

import math
from dataclasses import dataclass

from coronary_calcium.arteries import NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.scoring.case_score import CaseScore
from coronary_calcium.scoring.risk import RiskScheme

# CAC-DRS: A1 from above 0, A2 from 100, A3 from 300.
CAC_DRS_CUTS = ((300.0, "A3"), (100.0, "A2"))
CAC_DRS_SOURCE = "Dzaye et al., doi:10.1016/j.jcct.2019.03.011 (CAC-DRS by Agatston score and number of vessels)"
# Between two scans of the same patient on the same day, 95 % of the Agatston scores differ by less than
# 0.17 A + 4.89 sqrt(A) + 0.44 BMI - 10.84: a few points are far from certain, and hundreds within a quarter.
RESCAN_LINEAR, RESCAN_ROOT, RESCAN_BMI, RESCAN_CONSTANT = 0.17, 4.89, 0.44, -10.84
# The scan does not tell the body mass index; 5 kg/m2 more or less move the limit by 2.2.
ASSUMED_BMI = 28.0
RESCAN_SOURCE = (
    "Chung et al., AJR 2008;190:W87-W92, doi:10.2214/AJR.07.2726 (95 % repeatability limit of the Agatston score on "
    f"cardiac CT, for a body mass index of {ASSUMED_BMI:g})"
)


@dataclass(frozen=True)
class Standing:
    """What a case's total score stands for.

    Attributes
    ----------
    scheme, category : the scheme of risk categories, and the score's category in it.
    cac_drs : A0 to A3 and N0 to N4, such as ``"A2/N3"``.
    vessels : how many of LM, LAD, LCX and RCA hold calcium that counts.
    vessels_known : whether all that counts has an artery; if not, ``vessels`` is the least number.
    lesions : number of lesions.
    rescan_limit : by how much another scan's score differs at most, in 95 % of patients; None for a score of 0.
    """

    scheme: RiskScheme
    category: str
    cac_drs: str
    vessels: int
    vessels_known: bool
    lesions: int
    rescan_limit: float | None


def standing_of(score: CaseScore, scheme: RiskScheme) -> Standing:
    """What a case's score stands for, by a scheme of risk categories."""
    total = score.total.agatston
    unassigned = score.by_artery[UNASSIGNED.name].lesions > 0
    vessels = sum(score.by_artery[artery.name].lesions > 0 for artery in NAMED_ARTERIES)
    # Calcium without an artery lies in one nevertheless.
    vessels = max(vessels, 1) if unassigned else vessels
    return Standing(
        scheme=scheme,
        category=scheme.category(total),
        cac_drs=f"{cac_drs_category(total)}/N{vessels}",
        vessels=vessels,
        vessels_known=not unassigned,
        lesions=score.total.lesions,
        rescan_limit=rescan_limit(total) if total else None,
    )


def rescan_limit(agatston: float) -> float:
    """By how much the Agatston scores of two scans of the same patient differ at most, in 95 % of patients.

    Chung et al., AJR 2008;190:W87-W92, on cardiac CT; the limit holds for scores above 0.
    """
    return RESCAN_LINEAR * agatston + RESCAN_ROOT * math.sqrt(agatston) + RESCAN_BMI * ASSUMED_BMI + RESCAN_CONSTANT


def cac_drs_category(agatston: float) -> str:
    """A0 to A3 of an unrounded score: 0; above 0 and below 100; from 100 and below 300; from 300 on."""
    if agatston == 0:
        return "A0"
    return next((name for cut, name in CAC_DRS_CUTS if agatston >= cut), "A1")
