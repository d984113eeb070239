"""Risk categories of a total Agatston score."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class RiskCategory:
    """A category holds the scores above ``above`` up to and including ``up_to``."""

    name: str
    above: float
    up_to: float


# The five categories as van Velzen et al. use them: Radiology 2020;295:66-79. They name whole numbers; scores are not
# whole, so each cut belongs to the category below it, as 10, 100 and 400 themselves do: 10.4 is "11-100".
ZERO = RiskCategory("0", -math.inf, 0.0)
RISK_CATEGORIES = (
    ZERO,
    RiskCategory("1-10", 0.0, 10.0),
    RiskCategory("11-100", 10.0, 100.0),
    RiskCategory("101-400", 100.0, 400.0),
    RiskCategory(">400", 400.0, math.inf),
)
RISK_SOURCE = "van Velzen et al., Radiology 2020;295:66-79 (five categories by total Agatston score)"
RISK_RULE = (
    "The unrounded score decides. 0 is exactly 0; a score above 0 up to 10 is 1-10, above 10 up to 100 is 11-100, "
    "above 100 up to 400 is 101-400, and anything above 400 is >400."
)


def risk_category(agatston: float) -> str:
    """Name of the risk category of an unrounded total Agatston score; raises ValueError if it is negative or NaN."""
    if not agatston >= 0:
        raise ValueError(f"an Agatston score is 0 or more, not {agatston}")
    return next(category.name for category in RISK_CATEGORIES if agatston <= category.up_to)
