"""The figures of a group of patients, as JSON knows them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from coronary_calcium.arteries import ARTERIES, NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.evaluation.counts import Counts, share
from coronary_calcium.evaluation.result import Measured, PatientResult
from coronary_calcium.evaluation.statistics import (
    Interval,
    bland_altman,
    bootstrap,
    confusion,
    intraclass,
    linear_kappa,
    wilson,
)
from coronary_calcium.proposal.doubt import DOUBT_CODES
from coronary_calcium.scoring.risk import FIVE_CATEGORIES

CATEGORIES = FIVE_CATEGORIES.categories
_PIXELS = ("marked", "counted", "network")
Draw = Callable[[Callable[[np.ndarray], float | None], int], Interval | None]


def figures_of(results: list[PatientResult], *, intervals: bool) -> dict[str, Any]:
    """Every figure of a group; ``definitions.DEFINITIONS`` says what each means.

    ``intervals`` says whether to bootstrap F1, kappa and ICC; without it their intervals are None. Refused patients
    have no score: they count as wrong in the CAC rates and are in no other figure.
    """
    measured = [result.measured for result in results if result.measured is not None]
    draw = bootstrap if intervals else _no_interval
    return {
        "patients": len(results),
        "refused": len(results) - len(measured),
        "pixels": {name: _pixels([getattr(one, name) for one in measured], draw) for name in _PIXELS},
        "out_of_sight": sum(one.out_of_sight for one in measured),
        "lesions": _lesions(measured),
        "cac_rate": _rate(sum(one.unfiltered_category == one.true_category for one in measured), len(results)),
        "cac_filter_rate": _rate(sum(one.found_category == one.true_category for one in measured), len(results)),
        "doubt": _doubt(measured),
        "kappa": _kappa(measured, draw),
        "agatston": {"total": _agreement(measured, "total", draw)}
        | {artery.name: _agreement(measured, artery.name, draw) for artery in ARTERIES},
    }


def _no_interval(statistic: Callable[[np.ndarray], float | None], patients: int) -> None:
    """In place of ``bootstrap``, where thousands of resamples of every group would take too long."""


def _pixels(counts: list[Counts], draw: Draw) -> dict[str, Any]:
    """Pooled over the patients, with the mean of the patients' own F1 beside it."""
    pooled = sum(counts, Counts())
    columns = np.array([(one.true_positive, one.false_positive, one.false_negative) for one in counts]).reshape(-1, 3)
    own = [one.f1 for one in counts if one.f1 is not None]
    return {
        "true_positive": pooled.true_positive,
        "false_positive": pooled.false_positive,
        "false_negative": pooled.false_negative,
        "precision": pooled.precision,
        "recall": pooled.recall,
        "f1": pooled.f1,
        "f1_interval": draw(lambda drawn: Counts(*columns[drawn].sum(axis=0).tolist()).f1, len(counts)),
        "f1_mean_of_patients": share(sum(own), len(own)),
    }


def _lesions(measured: list[Measured]) -> dict[str, Any]:
    true = [lesion for one in measured for lesion in one.true_lesions]
    found = [lesion for one in measured for lesion in one.found_lesions]
    hits = [lesion for lesion in true if lesion.matched]
    named = [lesion for lesion in hits if lesion.artery != UNASSIGNED.name]
    right = sum(lesion.other_artery == lesion.artery for lesion in named)
    false = sum(not lesion.matched for lesion in found)
    pairs = Counter((lesion.artery, lesion.other_artery) for lesion in named)
    return {
        "true": len(true),
        "detected": len(hits),
        "sensitivity": share(len(hits), len(true)),
        "sensitivity_interval": wilson(len(hits), len(true)),
        "found": len(found),
        "false_positives": false,
        "false_positives_a_scan": share(false, len(measured)),
        "artery_right": right,
        "artery_of": len(named),
        "artery_right_share": share(right, len(named)),
        "artery_right_interval": wilson(right, len(named)),
        "arteries": {
            true_artery.name: {artery.name: pairs[true_artery.name, artery.name] for artery in ARTERIES}
            for true_artery in NAMED_ARTERIES
        },
    }


def _rate(right: int, of: int) -> dict[str, Any]:
    return {"right": right, "of": of, "rate": share(right, of), "interval": wilson(right, of)}


def _doubt(measured: list[Measured]) -> dict[str, int]:
    """How many of the wrong risk categories, and of the right ones, come with a warning of doubtful lesions."""
    counts = Counter(
        (one.found_category == one.true_category, any(code in one.warnings for code in DOUBT_CODES)) for one in measured
    )
    return {
        "wrong": counts[False, True] + counts[False, False],
        "wrong_warned": counts[False, True],
        "right": counts[True, True] + counts[True, False],
        "right_warned": counts[True, True],
    }


def _kappa(measured: list[Measured], draw: Draw) -> dict[str, Any]:
    """Linearly weighted kappa of the risk categories, true and with post-processing, and their confusion matrix."""
    true = np.array([CATEGORIES.index(one.true_category) for one in measured], int)
    found = np.array([CATEGORIES.index(one.found_category) for one in measured], int)

    def kappa(drawn: np.ndarray) -> float | None:
        return linear_kappa(confusion(true[drawn], found[drawn], len(CATEGORIES)))

    table = confusion(true, found, len(CATEGORIES))
    return {
        "linear": linear_kappa(table),
        "interval": draw(kappa, len(measured)),
        "categories": list(CATEGORIES),
        "confusion": table.tolist(),
    }


def _agreement(measured: list[Measured], name: str, draw: Draw) -> dict[str, Any]:
    """ICC and Bland-Altman of the Agatston score, all of it or an artery's."""
    true = np.array([one.true_agatston[name] for one in measured], float)
    found = np.array([one.found_agatston[name] for one in measured], float)
    both = np.stack([true, found], axis=1)

    def agreement(drawn: np.ndarray) -> float | None:
        drawn_icc = intraclass(both[drawn])
        return None if drawn_icc is None else drawn_icc.agreement

    icc, limits = intraclass(both), bland_altman(true, found)
    return {
        "patients": len(measured),
        "icc_2_1": None if icc is None else icc.agreement,
        "icc_2_1_interval": None if icc is None else draw(agreement, len(measured)),
        "icc_3_1": None if icc is None else icc.consistency,
        "bias": None if limits is None else limits.bias,
        "deviation": None if limits is None else limits.deviation,
        "limits": None if limits is None else (limits.low, limits.high),
        "mean_absolute_difference": share(float(np.abs(found - true).sum()), len(measured)),
    }
