"""What the network was not quite sure of, proposed or left out, where that decides what the score stands for."""

from dataclasses import replace

from coronary_calcium.proposal.lesions import label_lesions
from coronary_calcium.proposal.propose import Proposal
from coronary_calcium.rules import PROPOSAL_LIMITS, ProposalLimits, RuleSet
from coronary_calcium.scoring.case_score import CaseScore, score_labels
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.risk import RiskScheme
from coronary_calcium.scoring.standing import rescan_limit
from coronary_calcium.volume import CaseWarning, CTVolume

# All that holds a marked pixel, however sure the network is of the whole.
WITH_DOUBTFUL = replace(PROPOSAL_LIMITS, lesion_probability=0.0, large_lesion_mean_probability=0.0)
LEFT_OUT, TAKEN_IN = "doubtful-lesions", "doubtful-lesions-counted"
DOUBT_CODES = (LEFT_OUT, TAKEN_IN)
# A warning names the slices of so many lesions.
_NAMED = 3


def doubt_warnings(
    volume: CTVolume, proposal: Proposal, score: CaseScore, rules: RuleSet, scheme: RiskScheme
) -> tuple[CaseWarning, ...]:
    """Warnings when lesions in doubt decide the risk category, or change the score by more than another scan would.

    ``doubtful-lesions`` of those that were left out, ``doubtful-lesions-counted`` of those that were not. ``score`` is
    that of the lesions which ``label_lesions`` keeps, on the same ``volume`` and by the same ``rules``.
    """
    wider = score_labels(volume, label_lesions(volume, proposal, rules, WITH_DOUBTFUL), rules)
    kept = {lesion.voxels[0] for lesion in score.lesions}
    left_out = [lesion for lesion in wider.lesions if lesion.voxels[0] not in kept]
    taken_in, sure = in_doubt(score, proposal)
    others = ((LEFT_OUT, left_out, wider.total.agatston), (TAKEN_IN, taken_in, sure))
    return tuple(
        _warning(code, lesions, other, scheme)
        for code, lesions, other in others
        if lesions and _decides(score.total.agatston, other, scheme)
    )


def in_doubt(
    score: CaseScore, proposal: Proposal, limits: ProposalLimits = PROPOSAL_LIMITS
) -> tuple[list[Lesion], float]:
    """The scored lesions whose highest probability is below the sure one of the ``limits``; the score without them."""
    probability = proposal.probability.reshape(-1)
    highest = {lesion.id: probability[lesion.voxels].max() for lesion in score.lesions}
    sure = sum(lesion.agatston for lesion in score.lesions if highest[lesion.id] >= limits.sure_probability)
    return [lesion for lesion in score.lesions if highest[lesion.id] < limits.sure_probability], sure


def _decides(total: float, other: float, scheme: RiskScheme) -> bool:
    """Whether the ``other`` score stands for something else than the ``total``."""
    if scheme.category(other) != scheme.category(total):
        return True
    return bool(total) and abs(other - total) > rescan_limit(total)


def _warning(code: str, lesions: list[Lesion], agatston: float, scheme: RiskScheme) -> CaseWarning:
    """``lesions`` by descending score, and the score with them (left out) or without them (taken in)."""
    slices = sorted({lesion.main_slice for lesion in lesions[:_NAMED]})
    listed = ", ".join(map(str, slices[:-1])) + (" and " if slices[1:] else "") + str(slices[-1])
    number, them = ("1 lesion", "it") if len(lesions) == 1 else (f"{len(lesions)} lesions", "them")
    place = f"{'the largest in' if lesions[_NAMED:] else 'in'} slice{'s' if slices[1:] else ''} {listed}"
    sure, done, change = ("not", "left", "out; with") if code == LEFT_OUT else ("only just", "took", "in; without")
    return CaseWarning(
        code,
        f"The network was {sure} sure of {number}, {place}, and {done} {them} {change} {them} the score would be "
        f"{agatston:.1f} (risk category {scheme.category(agatston)}): look there before you rely on this score.",
    )
