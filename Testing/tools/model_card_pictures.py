"""Draw three typical hits and three typical misses for the model card's page.

``python Testing/tools/model_card_pictures.py PATIENTS... --kept FOLDER [--weights WEIGHTS]``, with real scans that were
read by eye and cases with lesions inserted in real scans; then ``python Testing/tools/model_card_page.py``. The same
command with other weights draws them anew.

Typical is a rule, so that nobody picks: of all lesions of at least 5 points that are found, and of all that are missed
or false, those that a sixth, a half and five sixths of the others score less than, or the next to it of another scan
than those before. Only openly licensed scans are drawn, with where they are published.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from coronary_calcium.datasets.labeled_scans import UNSURE
from coronary_calcium.evaluation.patients import OpenedPatient, Patient, find_patients, open_patient
from coronary_calcium.evaluation.picture import GAP_PIXELS, SIDE_PIXELS, beside_each_other
from coronary_calcium.inference.postprocess import label_lesions
from coronary_calcium.inference.predict import predict
from coronary_calcium.network.weights import LoadedModel, load_model
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.simulation.inserted_lesions import load_drawings
from kept_answers import kept_answer
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
CAPTIONS = FOLDER / "hits-and-misses.json"
# Lesions of fewer points are too small to see, and no risk category changes with them.
LEAST_AGATSTON = 5.0
# From this share of its voxels on, a lesion is found.
FOUND_SHARE = 0.5
QUANTILES = (5 / 6, 3 / 6, 1 / 6)
JPEG_QUALITY = 85
# Where the scans are published; those with inserted lesions are in the drawings.
SOURCES = {
    "NLST-101287": "NLST 101287 (CC BY 4.0), doi:10.7937/TCIA.HMQ8-J677",
    "ACRIN-NSCLC-FDG-PET-042": "ACRIN 6668, ACRIN-NSCLC-FDG-PET-042 (CC BY 3.0), doi:10.7937/tcia.2019.30ilqfcl",
    "LIDC-IDRI-0314": "LIDC-IDRI-0314 (CC BY 3.0), doi:10.7937/K9/TCIA.2015.LO9QL9SX",
} | {name: f"{drawing['published']}, calcium inserted" for name, drawing in load_drawings().items()}


@dataclass(frozen=True)
class Finding:
    """A lesion of the truth that was found or missed, or one that was marked where there is none (``false``).

    ``place`` is its main slice and the middle of it there, (k, j, i); ``found_as`` the artery that it was assigned to.
    """

    patient: Patient
    scan: str
    artery: str
    agatston: float
    highest: float
    place: tuple[int, float, float]
    found_as: str | None = None
    false: bool = False

    @property
    def is_hit(self) -> bool:
        return self.found_as is not None and not self.false

    def caption(self) -> str:
        """What the picture shows, and where the scan is published."""
        if self.is_hit:
            right = f"rightly assigned to {self.artery}" if self.found_as == self.artery else f"called {self.found_as}"
            what = f"Found: a lesion of {self.agatston:.0f} in the {self.artery}, {right}"
        elif self.false:
            what = f"False: {self.agatston:.0f} marked as {self.artery} where there is no coronary calcium"
        else:
            what = f"Missed: a lesion of {self.agatston:.0f} in the {self.artery}"
        return f"{what} (highest probability {self.highest:.2f}). {SOURCES[self.scan]}."


def labels_of(opened: OpenedPatient, patient: Patient, model: LoadedModel, folder: Path) -> tuple[np.ndarray, ...]:
    """What the network marks, without what the reader was unsure of, and its probability; both (k, j, i)."""
    ask = partial(predict, opened.volume, opened.field, model)
    prediction = kept_answer(opened, model, folder, f"full-{patient.name}", ask)
    labels = label_lesions(opened.volume, prediction)
    if opened.reading is not None:
        labels = np.where(opened.reading == UNSURE, 0, labels).astype(np.uint8)
    return labels, prediction.probability


def findings(patient: Patient, model: LoadedModel, folder: Path) -> Iterator[Finding]:
    """The lesions of one patient that are large enough."""
    opened = open_patient(patient)
    labels, probability = labels_of(opened, patient, model, folder)
    [scan] = [name for name in SOURCES if name in patient.name]
    true, found = score_labels(opened.volume, opened.labels), score_labels(opened.volume, labels)

    def finding(lesion: Lesion, found_as: str | None, false: bool) -> Finding:
        places = np.unravel_index(lesion.voxels, opened.volume.shape)
        here = places[0] == lesion.main_slice
        middle = [float(axis[here].min() + axis[here].max()) / 2 for axis in places[1:]]
        highest = float(probability.reshape(-1)[lesion.voxels].max())
        place = (lesion.main_slice, *middle)
        return Finding(patient, scan, lesion.artery, lesion.agatston, highest, place, found_as, false)

    for lesion in true.lesions:
        if lesion.agatston >= LEAST_AGATSTON:
            share = np.count_nonzero(labels.reshape(-1)[lesion.voxels]) / lesion.voxels.size
            yield finding(lesion, _artery_of(found.lesions, lesion) if share >= FOUND_SHARE else None, False)
    for lesion in found.lesions:
        if lesion.agatston >= LEAST_AGATSTON and not opened.labels.reshape(-1)[lesion.voxels].any():
            yield finding(lesion, lesion.artery, True)


def _artery_of(lesions: tuple[Lesion, ...], wanted: Lesion) -> str:
    """The artery of the lesion that shares most voxels with the wanted one."""
    return max(lesions, key=lambda lesion: np.isin(lesion.voxels, wanted.voxels).sum()).artery


def typical(all_of: list[Finding]) -> list[Finding]:
    """One finding for each of the QUANTILES of the score, from different scans as far as there are."""
    ranked = sorted(all_of, key=lambda each: each.agatston)
    chosen: list[Finding] = []
    for quantile in QUANTILES:
        wanted = quantile * (len(ranked) - 1)
        free = [number for number, each in enumerate(ranked) if each not in chosen]
        seen = {each.scan for each in chosen}
        # Within that third of the ranks, another scan's comes before one of a scan that is shown already.
        free.sort(key=lambda n: (abs(n - wanted) > len(ranked) / 6, ranked[n].scan in seen, abs(n - wanted)))
        chosen += [ranked[number] for number in free[:1]]
    return chosen


def draw(finding: Finding, model: LoadedModel, folder: Path) -> Image.Image:
    """The slice as it is, with the truth outlined, and with what the network marked."""
    opened = open_patient(finding.patient)
    labels, _ = labels_of(opened, finding.patient, model, folder)
    k, *center = finding.place
    picture = Image.fromarray(beside_each_other(opened.volume, opened.labels, labels, k, tuple(center)))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(18)
    by_eye = "read by eye" if opened.reading is not None else "truth"
    for number, title in enumerate(("CT", by_eye, "network")):
        pen.text(
            (number * (SIDE_PIXELS + GAP_PIXELS) + 8, 6),
            title,
            fill="white",
            font=font,
            stroke_width=1,
            stroke_fill="black",
        )
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--kept", type=Path, required=True, help="folder for the network's answers")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.weights)
    patients = [patient for folder in options.data for patient in find_patients(folder)]
    lesions = [each for patient in tqdm(patients, unit="patient") for each in findings(patient, model, options.kept)]
    hits, misses = [each for each in lesions if each.is_hit], [each for each in lesions if not each.is_hit]
    pictures = []
    for kind, of_kind in (("hit", hits), ("miss", misses)):
        for number, finding in enumerate(typical(of_kind), start=1):
            file = f"{kind}-{number}.jpg"
            draw(finding, model, options.kept).save(FOLDER / file, quality=JPEG_QUALITY, optimize=True)
            pictures.append({"file": file, "caption": finding.caption()})
    false = sum(each.false for each in misses)
    counts = {"found": len(hits), "missed": len(misses) - false, "false": false}
    content = {"weights": model.card["sha256"], "scans": len(patients), "lesions": counts, "pictures": pictures}
    CAPTIONS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
