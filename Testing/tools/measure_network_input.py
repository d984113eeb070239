"""Measure other inputs of the network than the shipped one, on patients of known calcium and on real scans.

``python Testing/tools/measure_network_input.py PATIENTS... --zero SCAN... --kept FOLDER --inputs full half mean``: the
network runs once on each patient with each input, and its answers are kept by the weights' checksum, so that the same
command with ``--weights`` measures others. A line for every patient and input, and one for all of them.

full : as scoring does, windows of 512 x 512 pixels.
half : windows of 256 x 256 pixels, a quarter of the work.
mean : of thin slices, each of the nine is a sliding mean over 3 mm, 3 mm apart.
blur : ... a sliding mean over 3 mm, of neighboring slices as they are.
step : ... a slice as it is, 3 mm apart.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from coronary_calcium.datasets.labeled_scans import UNSURE
from coronary_calcium.evaluation.measure import UNFILTERED, compare_masks, lesions_beside
from coronary_calcium.evaluation.patients import OpenedPatient, Patient, find_patients, open_patient
from coronary_calcium.evaluation.reading_comparison import compare_with_reading
from coronary_calcium.evaluation.scan_metadata import unknown_metadata
from coronary_calcium.evaluation.statistics import Counts
from coronary_calcium.heart.field import HeartField
from coronary_calcium.heart.find import find_heart
from coronary_calcium.inference.postprocess import label_lesions
from coronary_calcium.inference.predict import Prediction, countable_voxels, predict
from coronary_calcium.io import open_ct
from coronary_calcium.network.model_card import INPUT_SIZE
from coronary_calcium.network.weights import LoadedModel, load_model
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume
from kept_answers import kept_answer
from scipy import ndimage
from tqdm import tqdm

# The network was trained on slices of 0.6 to 5 mm, most of 3 mm, and reads nine neighbors whatever their distance.
SLICE_MM = 3.0


@dataclass(frozen=True)
class Row:
    """A patient with one input: pixels, lesions found of the true ones, false ones, scores, categories, passes, time.

    ``recovered`` and ``false_score`` are of a scan that was read by eye.
    """

    pixels: Counts
    found: int
    true: int
    false: int
    agatston: tuple[float, float]
    categories: tuple[str, str]
    passes: int
    seconds: float
    recovered: float | None = None
    false_score: float | None = None


def full(opened: OpenedPatient, model: LoadedModel) -> Prediction:
    return predict(opened.volume, opened.field, model)


def half(opened: OpenedPatient, model: LoadedModel) -> Prediction:
    return predict(opened.volume, opened.field, model, pixels=INPUT_SIZE // 2)


def mean(opened: OpenedPatient, model: LoadedModel) -> Prediction:
    return _apart(opened, model, averaged=True)


def step(opened: OpenedPatient, model: LoadedModel) -> Prediction:
    return _apart(opened, model, averaged=False)


def blur(opened: OpenedPatient, model: LoadedModel) -> Prediction:
    hu = _sliding_mean(opened.volume)
    return _asked(replace(opened.volume, hu=hu), opened.field, countable_voxels(*_seen(opened)), model)


def _seen(opened: OpenedPatient) -> tuple[CTVolume, HeartField, type(LITERATURE)]:
    return opened.volume, opened.field, LITERATURE


def _slices(volume: CTVolume) -> int:
    """How many slices make SLICE_MM."""
    return max(1, round(SLICE_MM / volume.spacing[0]))


def _sliding_mean(volume: CTVolume) -> np.ndarray:
    return ndimage.uniform_filter1d(volume.hu.astype(np.float32), _slices(volume), axis=0, mode="nearest")


def _asked(volume: CTVolume, field: HeartField, wanted: np.ndarray, model: LoadedModel) -> Prediction:
    """The network's answer at exactly the ``wanted`` voxels, bool (k, j, i), whatever their HU."""
    return predict(volume, replace(field, region=wanted), model, rules=UNFILTERED)


