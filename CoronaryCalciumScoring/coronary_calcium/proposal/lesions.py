"""From the network's probability to a label map of lesions (the paper, section 2.5)."""

import numpy as np
from scipy import ndimage

from coronary_calcium.arteries import NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.proposal.propose import Proposal
from coronary_calcium.rules import LITERATURE, PROPOSAL_LIMITS, ProposalLimits, RuleSet
from coronary_calcium.scoring.parts import find_parts
from coronary_calcium.volume import CTVolume

# In three dimensions, neighbours are the 26 voxels that share a face, an edge or a corner.
_ALL_26 = np.ones((3, 3, 3), bool)
# Within a slice, the 8 that share an edge or a corner.
_EIGHT_IN_SLICE = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))], bool)


def label_lesions(
    volume: CTVolume, proposal: Proposal, rules: RuleSet = LITERATURE, limits: ProposalLimits = PROPOSAL_LIMITS
) -> np.ndarray:
    """The proposed lesions as a label map, uint8 (k, j, i): 1 LM, 2 LAD, 3 LCX, 4 RCA, 5 unassigned, 0 nothing.

    ``marked_voxels`` says which voxels belong to a lesion. Those that touch in three dimensions (26 neighbours) are one
    lesion, which goes as a whole to the artery that most of its voxels were given to (the first of equals), or is
    unassigned when the network knows no arteries. A lesion without a part of the minimum area in any slice is left out,
    and so is one of which the network is not sure enough for the ``limits``: its highest probability is too low, or it
    is large and its mean too low.
    """
    marked = marked_voxels(proposal.probability, volume.hu, rules, limits)
    labels = np.zeros(volume.shape, np.uint8)
    if not marked.any():
        return labels
    box = ndimage.find_objects(marked.view(np.uint8))[0]
    lesion_of, count = ndimage.label(marked[box], structure=_ALL_26)
    inside = marked[box]
    votes = np.zeros((count + 1, len(NAMED_ARTERIES) + 1), np.int64)
    np.add.at(votes, (lesion_of[inside], proposal.artery[box][inside]), 1)
    artery_of = 1 + votes[:, 1:].argmax(axis=1)
    artery_of[votes[:, 1:].sum(axis=1) == 0] = UNASSIGNED.label
    artery_of[0] = 0
    labels[box] = artery_of[lesion_of]
    counted = np.zeros(volume.shape, bool)
    counted.reshape(-1)[find_parts(volume, labels, rules.for_volume).voxels] = True
    kept = np.zeros(count + 1, bool)
    kept[lesion_of[counted[box]]] = True
    kept &= _sure_lesions(lesion_of, count, proposal.probability[box], float(np.prod(volume.spacing)), limits)
    labels[box][~kept[lesion_of]] = 0
    return labels


def _sure_lesions(
    lesion_of: np.ndarray, count: int, probability: np.ndarray, voxel_mm3: float, limits: ProposalLimits
) -> np.ndarray:
    """Whether the network is sure enough of each lesion, by its number; (count + 1,) bool, False for number 0."""
    numbers = np.arange(1, count + 1)
    probability = probability.astype(np.float32)
    highest = ndimage.maximum(probability, lesion_of, numbers)
    mean = ndimage.mean(probability, lesion_of, numbers)
    small = np.bincount(lesion_of.reshape(-1))[1:] * voxel_mm3 <= limits.large_lesion_mm3
    sure = (highest >= limits.lesion_probability) & (small | (mean >= limits.large_lesion_mean_probability))
    return np.concatenate([[False], sure])


def marked_voxels(
    probability: np.ndarray, hu: np.ndarray, rules: RuleSet = LITERATURE, limits: ProposalLimits = PROPOSAL_LIMITS
) -> np.ndarray:
    """The voxels that the network proposes; bool (k, j, i), the shape of both arrays.

    Its probability reaches the threshold of the ``limits``, or that of an extent and such voxels join it to one of the
    former within the slice (8 neighbours); its intensity is at least the threshold, the lower one where volume has its
    own.
    """
    possible = (probability >= limits.extent_probability) & (hu >= rules.for_volume.threshold_hu)
    marked = np.zeros(possible.shape, bool)
    if not possible.any():
        return marked
    box = ndimage.find_objects(possible.view(np.uint8))[0]
    part_of, count = ndimage.label(possible[box], structure=_EIGHT_IN_SLICE)
    sure = np.zeros(count + 1, bool)
    sure[part_of[possible[box] & (probability[box] >= limits.probability_threshold)]] = True
    marked[box] = sure[part_of]
    return marked
