"""A case of a worklist as a reader opens it: the CT, the reader's earlier reading, and what the network found."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coronary_calcium.cohort.cases import CASES
from coronary_calcium.cohort.readings import AI, Reading, has_reading, read_reading, reading_folder, version_of
from coronary_calcium.cohort.uncertainty_file import read_uncertainty
from coronary_calcium.cohort.worklist import NOT_BLINDED, Blinding
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.scoring.lesion_warnings import LESION_CODES, Uncertainty
from coronary_calcium.volume import CaseWarning, CTVolume, each_once


@dataclass(frozen=True, eq=False)
class NetworkReading:
    """What the network found in a case.

    Attributes
    ----------
    labels : (k, j, i) uint8.
    probabilities : of its lesions by descending score, as far as they are known.
    model : what is known of the weights.
    uncertainty : what the network was uncertain of; None where it was not kept.
    """

    labels: np.ndarray
    probabilities: tuple[float | None, ...]
    model: dict[str, Any]
    uncertainty: Uncertainty | None


@dataclass(frozen=True, eq=False)
class WorklistCase:
    """A case that was read from disk; it touches no scene and may come from another thread.

    Attributes
    ----------
    id : the case's id.
    volume : the CT.
    own : the reader's earlier reading, or None.
    network : what the network found; None where it has not run, and for a reader who is blinded to it.
    warnings : what must be known of scan and lesions.
    version : of the earlier reading (``readings.version_of``); empty where there is none.
    """

    id: str
    volume: CTVolume
    own: Reading | None
    network: NetworkReading | None
    warnings: tuple[CaseWarning, ...]
    version: str = ""

    @property
    def labels(self) -> np.ndarray | None:
        """Where the reader begins (k, j, i): where they left off, else at the network's lesions; None at nothing."""
        if self.own is not None:
            return self.own.label_map()
        return self.network.labels if self.network is not None else None


def read_case(
    cohort: Path, case_id: str, reader: str, blinding: Blinding = NOT_BLINDED, progress: Progress = no_progress
) -> WorklistCase:
    """Read a case for a reader.

    Raises InputError: as ``score`` does for its CT, "cohort-id" for a case that the cohort does not have, "reading" for
    a reading that is damaged or was made on another CT; and Cancelled when ``progress`` does.
    """
    from coronary_calcium.cohort.case_worker import opened_case  # noqa: PLC0415 - it brings pydicom
    from coronary_calcium.cohort.state import read_found_case  # noqa: PLC0415

    progress(0.0, f"Opening {case_id}")
    with opened_case(read_found_case(cohort, case_id), progress=part_of(progress, 0.0, 0.9)) as opened:
        volume = opened.volume
    version = version_of(reading_folder(cohort, reader, case_id))
    own = _reading(cohort, reader, case_id, volume)
    network = None if blinding.ai else _network(cohort, case_id, volume)
    progress(1.0, f"{case_id} is open")
    return WorklistCase(case_id, volume, own, network, _warnings(cohort, case_id, volume, blinding), version)


def _reading(cohort: Path, reader: str, case_id: str, volume: CTVolume) -> Reading | None:
    """A reader's reading of this CT; None where there is none with a CT."""
    folder = reading_folder(cohort, reader, case_id)
    if not has_reading(folder):
        return None
    reading = read_reading(folder)
    if not any(reading.shape):  # it was not gradable because the CT could not be opened, and now it could
        return None
    if reading.shape != volume.shape:
        raise InputError(
            "reading",
            f"The reading of {case_id} by {reader} is of another CT: bring that CT back, or move the folder {folder} "
            "away and read the case again.",
        )
    return reading


def _network(cohort: Path, case_id: str, volume: CTVolume) -> NetworkReading | None:
    reading = _reading(cohort, AI, case_id, volume)
    if reading is None:
        return None
    content = _scores(cohort, case_id)
    lesions = content.get("lesions", [])
    probabilities = tuple(one.get("probability") for one in lesions if isinstance(one, dict))
    model = (content.get("provenance") or {}).get("weights") or {}
    uncertainty = read_uncertainty(reading_folder(cohort, AI, case_id), volume.hu.size)
    return NetworkReading(reading.label_map(), probabilities, model, uncertainty)


def _warnings(cohort: Path, case_id: str, volume: CTVolume, blinding: Blinding) -> tuple[CaseWarning, ...]:
    found = [
        CaseWarning(str(one["code"]), str(one["message"]))
        for one in _scores(cohort, case_id).get("warnings", [])
        if isinstance(one, dict) and "code" in one and "message" in one
    ]
    if blinding.ai:
        found = [warning for warning in found if warning.code not in LESION_CODES]
    return each_once(*volume.warnings, *found)


def _scores(cohort: Path, case_id: str) -> dict[str, Any]:
    """The content of a case's scores.json; empty where there is none that can be read."""
    from coronary_calcium.reports.case_files import SCORES  # noqa: PLC0415 - slow to import

    try:
        content = json.loads((cohort / CASES / case_id / SCORES).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
