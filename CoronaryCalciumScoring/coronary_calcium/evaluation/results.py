"""What came of one patient, and the results on disk from which an interrupted evaluation goes on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import coronary_calcium
from coronary_calcium.atomic_write import write_whole
from coronary_calcium.evaluation.patients import Patient
from coronary_calcium.evaluation.reading_comparison import ReadingComparison, ReadLesion
from coronary_calcium.evaluation.statistics import Counts
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS

# Raised when the meaning of a kept result changes, so that earlier ones are not taken for it.
RESULT_FORMAT = 7


@dataclass(frozen=True)
class LesionOutcome:
    """A lesion of the truth or of the network.

    Attributes
    ----------
    artery : its own.
    agatston, volume_mm3, voxels : how large it is.
    matched : whether the other side marks at least one of its voxels.
    other_artery : to which artery the other side gives most of the voxels that it marks; None when not matched.

    """

    artery: str
    agatston: float
    volume_mm3: float
    voxels: int
    matched: bool
    other_artery: str | None


@dataclass(frozen=True)
class PatientMeasurement:
    """The network's answer beside the truth.

    Attributes
    ----------
    marked : voxels of at least 130 HU, the label map that is scored against the whole truth.
    counted : the same, only voxels that count for the score on both sides (in parts of the minimum area).
    network : voxels of at least 130 HU that the network marks in its windows, whatever becomes of them.
    true_agatston, found_agatston : "total" and each artery.
    unfiltered_agatston : the total of the network's mask without post-processing.
    true_category, found_category, unfiltered_category : risk categories of these totals.
    true_lesions, found_lesions : by descending score.
    outside_field_of_view : voxels of the truth outside the windows and the heart's region, which cannot be found.
    heart_found, slices_run, slices_skipped : what the network looked at.
    seconds : wall-clock seconds by stage.
    warnings : codes of the warnings that a reader of the score would see.
    reading : the network beside a reading by eye, for a real scan that has one; else None.

    """

    marked: Counts
    counted: Counts
    network: Counts
    true_agatston: dict[str, float]
    found_agatston: dict[str, float]
    unfiltered_agatston: float
    true_category: str
    found_category: str
    unfiltered_category: str
    true_lesions: tuple[LesionOutcome, ...]
    found_lesions: tuple[LesionOutcome, ...]
    outside_field_of_view: int
    heart_found: bool
    slices_run: int
    slices_skipped: int
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    reading: ReadingComparison | None = None


@dataclass(frozen=True)
class Rejection:
    """Why a patient has no score: the rejection's code and sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class PatientResult:
    """One patient: how the scan was made (``patients.FACTS``), and either what was measured or why nothing was."""

    name: str
    facts: dict[str, str | float | None]
    measured: PatientMeasurement | None = None
    rejection: Rejection | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is kept on disk."""
        return asdict(self)


def from_json(content: dict[str, Any]) -> PatientResult:
    """``PatientResult.as_json`` read back. Raises KeyError or TypeError for anything else."""
    measured = content["measured"]
    if measured is not None:
        counts = {name: Counts(**measured[name]) for name in ("marked", "counted", "network")}
        lesions = {
            name: tuple(LesionOutcome(**lesion) for lesion in measured[name])
            for name in ("true_lesions", "found_lesions")
        }
        reading = measured["reading"]
        if reading is not None:
            read = tuple(ReadLesion(**lesion) for lesion in reading["lesions"])
            reading = ReadingComparison(**{**reading, "lesions": read})
        others = {"warnings": tuple(measured["warnings"]), "reading": reading}
        measured = PatientMeasurement(**{**measured, **counts, **lesions, **others})
    rejection = content["rejection"]
    return PatientResult(
        content["name"], content["facts"], measured, None if rejection is None else Rejection(**rejection)
    )


@dataclass(frozen=True)
class CacheKey:
    """What a result depends on besides its patient: the weights' checksum and how the network was run."""

    weights_sha256: str
    precision: str
    every_slice: bool

    @property
    def folder(self) -> str:
        """Name of the folder in which results of this key are kept."""
        return f"{self.weights_sha256[:12]}-{self.precision}{'-every-slice' if self.every_slice else ''}"


class ResultCache:
    """The results of one evaluation's weights in a folder; pictures lie beside them."""

    def __init__(self, folder: Path, key: CacheKey) -> None:
        self._folder = folder / "patients" / key.folder
        self._key = key

    def load(self, patient: Patient) -> PatientResult | None:
        """The kept result of a patient; None without one of the same weights, limits, files, options and version."""
        try:
            content = json.loads(self._path(patient, ".json").read_text(encoding="utf-8"))
            return from_json(content["result"]) if content["key"] == self._full_key(patient) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, patient: Patient, result: PatientResult, picture: bytes | None) -> None:
        """Keep a result and its picture; a rejection is not kept, since its cause may be gone the next time."""
        if result.measured is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        if picture is None:
            self._path(patient, ".png").unlink(missing_ok=True)
        else:
            write_whole(self._path(patient, ".png"), picture)
        content = {"key": self._full_key(patient), "result": result.as_json()}
        write_whole(self._path(patient, ".json"), as_json(content))

    def picture(self, name: str) -> bytes | None:
        """The picture of a patient by the patient's name; None when there is none."""
        path = self._named(name, ".png")
        return path.read_bytes() if path.is_file() else None

    def _full_key(self, patient: Patient) -> dict[str, Any]:
        return asdict(self._key) | {
            "patient": patient.name,
            "files": patient.fingerprint(),
            "version": coronary_calcium.__version__,
            "format": RESULT_FORMAT,
            "limits": asdict(POSTPROCESSING_LIMITS),
        }

    def _path(self, patient: Patient, suffix: str) -> Path:
        return self._named(patient.name, suffix)

    def _named(self, name: str, suffix: str) -> Path:
        return self._folder / (name.replace("/", "__") + suffix)


def as_json(content: dict[str, Any]) -> bytes:
    """JSON as files hold it; raises ValueError for a number that JSON does not know."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
