"""The scoring rules: every threshold and choice that a score depends on, named, in one place."""

from dataclasses import dataclass, replace

# How a volume is measured: by the scan's own voxels, or after resampling z to the pixel size.
VOXELS, INTERPOLATED = "voxels", "interpolated"


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
    minimum_pixels : a part of fewer pixels does not count either.
    volume_method : ``VOXELS`` or ``INTERPOLATED``.
    volume_threshold_hu : a voxel counts for volume and mass from this intensity on, at most
        ``threshold_hu``; None: as for the score.
    kvp : the tube voltage in kV that the thresholds were adapted to (``tube_voltage``); None: not adapted.
    """

    name: str
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
# the vendors', connects 4 neighbours throughout. It is published in two languages that agree but for Philips' volume,
# where the later one is set back to 130 HU with the former value as a comment.
_VENDORS = "van Praagh et al., Med Phys 2021, doi:10.1002/mp.14912 (vendors' minimum areas and volumes)"
_FQM = "github.com/nwerf/FQM_Analysis, CACscore.m @ 7852410 (minimum areas, 4 neighbours, volumes)"

LITERATURE = RuleSet(
    name="literature",
    threshold_hu=130.0,
    weight_limits_hu=(200.0, 300.0, 400.0),
    minimum_area_mm2=1.0,
    connectivity=8,
    reference_spacing_mm=3.0,
    sources=(_AGATSTON, _SPACING),
)


def _vendor(name: str, minimum_area_mm2: float, **differences) -> RuleSet:
    """A vendor's rule set: what all of them share, and what sets this one apart."""
    return RuleSet(
        name=name,
        threshold_hu=LITERATURE.threshold_hu,
        weight_limits_hu=LITERATURE.weight_limits_hu,
        minimum_area_mm2=minimum_area_mm2,
        connectivity=4,
        reference_spacing_mm=LITERATURE.reference_spacing_mm,
        sources=(_AGATSTON, _SPACING, _VENDORS, _FQM),
        **differences,
    )


GE = _vendor("ge", 1.0)
SIEMENS = _vendor("siemens", 0.0, volume_method=INTERPOLATED)
# 100 mg/cm3 hydroxyapatite, which CACscore.m takes to have 99 / 0.88 HU: whole HU above that begin at 113.
PHILIPS = _vendor("philips", 0.5, volume_threshold_hu=113.0)
CANON = _vendor("canon", 0.0, minimum_pixels=3)
RULE_SETS = {rules.name: rules for rules in (LITERATURE, GE, SIEMENS, PHILIPS, CANON)}


@dataclass(frozen=True)
class ProposalLimits:
    """What the network must give, as probabilities of calcium, before pixels and lesions are proposed.

    Attributes
    ----------
    probability_threshold : a pixel is marked from this on.
    extent_probability : ... or from this on where such pixels join it to a marked one in its slice.
    lesion_probability : a lesion's highest must reach this.
    large_lesion_mm3 : from more than this volume on, its mean counts as well:
    large_lesion_mean_probability : ... which must reach this.
    sure_probability : a proposed lesion whose highest stays below this is in doubt (``proposal.doubt``).
    """

    probability_threshold: float
    extent_probability: float
    lesion_probability: float
    large_lesion_mm3: float
    large_lesion_mean_probability: float
    sure_probability: float


# 0.5: DenseRAUnet, section 2.5. The network is sure of a calcification's core and in doubt about its rim: without the
# extent, a quarter of the pixels are lost. A small lesion is all rim, and the network in doubt of most of it; a large
# one of which it is in doubt as a whole is calcium of the aortic root, a valve, the annulus or the pericardium.
# Chosen with the shipped weights by Testing/choose_proposal_limits.py on cases that nothing else uses: 18 simulated
# chest patients (seeds 800000-800008, 800020-800028) and 26 implants (seeds 74000 on). Pixel F1 of patients and of
# implants, with a mean of 0.45 from 120 mm3 on: 0.95 and 0.76; from 60 mm3 on, 0.93 and 0.75; of 0.5 from 60 mm3 on,
# 0.92 and 0.64; without a limit for large lesions, 0.93 and 0.72. An extent from 0.1 on: at most 0.92 and 0.72.
# With a highest from 0.6, 0.7 and 0.8 on, 84, 81 and 79 of the patients' 107 lesions were found, with 1.00, 0.61 and
# 0.28 false ones a scan (a mean of 0.45 from 60 mm3 on). On these 44 and 72 training cases of unseen seeds (43000 on),
# the risk category without lesions below a sure 0.95 was another one for 4 of the 17 cases whose category was wrong and
# for 3 of the 99 whose was right; below 0.9 for 3 and 1, below 0.97 for 5 and 6.
PROPOSAL_LIMITS = ProposalLimits(
    probability_threshold=0.5,
    extent_probability=0.05,
    lesion_probability=0.7,
    large_lesion_mm3=120.0,
    large_lesion_mean_probability=0.45,
    sure_probability=0.95,
)
