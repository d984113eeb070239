"""What the network was not quite sure of, proposed or left out, where that decides what the score stands for."""

from collections.abc import Iterator
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
# A proposed lesion whose highest probability stays below this is in doubt. On 116 cases that nothing else uses (18
# simulated patients, 26 implants, 72 training cases of unseen seeds), the risk category without such lesions was
# another one for 4 of the 17 whose category was wrong and for 3 of the 99 whose was right; from 0.9 on 3 and 1, from
# 0.97 on 5 and 6.
SURE_PROBABILITY = 0.95
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
    return tuple(_doubts(volume, proposal, score, rules, scheme))


def _doubts(
    volume: CTVolume, proposal: Proposal, score: CaseScore, rules: RuleSet, scheme: RiskScheme
) -> Iterator[CaseWarning]:
    total = score.total.agatston
    wider = score_labels(volume, label_lesions(volume, proposal, rules, WITH_DOUBTFUL), rules)
    kept = {lesion.voxels[0] for lesion in score.lesions}
    left_out = [lesion for lesion in wider.lesions if lesion.voxels[0] not in kept]
    if _decides(total, wider.total.agatston, scheme):
        yield _warning(LEFT_OUT, left_out, wider.total.agatston, scheme)
    taken_in, sure = in_doubt(score, proposal)
    if taken_in and _decides(total, sure, scheme):
        yield _warning(TAKEN_IN, taken_in, sure, scheme)


def in_doubt(score: CaseScore, proposal: Proposal, below: float = SURE_PROBABILITY) -> tuple[list[Lesion], float]:
    """The scored lesions whose highest probability is ``below`` that, and the Agatston score without them."""
    probability = proposal.probability.reshape(-1)
    highest = {lesion.id: probability[lesion.voxels].max() for lesion in score.lesions}
    sure = sum(lesion.agatston for lesion in score.lesions if highest[lesion.id] >= below)
    return [lesion for lesion in score.lesions if highest[lesion.id] < below], sure


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
