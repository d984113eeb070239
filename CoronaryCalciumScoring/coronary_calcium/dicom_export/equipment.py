"""What a DICOM object says about the program that made it."""

from typing import TYPE_CHECKING, Any

from highdicom.sr import CodedConcept
from pydicom.uid import generate_uid

import coronary_calcium
from coronary_calcium.arteries import Artery

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

MANUFACTURER = "Coronary Calcium Scoring contributors"
PRODUCT = "Coronary Calcium Scoring"
NETWORK = "DenseRAUnet coronary calcium"
# Type 1 in the Enhanced General Equipment module; a program has none.
NO_SERIAL_NUMBER = "NONE"
# Identifies the program as an observer, the same for every report of one version.
OBSERVER_UID = generate_uid(entropy_srcs=[PRODUCT, coronary_calcium.__version__])
# Series numbers of the derived series, above those that scanners use.
SEGMENTATION_SERIES, REPORT_SERIES = 9101, 9102


def new_object(series_number: int) -> dict[str, Any]:
    """What every object of this program says of itself: its series, its instance and its equipment."""
    return {
        "series_instance_uid": generate_uid(),
        "series_number": series_number,
        "sop_instance_uid": generate_uid(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": PRODUCT,
        "software_versions": software_versions(),
        "device_serial_number": NO_SERIAL_NUMBER,
    }


def software_versions() -> str:
    """The program's name and version."""
    return f"{PRODUCT} {coronary_calcium.__version__}"


def weights_checksum(result: "CaseResult") -> str | None:
    """SHA-256 of the network's weights; None when a label map was given."""
    return None if result.model_card is None else str(result.model_card["sha256"])


def tracking(artery: Artery) -> str:
    """How objects name one artery's calcium, so that the report's scores and the segment are known to be the same."""
    return f"Coronary calcium, {artery.name}"


def concept(code: tuple[str, str, str]) -> CodedConcept:
    """A code (scheme, value, meaning), as ``terminology`` writes them, for highdicom."""
    scheme, value, meaning = code
    return CodedConcept(value, scheme, meaning)
