"""What came of one patient, as it is kept on disk between runs."""

from dataclasses import asdict, dataclass
from typing import Any

from coronary_calcium.evaluation.counts import Counts

# Raised when the meaning of a kept result changes, so that earlier ones are not taken for it.
RESULT_FORMAT = 5


@dataclass(frozen=True)
class Lesion:
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
class Measured:
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
    out_of_sight : voxels of the truth outside the windows and the heart's region, which cannot be found.
    heart_found, slices_run, slices_skipped : what the network looked at.
    seconds : wall-clock seconds by stage.
    warnings : codes of the warnings that a reader of the score would see.
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
    true_lesions: tuple[Lesion, ...]
    found_lesions: tuple[Lesion, ...]
    out_of_sight: int
    heart_found: bool
    slices_run: int
    slices_skipped: int
    seconds: dict[str, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """Why a patient has no score: the refusal's code and sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class PatientResult:
    """One patient: how the scan was made (``patients.FACTS``), and either what was measured or why nothing was."""

    name: str
    facts: dict[str, str | float | None]
    measured: Measured | None = None
    refusal: Refusal | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is kept on disk."""
        return asdict(self)


def from_json(content: dict[str, Any]) -> PatientResult:
    """``PatientResult.as_json`` read back. Raises KeyError or TypeError for anything else."""
    measured = content["measured"]
    if measured is not None:
        counts = {name: Counts(**measured[name]) for name in ("marked", "counted", "network")}
        lesions = {
            name: tuple(Lesion(**lesion) for lesion in measured[name]) for name in ("true_lesions", "found_lesions")
        }
        measured = Measured(**{**measured, **counts, **lesions, "warnings": tuple(measured["warnings"])})
    refusal = content["refusal"]
    return PatientResult(content["name"], content["facts"], measured, None if refusal is None else Refusal(**refusal))
