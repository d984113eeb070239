"""A reviewed case as ground truth: the layout that training reads, without identity.

``save_training_case`` writes into a folder

* ``case-<random>.npz``, the part around the heart, as ``coronary_calcium.training.cases`` reads it, and
* ``case-<random>/`` with ``ct.nrrd`` (HU), ``labels.nrrd`` (the reader's labels), ``proposal.nrrd`` (the network's,
  only where there was one) and ``case.json`` (scores, difference, times and counts of edits, how the scan was made).

The name is random; no file holds a name, an identifier, a date or a path. Voxels are written as they are: a scan that
shows a face is not anonymous.
"""

import json
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK
from coronary_calcium.arteries import NAMED_ARTERIES, UNASSIGNED
from coronary_calcium.datasets.crop import write_training_case
from coronary_calcium.datasets.saved_case import CT, FACTS, LABELS, PROPOSAL
from coronary_calcium.errors import InputRefused
from coronary_calcium.scoring.case_score import CaseScore
from coronary_calcium.volume import CTVolume

if TYPE_CHECKING:
    from .review import Review


def save_training_case(review: "Review", folder: str | Path) -> Path:
    """Save a review as a training case and return the path of its .npz file; either all is written or nothing.

    Raises InputRefused: ``unassigned-lesions`` when calcium is given to no artery, ``no-scores`` when the review has
    none, ``output`` when the folder cannot be written to.
    """
    score = review.live.update() or review.score
    if score is None:
        raise InputRefused("no-scores", f"There is nothing to save: {review.live.reason}")
    if score.by_artery[UNASSIGNED.name].lesions:
        raise InputRefused(
            "unassigned-lesions",
            f"{score.by_artery[UNASSIGNED.name].lesions} lesions are given to no artery, and training learns arteries: "
            "give each to an artery or remove it, then save again.",
        )
    volume = review.ct.volume
    labels = np.where(volume.hu >= score.rules.threshold_hu, review.labels(), 0).astype(np.uint8)
    labels[labels > max(artery.label for artery in NAMED_ARTERIES)] = 0
    facts = _facts(review, score)
    windows = review.candidates().windows
    folder = Path(folder)
    name = f"case-{uuid.uuid4().hex[:12]}"
    partial = folder / f".{name}"
    try:
        partial.mkdir(parents=True)
        _write_image(volume, np.asarray(volume.hu), partial / CT)
        _write_image(volume, labels, partial / LABELS)
        if review.proposal is not None:
            _write_image(volume, review.proposal.labels, partial / PROPOSAL)
        (partial / FACTS).write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.rename(folder / name)
        path = folder / f"{name}.npz"
        write_training_case(path, volume, labels, windows, facts)
    except OSError as error:
        shutil.rmtree(folder / name, ignore_errors=True)
        raise InputRefused(
            "output",
            f"The training case cannot be written to {folder} ({error.strerror or error}); "
            "name a folder on a disk with free space that you may write to.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _facts(review: "Review", score: CaseScore) -> dict[str, Any]:
    """What ``case.json`` holds; how the scan was made, never who was scanned."""
    proposal = review.proposal
    return {
        "source": "reader",
        "agatston": _agatston(score),
        "proposed_agatston": _agatston(proposal.score) if proposal else None,
        "model": proposal.model if proposal else None,
        "effort": asdict(review.effort),
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
