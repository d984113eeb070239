"""Warnings about the lesions of a score: uncertain ones, none at all, more than coronary arteries hold, metal.

They are computed from the lesions as they are now and from what the network was uncertain of, so that in a review they
follow every edit as the scores do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from coronary_calcium.scoring.agatston import CaseScore, score_components
from coronary_calcium.scoring.components import components_of_voxels
from coronary_calcium.scoring.interpretation import repeatability_limit
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.risk import RiskScheme
from coronary_calcium.scoring.rules import RuleSet
from coronary_calcium.volume import CaseWarning, CTVolume

# Arteries of 400 mm in all and 4 mm across have 5 mL, lumen included; blur makes calcium look up to twice as large.
MOST_CALCIUM_MM3 = 10_000.0
# One every 2 mm of those arteries.
MOST_LESIONS = 200
# Coronary calcium of the labeled real scans reaches 915 HU, calcium of the aortic wall 1561 with a sharp kernel, and 3
# of 134 true lesions of simulated patients and inserted cases 1707 to 2316, so metal is warned of and not left out. Of
# clips inserted beside the LAD of a real scan, 5 mm slices leave 1622 to 1969 HU, of a lead 1824 to 3071.
METAL_HU = 1500.0

LEFT_OUT, COUNTED = "uncertain-lesions", "uncertain-lesions-counted"
UNCERTAINTY_CODES = (LEFT_OUT, COUNTED)
# Every code that this module gives, with the names that the first two had in version 1.
LESION_CODES = (
    *UNCERTAINTY_CODES,
    "doubtful-lesions",
    "doubtful-lesions-counted",
    "nothing-marked",
    "implausible-amount",
    "metal-suspected",
    "mask-empty",
    "mask-not-counted",
)
# A warning names the slices of so many lesions.
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the network was uncertain of on a CT; voxels are flat (k, j, i) indices, ascending.

    Attributes
    ----------
    counted : voxels of the lesions that it counted although it was not confident of them.
    left_out : voxels of the lesions that it left out, and
    left_out_labels : uint8, the label (``arteries``) that each of these would have.
    lesions : how many lesions it counted.
    slices_run : slices that the network ran on: those with something that could count.
    """

    counted: np.ndarray
    left_out: np.ndarray
    left_out_labels: np.ndarray
    lesions: int
    slices_run: int

    def left_out_lesions(self, volume: CTVolume, rules: RuleSet) -> tuple[Lesion, ...]:
        """The lesions that were left out, scored by these rules, by descending score."""
        return score_components(
            volume, components_of_voxels(volume, self.left_out, self.left_out_labels, rules), rules
        ).lesions


def lesion_warnings(
    score: CaseScore,
    scheme: RiskScheme,
    uncertainty: Uncertainty | None = None,
    left_out: Sequence[Lesion] = (),
) -> tuple[CaseWarning, ...]:
    """What must be known of the lesions that a score counts.

    ``uncertainty`` is the network's, None where no network has marked anything, and ``left_out`` its
    ``left_out_lesions`` by the rules of the score. ``uncertain-lesions`` and ``uncertain-lesions-counted`` are given
    when such lesions decide the risk category, or change the score by more than the repeatability limit.
    """
    if uncertainty is None:
        return (*_mask_warning(score), *_amount_warning(score), *_metal_warning(score))
    uncertain = _uncertain_warnings(score, scheme, uncertainty, left_out)
    zero = _mask_warning(score) if score.labeled_voxels else _zero_warning(score, uncertainty)
    return (*(uncertain or zero), *_amount_warning(score), *_metal_warning(score))


def uncertain_lesions(
    score: CaseScore, uncertainty: Uncertainty, left_out: Sequence[Lesion]
) -> tuple[list[Lesion], list[Lesion]]:
    """The uncertain lesions that the score lacks, and those that it counts; ``left_out`` as in ``lesion_warnings``."""
    # A lesion that the reader has marked since, even in part, is left out no more.
    absent = [lesion for lesion, share in _shares(left_out, _voxels_of(score.lesions)) if not share]
    # A lesion that the reader has drawn anew around an uncertain one is the reader's: half of it decides.
    counted = [lesion for lesion, share in _shares(score.lesions, uncertainty.counted) if share >= 0.5]
    return absent, counted


def _uncertain_warnings(
    score: CaseScore, scheme: RiskScheme, uncertainty: Uncertainty, left_out: Sequence[Lesion]
) -> tuple[CaseWarning, ...]:
    absent, counted = uncertain_lesions(score, uncertainty, left_out)
    total = score.total.agatston
    cases = ((LEFT_OUT, absent, total + _sum(absent)), (COUNTED, counted, _sum(_without(score.lesions, counted))))
    return tuple(
        _uncertain_warning(code, lesions, other, scheme)
        for code, lesions, other in cases
        if lesions and _decides(total, other, scheme)
    )


def _voxels_of(lesions: Sequence[Lesion]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *(lesion.voxels for lesion in lesions)])


