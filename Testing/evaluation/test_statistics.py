"""Agreement statistics against values worked out by hand, published ones, and a library."""

import numpy as np
import pytest
from coronary_calcium.evaluation.statistics import (
    Counts,
    bland_altman,
    bootstrap,
    confusion,
    intraclass,
    linear_kappa,
    wilson,
)

# Shrout and Fleiss 1979, table 2: four judges on six targets, and what they give for it in table 4.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def test_precision_recall_and_f1_follow_from_the_counts():
    counts = Counts(6, 2, 4)
    assert (counts.precision, counts.recall, counts.f1) == (0.75, 0.6, pytest.approx(2 * 0.75 * 0.6 / 1.35))


def test_figures_of_nothing_are_undefined_and_not_zero():
    assert (Counts().precision, Counts().recall, Counts().f1) == (None, None, None)
    assert wilson(0, 0) is None
    assert linear_kappa(np.zeros((5, 5), int)) is None
    assert bland_altman(np.array([1.0]), np.array([2.0])) is None
    assert intraclass(np.array([[1.0, 1.0]])) is None
    assert intraclass(np.full((4, 2), 3.0)) is None
    nothing = intraclass(np.array([[0.0, 0.0], [71.7, 0.0], [80.4, 0.0]]))
    assert nothing is not None and f"{nothing.agreement:.2f}" == "0.00"
    # Its mean over three patients is off by a rounding error.
    assert intraclass(np.full((3, 2), 1745.226721333333)) is None
    assert bootstrap(lambda drawn: None, 5) is None
    assert bootstrap(lambda drawn: 1.0, 1) is None


def test_the_confusion_matrix_has_a_row_for_each_true_category():
    table = confusion(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1]), 3)
    assert table.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 1]]


def test_linear_kappa_is_one_minus_observed_over_expected_distance():
    # Observed distances 0 + 1 + 0 + 1 = 2. Expected, both margins (1, 1, 2): (2 * 1 + 8 + 4) / 4 = 3.5.
    assert linear_kappa(confusion(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1]), 3)) == pytest.approx(1 - 2 / 3.5)


def test_linear_kappa_of_two_categories_is_cohens_kappa():
    # 70 of 100 agree; by chance 0.5 x 0.6 + 0.5 x 0.4 = 0.5.
    assert linear_kappa(np.array([[45, 5], [15, 35]])) == pytest.approx((0.8 - 0.5) / 0.5)


@pytest.mark.parametrize(("table", "kappa"), [(np.eye(5, dtype=int) * 3, 1.0), (np.diag([4, 0, 0]), None)])
def test_kappa_of_full_agreement_is_one_and_of_a_single_category_undefined(table, kappa):
    assert linear_kappa(table) == kappa


def test_the_icc_is_that_of_shrout_and_fleiss():
    icc = intraclass(SHROUT_FLEISS)
    assert round(icc.agreement, 2) == 0.29
    assert round(icc.consistency, 2) == 0.71


def test_a_constant_difference_spoils_agreement_but_not_consistency():
    scores = np.array([0.0, 10.0, 100.0, 400.0])
    icc = intraclass(np.stack([scores, scores + 50], axis=1))
    assert icc.consistency == pytest.approx(1.0)
    assert icc.agreement < 0.98


def test_limits_of_agreement_are_bias_and_1_96_standard_deviations():
    limits = bland_altman(np.array([10.0, 20, 30, 40]), np.array([11.0, 19, 33, 41]))
    assert limits.bias == 1.0
    assert limits.deviation == pytest.approx(np.sqrt(8 / 3))
    assert (limits.low, limits.high) == pytest.approx((1 - 1.96 * np.sqrt(8 / 3), 1 + 1.96 * np.sqrt(8 / 3)), abs=1e-3)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_proportion_is_wilsons(right, of, low, high):
    """Newcombe, Statistics in Medicine 1998;17:857-872, table I, method 3."""
    assert wilson(right, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson(of - right, of) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_a_bootstrap_interval_is_that_of_the_mean_and_the_same_again():
    values = np.random.default_rng(1).normal(5, 2, 200)
    low, high = bootstrap(lambda drawn: values[drawn].mean(), 200)
    error = 1.96 * values.std() / np.sqrt(200)
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.04)
    assert bootstrap(lambda drawn: values[drawn].mean(), 200) == (low, high)
