"""Options of ``coronary-calcium score`` for those who compare, calibrate and interpret scores."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from coronary_calcium.commands.usage import named_path
from coronary_calcium.rules import LITERATURE, RULE_SETS, RuleSet
from coronary_calcium.terminal import say

if TYPE_CHECKING:
    from coronary_calcium.choices import Choices
    from coronary_calcium.scoring.mesa import RiskFactors
    from coronary_calcium.scoring.risk import RiskScheme
    from coronary_calcium.scoring.rods import MarkedRods

# What --mesa calls the numbers that the risk score asks for, and what the code calls them.
_MESA_NUMBERS = {
    "age": "age",
    "cholesterol": "total_cholesterol",
    "hdl": "hdl_cholesterol",
    "pressure": "systolic_pressure",
}
_MESA_FLAGS = ("diabetes", "smoker", "lipid-medication", "pressure-medication", "family-history")
_SEXES = ("male", "female")
# Rods of calibration phantoms: density in mg/cm3 of hydroxyapatite, and the radius of a disc inside one, in mm.
_DENSITIES, _RADII_MM = (10.0, 2000.0), (1.0, 50.0)


def add_choices(score: argparse.ArgumentParser) -> None:
    """Add the options, in a group of their own."""
    group = score.add_argument_group("rules, calibration and standing")
    compared = score.add_argument_group("network and reader").add_mutually_exclusive_group()
    compared.add_argument(
        "--compare-ai", action="store_true", help="with --mask: run the network too, and report what the reader changed"
    )
    compared.add_argument(
        "--proposal", type=named_path, help="with --mask: an earlier proposal of the network to compare with instead"
    )
    group.add_argument("--rules", choices=RULE_SETS, default=LITERATURE.name, help="rule set (default: literature)")
    group.add_argument("--compare-rules", action="store_true", help="score the same lesions by every rule set")
    group.add_argument("--kvp-adapted", action="store_true", help="adapt the thresholds to the scan's tube voltage")
    mass = group.add_mutually_exclusive_group()
    mass.add_argument(
        "--mass-calibration",
        type=_mass_factor,
        metavar="FACTOR",
        help="mg/cm3/HU, about 0.8 at 120 kVp (default: the header's, or a typical one, labelled uncalibrated)",
    )
    mass.add_argument(
        "--mass-rods",
        type=_rods,
        metavar="MARKS",
        help="calibrate mass with a phantom in the scan: the middles of its rod and water in patient coordinates "
        "(DICOM's LPS, mm), rod=X:Y:Z,water=X:Y:Z and, where they differ, density=200 in mg/cm3 and radius=5 in mm",
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


def usable_comparison(options: argparse.Namespace) -> bool:
    """Whether there is a reader's mask to compare with the network, told before any work."""
    if options.mask is None and (options.compare_ai or options.proposal is not None):
        say(f"{'--compare-ai' if options.compare_ai else '--proposal'} compares a reader's mask: name it with --mask.")
        return False
    return True


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
        rods=options.mass_rods,
        compare_ai=options.compare_ai,
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


def _rods(text: str) -> "MarkedRods":
    from coronary_calcium.scoring.rods import RADIUS_MM, ROD_MG_PER_CM3, MarkedRods  # noqa: PLC0415

    words = [word.partition("=")[::2] for word in text.split(",")]
    given = dict(words)
    if len(given) != len(words) or not {"rod", "water"} <= set(given) <= {"rod", "water", "density", "radius"}:
        raise argparse.ArgumentTypeError(
            "give rod=X:Y:Z,water=X:Y:Z, each once, and density=... or radius=... if need be"
        )
    try:
        rod, water = (tuple(float(part) for part in given[name].split(":")) for name in ("rod", "water"))
        density, radius = float(given.get("density", ROD_MG_PER_CM3)), float(given.get("radius", RADIUS_MM))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} holds something that is no number") from None
    if len(rod) != 3 or len(water) != 3 or not all(map(math.isfinite, (*rod, *water))):
        raise argparse.ArgumentTypeError("a mark is three numbers in mm with colons between, such as rod=12.5:-40:310")
    for name, value, (lowest, highest) in (("density", density, _DENSITIES), ("radius", radius, _RADII_MM)):
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{name} must be {lowest:g} to {highest:g}, not {value:g}")
    return MarkedRods(rod, water, density, radius)


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
