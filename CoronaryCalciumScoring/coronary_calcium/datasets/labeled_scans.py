"""Real scans with a reading by eye as training cases: a label map on the images' grid, with a label for "unsure".

Labels 1 to 4 are LM, LAD, LCX and RCA; ``UNSURE`` counts neither way, in training and in scores; higher ones are what
is bright and not coronary: aorta and valves, annulus, pericardium, nodes and lung, bone, metal, noise.

``python -m coronary_calcium.datasets.labeled_scans --data DIR --output CASES [--leave-out SCAN]``
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from coronary_calcium.datasets.case_format import BOX_MM, TrainingCase, save_case
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume

UNSURE = 5
OTHER_LABELS = {
    6: "aortic wall, root or valve",
    7: "mitral annulus",
    8: "pericardium",
    9: "bronchus, node or lung",
    10: "bone or cartilage",
    11: "metal",
    12: "noise or artifact",
}
_HIGHEST_CORONARY = 4
# Unsure calcium is left out with its blurred edge, mm.
_MARGIN_MM = 1.0
_LABELS_END = "-labels.nrrd"


def find_labeled(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Images and label map of every labeled scan in a folder, by the scan's name."""
    found = {}
    for labels in sorted(folder.glob(f"*{_LABELS_END}")):
        name = labels.name.removesuffix(_LABELS_END)
        images = folder / name if (folder / name).is_dir() else folder / f"{name}.nrrd"
        if images.exists():
            found[name] = (images, labels)
    return found


def read_labels(path: Path, volume: CTVolume) -> np.ndarray:
    """The label map, uint8 (k, j, i); raises ValueError when it is not on the volume's grid."""
    import SimpleITK  # noqa: PLC0415 (training machines have no SimpleITK)

    labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).astype(np.uint8)
    if labels.shape != volume.hu.shape:
        raise ValueError(f"{path.name} has the shape {labels.shape}, its images {volume.hu.shape}")
    return labels


def case_arrays(volume: CTVolume, labels: np.ndarray) -> dict[str, np.ndarray]:
    """``labels``, ``other`` and ``unjudged`` of a training case, as ``training.cases`` describes them."""
    bright = volume.hu >= LITERATURE.threshold_hu
    coronary = np.where((labels <= _HIGHEST_CORONARY) & bright, labels, 0).astype(np.uint8)
    steps = max(round(_MARGIN_MM / volume.spacing[1]), 1)
    grow = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), steps)[None]
    unsure = ndimage.binary_dilation(labels == UNSURE, grow) & (coronary == 0) & (labels <= UNSURE)
    other = np.argwhere((labels > UNSURE) & bright & ~unsure)
    return {"labels": coronary, "other": other, "unjudged": np.argwhere(unsure)}


def labeled_case(name: str, volume: CTVolume, labels: np.ndarray, folder: Path) -> Path:
    """Write the training case of a labeled scan, a square around the heart; returns its path."""
    from coronary_calcium.heart.find import find_heart  # noqa: PLC0415

    field = find_heart(volume)
    center = np.array([field.windows[0].center_j, field.windows[0].center_i])
    if not field.found:
        center = np.array(volume.hu.shape[1:]) / 2
    half = BOX_MM / 2 / volume.spacing[1]
    low = np.maximum(np.floor(center - half).astype(int), 0)
    high = np.minimum(np.ceil(center + half).astype(int), volume.hu.shape[1:])
    part = np.s_[:, low[0] : high[0], low[1] : high[1]]
    arrays = {key: value for key, value in case_arrays(volume, labels).items()}
    moved = {}
    for key in ("other", "unjudged"):
        places = arrays[key] - [0, *low]
        inside = ((places[:, 1:] >= 0) & (places[:, 1:] < high - low)).all(axis=1)
        moved[key] = places[inside]
    facts = {
        "source": f"real scan read by eye, {name}",
        "kind": "chest",
        "kvp": volume.acquisition.kvp,
        "kernel": volume.acquisition.kernel,
        "thickness_mm": volume.acquisition.slice_thickness_mm,
    }
    path = folder / f"labeled-{name}.npz"
    shifted = (float(center[0] - low[0]), float(center[1] - low[1]))
    save_case(path, TrainingCase(volume.hu[part], arrays["labels"][part], volume.spacing, shifted, facts, **moved))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Write the cases of a folder's labeled scans; returns 0."""
    from coronary_calcium.io import open_ct  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with images and NAME-labels.nrrd")
    parser.add_argument("--leave-out", action="append", default=[], metavar="SCAN", help="held out; may be given again")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = find_labeled(options.data)
    unknown = sorted(set(options.leave_out) - found.keys())
    if unknown or not found:
        parser.error(f"no labeled scan {', '.join(unknown) or 'at all'} in {options.data}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name, (images, labels) in found.items():
        if name not in options.leave_out:
            volume = open_ct(images).volume
            labeled_case(name, volume, read_labels(labels, volume), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
