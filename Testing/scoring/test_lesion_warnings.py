"""Warnings about the lesions of a score."""

import numpy as np
import pytest
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.lesion_warnings import METAL_HU, Uncertainty, lesion_warnings
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from coronary_calcium.volume import CTVolume

NOTHING = np.empty(0, np.int64)
# Of a network that was confident of all it marked.
CONFIDENT = Uncertainty(NOTHING, NOTHING, np.empty(0, np.uint8), lesions=2, slices_run=6)


def score_of(*brightest):
    """A score with one lesion of 3 x 3 pixels for each HU, in slices 1, 3 and so on."""
    hu = np.full((2 * len(brightest) + 1, 9, 9), 40, np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    for number, value in enumerate(brightest):
        place = 2 * number + 1, slice(3, 6), slice(3, 6)
        hu[place], labels[place] = 300, 2
        hu[2 * number + 1, 4, 4] = value
    return score_labels(CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0)), labels)


@pytest.mark.parametrize("uncertainty", [None, CONFIDENT], ids=["a reader's mask", "the network's lesions"])
def test_a_lesion_as_bright_as_metal_is_never_counted_silently(uncertainty):
    assert lesion_warnings(score_of(700, METAL_HU - 1), FIVE_CATEGORIES, uncertainty) == ()
    [warning] = lesion_warnings(score_of(700, 3071), FIVE_CATEGORIES, uncertainty)
    assert warning.code == "metal-suspected"
    assert warning.message.startswith("A lesion that counts reaches 3071 HU, in slice 3: ")
    [warning] = lesion_warnings(score_of(METAL_HU, 3071), FIVE_CATEGORIES, uncertainty)
    assert warning.message.startswith("2 lesions that count reach 3071 HU, in slices 1 and 3: ")
