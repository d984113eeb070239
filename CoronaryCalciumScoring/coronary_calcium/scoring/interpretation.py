"""What a total score stands for: CAC-DRS, repeatability between two scans, and the MESA 10-year risk.

McClelland et al., J Am Coll Cardiol 2015;66:1643-1653, doi:10.1016/j.jacc.2015.08.035. The coefficients were checked
against two independent implementations (ebmcalc.com/MESA.htm and the R package CVrisk).
"""

import math
from dataclasses import dataclass

from coronary_calcium.arteries import NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.scoring.agatston import CaseScore
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
class ScoreInterpretation:
    """What a case's total score stands for.

    Attributes
    ----------
    scheme, category : the scheme of risk categories, and the score's category in it.
    cac_drs : A0 to A3 and N0 to N4, such as ``"A2/N3"``.
    vessels : how many of LM, LAD, LCX and RCA hold calcium that counts.
    vessels_known : whether all that counts has an artery; if not, ``vessels`` is the least number.
    lesions : number of lesions.
    repeatability_limit : by how much another scan's score differs at most, in 95 % of patients; None for a score of 0.

    """

    scheme: RiskScheme
    category: str
    cac_drs: str
    vessels: int
    vessels_known: bool
    lesions: int
    repeatability_limit: float | None


def interpret_score(score: CaseScore, scheme: RiskScheme) -> ScoreInterpretation:
    """What a case's score stands for, by a scheme of risk categories."""
    total = score.total.agatston
    unassigned = score.by_artery[UNASSIGNED.name].lesions > 0
    vessels = sum(score.by_artery[artery.name].lesions > 0 for artery in NAMED_ARTERIES)
    # Calcium without an artery lies in one nevertheless.
    vessels = max(vessels, 1) if unassigned else vessels
    return ScoreInterpretation(
        scheme=scheme,
        category=scheme.category(total),
        cac_drs=f"{cac_drs_category(total)}/N{vessels}",
        vessels=vessels,
        vessels_known=not unassigned,
        lesions=score.total.lesions,
        repeatability_limit=repeatability_limit(total) if total else None,
    )


def repeatability_limit(agatston: float) -> float:
    """By how much the Agatston scores of two scans of the same patient differ at most, in 95 % of patients.

    Chung et al., AJR 2008;190:W87-W92, on cardiac CT; the limit holds for scores above 0.
    """
    return RESCAN_LINEAR * agatston + RESCAN_ROOT * math.sqrt(agatston) + RESCAN_BMI * ASSUMED_BMI + RESCAN_CONSTANT


def cac_drs_category(agatston: float) -> str:
    """A0 to A3 of an unrounded score: 0; above 0 and below 100; from 100 and below 300; from 300 on."""
    if agatston == 0:
        return "A0"
    return next((name for cut, name in CAC_DRS_CUTS if agatston >= cut), "A1")


MESA_SOURCE = "McClelland et al., J Am Coll Cardiol 2015;66:1643-1653 (MESA 10-year CHD risk)"
MESA_AGES = (45, 85)
ETHNICITIES = ("white", "chinese", "black", "hispanic")
# What a person can have; anything else is a slip of the pen. Cholesterol in mg/dl, blood pressure in mmHg.
PLAUSIBLE = {"total_cholesterol": (50.0, 500.0), "hdl_cholesterol": (5.0, 200.0), "systolic_pressure": (60.0, 260.0)}


@dataclass(frozen=True)
class RiskFactors:
    """What the risk score asks for; cholesterol in mg/dl, blood pressure in mmHg.

    ``ethnicity`` is one of ``ETHNICITIES``, the groups of the study. ``family_history`` means a heart attack of a
    parent, sibling or child. Raises ValueError for what the score does not hold for.
    """

    age: float
    male: bool
    ethnicity: str
    total_cholesterol: float
    hdl_cholesterol: float
    systolic_pressure: float
    diabetes: bool = False
    smoker: bool = False
    lipid_medication: bool = False
    pressure_medication: bool = False
    family_history: bool = False

    def __post_init__(self) -> None:
        """Reject what the score does not hold for."""
        lowest, highest = MESA_AGES
        if not lowest <= self.age <= highest:
            raise ValueError(f"the MESA risk holds for ages {lowest} to {highest}, not {self.age:g}")
        if self.ethnicity not in ETHNICITIES:
            raise ValueError(f"the MESA risk knows {', '.join(ETHNICITIES)}, not {self.ethnicity}")
        for name, (low, high) in PLAUSIBLE.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name.replace('_', ' ')} must be {low:g} to {high:g}, not {getattr(self, name):g}")


@dataclass(frozen=True)
class _Model:
    """The survival of the baseline over 10 years, and the coefficients of the risk factors."""

    survival: float
    male: float
    ethnicity: dict[str, float]
    factors: dict[str, float]
    calcium: float = 0.0


_WITHOUT_CALCIUM = _Model(
    survival=0.99963,
    male=0.7496,
    ethnicity={"white": 0.0, "chinese": -0.5055, "black": -0.2111, "hispanic": -0.1900},
    factors={
        "age": 0.0455,
        "diabetes": 0.5168,
        "smoker": 0.4732,
        "total_cholesterol": 0.0053,
        "hdl_cholesterol": -0.0140,
        "lipid_medication": 0.2473,
        "systolic_pressure": 0.0085,
        "pressure_medication": 0.3381,
        "family_history": 0.4522,
    },
)
_WITH_CALCIUM = _Model(
    survival=0.99833,
    male=0.4079,
    ethnicity={"white": 0.0, "chinese": -0.3475, "black": 0.0353, "hispanic": -0.0222},
    factors={
        "age": 0.0172,
        "diabetes": 0.3892,
        "smoker": 0.3717,
        "total_cholesterol": 0.0043,
        "hdl_cholesterol": -0.0114,
        "lipid_medication": 0.1206,
        "systolic_pressure": 0.0066,
        "pressure_medication": 0.2278,
        "family_history": 0.3239,
    },
    calcium=0.2743,
)


@dataclass(frozen=True)
class MesaRisk:
    """10-year risk of coronary heart disease, 0 to 1: from the risk factors alone, and with the Agatston score."""

    without_calcium: float
    with_calcium: float


def mesa_risk(factors: RiskFactors, agatston: float) -> MesaRisk:
    """The risk of a person with an Agatston score of 0 or more."""
    return MesaRisk(_risk(_WITHOUT_CALCIUM, factors, agatston), _risk(_WITH_CALCIUM, factors, agatston))


def _risk(model: _Model, factors: RiskFactors, agatston: float) -> float:
    """1 - survival ^ exp(sum of coefficients x factors); calcium enters as the logarithm of score + 1."""
    terms = model.male * factors.male + model.ethnicity[factors.ethnicity] + model.calcium * math.log1p(agatston)
    terms += sum(coefficient * getattr(factors, name) for name, coefficient in model.factors.items())
    return 1.0 - model.survival ** math.exp(terms)
