"""What a cohort knows of a case: where its CT is, how it is to be scored, and what became of it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import coronary_calcium
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.options import DEFAULT_OPTIONS, ScoringOptions
from coronary_calcium.scoring.rules import LITERATURE, RuleSet

QUEUED, RUNNING, DONE, REJECTED, FAILED = STATES = ("queued", "running", "done", "rejected", "failed")

# In a cohort's folder: the state, and the folders of the cases, of the logs and of the readers.
DATABASE, CASES, LOGS, READERS = "cohort.sqlite", "cases", "logs", "readers"
# In a case's folder, beside the files that `score` writes.
CASE_RECORD, CASE_PICTURE = "case.json", "overview.png"
RECORD_FORMAT = "coronary-calcium-cohort-case/1"

# An id becomes a folder's name, on every file system.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Device names, which no file can have on Windows: Microsoft, "Naming Files, Paths, and Namespaces".
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def is_id(text: str) -> bool:
    """Whether a text can be a case's id or a reader's name, which names a folder."""
    return bool(_ID.fullmatch(text)) and not text.endswith(".") and not _RESERVED.fullmatch(text)


def checked_id(text: str) -> str:
    """A case's id or a reader's name. Raises InputError("cohort-id") for what can be neither."""
    if not is_id(text):
        raise InputError(
            "cohort-id",
            f"{text[:64]!r} cannot be an id or a reader's name: use 1 to 64 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, and no name that Windows reserves, such as con or nul.",
        )
    return text


@dataclass(frozen=True)
class FoundCase:
    """A case as the search finds it.

    Attributes
    ----------
    key : tells the case from all others and says nothing else: a salted checksum.
    path : a file or folder to open as `score` does, or a DICOMweb address; None for a study of ``files``.
    files : names of the study's DICOM files by folder; empty with ``path``.
    id : the user's own id; None for the next number.
    mask : a label map to score in place of the network's.
    study : the study to fetch from the DICOMweb address.
    """

    key: str
    path: str | None = None
    files: dict[str, list[str]] = field(default_factory=dict)
    id: str | None = None
    mask: str | None = None
    study: str | None = None

    @property
    def fingerprint(self) -> str:
        """A checksum of what the case consists of: when it changes, files were added or taken away."""
        content: dict[str, Any] = {"path": self.path, "files": self.files, "mask": self.mask, "study": self.study}
        for name in ("path", "mask"):
            place = Path(content[name] or "")
            if content[name] and place.is_file():
                content[f"{name}_state"] = (place.stat().st_size, place.stat().st_mtime_ns)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """A case handed to a worker."""

    number: int
    id: str
    case: FoundCase
    fingerprint: str
    attempts: int = 0


@dataclass(frozen=True)
class CohortSettings:
    """How every case of a run is scored, and where its folder goes.

    Attributes
    ----------
    output : the cohort's folder, which every worker must see.
    time_limit_s : seconds after which a case's worker is ended; None for never.
    threads : threads of a worker's computations; None leaves them as they are.
    gpus : GPUs of a local cluster, one for each of its workers; 0 where the workers choose themselves.
    weights_sha256 : checksum of the weights, which every worker must have.
    run : tells this run from others of the same cohort.
    """

    output: Path
    rules: RuleSet = LITERATURE
    options: ScoringOptions = DEFAULT_OPTIONS
    weights: Path | None = None
    weights_sha256: str = ""
    device: str = "auto"
    pdf: bool = False
    time_limit_s: float | None = None
    threads: int | None = None
    gpus: int = 0
    run: str = ""

    @property
    def identity(self) -> dict[str, str]:
        """What a score depends on, in words or as a checksum; when it changes, the case is to be scored anew."""
        return {
            "program": coronary_calcium.__version__,
            "weights": self.weights_sha256[:12],
            "rules": f"{self.rules.name}-{_checksum(asdict(self.rules))}",
            "options": _checksum(asdict(self.options)),
        }


def _checksum(content: dict[str, Any]) -> str:
    # A set's order is another one in every process.
    text = json.dumps(
        content, sort_keys=True, default=lambda value: sorted(value) if isinstance(value, frozenset) else str(value)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Outcome:
    """What became of a case on a worker.

    Attributes
    ----------
    state : done, rejected or failed.
    record : of a done case, what its case.json holds.
    code, reason : of a rejected or failed case.
    log : of a failed case, the program's account of the error; it may name paths.
    seconds : how long it took.
    unusable_worker : the worker cannot do any case, for ``reason``: the run ends, and the case stays queued.
    """

    state: str
    record: dict[str, Any] | None = None
    code: str = ""
    reason: str = ""
    log: str = ""
    seconds: float = 0.0
    unusable_worker: bool = False
