"""Schemes of risk categories, CAC-DRS, rescan variability, and the MESA risk."""

import math

import numpy as np
import pytest
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.interpretation import (
    ETHNICITIES,
    RiskFactors,
    cac_drs_category,
    interpret_score,
    mesa_risk,
    repeatability_limit,
)
from coronary_calcium.scoring.risk import FIVE_CATEGORIES, FOUR_300, FOUR_400, RISK_SCHEMES
from coronary_calcium.volume import CTVolume


def just_below(value):
    return math.nextafter(value, 0.0)


def just_above(value):
    return math.nextafter(value, math.inf)


@pytest.mark.parametrize(
    ("scheme", "agatston", "name"),
    [
        (FOUR_300, 0.0, "0"),
        (FOUR_300, just_above(0.0), "1-100"),
        (FOUR_300, 100.0, "1-100"),
        (FOUR_300, just_above(100.0), "101-300"),
        (FOUR_300, 300.0, "101-300"),
        (FOUR_300, just_above(300.0), ">300"),
        (FOUR_400, 0.0, "0"),
        (FOUR_400, just_above(0.0), "1-99"),
        (FOUR_400, just_below(100.0), "1-99"),
        (FOUR_400, 100.0, "100-399"),
        (FOUR_400, just_below(400.0), "100-399"),
        (FOUR_400, 400.0, ">=400"),
    ],
)
def test_each_scheme_gives_a_score_at_its_cut_to_the_category_that_names_it(scheme, agatston, name):
    assert scheme.category(agatston) == name


def test_a_score_of_exactly_100_or_400_parts_the_schemes():
    assert {name: scheme.category(400.0) for name, scheme in RISK_SCHEMES.items()} == {
        "five": "101-400",
        "four-300": ">300",
        "four-400": ">=400",
    }
    assert [scheme.category(100.0) for scheme in (FIVE_CATEGORIES, FOUR_300, FOUR_400)] == [
        "11-100",
        "1-100",
        "100-399",
    ]


@pytest.mark.parametrize(
    ("agatston", "name"),
    [(0, "A0"), (0.4, "A1"), (99.9, "A1"), (100, "A2"), (299.9, "A2"), (300, "A3"), (5000, "A3")],
)
def test_cac_drs_categories_begin_at_100_and_300(agatston, name):
    assert cac_drs_category(agatston) == name


def standing_with(labels_of_blocks):
    """The interpretation of a case with a block of 10 Agatston in each of these arteries' labels."""
    hu = np.zeros((3, 10, 12 * max(len(labels_of_blocks), 1)), dtype=np.int16)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    for n, label in enumerate(labels_of_blocks):
        hu[1, 2:6, 12 * n : 12 * n + 10] = 150
        labels[1, 2:6, 12 * n : 12 * n + 10] = label
    return interpret_score(score_labels(CTVolume(hu, (3.0, 0.5, 0.5), (0.0, 0.0, 0.0)), labels), FIVE_CATEGORIES)


def test_vessels_are_arteries_with_calcium_not_lesions():
    interpretation = standing_with([2, 2, 4])
    assert (interpretation.cac_drs, interpretation.vessels, interpretation.vessels_known, interpretation.lesions) == (
        "A1/N2",
        2,
        True,
        3,
    )
    assert standing_with([1, 2, 3, 4]).cac_drs == "A1/N4"
    assert standing_with([]).cac_drs == "A0/N0"


def test_unassigned_calcium_makes_the_number_of_vessels_a_least_one():
    only = standing_with([5])
    assert (only.vessels, only.vessels_known, only.cac_drs) == (1, False, "A1/N1")
    assert standing_with([2, 5]).vessels == 1


@pytest.mark.parametrize(("agatston", "limit"), [(1, 6.54), (100, 67.38), (400, 167.28)])
def test_the_limit_between_two_scans_follows_the_published_regression(agatston, limit):
    """0.17 A + 4.89 sqrt(A) + 0.44 x 28 - 10.84, worked out by hand."""
    assert repeatability_limit(agatston) == pytest.approx(limit)


def test_a_case_states_the_limit_of_its_own_score_and_none_for_0():
    assert standing_with([2, 3]).repeatability_limit == repeatability_limit(20.0)
    assert standing_with([]).repeatability_limit is None


# MESA

# The example that the R package CVrisk tests against the published calculator.
EXAMPLE = {
    "age": 70,
    "male": True,
    "ethnicity": "hispanic",
    "total_cholesterol": 190,
    "hdl_cholesterol": 50,
    "systolic_pressure": 130,
    "pressure_medication": True,
}


def test_the_worked_example_of_the_mesa_risk():
    risk = mesa_risk(RiskFactors(**EXAMPLE), agatston=0)
    assert round(100 * risk.without_calcium, 2) == 8.61
    assert round(100 * risk.with_calcium, 2) == 3.06


@pytest.mark.parametrize(
    ("change", "without", "with_calcium"),
    [
        ({"age": 71}, 0.0455, 0.0172),
        ({"male": False}, -0.7496, -0.4079),
        ({"ethnicity": "white"}, 0.1900, 0.0222),
        ({"ethnicity": "chinese"}, 0.1900 - 0.5055, 0.0222 - 0.3475),
        ({"ethnicity": "black"}, 0.1900 - 0.2111, 0.0222 + 0.0353),
        ({"total_cholesterol": 200}, 0.053, 0.043),
        ({"hdl_cholesterol": 60}, -0.140, -0.114),
        ({"systolic_pressure": 140}, 0.085, 0.066),
        ({"diabetes": True}, 0.5168, 0.3892),
        ({"smoker": True}, 0.4732, 0.3717),
        ({"lipid_medication": True}, 0.2473, 0.1206),
        ({"pressure_medication": False}, -0.3381, -0.2278),
        ({"family_history": True}, 0.4522, 0.3239),
    ],
)
def test_each_risk_factor_moves_the_hazard_by_its_published_coefficient(change, without, with_calcium):
    """The hazard is -ln(1 - risk); its logarithm moves by the coefficients of McClelland et al. 2015."""

    def log_hazards(factors):
        risk = mesa_risk(factors, agatston=50)
        return np.log(-np.log1p(-np.array([risk.without_calcium, risk.with_calcium])))

    moved = log_hazards(RiskFactors(**EXAMPLE | change)) - log_hazards(RiskFactors(**EXAMPLE))
    assert moved == pytest.approx([without, with_calcium], abs=1e-9)


def test_calcium_raises_only_the_risk_that_knows_of_it():
    factors = RiskFactors(**EXAMPLE)
    risks = [mesa_risk(factors, agatston) for agatston in (0, 1, 100, 1000)]
    assert len({risk.without_calcium for risk in risks}) == 1
    hazard = [-math.log1p(-risk.with_calcium) for risk in risks]
    assert hazard[2] / hazard[0] == pytest.approx(101**0.2743)
    assert hazard == sorted(hazard)


@pytest.mark.parametrize(
    "change",
    [{"age": 44}, {"age": 86}, {"age": math.nan}, {"ethnicity": "martian"}, {"hdl_cholesterol": 1.3}],
)
def test_what_the_study_did_not_cover_has_no_risk(change):
    with pytest.raises(ValueError, match=r"MESA|must be"):
        RiskFactors(**EXAMPLE | change)


def test_the_groups_of_the_study_are_four():
    assert len(ETHNICITIES) == 4
