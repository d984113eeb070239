"""The figures of a group of patients, as JSON knows them, and what each of them means."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from coronary_calcium.arteries import ARTERIES, NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.evaluation.results import PatientMeasurement, PatientResult
from coronary_calcium.evaluation.statistics import (
    BLAND_ALTMAN_SOURCE,
    BOOTSTRAP_SOURCE,
    ICC_SOURCE,
    KAPPA_SOURCE,
    WILSON_SOURCE,
    Counts,
    Draw,
    bootstrap,
    confusion,
    linear_kappa,
    score_agreement,
    share,
    wilson,
)
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS as LIMITS
from coronary_calcium.scoring.lesion_warnings import UNCERTAINTY_CODES
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from coronary_calcium.scoring.rules import LITERATURE

_HU = f"{LITERATURE.threshold_hu:g} HU"
_AREA = f"{LITERATURE.minimum_area_mm2:g} mm2"

# Term and sentences, in the order of the page.
DEFINITIONS: dict[str, str] = {
    "pixels": f"Pixels are the CT's own voxels of at least {_HU}, pooled over all patients. Precision, recall and F1 "
    "are those of DenseRAUnet, equation 5. 'Marked': the label map that is scored, against the whole truth, with "
    f"the components below {_AREA} that no score counts. 'Counted': on both sides only pixels in components of at "
    f"least {_AREA}. 'Network': every pixel of at least {_HU} that the network marks in its windows, in the slices "
    "that it ran on, whatever becomes of it.",
    "outside_field_of_view": "Pixels of the truth outside the network's windows and the heart's region. Nothing can "
    "find them; they are among the false negatives.",
    "lesions": "A lesion is what scoring calls one: components that count, of one artery, that touch in three "
    "dimensions (26 neighbors). A true lesion is detected when the label map marks at least one of its pixels, "
    "whatever the artery. A found lesion is a false positive when none of its pixels is calcium in the truth.",
    "artery_right": "Of the detected lesions, those of whose marked pixels most were assigned to the lesion's own "
    "artery; lesions without an artery in the truth are left out.",
    "cac_rate": "CAC rate: the share of patients whose risk category is right without post-processing. The score is "
    f"that of the network's mask as it is, probability at least {LIMITS.high_threshold:g} in its windows: equation 4 "
    "of DenseRAUnet over the mask's own connected components (8 neighbors in a slice), each with all of its pixels, "
    f"also those below {_HU}, without a minimum area, and with the weight of its maximum (1 below 200 HU). The "
    "heart's region is not applied either.",
    "cac_filter_rate": "CAC filter rate: the share of patients whose risk category is right with post-processing, "
    f"which is the score that the program gives: pixels of at least {_HU} in the heart's region with their borders "
    f"(probability at least {LIMITS.low_threshold:g}, joined to a marked pixel in the slice; at least "
    f"{LIMITS.low_threshold_3d:g} in all slices of a lesion whose highest is at least {LIMITS.seed_3d:g}), connected "
    f"components of which the network is confident (highest probability at least {LIMITS.lesion_probability:g}; above "
    f"{LIMITS.large_lesion_mm3:g} mm3 a mean of at least {LIMITS.large_lesion_core_probability:g} over the brightest "
    f"{LIMITS.core_share:.0%}, above {LIMITS.very_large_lesion_mm3:g} mm3 of at least "
    f"{LIMITS.very_large_lesion_core_probability:g}), components of at least {_AREA}.",
    "uncertainty": "Wrong and right risk categories with a warning that names the slices of uncertain lesions, left "
    "out or counted: by them the category would be another, or the score would differ by more than the 95 % "
    "repeatability limit.",
    "rejected": "A patient that is rejected has no score: it counts as wrong in both CAC rates, and is in no other "
    "figure.",
    "truth": "The true category and score are those of the true label map on the same CT, noise and blur included.",
    "risk_categories": f"{FIVE_CATEGORIES.rule} {FIVE_CATEGORIES.source}.",
    "kappa": f"Linearly weighted kappa of the true category and the one with post-processing: {KAPPA_SOURCE}.",
    "icc": f"Intraclass correlation of the Agatston scores, not transformed: {ICC_SOURCE}.",
    "bland_altman": f"Differences are found - true: {BLAND_ALTMAN_SOURCE}.",
    "intervals": f"F1, kappa and ICC(2,1): {BOOTSTRAP_SOURCE}. Proportions: {WILSON_SOURCE}. Lesions of one patient "
    "are taken as independent.",
    "training_cases": "A training case is a part of a scan: no heart is searched for, the network's window lies where "
    "the case says, over all its slices, and all of the window may be marked, bones included.",
}
SKIPPED = (
    "The network did not run on slices in which nothing could count; what it would have marked there below the "
    "threshold is not in the CAC rate and the network's pixels."
)
EVERY_SLICE = "The network ran on every slice of its windows."


CATEGORIES = FIVE_CATEGORIES.categories
_PIXELS = ("marked", "counted", "network")


def figures_of(results: list[PatientResult], *, intervals: bool) -> dict[str, Any]:
    """Every figure of a group; ``DEFINITIONS`` says what each means.

    ``intervals`` says whether to bootstrap F1, kappa and ICC; without it their intervals are None. Rejected patients
    have no score: they count as wrong in the CAC rates and are in no other figure.
    """
    measured = [result.measured for result in results if result.measured is not None]
    draw = bootstrap if intervals else _no_interval
    return {
        "patients": len(results),
        "rejected": len(results) - len(measured),
        "pixels": {name: _pixels([getattr(one, name) for one in measured], draw) for name in _PIXELS},
        "outside_field_of_view": sum(one.outside_field_of_view for one in measured),
        "lesions": _lesions(measured),
        "cac_rate": _rate(sum(one.unfiltered_category == one.true_category for one in measured), len(results)),
        "cac_filter_rate": _rate(sum(one.found_category == one.true_category for one in measured), len(results)),
        "uncertainty": _uncertainty(measured),
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


def _lesions(measured: list[PatientMeasurement]) -> dict[str, Any]:
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
        "false_positives_per_scan": share(false, len(measured)),
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


def _uncertainty(measured: list[PatientMeasurement]) -> dict[str, int]:
    """How many of the wrong risk categories, and of the right ones, come with a warning of uncertain lesions."""
    counts = Counter(
        (one.found_category == one.true_category, any(code in one.warnings for code in UNCERTAINTY_CODES))
        for one in measured
    )
    return {
        "wrong": counts[False, True] + counts[False, False],
        "wrong_warned": counts[False, True],
        "right": counts[True, True] + counts[True, False],
        "right_warned": counts[True, True],
    }


def _kappa(measured: list[PatientMeasurement], draw: Draw) -> dict[str, Any]:
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


def _agreement(measured: list[PatientMeasurement], name: str, draw: Draw) -> dict[str, Any]:
    """ICC and Bland-Altman of the Agatston score, all of it or an artery's."""
    true = np.array([one.true_agatston[name] for one in measured], float)
    found = np.array([one.found_agatston[name] for one in measured], float)
    return {
        "patients": len(measured),
        **score_agreement(true, found, draw),
        "mean_absolute_difference": share(float(np.abs(found - true).sum()), len(measured)),
    }
