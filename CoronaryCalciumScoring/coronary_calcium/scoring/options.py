"""What a user may choose about a result beside its rule set."""

from dataclasses import dataclass

from coronary_calcium.scoring.interpretation import RiskFactors
from coronary_calcium.scoring.risk import FIVE_CATEGORIES, RiskScheme
from coronary_calcium.scoring.volume_mass import CalibrationInserts


@dataclass(frozen=True)
class ScoringOptions:
    """The options of a run; the defaults are what a run without options does.

    Attributes
    ----------
    kvp_adapted : adapt the thresholds to the scan's tube voltage (``rules.adapted_to``).
    compare_rules : score the same lesions by every rule set too.
    mass_factor : calibration of calcium mass in mg/cm3/HU; None: the header's, or the typical one.
    rods : a calibration phantom's rods in the scan, where the user marked them; they come before ``mass_factor``.
    compare_ai : run the network beside a given label map too, and say what the reader changed.
    risk_scheme : the scheme of risk categories.
    risk_factors : what the MESA risk asks for; None: no such risk.
    all_quantities : also measure integrated mass and whatever else ``calcium_quantities`` knows.
    allowed : codes of rejections that the user overrules (``heart.contrast.OVERRULABLE``).

    """

    kvp_adapted: bool = False
    compare_rules: bool = False
    mass_factor: float | None = None
    rods: CalibrationInserts | None = None
    compare_ai: bool = False
    risk_scheme: RiskScheme = FIVE_CATEGORIES
    risk_factors: RiskFactors | None = None
    all_quantities: bool = False
    allowed: frozenset[str] = frozenset()


DEFAULT_OPTIONS = ScoringOptions()
