"""What the network says of a whole CT; without torch, so that those who only read it need none."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.heart.field import HeartField
from coronary_calcium.volume import CaseWarning


@dataclass(frozen=True)
class RunExtent:
    """How much of the network is run and kept beyond what a score needs.

    Attributes
    ----------
    every_slice : run it also where no pixel could count, with the same result.
    keep_raw : keep the probability in whole windows (``Prediction.raw``), for those who ask what the network alone
        says.
    """

    every_slice: bool = False
    keep_raw: bool = False


FOR_A_SCORE = RunExtent()


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network predicts for a CT.

    Attributes
    ----------
    probability : float16 (k, j, i) array of the volume's shape; the probability of calcium where a pixel could
        count, 0 elsewhere.
    artery : uint8 (k, j, i) array; the most probable artery, 1 to 4, where the network was asked, 0 elsewhere and
        everywhere when the network has no artery head.
    slices_run, slices_skipped : slices of the covered range that the network ran on, and those that it need not see.
    windows_run : passes of the network; more than ``slices_run`` where windows overlap.
    covered : where the network looked.
    device : where it ran in the end.
    seconds : wall time.
    warnings : ``gpu-memory`` when the GPU's memory did not suffice.
    artery_map : the same in the whole windows of the slices that were run, also where no calcium can be;
        ``predict_lesions`` keeps of it what lies around the lesions.
    raw : float16 (k, j, i), the probability in whole windows, where ``predict`` was asked to keep it.

    """

    probability: np.ndarray
    artery: np.ndarray
    slices_run: int
    slices_skipped: int
    windows_run: int
    covered: HeartField
    device: str
    seconds: float
    warnings: tuple[CaseWarning, ...] = ()
    artery_map: np.ndarray | None = None
    raw: np.ndarray | None = None
