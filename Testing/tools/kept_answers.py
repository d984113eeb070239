"""The network's answers on disk, so that a script asks it only once for each patient, weights and input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from coronary_calcium.evaluation.patients import OpenedPatient
from coronary_calcium.inference.predict import Prediction
from coronary_calcium.network.weights import LoadedModel


def kept_answer(
    opened: OpenedPatient, model: LoadedModel, folder: Path, name: str, ask: Callable[[], Prediction]
) -> Prediction:
    """What the network says of a patient: from the ``folder``, or ``ask`` and keep it there.

    The file is named by the weights' checksum and ``name``, the patient's and what else makes the answer another one.
    """
    path = folder / f"{model.card['sha256'][:8]}-{name.replace('/', '-')}.npz"
    if not path.exists():
        _keep(path, ask())
    probability, artery = np.zeros(opened.volume.shape, np.float16), np.zeros(opened.volume.shape, np.uint8)
    with np.load(path) as kept:
        probability.reshape(-1)[kept["places"]] = kept["probability"]
        artery.reshape(-1)[kept["places"]] = kept["artery"]
        passes, seconds = kept["run"]
    return Prediction(probability, artery, 0, 0, int(passes), opened.field, "cpu", float(seconds))


def _keep(path: Path, given: Prediction) -> None:
    """Write the voxels that could count, with the passes and the seconds."""
    places = np.flatnonzero(given.probability)
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_suffix(".part.npz")
    np.savez_compressed(
        partly,
        places=places,
        probability=given.probability.reshape(-1)[places],
        artery=given.artery.reshape(-1)[places],
        run=(given.windows_run, given.seconds),
    )
    partly.replace(path)
