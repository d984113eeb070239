"""Making a source header's values conformant before they are copied into a DICOM object.

Archives hold names in every character set, dates with hyphens and sexes of other letters, which no maker of DICOM
objects accepts. What can be understood is written as PS3.5 section 6.2 has it, the rest is left empty or out. Only a
copy in memory changes, and never an identifier that the object refers by.
"""

import re
from collections.abc import Callable

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import DA, DT, TM, validate_value

UNICODE = "ISO_IR 192"
_DATE = re.compile(r"(\d{4})[-./: ]?(\d{1,2})[-./: ]?(\d{1,2})(?:[ T].*)?")
_TIME = re.compile(r"(\d{1,2})[:. ](\d{2})(?:[:. ](\d{2}))?(\.\d{1,6})?Z?")
# PS3.3 C.7.1.1 has M, F and O.
_SEXES = {"MALE": "M", "MAN": "M", "FEMALE": "F", "WOMAN": "F", "W": "F", "OTHER": "O"}
_LONGEST = {"LO": 64, "SH": 16, "PN": 64, "AE": 16, "CS": 16, "ST": 1024, "LT": 10240, "UC": 2**20, "UT": 2**20}
# What reading, converting and checking a value raises.
_ODD = (ValueError, TypeError, OverflowError, AttributeError, NotImplementedError, LookupError, KeyError)
# Entries that references are made by: they stay as they are, since they must equal the source's.
_REFERENCES = ("UI",)
_NUMBERS = ("DS", "IS")


def make_conformant(image: Dataset) -> list[str]:
    """Correct, empty or remove the values of a header that are not conformant, in place.

    Returns the keywords of those that were changed. Text is in Unicode afterwards, whatever it was in.
    """
    changed = []
    _to_unicode(image)
    for tag in list(image.keys()):
        name = str(tag)
        try:
            element = image[tag]
            name = element.keyword or name
            if element.VR == "SQ":
                for item in element.value:
                    changed += make_conformant(item)
                continue
            if _is_conformant(element):
                continue
            element.value = _mended(element)
            if not _is_conformant(element):
                element.value = None
        except _ODD:
            del image[tag]
        if not name.startswith("("):  # private entries have no name, and are not copied
            changed.append(name)
    return changed


def _to_unicode(image: Dataset) -> None:
    """Decode all text, and have it written in Unicode."""
    try:
        stated = image.get("SpecificCharacterSet")
        if stated in (None, "", []):
            if "SpecificCharacterSet" in image:
                del image.SpecificCharacterSet
            if not any(_is_beyond_ascii(image, tag) for tag in list(image.keys())):
                return
        image.decode()
    except _ODD:
        pass  # entries that cannot be decoded are removed one by one
    image.SpecificCharacterSet = UNICODE


def _is_beyond_ascii(image: Dataset, tag: BaseTag) -> bool:
    """Whether a text holds letters that need a character set."""
    try:
        element = image[tag]
        return element.VR in _LONGEST and not str(element.value).isascii()
    except _ODD:
        return False


def _is_conformant(element: DataElement) -> bool:
    """Whether an element's value is one of its kind, and one that a maker of DICOM objects takes."""
    vr, value = str(element.VR), element.value
    if value in (None, "") or vr in _REFERENCES:
        return True
    parse: Callable[[str], object] | None = {"DA": DA, "TM": TM, "DT": DT}.get(vr)
    if element.keyword == "PatientSex":
        return value in ("M", "F", "O")
    try:
        values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
        if vr == "PN":
            values = [str(value)] if element.VM == 1 else values
        for one in values:
            if parse is not None:
                parse(str(one))
            if vr in _NUMBERS:
                float(one)
            elif vr in _LONGEST or parse is not None or vr == "AS":
                validate_value(vr, str(one), config.RAISE)
    except _ODD:
        return False
    return True


def _mended(element: DataElement) -> str | None:
    """What the value was meant to be, or None."""
    vr, text = str(element.VR), str(element.value).strip()
    if element.keyword == "PatientSex":
        return _SEXES.get(text.upper(), text.upper() if text.upper() in ("M", "F", "O") else None)
    if vr == "DA" and (match := _DATE.fullmatch(text)):
        year, month, day = (int(part) for part in match.groups())
        return f"{year:04d}{month:02d}{day:02d}"
    if vr == "TM" and (match := _TIME.fullmatch(text)):
        hour, minute, second, part = match.groups()
        return f"{int(hour):02d}{minute}{second or '00'}{part or ''}"
    if vr in _LONGEST:
        plain = "".join(letter if letter.isprintable() and letter != "\\" else " " for letter in text)
        if vr == "PN":
            return "=".join(group[: _LONGEST[vr]] for group in plain.split("=")[:3])
        return plain[: _LONGEST[vr]].strip()
    return None
