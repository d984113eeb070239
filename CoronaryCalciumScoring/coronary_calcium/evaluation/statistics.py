"""Counts, agreement of two readings (kappa, intraclass correlation, Bland-Altman), and confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Counts:
    """How many pixels were marked rightly, wrongly, and not at all although they are calcium.

    Precision, recall and F1 (equation 5 of DenseRAUnet) are None where they are 0 / 0.
    """

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
        )

    @property
    def precision(self) -> float | None:
        """The share of what was marked that is calcium."""
        return share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """The share of the calcium that was marked."""
        return share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float | None:
        """2 x precision x recall / (precision + recall)."""
        return share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


def share(part: float, whole: float) -> float | None:
    """``part`` / ``whole``; None where there is nothing to have a share of."""
    return part / whole if whole else None


# Resamples of a bootstrap, and its seed: the same results give the same interval again.
RESAMPLES = 2000
_SEED = 2020
# The normal deviate of a 95 % interval.
_NORMAL_95 = 1.959963984540054
# Mean squares below this share of the readings' own are rounding: without it, equal readings had an ICC of -0.39.
_ROUNDING = 1e-12
# A percentile interval over fewer resamples in which the statistic is defined would say nothing.
_LEAST_DEFINED = 0.5

KAPPA_SOURCE = "Cohen, Psychol Bull 1968;70:213-220 (weights 1 - |i - j| / (categories - 1))"
ICC_SOURCE = (
    "Shrout and Fleiss, Psychol Bull 1979;86:420-428: ICC(2,1), two-way random effects, absolute agreement, single "
    "reading; ICC(3,1), two-way mixed effects, consistency, single reading"
)
BLAND_ALTMAN_SOURCE = "Bland and Altman, Lancet 1986;327:307-310 (mean difference +/- 1.96 standard deviations)"
BOOTSTRAP_SOURCE = f"Efron and Tibshirani 1993, percentile interval of {RESAMPLES} resamples of the patients, 95 %"
WILSON_SOURCE = "Wilson, J Am Stat Assoc 1927;22:209-212 (score interval of a proportion, 95 %)"

Interval = tuple[float, float]


def confusion(truth: np.ndarray, found: np.ndarray, categories: int) -> np.ndarray:
    """Counts (categories, categories) of pairs of category indices; a row for each true one, a column each found."""
    pairs = np.asarray(truth, np.int64) * categories + np.asarray(found, np.int64)
    return np.bincount(pairs, minlength=categories**2).reshape(categories, categories)


def linear_kappa(table: np.ndarray) -> float | None:
    """Linearly weighted kappa of a confusion matrix (Cohen 1968): ``weighted_kappa`` of power 1."""
    return weighted_kappa(table, 1)


def weighted_kappa(table: np.ndarray, power: int) -> float | None:
    """Weighted kappa of a confusion matrix (Cohen 1968); ``power`` 1 is linear, 2 is quadratic.

    1 - observed / expected disagreement, a pair's disagreement being the number of categories between its readings to
    this power. None when no disagreement can be expected: nobody was read, or all readings are of one category.
    """
    total = table.sum()
    if not total:
        return None
    index = np.arange(len(table))
    distance = np.abs(index[:, None] - index[None, :]) ** power
    expected = (distance * np.outer(table.sum(axis=1), table.sum(axis=0))).sum() / total
    return None if expected == 0 else float(1 - (distance * table).sum() / expected)


@dataclass(frozen=True)
class Icc:
    """Intraclass correlations of single readings: absolute agreement ICC(2,1) and consistency ICC(3,1)."""

    agreement: float
    consistency: float


def intraclass(readings: np.ndarray) -> Icc | None:
    """ICC(2,1) and ICC(3,1) of readings (patients, readers), from the two-way mean squares (Shrout and Fleiss 1979).

    None for fewer than two patients, or when the readings differ between readers only or not at all.
    """
    patients, readers = readings.shape
    if patients < 2:
        return None
    mean = readings.mean()
    of_patients, of_readers = readings.mean(axis=1), readings.mean(axis=0)
    between = readers * ((of_patients - mean) ** 2).sum() / (patients - 1)
    reader = patients * ((of_readers - mean) ** 2).sum() / (readers - 1)
    left = readings - of_patients[:, None] - of_readers[None, :] + mean
    error = (left**2).sum() / ((patients - 1) * (readers - 1))
    rounding = _ROUNDING * (readings**2).mean()
    between, reader, error = (0.0 if square <= rounding else square for square in (between, reader, error))
    agreement = between + (readers - 1) * error + readers * (reader - error) / patients
    consistency = between + (readers - 1) * error
    if agreement <= 0 or consistency <= 0:
        return None
    # Without this, an ICC of nothing in common is now and then shown as -0.00.
    common = between - error if abs(between - error) > rounding else 0.0
    return Icc(float(common / agreement), float(common / consistency))


@dataclass(frozen=True)
class BlandAltman:
    """Mean of the differences found - true, their standard deviation (n - 1), and the limits of agreement."""

    bias: float
    deviation: float
    low: float
    high: float


def bland_altman(truth: np.ndarray, found: np.ndarray) -> BlandAltman | None:
    """Limits of agreement, bias +/- 1.96 standard deviations (Bland and Altman 1986); None for fewer than two."""
    difference = np.asarray(found, float) - np.asarray(truth, float)
    if difference.size < 2:
        return None
    bias, deviation = float(difference.mean()), float(difference.std(ddof=1))
    return BlandAltman(bias, deviation, bias - _NORMAL_95 * deviation, bias + _NORMAL_95 * deviation)


def bootstrap(statistic: Callable[[np.ndarray], float | None], patients: int) -> Interval | None:
    """95 % percentile interval of a statistic over resamples of the patients.

    ``statistic`` is given the indices of the patients drawn, with repetitions. None for fewer than two patients, or
    when the statistic is undefined in most resamples.
    """
    if patients < 2:
        return None
    generator = np.random.default_rng(_SEED)
    values = [statistic(generator.integers(0, patients, patients)) for _ in range(RESAMPLES)]
    defined = np.array([value for value in values if value is not None], float)
    if defined.size < _LEAST_DEFINED * RESAMPLES:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


Draw = Callable[[Callable[[np.ndarray], float | None], int], Interval | None]


def score_agreement(first: np.ndarray, second: np.ndarray, draw: Draw = bootstrap) -> dict[str, Any]:
    """ICC with its interval, which ``draw`` gives, and Bland-Altman of two arrays of scores, patient by patient."""
    both = np.stack([first, second], axis=1)

    def absolute(drawn: np.ndarray) -> float | None:
        icc = intraclass(both[drawn])
        return None if icc is None else icc.agreement

    icc, limits = intraclass(both), bland_altman(first, second)
    return {
        "icc_2_1": None if icc is None else icc.agreement,
        "icc_2_1_interval": None if icc is None else draw(absolute, len(both)),
        "icc_3_1": None if icc is None else icc.consistency,
        "bias": None if limits is None else limits.bias,
        "deviation": None if limits is None else limits.deviation,
        "limits": None if limits is None else (limits.low, limits.high),
    }


def wilson(right: int, of: int) -> Interval | None:
    """95 % score interval of the proportion ``right`` / ``of`` (Wilson 1927); None of nothing."""
    if not of:
        return None
    interval = stats.binomtest(right, of).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
