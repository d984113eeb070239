"""What every figure means, in the words that all outputs use."""

from coronary_calcium.evaluation.statistics import (
    BLAND_ALTMAN_SOURCE,
    BOOTSTRAP_SOURCE,
    ICC_SOURCE,
    KAPPA_SOURCE,
    WILSON_SOURCE,
)
from coronary_calcium.rules import LITERATURE
from coronary_calcium.rules import PROPOSAL_LIMITS as LIMITS
from coronary_calcium.scoring.risk import FIVE_CATEGORIES

_HU = f"{LITERATURE.threshold_hu:g} HU"
_AREA = f"{LITERATURE.minimum_area_mm2:g} mm2"

# Term and sentences, in the order of the page.
DEFINITIONS: dict[str, str] = {
    "pixels": f"Pixels are the CT's own voxels of at least {_HU}, pooled over all patients. Precision, recall and F1 "
    "are those of DenseRAUnet, equation 5. 'Marked': the label map that is scored, against the whole truth, with the "
    f"specks below {_AREA} that no score counts. 'Counted': on both sides only pixels in parts of at least {_AREA}. "
    f"'Network': every pixel of at least {_HU} that the network marks in its windows, in the slices that it ran on, "
    "whatever becomes of it.",
    "out_of_sight": "Pixels of the truth outside the network's windows and the heart's region. Nothing can find them; "
    "they are among the false negatives.",
    "lesions": "A lesion is what scoring calls one: parts that count, of one artery, that touch in three dimensions "
    "(26 neighbours). A true lesion is detected when the label map marks at least one of its pixels, whatever the "
    "artery. A found lesion is a false positive when none of its pixels is calcium in the truth.",
    "artery_right": "Of the detected lesions, those of whose marked pixels most were given to the lesion's own artery; "
    "lesions to which the truth gives no artery are left out.",
    "cac_rate": "CAC rate: the share of patients whose risk category is right without post-processing. The score is "
    f"that of the network's mask as it is, probability at least {LIMITS.probability_threshold:g} in its windows: "
    "equation 4 of DenseRAUnet over the mask's own islands (8 neighbours in a slice), each with all of its pixels, "
    f"also those below {_HU}, without a minimum area, and with the weight of its maximum (1 below 200 HU). The heart's "
    "region is not applied either.",
    "cac_filter_rate": "CAC filter rate: the share of patients whose risk category is right with post-processing, "
    f"which is the score that the program gives: pixels of at least {_HU} in the heart's region, with their rims "
    f"(probability at least {LIMITS.extent_probability:g}, joined to a marked pixel in the slice), connected "
    f"components of which the network is sure (highest probability at least {LIMITS.lesion_probability:g}, mean "
    f"at least {LIMITS.large_lesion_mean_probability:g} above {LIMITS.large_lesion_mm3:g} mm3), parts of "
    f"at least {_AREA}.",
    "doubt": "Wrong and right risk categories with a warning that names the slices of lesions in doubt, left out or "
    "counted: by them the category would be another, or the score would differ by more than that of another scan.",
    "refused": "A patient that is refused has no score: it counts as wrong in both CAC rates, and is in no other "
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
