"""The cuts between risk categories."""

import math

import pytest
from coronary_calcium.scoring.risk import FIVE_CATEGORIES, RISK_SCHEMES, risk_category


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
    for name in FIVE_CATEGORIES.categories[1:-1]:
        low, high = (int(end) for end in name.split("-"))
        assert {risk_category(score) for score in range(low, high + 1)} == {name}


def test_cuts_ascend_and_part_all_categories_of_a_scheme_but_0():
    for scheme in RISK_SCHEMES.values():
        assert list(scheme.cuts) == sorted(set(scheme.cuts))
        assert len(scheme.categories) == len(scheme.cuts) + 2
        assert scheme.rule
        assert scheme.source


@pytest.mark.parametrize("bad", [-0.1, math.nan])
def test_a_score_that_cannot_be_is_an_error(bad):
    with pytest.raises(ValueError, match="0 or more"):
        risk_category(bad)
