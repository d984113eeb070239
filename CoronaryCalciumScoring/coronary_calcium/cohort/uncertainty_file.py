"""What the network was uncertain of in a case, kept beside its reading: a reader's warnings follow every edit."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from coronary_calcium.arteries import BY_LABEL
from coronary_calcium.scoring.lesion_warnings import Uncertainty

UNCERTAINTY = "uncertainty.npz"


def write_uncertainty(folder: Path, uncertainty: Uncertainty) -> None:
    """Write it into a folder that appears whole afterwards."""
    np.savez_compressed(
        folder / UNCERTAINTY,
        counted=uncertainty.counted,
        left_out=uncertainty.left_out,
        left_out_labels=uncertainty.left_out_labels,
        lesions=np.array(uncertainty.lesions),
        slices_run=np.array(uncertainty.slices_run),
    )


def read_uncertainty(folder: Path, voxels: int) -> Uncertainty | None:
    """What was kept for a CT of so many voxels; None where nothing was, or where it cannot be of this CT."""
    try:
        with np.load(folder / UNCERTAINTY, allow_pickle=False) as archive:
            counted, left_out = (archive[name].astype(np.int64).reshape(-1) for name in ("counted", "left_out"))
            labels = archive["left_out_labels"].reshape(-1)
            lesions, slices_run = int(archive["lesions"]), int(archive["slices_run"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error):
        return None
    indices = np.concatenate([counted, left_out])
    possible = labels.size == left_out.size and np.isin(labels, list(BY_LABEL)).all()
    if not possible or (indices.size and not 0 <= indices.min() <= indices.max() < voxels):
        return None
    return Uncertainty(counted, left_out, labels.astype(np.uint8), lesions, slices_run)