def _shares(lesions: Sequence[Lesion], voxels: np.ndarray) -> list[tuple[Lesion, float]]:
    """Each lesion with the share of its voxels that are among ``voxels``; looked up for all at once, as edits wait."""
    if not lesions or not voxels.size:
        return [(lesion, 0.0) for lesion in lesions]
    sizes = np.array([lesion.voxels.size for lesion in lesions])
    among = np.add.reduceat(np.isin(_voxels_of(lesions), voxels), np.cumsum(sizes) - sizes, dtype=np.int64)
    return list(zip(lesions, among / sizes))


def _sum(lesions: Iterable[Lesion]) -> float:
    return sum(lesion.agatston for lesion in lesions)


def _without(lesions: Iterable[Lesion], others: Sequence[Lesion]) -> list[Lesion]:
    gone = {lesion.id for lesion in others}
    return [lesion for lesion in lesions if lesion.id not in gone]


def _decides(total: float, other: float, scheme: RiskScheme) -> bool:
    """Whether the ``other`` score stands for something else than the ``total``."""
    if scheme.category(other) != scheme.category(total):
        return True
    return bool(total) and abs(other - total) > repeatability_limit(total)


def _uncertain_warning(code: str, lesions: Sequence[Lesion], agatston: float, scheme: RiskScheme) -> CaseWarning:
    """``lesions`` by descending score, and the score with them (left out) or without them (counted)."""
    number, them = ("1 lesion", "it") if len(lesions) == 1 else (f"{len(lesions)} lesions", "them")
    place = _place_of(lesions)
    done = f"left {them} out; with" if code == LEFT_OUT else f"counted {them}; without"
    return CaseWarning(
        code,
        f"The AI was uncertain of {number}, {place}, and {done} {them} the score would be {agatston:.1f} (risk "
        f"category {scheme.category(agatston)}): check there before you rely on this score.",
    )


def _place_of(lesions: Sequence[Lesion]) -> str:
    """The slices of the first lesions, in words; ``lesions`` by descending score."""
    slices = sorted({lesion.main_slice for lesion in lesions[:_NAMED]})
    listed = ", ".join(map(str, slices[:-1])) + (" and " if slices[1:] else "") + str(slices[-1])
    return f"{'the largest in' if lesions[_NAMED:] else 'in'} slice{'s' if slices[1:] else ''} {listed}"


def _mask_warning(score: CaseScore) -> tuple[CaseWarning, ...]:
    """``mask-empty`` or ``mask-not-counted`` when what was marked comes to nothing."""
    if score.total.lesions:
        return ()
    if not score.labeled_voxels:
        return (
            CaseWarning(
                "mask-empty",
                "No voxel is marked as calcium, so the score of 0 stands only if all of the heart was searched: check "
                "the images, and that a mask is the right file.",
            ),
        )
    return (
        CaseWarning(
            "mask-not-counted",
            f"None of the {score.labeled_voxels} marked voxels counts for the score: they are below "
            f"{score.rules.threshold_hu:g} HU or in components that are too small; check that the mask was "
            "drawn on this CT.",
        ),
    )


def _zero_warning(score: CaseScore, uncertainty: Uncertainty) -> tuple[CaseWarning, ...]:
    """``nothing-marked`` when the network marked nothing, although there was something that it could have marked."""
    if score.total.lesions or uncertainty.lesions or not uncertainty.slices_run:
        return ()
    return (
        CaseWarning(
            "nothing-marked",
            f"The AI found no calcium, although {uncertainty.slices_run} slices have voxels of "
            f"{score.rules.threshold_hu:.0f} HU and more in the region of the heart: check them before you rely on a "
            "score of 0.",
        ),
    )


def _amount_warning(score: CaseScore) -> tuple[CaseWarning, ...]:
    """``implausible-amount`` when more is marked than coronary arteries can hold."""
    if score.total.volume_mm3 <= MOST_CALCIUM_MM3 and score.total.lesions <= MOST_LESIONS:
        return ()
    return (
        CaseWarning(
            "implausible-amount",
            f"{score.total.lesions} lesions of {score.total.volume_mm3 / 1000:.1f} mL are more than coronary arteries "
            "can hold: bone, metal, contrast medium or noise was probably marked as well; check the lesions before you "
            "use the score.",
        ),
    )


def _metal_warning(score: CaseScore) -> tuple[CaseWarning, ...]:
    """``metal-suspected`` when a lesion is brighter than calcium usually is."""
    bright = [lesion for lesion in score.lesions if lesion.maximum_hu >= METAL_HU]
    if not bright:
        return ()
    highest = max(lesion.maximum_hu for lesion in bright)
    number = "A lesion that counts reaches" if len(bright) == 1 else f"{len(bright)} lesions that count reach"
    return (
        CaseWarning(
            "metal-suspected",
            f"{number} {highest:.0f} HU, {_place_of(bright)}: calcium is seldom brighter than {METAL_HU:.0f} HU, so "
            "this may be metal, such as a clip, a stent or a lead; check there before you rely on this score.",
        ),
    )
