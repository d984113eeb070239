"""The heart's HU, which tell whether contrast medium was given."""

from collections.abc import Collection

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField
from coronary_calcium.volume import CaseWarning, CTVolume

# What is rejected unless the user allows it.
NO_HEART, CONTRAST = "no-heart", "contrast-suspected"
OVERRULABLE = (NO_HEART, CONTRAST)
# Native blood is at 30 to 60 HU and myocardium likewise; seven native chest scans give 34 to 50 HU, nine with contrast
# medium 98 (a weak one) to 234 HU. Then thresholds of 130 HU lose their meaning.
CONTRAST_BLOOD_HU = 80.0
# Fat and lung below, bone and metal above.
SOFT_TISSUE_HU = (0.0, 600.0)
# Half the window's side around its middle, in the middle half of the slices: the ventricles and atria.
_CORE_MM = FIELD_SIZE_MM / 4
# Every n-th voxel is enough for a median.
_MOST_SAMPLES = 200_000


def blood_hu(volume: CTVolume, field: HeartField) -> float | None:
    """Median HU of the soft tissue in the heart's core; None when the heart was not found or shows none.

    Compare with CONTRAST_BLOOD_HU.
    """
    if not field.found:
        return None
    k0, k1 = min(window.k0 for window in field.windows), max(window.k1 for window in field.windows)
    center_j, center_i = np.mean([(each.center_j, each.center_i) for each in field.windows], axis=0)
    quarter = max(1, (k1 - k0) // 4)
    reach_j, reach_i = (max(1, round(_CORE_MM / 2 / step)) for step in volume.spacing[1:])
    j, i = round(center_j), round(center_i)
    core = (
        slice(k0 + quarter, max(k0 + quarter + 1, k1 - quarter)),
        slice(max(0, j - reach_j), j + reach_j + 1),
        slice(max(0, i - reach_i), i + reach_i + 1),
    )
    values = volume.hu[core][field.region[core]]
    values = values[:: 1 + len(values) // _MOST_SAMPLES]
    soft = values[(values >= SOFT_TISSUE_HU[0]) & (values <= SOFT_TISSUE_HU[1])]
    return float(np.median(soft)) if len(soft) else None


def require_native_heart(volume: CTVolume, field: HeartField, allowed: Collection[str] = ()) -> None:
    """Reject what must not be scored by the network: no heart, or one with contrast medium; told before its minutes.

    Raises InputError, "no-heart" or "contrast-suspected", unless the code is among the ``allowed`` ones.
    """
    if not field.found and NO_HEART not in allowed:
        raise InputError(
            NO_HEART,
            "The scan shows no whole heart between two lungs, so there is nothing to score: choose a chest or cardiac "
            "CT that holds the heart.",
        )
    median = blood_hu(volume, field)
    if median is not None and median > CONTRAST_BLOOD_HU and CONTRAST not in allowed:
        raise InputError(
            CONTRAST,
            f"The soft tissue of the heart has a median of {median:.0f} HU, as with contrast medium, which counts as "
            "calcium: choose a scan without it.",
        )


def contrast_warning(volume: CTVolume, field: HeartField) -> tuple[CaseWarning, ...]:
    """``contrast-suspected`` when the heart's soft tissue is brighter than blood without contrast medium can be."""
    median = blood_hu(volume, field)
    if median is None or median <= CONTRAST_BLOOD_HU:
        return ()
    return (
        CaseWarning(
            CONTRAST,
            f"The soft tissue of the heart has a median of {median:.0f} HU, as with contrast medium, which counts as "
            "calcium: the score is not valid if contrast medium was given; use a scan without it.",
        ),
    )
