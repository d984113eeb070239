"""A reviewed case as ground truth: the layout that training reads, without identity.

``write_training_case`` writes into a folder

* ``case-<random>.npz``, the part around the heart, as ``coronary_calcium.datasets.case_format`` reads it, and
* ``case-<random>/`` with ``ct.nrrd`` (HU), ``labels.nrrd`` (the reader's labels), ``prediction.nrrd`` (the network's,
  only where there was one) and ``case.json`` (scores, difference, times and counts of edits, how the scan was made).

The name is random; no file holds a name, an identifier, a date or a path. Voxels are written as they are: a scan that
shows a face is not anonymous.
"""

import json
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK
from coronary_calcium.arteries import NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.atomic_write import hidden_folder
from coronary_calcium.datasets import case_format
from coronary_calcium.datasets.case_format import REVIEWED_CT, REVIEWED_FACTS, REVIEWED_LABELS, REVIEWED_PREDICTION
from coronary_calcium.errors import InputError, not_written
from coronary_calcium.heart.field import Window
from coronary_calcium.heart.find import find_heart
from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.volume import CTVolume

if TYPE_CHECKING:
    from .review import Review


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """What a training case holds, taken out of the scene: it may be written in another thread.

    Attributes
    ----------
    volume : the REVIEWED_CT.
    labels : (k, j, i) uint8, the reader's labels of the named arteries from the threshold on.
    predicted : the network's labels, or None.
    facts : the content of ``case.json``.
    windows : where the heart is; None where nobody has looked yet.

    """

    volume: CTVolume
    labels: np.ndarray
    predicted: np.ndarray | None
    facts: dict[str, Any]
    windows: tuple[Window, ...] | None


def training_case(review: "Review") -> TrainingCase:
    """Take a training case out of a review.

    Raises InputError: ``unassigned-lesions`` when calcium is given to no artery, ``no-scores`` when the review has
    none.
    """
    score = review.live.update() or review.score
    if score is None:
        raise InputError("no-scores", f"There is nothing to save: {review.live.reason}")
    if score.by_artery[UNASSIGNED.name].lesions:
        raise InputError(
            "unassigned-lesions",
            f"{score.by_artery[UNASSIGNED.name].lesions} lesions are given to no artery, and training learns arteries: "
            "give each to an artery or remove it, then save again.",
        )
    volume = review.ct.volume
    labels = np.where(volume.hu >= score.rules.threshold_hu, review.labels(), 0).astype(np.uint8)
    labels[labels > max(artery.label for artery in NAMED_ARTERIES)] = 0
    predicted = review.prediction.labels if review.prediction is not None else None
    windows = review.candidates().windows if review.knows_candidates else None
    return TrainingCase(volume, labels, predicted, _facts(review, score), windows)


def write_training_case(case: TrainingCase, folder: str | Path, progress: Progress = no_progress) -> Path:
    """Write a training case and return the path of its .npz file; either all is written or nothing.

    Raises InputError("output") when the folder cannot be written to, and Cancelled when ``progress`` does.
    """
    volume, labels = case.volume, case.labels
    windows = case.windows or find_heart(volume, part_of(progress, 0.0, 0.5)).windows
    folder = Path(folder)
    name = f"case-{uuid.uuid4().hex[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hidden_folder(folder) as partial:
            progress(0.5, "Writing the CT")
            _write_image(volume, np.asarray(volume.hu), partial / REVIEWED_CT)
            progress(0.8, "Writing the labels")
            _write_image(volume, labels, partial / REVIEWED_LABELS)
            if case.predicted is not None:
                _write_image(volume, case.predicted, partial / REVIEWED_PREDICTION)
            (partial / REVIEWED_FACTS).write_text(
                json.dumps(case.facts, indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
            progress(0.9, "Writing the part around the heart")
            partial.rename(folder / name)
        path = folder / f"{name}.npz"
        case_format.write_training_case(path, volume, labels, windows, case.facts)
    except OSError as error:
        shutil.rmtree(folder / name, ignore_errors=True)
        raise not_written("The training case", folder, error) from error
    return path


def save_training_case(review: "Review", folder: str | Path) -> Path:
    """Save a review as a training case: ``training_case`` and ``write_training_case`` in one."""
    return write_training_case(training_case(review), folder)


def _facts(review: "Review", score: CaseScore) -> dict[str, Any]:
    """What ``case.json`` holds; how the scan was made, never who was scanned."""
    prediction = review.prediction
    return {
        "source": "reader",
        "agatston": _agatston(score),
        "ai_agatston": _agatston(prediction.score) if prediction else None,
        "model": prediction.model if prediction else None,
        "statistics": asdict(review.statistics),
        "acquisition": asdict(review.ct.volume.acquisition),
        "warnings": [warning.code for warning in review.warnings],
    }


def _agatston(score: CaseScore) -> dict[str, float]:
    return {
        "total": score.total.agatston,
        **{artery.name: score.by_artery[artery.name].agatston for artery in NAMED_ARTERIES},
        UNASSIGNED.name: score.by_artery[UNASSIGNED.name].agatston,
    }


def _write_image(volume: CTVolume, array: np.ndarray, path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction.ravel().tolist())
    try:
        SimpleITK.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:  # what the toolkit raises when a disk is full or not writable
        raise OSError(f"{path.name} could not be written") from error
