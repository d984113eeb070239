"""Where two readings differ, on lesions whose differences are known, and at random."""

import numpy as np
import pytest
from coronary_calcium.cohort.agreement import SharedCases, agreement
from coronary_calcium.cohort.reading_differences import BORDER, ONLY_FIRST, ONLY_SECOND, OTHER_ARTERY, differences
from coronary_calcium.cohort.readings import reading_of
from coronary_calcium.scoring import score_labels
from coronary_calcium.volume import CTVolume
from rejections import rejection

SHAPE = (9, 20, 20)
# Slices of 3 mm and pixels of 1 mm2 and 350 HU: a pixel scores 3.
LARGE, SMALL, LONG = np.s_[1:2, 2:6, 2:6], np.s_[3:4, 10:12, 10:12], np.s_[5:6, 8:10, 2:18]


def volume():
    hu = np.full(SHAPE, 40, np.int16)
    for box in (LARGE, SMALL, LONG):
        hu[box] = 350
    return CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def reading(*marks, ct=None):
    """The reading that gives each box to an artery, by its label."""
    labels = np.zeros(SHAPE, np.uint8)
    for box, label in marks:
        labels[box] = label
    score = score_labels(ct or volume(), labels)
    return reading_of(score, labels, score.risk_category)


def told(first, second, **options):
    return [(one.kind, one.effect, one.effect_by_artery) for one in differences(first, second, **options)]


def test_lesions_of_one_reader_only_are_told_with_their_scores_the_largest_first():
    first, second = reading((SMALL, 2), (LONG, 3)), reading((LONG, 3), (LARGE, 1))
    assert told(first, second) == [(ONLY_SECOND, 48.0, {"LM": 48.0}), (ONLY_FIRST, -12.0, {"LAD": -12.0})]


def test_a_lesion_of_another_artery_is_told_however_small_it_is():
    assert told(reading((SMALL, 1)), reading((SMALL, 2))) == [(OTHER_ARTERY, 0.0, {"LM": -12.0, "LAD": 12.0})]


def test_borders_are_told_when_the_score_differs_by_more_than_so_many_points():
    narrower = np.s_[1:2, 2:6, 2:5]  # four pixels less
    first, second = reading((LARGE, 2)), reading((narrower, 2))
    assert told(first, second, border_points=11.9) == [(BORDER, -12.0, {"LAD": -12.0})]
    assert told(first, second, border_points=12.0) == []
    assert told(first, first, border_points=0.0) == []


def test_a_lesion_that_is_two_of_the_other_reading_is_one_difference():
    halves = (np.s_[5:6, 8:10, 2:10], 1), (np.s_[5:6, 8:10, 10:18], 2)
    (found,) = differences(reading((LONG, 2)), reading(*halves))
    assert (found.kind, len(found.first), len(found.second)) == (OTHER_ARTERY, 1, 2)
    assert found.effect_by_artery == {"LM": 48.0, "LAD": -48.0}
    apart = (np.s_[5:6, 8:10, 2:6], 2), (np.s_[5:6, 8:10, 14:18], 2)
    (found,) = differences(reading((LONG, 2)), reading(*apart))
    assert (found.kind, found.effect, len(found.second)) == (BORDER, -48.0, 2)


def test_marks_that_do_not_count_find_a_lesion_all_the_same():
    ct = volume()
    single = np.s_[3:4, 10:11, 10:11]  # one pixel of 0.25 mm2 is below the least area
    ct = CTVolume(ct.hu, (3.0, 0.5, 0.5), ct.origin)
    first, second = reading((SMALL, 2), ct=ct), reading((single, 2), ct=ct)
    assert not second.lesions
    assert told(first, second, border_points=2.0) == [(BORDER, -3.0, {"LAD": -3.0})]


def test_the_place_to_look_at_lies_in_what_differs():
    (found,) = differences(reading((LONG, 2)), reading((np.s_[5:6, 8:10, 2:10], 2)))
    assert found.place(SHAPE) == (5.0, 8.5, 13.5)


def test_a_difference_is_known_again_until_one_of_the_readings_changes():
    first, second = reading((LARGE, 2), (SMALL, 2)), reading((LARGE, 2))
    (found,), (again,) = differences(first, second), differences(first, second)
    (other,) = differences(reading((LARGE, 2), (np.s_[3:4, 10:12, 10:11], 2)), second)
    assert found.key == again.key != other.key


def test_readings_of_different_cts_have_no_differences():
    nothing = reading_of(
        score_labels(CTVolume(volume().hu[:-1], (3.0, 1.0, 1.0), (0.0, 0.0, 0.0)), np.zeros((8, 20, 20), int)),
        np.zeros((8, 20, 20), np.uint8),
        "0",
    )
    assert rejection(lambda: differences(reading(), nothing)).code == "reading"


@pytest.mark.parametrize("seed", range(12))
def test_agreement_counts_the_same_lesions_and_the_effects_add_up_at_random(seed):
    r = np.random.default_rng(seed)
    hu = np.where(r.random(SHAPE) < 0.12, 350, 40).astype(np.int16)
    ct = CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    bright = hu > 130
    labels = [np.where(bright & (r.random(SHAPE) < 0.7), r.integers(1, 5, SHAPE), 0).astype(np.uint8) for _ in "AB"]
    scores = [score_labels(ct, one) for one in labels]
    first, second = (reading_of(score, one, "") for score, one in zip(scores, labels, strict=True))
    found = differences(first, second, border_points=0.0)
    counted = agreement(SharedCases(["c"], {"A": [first], "B": [second]}))["pairs"][0]["lesions"]
    for kind, side, name in ((ONLY_FIRST, "first", "only_first"), (ONLY_SECOND, "second", "only_second")):
        assert sum(len(getattr(one, side)) for one in found if one.kind == kind) == counted[name] > 0
    # Every difference being decided for the second reading, the first one's score becomes the second's.
    assert sum(one.effect for one in found) == pytest.approx(scores[1].total.agatston - scores[0].total.agatston)
    decided = labels[0].copy()
    for one in found:
        decided.reshape(-1)[one.voxels] = one.second_labels
    assert score_labels(ct, decided).total.agatston == pytest.approx(scores[1].total.agatston)
