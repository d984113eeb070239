"""What the network was not sure enough of to propose it, where that decides what the score stands for."""

from dataclasses import replace

from coronary_calcium.proposal.lesions import label_lesions
from coronary_calcium.proposal.propose import Proposal
from coronary_calcium.rules import PROPOSAL_LIMITS, RuleSet
from coronary_calcium.scoring.case_score import CaseScore, score_labels
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.risk import RiskScheme
from coronary_calcium.scoring.standing import rescan_limit
from coronary_calcium.volume import CaseWarning, CTVolume

# All that holds a marked pixel, however sure the network is of the whole.
WITH_DOUBTFUL = replace(PROPOSAL_LIMITS, lesion_probability=0.0, large_lesion_mean_probability=0.0)
DOUBTFUL = "doubtful-lesions"
# A warning names the slices of so many lesions.
_NAMED = 3


def doubt_warning(
    volume: CTVolume, proposal: Proposal, score: CaseScore, rules: RuleSet, scheme: RiskScheme
) -> tuple[CaseWarning, ...]:
    """``doubtful-lesions`` when the lesions left out would change the risk category, or the score as no rescan does.

    ``score`` is that of the lesions which ``label_lesions`` keeps, on the same ``volume`` and by the same ``rules``.
    """
    wider = score_labels(volume, label_lesions(volume, proposal, rules, WITH_DOUBTFUL), rules)
    total, agatston = score.total.agatston, wider.total.agatston
    alike = scheme.category(agatston) == scheme.category(total)
    if alike and (not total or agatston - total <= rescan_limit(total)):
        return ()
    kept = {lesion.voxels[0] for lesion in score.lesions}
    return (_warning([lesion for lesion in wider.lesions if lesion.voxels[0] not in kept], agatston, scheme),)


def _warning(left_out: list[Lesion], agatston: float, scheme: RiskScheme) -> CaseWarning:
    """``left_out`` by descending score, and the score with them."""
    slices = sorted({lesion.main_slice for lesion in left_out[:_NAMED]})
    listed = ", ".join(map(str, slices[:-1])) + (" and " if slices[1:] else "") + str(slices[-1])
    lesions, them = ("1 lesion", "it") if len(left_out) == 1 else (f"{len(left_out)} lesions", "them")
    place = f"{'the largest in' if left_out[_NAMED:] else 'in'} slice{'s' if slices[1:] else ''} {listed}"
    return CaseWarning(
        DOUBTFUL,
        f"The network was not sure of {lesions}, {place}, and left {them} out; with {them} the score would be "
        f"{agatston:.1f} (risk category {scheme.category(agatston)}): look there before you rely on this score.",
    )
