"""10-year risk of coronary heart disease from risk factors, with and without calcium: the MESA risk score.

McClelland et al., J Am Coll Cardiol 2015;66:1643-1653, doi:10.1016/j.jacc.2015.08.035. The coefficients were checked
against two independent implementations (ebmcalc.com/MESA.htm and the R package CVrisk).
"""

import math
from dataclasses import dataclass

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
        """Refuse what the score does not hold for."""
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
