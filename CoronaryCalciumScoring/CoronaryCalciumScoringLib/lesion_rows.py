"""Lesions as the list of a review shows them."""

from dataclasses import dataclass

import numpy as np
from coronary_calcium.scoring.case_score import CaseScore
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.volume import CTVolume

from .kept_proposal import KeptProposal


@dataclass(frozen=True)
class LesionRow:
    """A lesion as the list shows it.

    ``slice_number`` is its main slice, k, as in the exported tables; ``ras`` its place there in mm; ``probability``
    the network's, None where it proposed nothing.
    """

    id: int
    artery: str
    slice_number: int
    agatston: float
    maximum_hu: float
    probability: float | None
    ras: tuple[float, float, float]


def lesion_rows(score: CaseScore, volume: CTVolume, proposal: KeptProposal | None) -> list[LesionRow]:
    """The lesions of a score on this CT by descending score."""
    return [_row(lesion, volume, proposal) for lesion in score.lesions]


def _row(lesion: Lesion, volume: CTVolume, proposal: KeptProposal | None) -> LesionRow:
    k, j, i = np.unravel_index(lesion.voxels, volume.shape)
    main = k == lesion.main_slice
    x, y, z = volume.position((lesion.main_slice, j[main].mean(), i[main].mean()))
    return LesionRow(
        lesion.id,
        lesion.artery,
        lesion.main_slice,
        lesion.agatston,
        lesion.maximum_hu,
        proposal.probability_of(lesion) if proposal else None,
        (-float(x), -float(y), float(z)),
    )
