"""Thresholds adapted to the tube voltage: calcium is brighter at low voltage and darker at high."""

from collections.abc import Iterable
from dataclasses import replace

from coronary_calcium.errors import InputRefused
from coronary_calcium.rules import LITERATURE, RuleSet
from coronary_calcium.volume import CaseWarning

# Code of the warning that the tube voltage is not the one that the thresholds hold for.
KVP_WARNING = "kvp"
# ... and of the one that says that the thresholds were adapted to it.
ADAPTED_WARNING = "kvp-adapted"

# Tube voltage in kV: threshold and limits of the weights 2, 3 and 4 in HU. The table was taken over as others cite the
# paper, which is not openly readable; whoever has it should compare.
KVP_SOURCE = (
    "Gräni et al., Eur Heart J Cardiovasc Imaging 2018, doi:10.1093/ehjci/jey019 (thresholds by tube voltage, taken "
    "over second-hand; between two voltages of the table on a straight line, none beyond it)"
)
KVP_THRESHOLDS_HU = {
    70.0: (207.0, 318.0, 477.0, 636.0),
    80.0: (177.0, 271.0, 408.0, 544.0),
    100.0: (145.0, 222.0, 334.0, 446.0),
    120.0: (130.0, 200.0, 300.0, 400.0),
    135.0: (119.0, 183.0, 274.0, 364.0),
}


def adapted_to(rules: RuleSet, kvp: float | None) -> RuleSet:
    """The rules with thresholds for a tube voltage in kV, named after it.

    Raises InputRefused when the voltage is not known ("kvp-unknown") or beyond the table ("kvp-range"), or when the
    rules have thresholds of their own, which the table says nothing about ("kvp-rules").
    """
    if (rules.threshold_hu, rules.weight_limits_hu) != (LITERATURE.threshold_hu, LITERATURE.weight_limits_hu) or (
        rules.volume_threshold_hu is not None
    ):
        raise InputRefused(
            "kvp-rules",
            f"The rule set {rules.name} has a threshold of its own, for which no table by tube voltage is published; "
            "use another rule set or leave the thresholds as they are.",
        )
    if kvp is None:
        raise InputRefused(
            "kvp-unknown",
            "The input does not state its tube voltage, so the thresholds cannot be adapted to it; score it without "
            "adapted thresholds.",
        )
    if not is_covered(kvp):
        lowest, highest = min(KVP_THRESHOLDS_HU), max(KVP_THRESHOLDS_HU)
        raise InputRefused(
            "kvp-range",
            f"The tube voltage was {kvp:g} kVp, and thresholds are published for {lowest:g} to {highest:g} kVp only; "
            "score it without adapted thresholds.",
        )
    threshold, *limits = thresholds_at(kvp)
    two, three, four = limits
    return replace(
        rules,
        name=f"{rules.name}, {kvp:g} kVp",
        threshold_hu=threshold,
        weight_limits_hu=(two, three, four),
        sources=(*rules.sources, KVP_SOURCE),
        kvp=kvp,
    )


def is_covered(kvp: float) -> bool:
    """Whether thresholds are published for a tube voltage in kV, or for one below and one above it."""
    return min(KVP_THRESHOLDS_HU) <= kvp <= max(KVP_THRESHOLDS_HU)


def thresholds_at(kvp: float) -> tuple[float, ...]:
    """Threshold and limits of the weights 2, 3 and 4 in HU, between two voltages of the table on a straight line.

    ``kvp`` lies within the table.
    """
    below = max(voltage for voltage in KVP_THRESHOLDS_HU if voltage <= kvp)
    above = min(voltage for voltage in KVP_THRESHOLDS_HU if voltage >= kvp)
    share = 0.0 if above == below else (kvp - below) / (above - below)
    return tuple(low + share * (high - low) for low, high in zip(KVP_THRESHOLDS_HU[below], KVP_THRESHOLDS_HU[above]))


def adapted_warnings(warnings: Iterable[CaseWarning], rules: RuleSet) -> tuple[CaseWarning, ...]:
    """The warnings of a CT; where the rules are adapted to its tube voltage, the one of it says so instead."""
    if rules.kvp is None:
        return tuple(warnings)
    limits = "/".join(f"{limit:.0f}" for limit in (rules.threshold_hu, *rules.weight_limits_hu))
    adapted = CaseWarning(
        ADAPTED_WARNING,
        f"The tube voltage was {rules.kvp:g} kVp, and the thresholds were adapted to it ({limits} HU): the score is "
        "not the one that a workstation gives with the thresholds of 120 kVp.",
    )
    return tuple(adapted if warning.code == KVP_WARNING else warning for warning in warnings)
