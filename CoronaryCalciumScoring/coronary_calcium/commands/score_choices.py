"""Options of ``coronary-calcium score`` for those who compare, calibrate and interpret scores."""

import argparse
from typing import TYPE_CHECKING, Any

from coronary_calcium.rules import LITERATURE, RULE_SETS, RuleSet

if TYPE_CHECKING:
    from coronary_calcium.choices import Choices
    from coronary_calcium.scoring.mesa import RiskFactors
    from coronary_calcium.scoring.risk import RiskScheme

# What --mesa calls the numbers that the risk score asks for, and what the code calls them.
_MESA_NUMBERS = {
    "age": "age",
    "cholesterol": "total_cholesterol",
    "hdl": "hdl_cholesterol",
    "pressure": "systolic_pressure",
}
_MESA_FLAGS = ("diabetes", "smoker", "lipid-medication", "pressure-medication", "family-history")
_SEXES = ("male", "female")


def add_choices(score: argparse.ArgumentParser) -> None:
    """Add the options, in a group of their own."""
    group = score.add_argument_group("rules, calibration and standing")
    group.add_argument("--rules", choices=RULE_SETS, default=LITERATURE.name, help="rule set (default: literature)")
    group.add_argument("--compare-rules", action="store_true", help="score the same lesions by every rule set")
    group.add_argument("--kvp-adapted", action="store_true", help="adapt the thresholds to the scan's tube voltage")
    group.add_argument(
        "--mass-calibration",
        type=_mass_factor,
        metavar="FACTOR",
        help="mg/cm3/HU, about 0.8 at 120 kVp (default: the header's, or a typical one, labelled uncalibrated)",
    )
    group.add_argument(
        "--risk-scheme", type=_risk_scheme, metavar="NAME", help="five (default), four-300 or four-400 categories"
    )
    group.add_argument(
        "--mesa",
        type=_risk_factors,
        metavar="FACTORS",
        help="10-year risk of coronary heart disease from risk factors with commas between, in mg/dl and mmHg: "
        "age=63,sex=male,ethnicity=white,cholesterol=210,hdl=45,pressure=140 and, where they hold, "
        + ",".join(_MESA_FLAGS),
    )


def rules_of(options: argparse.Namespace) -> RuleSet:
    """The rule set that was named."""
    return RULE_SETS[options.rules]


def choices_of(options: argparse.Namespace) -> "Choices":
    """The other choices."""
    from coronary_calcium.choices import Choices  # noqa: PLC0415 (brings numpy; --help answers at once)
    from coronary_calcium.scoring.risk import FIVE_CATEGORIES  # noqa: PLC0415

    return Choices(
        kvp_adapted=options.kvp_adapted,
        compare_rules=options.compare_rules,
        mass_factor=options.mass_calibration,
        risk_scheme=options.risk_scheme or FIVE_CATEGORIES,
        risk_factors=options.mesa,
    )


def _mass_factor(text: str) -> float:
    from coronary_calcium.scoring.mass import PLAUSIBLE_MG_PER_CM3_HU, is_plausible  # noqa: PLC0415

    try:
        factor = float(text)
    except ValueError:
        factor = None
    if factor is None or not is_plausible(factor):
        lowest, highest = PLAUSIBLE_MG_PER_CM3_HU
        raise argparse.ArgumentTypeError(f"{text} is no factor in mg/cm3/HU; those are {lowest:g} to {highest:g}")
    return factor


def _risk_scheme(name: str) -> "RiskScheme":
    from coronary_calcium.scoring.risk import RISK_SCHEMES  # noqa: PLC0415

    if name not in RISK_SCHEMES:
        raise argparse.ArgumentTypeError(f"no scheme is called {name}; choose from {', '.join(RISK_SCHEMES)}")
    return RISK_SCHEMES[name]


def _risk_factors(text: str) -> "RiskFactors":
    from coronary_calcium.scoring.mesa import RiskFactors  # noqa: PLC0415

    words = [word.partition("=") for word in text.split(",")]
    given = {name: value for name, equals, value in words if equals}
    flags = {name for name, equals, _ in words if not equals}
    expected = {*_MESA_NUMBERS, "sex", "ethnicity"}
    if set(given) != expected or not flags <= set(_MESA_FLAGS) or len(words) != len(given) + len(flags):
        raise argparse.ArgumentTypeError(
            f"give {', '.join(f'{name}=...' for name in sorted(expected))}, each once, and any of "
            f"{', '.join(_MESA_FLAGS)}"
        )
    if given["sex"] not in _SEXES:
        raise argparse.ArgumentTypeError(f"sex must be {' or '.join(_SEXES)}, not {given['sex']}")
    factors: dict[str, Any] = {name.replace("-", "_"): name in flags for name in _MESA_FLAGS}
    try:
        factors |= {field: float(given[name]) for name, field in _MESA_NUMBERS.items()}
        return RiskFactors(male=given["sex"] == "male", ethnicity=given["ethnicity"], **factors)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
