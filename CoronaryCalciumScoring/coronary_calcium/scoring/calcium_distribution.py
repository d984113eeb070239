"""How dense the calcium is and how it is spread over the arteries: what studies report beside the Agatston score."""

from coronary_calcium.arteries import NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.scoring.agatston import CaseScore

DENSITY_SCORE_SOURCE = (
    "Criqui et al., JAMA 2014;311:271 (Agatston score / area; the score without its slice factor), as radiopaedia.org, "
    "calcium density score, states it"
)
DIFFUSIVITY_SOURCE = (
    "Dudum et al., Coronary artery calcium dispersion and cause-specific mortality (index of diffusion = 1 - score of "
    "the artery with most / total Agatston score), by its abstract; after Blaha et al., JACC Cardiovasc Imaging "
    "2016;9:1407, which was not read"
)


def density_score(agatston: float, area_mm2: float, slice_factor: float) -> float | None:
    """The mean Agatston weight over the area, 1 to 4; None without area.

    ``slice_factor`` is what the score holds for its slices: their spacing / 3 mm. ``area_mm2`` adds up the slices.
    """
    return agatston / slice_factor / area_mm2 if area_mm2 > 0 else None


def arteries_with_calcium(score: CaseScore) -> int | None:
    """How many of LM, LAD, LCX and RCA hold calcium; None while some of it has no artery."""
    if score.by_artery[UNASSIGNED.name].lesions:
        return None
    return sum(score.by_artery[artery.name].lesions > 0 for artery in NAMED_ARTERIES)


def diffusivity(score: CaseScore) -> float | None:
    """The diffusivity index: 0 when one artery holds all, 0.75 when four hold the same; None without calcium.

    None as well while some of the calcium has no artery.
    """
    if not score.total.agatston or arteries_with_calcium(score) is None:
        return None
    return 1.0 - max(score.by_artery[artery.name].agatston for artery in NAMED_ARTERIES) / score.total.agatston
