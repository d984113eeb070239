"""Who was scanned and when, for reports to be signed; read from the CT's DICOM files only when the user asks for it."""

import re
import warnings
from dataclasses import dataclass

from coronary_calcium.errors import InputError
from coronary_calcium.volume import CTVolume

# PS3.5 6.2: the longest of the entries is a name of three groups of 64 letters.
_LONGEST = 192
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_ENTRIES = {
    "name": "PatientName",
    "patient_id": "PatientID",
    "birth_date": "PatientBirthDate",
    "study_date": "StudyDate",
    "accession": "AccessionNumber",
}


@dataclass(frozen=True)
class Identity:
    """Patient and study as the header states them; empty where it does not. Dates as YYYY-MM-DD."""

    name: str
    patient_id: str
    birth_date: str
    study_date: str
    accession: str

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Label and value, in the order of a report's head."""
        return (
            ("Patient", self.name),
            ("Patient ID", self.patient_id),
            ("Born", self.birth_date),
            ("Study date", self.study_date),
            ("Accession number", self.accession),
        )


def read_identity(volume: CTVolume) -> Identity:
    """Patient and study of a CT.

    Raises InputError("no-identity") when the CT did not come from DICOM files that are still there.
    """
    # Slicer imports the reports at its start, when pydicom is not yet needed.
    import pydicom  # noqa: PLC0415

    from coronary_calcium.io.slice_header import UNREADABLE  # noqa: PLC0415

    files = () if volume.series is None else volume.series.files
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd values, which are shown as they are
            dataset = pydicom.dcmread(files[0], stop_before_pixels=True, specific_tags=list(_ENTRIES.values()))
            stated = {name: str(dataset.get(keyword) or "") for name, keyword in _ENTRIES.items()}
    except UNREADABLE:
        raise InputError(
            "no-identity",
            "Patient and study are not known, because the CT has no DICOM files here (an image file, or a ZIP): "
            "give the DICOM folder, or leave out --with-identity.",
        ) from None
    # A name's groups (alphabetic=ideographic=phonetic) and components (family^given^...), as a reader writes them.
    stated["name"] = ", ".join(
        " ".join(part for part in group.split("^") if part) for group in stated["name"].split("=") if group.strip("^ ")
    )
    return Identity(**{name: _shown(value) for name, value in stated.items()})


def _shown(value: str) -> str:
    """A text without control characters, of bounded length; a date with hyphens."""
    printable = "".join(letter if letter.isprintable() else " " for letter in value).strip()[:_LONGEST]
    date = _DATE.fullmatch(printable)
    return "-".join(date.groups()) if date else printable
