"""Results on disk, one file a patient, so that an evaluation that was interrupted goes on where it stopped."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import coronary_calcium
from coronary_calcium.evaluation.patients import Patient
from coronary_calcium.evaluation.result import RESULT_FORMAT, PatientResult, from_json
from coronary_calcium.rules import PROPOSAL_LIMITS


@dataclass(frozen=True)
class Key:
    """What a result depends on besides its patient: the weights' checksum and how the network was run."""

    weights_sha256: str
    precision: str
    every_slice: bool

    @property
    def folder(self) -> str:
        """Name of the folder in which results of this key are kept."""
        return f"{self.weights_sha256[:12]}-{self.precision}{'-every-slice' if self.every_slice else ''}"


class Kept:
    """The results of one evaluation's weights in a folder; pictures lie beside them."""

    def __init__(self, folder: Path, key: Key) -> None:
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
        """Keep a result and its picture; a refusal is not kept, since its cause may be gone the next time."""
        if result.measured is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        if picture is None:
            self._path(patient, ".png").unlink(missing_ok=True)
        else:
            replace_file(self._path(patient, ".png"), picture)
        content = {"key": self._full_key(patient), "result": result.as_json()}
        replace_file(self._path(patient, ".json"), as_json(content))

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
            "limits": asdict(PROPOSAL_LIMITS),
        }

    def _path(self, patient: Patient, suffix: str) -> Path:
        return self._named(patient.name, suffix)

    def _named(self, name: str, suffix: str) -> Path:
        return self._folder / (name.replace("/", "__") + suffix)


def as_json(content: dict[str, Any]) -> bytes:
    """JSON as files hold it; raises ValueError for a number that JSON does not know."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def replace_file(path: Path, content: bytes) -> None:
    """Write a file that appears under its name only when it is complete."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
