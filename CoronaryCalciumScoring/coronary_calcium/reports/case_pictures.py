"""A case's pictures, drawn once for every report that shows them: the heart, and each lesion."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coronary_calcium.arteries import BY_NAME
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.reports.pictures import Picture, lesion_pictures, overview_pictures
from coronary_calcium.scoring.lesions import Lesion

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

# Two pictures a lesion are about 150 kB; 60 lesions keep the page below 10 MB, and more than that nobody reads.
MOST_PICTURES = 60
# How far around the lesions the overview looks when no heart was searched for, in mm.
OVERVIEW_MARGIN_MM = 20.0


@dataclass(frozen=True)
class LesionPictures:
    """A lesion, the LPS z in mm of the slice shown, its surroundings with the outline, and its detail without."""

    lesion: Lesion
    z_mm: float
    surroundings: Picture
    detail: Picture


@dataclass(frozen=True)
class CasePictures:
    """The overview (two pictures, or none), the lesions by descending score, and the lesions that are left out."""

    overview: tuple[Picture, ...]
    lesions: tuple[LesionPictures, ...]
    left_out: tuple[Lesion, ...]


def draw_pictures(result: "CaseResult", progress: Progress = no_progress) -> CasePictures:
    """Draw a case; ``progress`` is told of each lesion and may stop the work."""
    overview = _overview(result)
    drawn = []
    for lesion in result.score.lesions[:MOST_PICTURES]:
        progress(lesion.id / (len(result.score.lesions) + 1), "Drawing lesions")
        z_mm = float(result.volume.position((lesion.main_slice, 0, 0))[2])
        drawn.append(LesionPictures(lesion, z_mm, *lesion_pictures(result.volume, lesion)))
    return CasePictures(overview, tuple(drawn), tuple(result.score.lesions[MOST_PICTURES:]))


def _overview(result: "CaseResult") -> tuple[Picture, ...]:
    """The heart from the front and from below; nothing when there is neither a heart nor a lesion to show."""
    volume, lesions = result.volume, result.score.lesions
    calcium = np.zeros(volume.shape, dtype=np.uint8)
    for lesion in lesions:
        calcium.flat[lesion.voxels] = BY_NAME[lesion.artery].label
    if result.proposal is not None and result.proposal.covered.found:
        windows = result.proposal.covered.windows
        first, last = min(window.k0 for window in windows), max(window.k1 for window in windows) - 1
        weights = [window.k1 - window.k0 for window in windows]
        center_j = np.average([window.center_j for window in windows], weights=weights)
        center_i = np.average([window.center_i for window in windows], weights=weights)
    elif lesions:
        k, j, i = np.unravel_index(np.concatenate([lesion.voxels for lesion in lesions]), volume.shape)
        margin = round(OVERVIEW_MARGIN_MM / volume.spacing[0])
        first, last = max(0, k.min() - margin), min(volume.shape[0] - 1, k.max() + margin)
        center_j, center_i = (j.min() + j.max()) / 2, (i.min() + i.max()) / 2
    else:
        return ()
    center = ((first + last) / 2, float(center_j), float(center_i))
    return overview_pictures(volume, calcium, center, (int(first), int(last)))
