"""Choose the post-processing limits (``inference.postprocess``) on simulated patients that nothing else uses.

``coronary-calcium simulate --protocol chest --n N --seed S --output PATIENTS``, then ``python
Testing/tools/choose_postprocessing_limits.py PATIENTS --kept FOLDER --lesion-probability 0.7 0.8 0.9``: a line for
every combination of the values that are named; the shipped limits stand for the others. The network runs once on
each patient. Training cases do as well, but a case's window is marked to its edges, ribs and spine included.

The last columns: how many of the wrong risk categories, and of the right ones, are others without uncertain
lesions.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
from coronary_calcium.evaluation.measure import compare_masks, lesions_beside
from coronary_calcium.evaluation.patients import Patient, find_patients, open_patient
from coronary_calcium.evaluation.run import share_cores
from coronary_calcium.evaluation.statistics import Counts, confusion, linear_kappa
from coronary_calcium.heart.field import HeartField
from coronary_calcium.inference.postprocess import (
    POSTPROCESSING_LIMITS,
    PostprocessingLimits,
    is_uncertain,
    label_lesions,
)
from coronary_calcium.inference.predict import Prediction, predict
from coronary_calcium.network.weights import load_model
from coronary_calcium.parallel import outcomes
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from coronary_calcium.volume import CTVolume
from kept_answers import kept_answer
from tqdm import tqdm

NAMES = tuple(field.name for field in fields(PostprocessingLimits))


@dataclass(frozen=True)
class Answer:
    """What the network says of a patient, and the truth: arrays (k, j, i) of one part of the scan."""

    volume: CTVolume
    labels: np.ndarray
    field: HeartField
    probability: np.ndarray
    artery: np.ndarray

    def prediction(self) -> Prediction:
        return Prediction(self.probability, self.artery, 0, 0, 0, self.field, "cpu", 0.0)


@dataclass(frozen=True)
class Row:
    """One patient with one choice of limits."""

    pixels: Counts
    found: int
    true: int
    false: int
    categories: tuple[int, int]
    sure_category: int


def answer(patient: Patient, weights: Path | None, folder: Path, lowest: float) -> Answer:
    """The part of a scan where the network's probability is at least ``lowest`` or where there is calcium."""
    model, opened = load_model(weights), open_patient(patient)
    ask = partial(predict, opened.volume, opened.field, model)
    given = kept_answer(opened, model, folder, patient.path.stem, ask)
    probability, artery = given.probability, given.artery
    places = np.nonzero((probability >= lowest) | (opened.labels > 0))
    box = tuple(slice(int(place.min()), int(place.max()) + 1) if place.size else slice(0, 1) for place in places)
    volume = replace(opened.volume, hu=opened.volume.hu[box])
    return Answer(volume, opened.labels[box], opened.field, probability[box], artery[box])


def rows_of(patient: Patient, weights: Path | None, folder: Path, options: list[PostprocessingLimits]) -> list[Row]:
    """A patient with every choice of limits."""
    lowest = min(min(limits.low_threshold, limits.low_threshold_3d) for limits in options)
    one = answer(patient, weights, folder, lowest)
    truth = score_labels(one.volume, one.labels)
    names = FIVE_CATEGORIES.categories
    rows = []
    for limits in options:
        labels = label_lesions(one.volume, one.prediction(), limits=limits)
        score = score_labels(one.volume, labels)
        true_lesions = lesions_beside(truth, labels)
        rows.append(
            Row(
                compare_masks(one.labels > 0, labels > 0),
                sum(lesion.matched for lesion in true_lesions),
                len(true_lesions),
                sum(not lesion.matched for lesion in lesions_beside(score, one.labels)),
                (names.index(truth.risk_category), names.index(score.risk_category)),
                names.index(FIVE_CATEGORIES.category(is_uncertain(score, one.prediction(), limits)[1])),
            )
        )
    return rows


def line_of(limits: PostprocessingLimits, rows: list[Row]) -> str:
    """The figures of all patients with one choice."""
    pixels = sum((row.pixels for row in rows), Counts())
    table = confusion(*np.array([row.categories for row in rows]).T, len(FIVE_CATEGORIES.categories))
    values = " ".join(f"{getattr(limits, name):8g}" for name in NAMES)
    found, true = sum(row.found for row in rows), sum(row.true for row in rows)
    false = sum(row.false for row in rows) / len(rows)
    overlap = " ".join(map(_text, (pixels.f1, pixels.precision, pixels.recall)))
    agreement = f"{_text(np.trace(table) / len(rows))} {_text(linear_kappa(table))}"
    return f"{values}   {overlap}   {found:4d}/{true} {false:6.2f}   {agreement}   {_rests(rows)}"


def _rests(rows: list[Row]) -> str:
    """How many of the wrong categories, and of the right ones, rest on uncertain lesions."""
    rests: dict[bool, list[bool]] = {False: [], True: []}
    for row in rows:
        true, found = row.categories
        rests[true == found].append(row.sure_category != found)
    return " ".join(f"{sum(rests[right])}/{len(rests[right])}" for right in (False, True))


def _text(value: float | None) -> str:
    """A share; a dash where it is not defined."""
    return "    -" if value is None else f"{value:.3f}"


def combinations(options: argparse.Namespace) -> Iterator[PostprocessingLimits]:
    """Every combination of the values that were named."""
    values = [getattr(options, name) or [getattr(POSTPROCESSING_LIMITS, name)] for name in NAMES]
    for chosen in itertools.product(*values):
        yield PostprocessingLimits(*chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--kept", type=Path, required=True, help="folder for the network's answers")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--jobs", type=int, default=1)
    for name in NAMES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, nargs="+")
    options = parser.parse_args()
    options = list(combinations(options))
    patients = [patient for folder in options.data for patient in find_patients(folder)]
    work = partial(rows_of, weights=options.weights, folder=options.kept, options=options)
    done = outcomes(work, patients, options.jobs, share_cores)
    patients_rows = [rows for _, rows in tqdm(done, total=len(patients), unit="patient")]
    print(
        " ".join(f"{name[:8]:>8}" for name in NAMES),
        "  F1    prec  rec     found false/scan  CAC   kappa   wrong right",
    )
    for number, limits in enumerate(options):
        print(line_of(limits, [rows[number] for rows in patients_rows]))


if __name__ == "__main__":
    main()
