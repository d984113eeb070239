"""The scoring rules: every threshold and choice that a score depends on, named, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleSet:
    """One way to turn marked voxels into scores.

    Attributes
    ----------
    name : how the rule set is called on the command line and in results.
    threshold_hu : a voxel counts from this intensity on.
    weight_limits_hu : where a part's weight becomes 2, 3 and 4, by the part's maximum in its slice.
    minimum_area_mm2 : a part smaller than this in its slice does not count.
    connectivity : 4 or 8 neighbours within a slice.
    reference_spacing_mm : the slice spacing for which the score was defined; the score is scaled by
        spacing / reference.
    sources : where the values come from.
    """

    name: str
    threshold_hu: float
    weight_limits_hu: tuple[float, float, float]
    minimum_area_mm2: float
    connectivity: int
    reference_spacing_mm: float
    sources: tuple[str, ...]


LITERATURE = RuleSet(
    name="literature",
    threshold_hu=130.0,
    weight_limits_hu=(200.0, 300.0, 400.0),
    minimum_area_mm2=1.0,
    connectivity=8,
    reference_spacing_mm=3.0,
    sources=(
        "Agatston et al., J Am Coll Cardiol 1990;15:827-832 (threshold, weights, minimum area, 3 mm slices)",
        "DenseRAUnet, equation 4 (score scaled by slice spacing / 3 mm)",
    ),
)
RULE_SETS = {LITERATURE.name: LITERATURE}

# The network's probability from which a pixel is proposed as calcium (DenseRAUnet, section 2.5).
PROBABILITY_THRESHOLD = 0.5
