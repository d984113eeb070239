"""The scoring rules: every threshold and choice that a score depends on, also at other tube voltages."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from coronary_calcium.errors import InputError
from coronary_calcium.volume import CaseWarning

# How a volume is measured: by the scan's own voxels, or after resampling z to the pixel size.
VOXELS, INTERPOLATED = "voxels", "interpolated"


@dataclass(frozen=True)
class RuleSet:
    """One way to turn marked voxels into scores.

    Attributes
    ----------
    name : how the rule set is called on the command line and in results.
    title : how people read it, as in the panel.
    threshold_hu : a voxel counts from this intensity on.
    weight_limits_hu : where a component's weight becomes 2, 3 and 4, by the component's maximum in its slice.
    minimum_area_mm2 : a component smaller than this in its slice does not count.
    connectivity : 4 or 8 neighbors within a slice.
    reference_spacing_mm : the slice spacing for which the score was defined; the score is scaled by
        spacing / reference.
    sources : where the values come from.
    minimum_pixels : a component of fewer pixels does not count either.
    volume_method : ``VOXELS`` or ``INTERPOLATED``.
    volume_threshold_hu : a voxel counts for volume and mass from this intensity on, at most
        ``threshold_hu``; None: as for the score.
    kvp : the tube voltage in kV that the thresholds were adapted to (``adapted_to``); None: not adapted.

    """

    name: str
    title: str
    threshold_hu: float
    weight_limits_hu: tuple[float, float, float]
    minimum_area_mm2: float
    connectivity: int
    reference_spacing_mm: float
    sources: tuple[str, ...]
    minimum_pixels: int = 1
    volume_method: str = VOXELS
    volume_threshold_hu: float | None = None
    kvp: float | None = None

    @property
    def for_volume(self) -> "RuleSet":
        """These rules with the threshold of volume and mass; no voxel below it counts for anything."""
        return self if self.volume_threshold_hu is None else replace(self, threshold_hu=self.volume_threshold_hu)


_AGATSTON = "Agatston et al., J Am Coll Cardiol 1990;15:827-832 (threshold, weights, minimum area, 3 mm slices)"
_SPACING = "DenseRAUnet, equation 4 (score scaled by slice spacing / 3 mm)"
# The vendors' programs as van Praagh et al. describe them; their own analysis program, which they validated against
# the vendors', connects 4 neighbors throughout. It is published in two languages that agree but for Philips' volume,
# where the later one is set back to 130 HU with the former value as a comment.
_VENDORS = "van Praagh et al., Med Phys 2021, doi:10.1002/mp.14912 (vendors' minimum areas and volumes)"
_FQM = "github.com/nwerf/FQM_Analysis, CACscore.m @ 7852410 (minimum areas, 4 neighbors, volumes)"

LITERATURE = RuleSet(
    name="literature",
    title="Agatston 1990",
    threshold_hu=130.0,
    weight_limits_hu=(200.0, 300.0, 400.0),
    minimum_area_mm2=1.0,
    connectivity=8,
    reference_spacing_mm=3.0,
    sources=(_AGATSTON, _SPACING),
)


def _vendor(name: str, title: str, minimum_area_mm2: float, **differences) -> RuleSet:
    """A vendor's rule set: what all of them share, and what sets this one apart."""
    return RuleSet(
        name=name,
        title=f"{title} (as published)",
        threshold_hu=LITERATURE.threshold_hu,
        weight_limits_hu=LITERATURE.weight_limits_hu,
        minimum_area_mm2=minimum_area_mm2,
        connectivity=4,
        reference_spacing_mm=LITERATURE.reference_spacing_mm,
        sources=(_AGATSTON, _SPACING, _VENDORS, _FQM),
        **differences,
    )


GE = _vendor("ge", "GE SmartScore", 1.0)
SIEMENS = _vendor("siemens", "Siemens", 0.0, volume_method=INTERPOLATED)
# 100 mg/cm3 hydroxyapatite, which CACscore.m takes to have 99 / 0.88 HU: whole HU above that begin at 113.
PHILIPS = _vendor("philips", "Philips", 0.5, volume_threshold_hu=113.0)
CANON = _vendor("canon", "Canon", 0.0, minimum_pixels=3)
RULE_SETS = {rules.name: rules for rules in (LITERATURE, GE, SIEMENS, PHILIPS, CANON)}


def title_of(name: str) -> str:
    """How people read the name of a rule set, also of an adapted one; a name that is not known as it is."""
    key, comma, voltage = name.partition(",")
    return f"{RULE_SETS[key].title}{comma}{voltage}" if key in RULE_SETS else name


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


def adapted_to(rules: RuleSet, kvp: float | None, tin_filter: bool = False) -> RuleSet:
    """The rules with thresholds for a tube voltage in kV, named after it.

    Raises InputError when the voltage is not known ("kvp-unknown") or beyond the table ("kvp-range"), when a filter of
    tin changed the beam ("kvp-tin-filter"), or when the rules have thresholds of their own ("kvp-rules"): the table
    says nothing about these.
    """
    if (rules.threshold_hu, rules.weight_limits_hu) != (LITERATURE.threshold_hu, LITERATURE.weight_limits_hu) or (
        rules.volume_threshold_hu is not None
    ):
        raise InputError(
            "kvp-rules",
            f"The rule set {rules.name} has a threshold of its own, for which no table by tube voltage is published; "
            "use another rule set or leave the thresholds as they are.",
        )
    if kvp is None:
        raise InputError(
            "kvp-unknown",
            "The input does not state its tube voltage, so the thresholds cannot be adapted to it; score it without "
            "adapted thresholds.",
        )
    if tin_filter:
        raise InputError(
            "kvp-tin-filter",
            f"The scan was made at {kvp:g} kVp with a tin filter, and the published thresholds hold without one; score "
            "it without adapted thresholds.",
        )
    if not is_covered(kvp):
        lowest, highest = min(KVP_THRESHOLDS_HU), max(KVP_THRESHOLDS_HU)
        raise InputError(
            "kvp-range",
            f"The tube voltage was {kvp:g} kVp, and thresholds are published for {lowest:g} to {highest:g} kVp only; "
            "score it without adapted thresholds.",
        )
    threshold, *limits = thresholds_at(kvp)
    two, three, four = limits
    return replace(
        rules,
        name=f"{rules.name}, {kvp:g} kVp",
        title=f"{rules.title}, {kvp:g} kVp",
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