def _apart(opened: OpenedPatient, model: LoadedModel, averaged: bool) -> Prediction:
    """The network on every n-th slice, from each of the first n: what it says of all slices."""
    volume, field, count = opened.volume, opened.field, _slices(opened.volume)
    wanted = countable_voxels(*_seen(opened))
    hu = _sliding_mean(volume) if averaged else volume.hu
    probability, artery = np.zeros(volume.shape, np.float16), np.zeros(volume.shape, np.uint8)
    parts = []
    for first in range(count):
        part = replace(volume, hu=hu[first::count], spacing=(count * volume.spacing[0], *volume.spacing[1:]))
        windows = tuple(
            replace(each, k0=math.ceil((each.k0 - first) / count), k1=math.ceil((each.k1 - first) / count))
            for each in field.windows
        )
        parts.append(_asked(part, replace(field, windows=windows), wanted[first::count], model))
        probability[first::count], artery[first::count] = parts[-1].probability, parts[-1].artery
    passes, seconds = sum(part.windows_run for part in parts), sum(part.seconds for part in parts)
    return replace(parts[0], probability=probability, artery=artery, windows_run=passes, seconds=seconds, covered=field)


INPUTS: dict[str, Callable[[OpenedPatient, LoadedModel], Prediction]] = {
    "full": full,
    "half": half,
    "mean": mean,
    "blur": blur,
    "step": step,
}


def row_of(opened: OpenedPatient, prediction: Prediction) -> Row:
    """A patient measured as ``coronary-calcium evaluate`` does."""
    volume, truth = opened.volume, opened.labels
    labels = label_lesions(volume, prediction)
    read = None
    if opened.reading is not None:
        read = compare_with_reading(volume, opened.reading, labels, prediction.probability)
        labels = np.where(opened.reading == UNSURE, 0, labels).astype(np.uint8)
    true, found = score_labels(volume, truth), score_labels(volume, labels)
    beside = lesions_beside(true, labels)
    return Row(
        compare_masks(truth > 0, labels > 0),
        sum(lesion.matched for lesion in beside),
        len(beside),
        sum(not lesion.matched for lesion in lesions_beside(found, truth)),
        (true.total.agatston, found.total.agatston),
        (true.risk_category, found.risk_category),
        prediction.windows_run,
        prediction.seconds,
        read.recovered if read else None,
        read.false_total if read else None,
    )


def line_of(name: str, rows: list[Row]) -> str:
    """The figures of one patient, or of several."""
    pixels = sum((row.pixels for row in rows), Counts())
    f1 = "   -" if pixels.f1 is None else f"{pixels.f1:.3f}"
    true, found = (sum(row.agatston[side] for row in rows) for side in (0, 1))
    right = sum(row.categories[0] == row.categories[1] for row in rows)
    recovered = sum(row.recovered for row in rows if row.recovered is not None)
    false = sum(row.false_score for row in rows if row.false_score is not None)
    read = f"  recovered {recovered:.1f}, false {false:.1f}" if any(row.recovered is not None for row in rows) else ""
    return (
        f"{name:44} {true:8.1f} {found:8.1f}  {right:2d}/{len(rows):<2d}  {f1}  "
        f"{sum(row.found for row in rows):3d}/{sum(row.true for row in rows):<3d} {sum(row.false for row in rows):3d}  "
        f"{sum(row.passes for row in rows):5d} {sum(row.seconds for row in rows):7.1f}{read}"
    )


def opened_scans(data: list[Path], zero: list[Path]) -> list[tuple[str, Callable[[], OpenedPatient]]]:
    """All patients by name; a scan without calcium has an empty truth."""

    def with_truth(patient: Patient) -> Callable[[], OpenedPatient]:
        return lambda: open_patient(patient)

    def without_calcium(path: Path) -> Callable[[], OpenedPatient]:
        def opened() -> OpenedPatient:
            volume = open_ct(path).volume
            return OpenedPatient(volume, np.zeros(volume.shape, np.uint8), find_heart(volume), unknown_metadata())

        return opened

    patients = [patient for folder in data for patient in find_patients(folder)]
    return [(each.name, with_truth(each)) for each in patients] + [(each.name, without_calcium(each)) for each in zero]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--zero", type=Path, nargs="*", default=[], help="scans without coronary calcium")
    parser.add_argument("--kept", type=Path, required=True, help="folder for the network's answers")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=["full", "half"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.weights)
    rows: dict[str, list[Row]] = {name: [] for name in options.inputs}
    lines = []
    for name, open_one in tqdm(opened_scans(options.data, options.zero), unit="patient"):
        opened = open_one()
        for each in options.inputs:
            ask = partial(INPUTS[each], opened, model)
            row = row_of(opened, kept_answer(opened, model, options.kept, f"{each}-{name}", ask))
            rows[each].append(row)
            lines.append(line_of(f"{name} {each}", [row]))
            tqdm.write(lines[-1])
    for each in options.inputs:
        print(line_of(f"all, {each}", rows[each]))


if __name__ == "__main__":
    main()
