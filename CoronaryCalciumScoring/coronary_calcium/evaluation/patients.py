"""Patients of known calcium on disk: simulated ones, reference folders and training cases."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.datasets.base import DataSet, Entry
from coronary_calcium.datasets.case_format import REVIEWED_FACTS, TRUTH_FILE
from coronary_calcium.datasets.labeled_scans import UNSURE, find_labeled, read_labels
from coronary_calcium.errors import InputError
from coronary_calcium.evaluation.scan_metadata import ScanMetadata, scan_metadata, unknown_metadata
from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField, Window
from coronary_calcium.heart.find import find_heart
from coronary_calcium.progress import no_progress
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume

# In a patient's folder: the CT as a folder of DICOM files or as one image, the label map, and what is known beside it.
_CTS = ("dicom", "ct", "ct.nrrd", "ct.nii.gz", "ct.nii", "ct.mha")
_LABELS = ("labels.nrrd", "labels.seg.nrrd", "labels.nii.gz", "labels.nii", "labels.mha", "labels.dcm")
_MARKS = (*_CTS, *_LABELS, TRUTH_FILE)
_CASE_SUFFIX = ".npz"
# How far the score of the label map may lie from the one that was written beside it.
_TRUTH_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Patient:
    """Where a patient is: a folder, or a training case's .npz file; ``name`` is its path in the data folder.

    ``reading`` is the label map of a scan that was read by eye (``datasets.labeled_scans``), whose images are ``path``.
    ``entry`` is the case of a data set that is opened as the data set says; ``path`` is then the data set's folder.
    """

    name: str
    path: Path
    reading: Path | None = None
    entry: Entry | None = None

    def fingerprint(self) -> str:
        """A checksum of the names, sizes and times of the patient's files: when it changes, they have changed."""
        if self.entry is not None:
            files = list(self.entry.sources)
        else:
            files = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
            files += [self.reading] if self.reading else []
        digest = hashlib.sha256()
        for file in files:
            state = file.stat()
            digest.update(f"{os.path.relpath(file, self.path)} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class OpenedPatient:
    """A patient in memory: the CT, the true labels (k, j, i) uint8, where the network looks, and the scan's facts.

    ``reading`` is the whole label map of a scan that was read by eye, with what is unsure and what is not coronary.
    """

    volume: CTVolume
    labels: np.ndarray
    field: HeartField
    facts: ScanMetadata
    reading: np.ndarray | None = None


def find_patients(folder: Path) -> list[Patient]:
    """All patients in a folder and the folders in it, by name.

    A patient is a folder with a CT (``dicom/`` or ``ct.*``) and its ``labels.*``, as ``coronary-calcium simulate`` and
    the Slicer module write them; one that lacks either is a patient, too, and is rejected when it is opened. A .npz
    file is a training case, unless it lies beside a folder of its name, which holds the same patient. A label map
    NAME-labels.nrrd is the reading of a real scan, whose images lie beside it in the folder NAME or as NAME.nrrd.

    Raises InputError("no-patients") when there are none.
    """
    if not folder.is_dir():
        raise InputError("no-patients", f"{folder} is not a folder; name the folder that holds the patients.")
    patients = sorted(_walk(folder, folder), key=lambda patient: patient.name)
    if not patients:
        raise InputError(
            "no-patients",
            f"{folder} holds no patients; make some with coronary-calcium simulate, or name a folder of folders with "
            "dicom/ (or ct.nrrd) and labels.nrrd, or of training cases (.npz).",
        )
    return patients


def _walk(folder: Path, top: Path) -> Iterator[Patient]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    names = {entry.name for entry in entries}
    if names & set(_MARKS):
        yield Patient(folder.name if folder == top else folder.relative_to(top).as_posix(), folder)
        return
    read = find_labeled(folder)
    for name, (images, labels) in read.items():
        yield Patient((folder / name).relative_to(top).as_posix(), images, labels)
    for entry in entries:
        if entry.is_dir() and entry.name not in read:
            yield from _walk(entry, top)
        elif entry.suffix == _CASE_SUFFIX and entry.stem not in names:
            yield Patient(entry.relative_to(top).as_posix(), entry)


def data_set_patients(data: DataSet) -> list[Patient]:
    """The cases of a data set that seem complete, as patients."""
    return [Patient(entry.name, data.folder, entry=entry) for entry in data.entries]


def open_patient(patient: Patient) -> OpenedPatient:
    """Open and check a patient; in folders the heart is searched for, as for scoring.

    Labels count from 130 HU on. Raises InputError: those of reading a CT, a mask and a training case, "no-ct" and
    "no-truth" for a folder that lacks one, "truth-mismatch" when the labels do not have the score written beside them.
    """
    if patient.entry is not None:
        return _open_entry(patient.entry)
    if patient.reading is not None:
        return _open_read(patient.path, patient.reading)
    return _open_folder(patient.path) if patient.path.is_dir() else _open_case(patient.path)


def _open_entry(entry: Entry) -> OpenedPatient:
    """A case of a data set, whose calcium must be marked."""
    case = entry.open(no_progress)
    if case.labels is None:
        raise InputError("no-truth", "No calcium is marked in the case: evaluate with another one.")
    labels = np.where(case.volume.hu >= LITERATURE.threshold_hu, case.labels, 0).astype(np.uint8)
    return OpenedPatient(case.volume, labels, find_heart(case.volume), scan_metadata(case.volume, case.facts))


def _open_read(images: Path, reading: Path) -> OpenedPatient:
    """A real scan with its reading; unsure calcium is no calcium, and ``OpenedPatient.reading`` tells where it is."""
    from coronary_calcium.io import open_ct  # noqa: PLC0415 (training machines have no SimpleITK)

    volume = open_ct(images).volume
    try:
        read = read_labels(reading, volume)
    except ValueError as error:
        raise InputError("truth-mismatch", f"{error}: take the label map of these images.") from error
    labels = np.where((read < UNSURE) & (volume.hu >= LITERATURE.threshold_hu), read, 0).astype(np.uint8)
    return OpenedPatient(volume, labels, find_heart(volume), scan_metadata(volume), read)


def stated_metadata(patient: Patient) -> ScanMetadata:
    """The facts of a patient that could not be opened, as far as the files beside the CT state them.

    A rejected patient counts as wrong, and has to in its own group.
    """
    if patient.reading is not None or patient.entry is not None or not patient.path.is_dir():
        return unknown_metadata()
    try:
        return _facts(patient.path, None, *_beside(patient.path))
    except InputError:
        return unknown_metadata()


def _open_folder(folder: Path) -> OpenedPatient:
    from coronary_calcium.io import open_ct, open_mask  # noqa: PLC0415 (training machines have no SimpleITK)

    ct = _present(folder, _CTS, "no-ct", "CT")
    mask = _present(folder, _LABELS, "no-truth", "label map")
    truth, saved = _beside(folder)
    volume = open_ct(ct).volume
    labels = open_mask(mask, volume)
    labels[volume.hu < LITERATURE.threshold_hu] = 0
    _check_truth(volume, labels, truth)
    return OpenedPatient(volume, labels, find_heart(volume), _facts(folder, volume, truth, saved))


def _beside(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known beside the CT: of a simulated patient, and of a saved case."""
    return _read_json(folder / TRUTH_FILE), _read_json(folder / REVIEWED_FACTS)


def _facts(folder: Path, volume: CTVolume | None, truth: dict[str, Any], saved: dict[str, Any]) -> ScanMetadata:
    facts = scan_metadata(volume, truth.get("protocol"), saved.get("acquisition"))
    if facts["kind"] is None:
        # "patient-chest-000007", as the simulator names its folders.
        facts["kind"] = next((kind for kind in ("chest", "cardiac") if f"-{kind}-" in folder.name), None)
    return facts


def _present(folder: Path, names: tuple[str, ...], code: str, what: str) -> Path:
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise InputError(code, f"The patient's folder has no {what} ({names[0]} or {names[2]}); make the patient again.")


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one when there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputError("truth-unreadable", f"{path.name} is not a JSON object; make the patient again.")
    return content


def _check_truth(volume: CTVolume, labels: np.ndarray, truth: dict[str, Any]) -> None:
    """Reject labels that do not have the score that was written when they were made."""
    stated = truth.get("agatston_as_imaged")
    total = stated.get("total") if isinstance(stated, dict) else None
    if not isinstance(total, (int, float)):
        return
    found = score_labels(volume, labels).total.agatston
    if abs(found - total) > _TRUTH_TOLERANCE * max(total, 1.0):
        raise InputError(
            "truth-mismatch",
            f"The label map scores {found:.1f} on this CT, but {TRUTH_FILE} says {total:.1f}: they belong to different "
            "scans; make the patient again.",
        )


def _open_case(path: Path) -> OpenedPatient:
    """A training case: the network's window lies where the case says, over all slices, and all of it may be marked."""
    from coronary_calcium.datasets.case_format import load_case  # noqa: PLC0415 (imports with the training only)

    case = load_case(path)
    volume = CTVolume(case.hu, case.spacing, (0.0, 0.0, 0.0))
    window = Window(0, len(case.hu), *case.field_center)
    field = HeartField((window,), FIELD_SIZE_MM, True, np.ones(volume.shape, bool))
    facts = scan_metadata(volume, case.facts, case.facts.get("acquisition"))
    facts["field_of_view_mm"] = None  # the case is a part of the scan
    return OpenedPatient(volume, case.labels, field, facts)
