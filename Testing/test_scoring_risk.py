"""The cuts between risk categories."""

import itertools
import math

import pytest
from coronary_calcium.scoring.risk import RISK_CATEGORIES, risk_category


@pytest.mark.parametrize(
    ("agatston", "name"),
    [
        (0.0, "0"),
        (math.nextafter(0.0, 1.0), "1-10"),
        (0.5, "1-10"),
        (10.0, "1-10"),
        (math.nextafter(10.0, 11.0), "11-100"),
        (10.4, "11-100"),
        (100.0, "11-100"),
        (100.01, "101-400"),
        (400.0, "101-400"),
        (math.nextafter(400.0, 401.0), ">400"),
        (10000.0, ">400"),
    ],
)
def test_a_fractional_score_belongs_to_the_category_whose_upper_cut_it_does_not_exceed(agatston, name):
    assert risk_category(agatston) == name


def test_whole_scores_fall_into_the_category_that_names_them():
    for category in RISK_CATEGORIES[1:-1]:
        low, high = (int(end) for end in category.name.split("-"))
        assert {risk_category(score) for score in range(low, high + 1)} == {category.name}


def test_every_score_has_exactly_one_category():
    for lower, upper in itertools.pairwise(RISK_CATEGORIES):
        assert lower.up_to == upper.above


@pytest.mark.parametrize("bad", [-0.1, math.nan])
def test_a_score_that_cannot_be_is_an_error(bad):
    with pytest.raises(ValueError, match="0 or more"):
        risk_category(bad)
