"""The heart's HU, which tell whether contrast medium was given."""

import numpy as np

from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField
from coronary_calcium.volume import CaseWarning, CTVolume

# Native blood is at 30 to 60 HU and myocardium likewise; the four native chest scans that this was tried on give 34 to
# 47 HU. Even a poorly timed injection lifts the chambers above 100 HU, where thresholds of 130 HU lose their meaning.
CONTRAST_BLOOD_HU = 100.0
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
    window = field.windows[0]
    center_j, center_i = np.mean([(each.center_j, each.center_i) for each in field.windows], axis=0)
    quarter = max(1, (window.k1 - window.k0) // 4)
    reach_j, reach_i = (max(1, round(_CORE_MM / 2 / step)) for step in volume.spacing[1:])
    j, i = round(center_j), round(center_i)
    core = (
        slice(window.k0 + quarter, max(window.k0 + quarter + 1, window.k1 - quarter)),
        slice(max(0, j - reach_j), j + reach_j + 1),
        slice(max(0, i - reach_i), i + reach_i + 1),
    )
    values = volume.hu[core][field.region[core]]
    values = values[:: 1 + len(values) // _MOST_SAMPLES]
    soft = values[(values >= SOFT_TISSUE_HU[0]) & (values <= SOFT_TISSUE_HU[1])]
    return float(np.median(soft)) if len(soft) else None


def contrast_warning(volume: CTVolume, field: HeartField) -> tuple[CaseWarning, ...]:
    """``contrast-suspected`` when the heart's soft tissue is brighter than blood without contrast medium can be."""
    median = blood_hu(volume, field)
    if median is None or median <= CONTRAST_BLOOD_HU:
        return ()
    return (
        CaseWarning(
            "contrast-suspected",
            f"The soft tissue of the heart has a median of {median:.0f} HU, as with contrast medium, which counts as "
            "calcium: the score is not valid if contrast medium was given; use a scan without it.",
        ),
    )
