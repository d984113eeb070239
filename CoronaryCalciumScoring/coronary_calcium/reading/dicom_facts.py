"""Reading single header entries without trusting them, and the acquisition facts made of them."""

import math

from pydicom.dataset import Dataset

from coronary_calcium.reading.contrast_words import says_no_contrast
from coronary_calcium.volume import Acquisition

# PS3.5 and PS3.6: transfer syntaxes that discard information: JPEG baseline and extended, JPEG-LS near-lossless.
# JPEG 2000 (.91) and HTJ2K (.203) can be either: LossyImageCompression says which, or the pixels do (dicom_bytes).
_LOSSY_SYNTAXES = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81")
_CONTRAST_TAGS = ("ContrastBolusAgent", "ContrastBolusIngredient")
# Values of ScanOptions (0018,0022) that tell a scan synchronised with the heart beat.
_GATED_OPTIONS = ("ECG", "GAT", "CARD", "CTA_RETRO", "SNAPSHOT")
_LONGEST_FACT = 64


class Facts:
    """Entries of one dataset; an entry that is absent, empty or malformed is None (numbers) or empty (texts)."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def _value(self, keyword: str) -> object:
        try:
            return self._dataset.get(keyword)
        except (ValueError, TypeError, OverflowError, UnicodeError, NotImplementedError, AttributeError):
            return None  # pydicom converts on access and raises on malformed text

    def words(self, keyword: str) -> tuple[str, ...]:
        """A text of one or several values, upper case."""
        value = self._value(keyword)
        if value is None:
            return ()
        values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
        return tuple(str(item).strip().upper() for item in values)

    def text(self, keyword: str) -> str:
        """A text; several values are joined by a space."""
        value = self._value(keyword)
        if value is None:
            return ""
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            return str(value).strip(" \0")
        return " ".join(str(item).strip(" \0") for item in value)

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly ``count`` finite numbers, or None."""
        value = self._value(keyword)
        if value is None or isinstance(value, str):
            return None
        try:
            numbers = tuple(float(item) for item in (value if hasattr(value, "__iter__") else [value]))
        except (ValueError, TypeError):
            return None
        return numbers if len(numbers) == count and all(math.isfinite(number) for number in numbers) else None

    def number(self, keyword: str) -> float | None:
        """One finite number, or None."""
        numbers = self.numbers(keyword, 1)
        return None if numbers is None else numbers[0]

    def integer(self, keyword: str) -> int | None:
        """One whole number, or None."""
        number = self.number(keyword)
        return None if number is None or not number.is_integer() else int(number)


def acquisition_of(dataset: Dataset, transfer_syntax: str) -> Acquisition:
    """The acquisition facts that a dataset states."""
    facts = Facts(dataset)
    lossy = facts.text("LossyImageCompression")
    is_lossy = transfer_syntax in _LOSSY_SYNTAXES or lossy == "01"
    return Acquisition(
        modality=facts.text("Modality") or None,
        kvp=facts.number("KVP") or None,
        kernel=facts.text("ConvolutionKernel")[:_LONGEST_FACT] or None,
        slice_thickness_mm=facts.number("SliceThickness") or None,
        manufacturer=facts.text("Manufacturer")[:_LONGEST_FACT] or None,
        model=facts.text("ManufacturerModelName")[:_LONGEST_FACT] or None,
        contrast_agent=_contrast(dataset, facts),
        lossy_compression=True if is_lossy else (False if lossy == "00" else None),
        cardiac_gating=_gating(facts),
        mass_factor_patient=facts.number("CalciumScoringMassFactorPatient") or None,
        mass_factor_device=_mass_factor_device(facts),
    )


def _mass_factor_device(facts: Facts) -> float | None:
    """The device's factor for calcium mass: of three, the second is for a medium-sized patient (PS3.3 C.8.2.1.1.7).

    Some scanners write a single one.
    """
    factors = facts.numbers("CalciumScoringMassFactorDevice", 3)
    return (factors[1] if factors else facts.number("CalciumScoringMassFactorDevice")) or None


def _contrast(dataset: Dataset, facts: Facts) -> str | None:
    """The contrast medium that the header states, or None."""
    for tag in _CONTRAST_TAGS:
        stated = facts.text(tag)
        if not says_no_contrast(stated):
            return stated[:_LONGEST_FACT]
    coded = dataset.get("ContrastBolusAgentSequence") or ()
    if any(not (meaning := Facts(item).text("CodeMeaning")) or not says_no_contrast(meaning) for item in coded):
        return "coded in the header"
    if (facts.number("ContrastBolusVolume") or 0) > 0:
        return "not named"
    return None


def _gating(facts: Facts) -> str | None:
    """How the scan was synchronised with the heart, or None where the header does not say so."""
    phase = facts.number("NominalPercentageOfCardiacPhase")
    signal = facts.text("CardiacSignalSource")
    options = " ".join(facts.words("ScanOptions"))
    if phase is not None:
        return f"{signal or 'ECG'}, {phase:g} % of the heart cycle"
    if signal:
        return signal
    return options[:_LONGEST_FACT] if any(word in options for word in _GATED_OPTIONS) else None
