"""One slice's DICOM header, reduced to what a score depends on, and the acquisition facts made of it."""

import math
import re
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from coronary_calcium.io.contrast_words import says_no_contrast
from coronary_calcium.volume import Acquisition

# PS3.5 and PS3.6: transfer syntaxes that discard information: JPEG baseline and extended, JPEG-LS near-lossless.
# JPEG 2000 (.91) and HTJ2K (.203) can be either: LossyImageCompression says which, or the pixels do (dicom_bytes).
_LOSSY_SYNTAXES = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81")
_CONTRAST_TAGS = ("ContrastBolusAgent", "ContrastBolusIngredient")
# Values of ScanOptions (0018,0022) that tell a scan synchronized with the heart beat.
_GATED_OPTIONS = ("ECG", "GAT", "CARD", "CTA_RETRO", "SNAPSHOT")
_LONGEST_FACT = 64
# PS3.3 C.8.15.3.9 has TIN for the filter's material; Siemens writes the voltage behind a tin filter as Sn100.
_TIN = re.compile(r"\b(TIN|SN)\b")
_TIN_VOLTAGE = re.compile(r"(?<![A-Z])SN[ _-]?(80|90|100|110|120|130|140|150)(?!\d)|\bTIN[ _-]?FILTER")


class HeaderValues:
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
    facts = HeaderValues(dataset)
    lossy = facts.text("LossyImageCompression")
    is_lossy = transfer_syntax in _LOSSY_SYNTAXES or lossy == "01"
    return Acquisition(
        modality=facts.text("Modality").upper() or None,
        kvp=facts.number("KVP") or None,
        kernel=facts.text("ConvolutionKernel")[:_LONGEST_FACT] or None,
        slice_thickness_mm=facts.number("SliceThickness") or None,
        manufacturer=facts.text("Manufacturer")[:_LONGEST_FACT] or None,
        model=facts.text("ManufacturerModelName")[:_LONGEST_FACT] or None,
        contrast_agent=_contrast(dataset, facts),
        lossy_compression=True if is_lossy else (False if lossy == "00" else None),
        cardiac_gating=_gating(facts),
        tin_filter=_tin_filter(facts),
        mass_factor_patient=facts.number("CalciumScoringMassFactorPatient") or None,
        mass_factor_device=_mass_factor_device(facts),
    )


def _mass_factor_device(facts: HeaderValues) -> float | None:
    """The device's factor for calcium mass: of three, the second is for a medium-sized patient (PS3.3 C.8.2.1.1.7).

    Some scanners write a single one.
    """
    factors = facts.numbers("CalciumScoringMassFactorDevice", 3)
    return (factors[1] if factors else facts.number("CalciumScoringMassFactorDevice")) or None


def _contrast(dataset: Dataset, facts: HeaderValues) -> str | None:
    """The contrast medium that the header states, or None."""
    for tag in _CONTRAST_TAGS:
        stated = facts.text(tag)
        if not says_no_contrast(stated):
            return stated[:_LONGEST_FACT]
    coded = dataset.get("ContrastBolusAgentSequence") or ()
    if any(not (meaning := HeaderValues(item).text("CodeMeaning")) or not says_no_contrast(meaning) for item in coded):
        return "coded in the header"
    if (facts.number("ContrastBolusVolume") or 0) > 0:
        return "not named"
    return None


def _tin_filter(facts: HeaderValues) -> bool:
    """Whether the beam was hardened by a filter of tin, as entries for the filter or vendors' "Sn100" say."""
    filters = f"{facts.text('FilterMaterial')} {facts.text('FilterType')}"
    described = f"{facts.text('SeriesDescription')} {facts.text('ProtocolName')}"
    return bool(_TIN.search(filters.upper()) or _TIN_VOLTAGE.search(described.upper()))


def _gating(facts: HeaderValues) -> str | None:
    """How the scan was synchronized with the heart, or None where the header does not say so."""
    phase = facts.number("NominalPercentageOfCardiacPhase")
    signal = facts.text("CardiacSignalSource")
    options = " ".join(facts.words("ScanOptions"))
    if phase is not None:
        return f"{signal or 'ECG'}, {phase:g} % of the heart cycle"
    if signal:
        return signal
    return options[:_LONGEST_FACT] if any(word in options for word in _GATED_OPTIONS) else None


CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PREAMBLE = 132
# Group 0002, which names the transfer syntax, follows the preamble and is far shorter than this.
META_BYTES = 4096
# A wanted entry that claims gigabytes is not read. The entries of 5000 frames take about 20 MB.
_MAXIMUM_HEADER_BYTES = 2**28
# A deflated file that unpacks to more than this holds no CT that is read here; pydicom unpacks it all into memory.
_MAXIMUM_INFLATED = 2**30
_PIECE = 2**20
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
# What pydicom raises on files that are not, or no longer, DICOM.
UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
    IndexError,
    OverflowError,
    RecursionError,
    struct.error,
    zlib.error,
)
# Header entries in which the repeats of one region (heart phases, acquisitions, reconstructions) differ.
STACK_TAGS = (
    "NominalPercentageOfCardiacPhase",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "AcquisitionNumber",
    "AcquisitionTime",
    "AcquisitionDateTime",
)
_TAGS = [
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "Manufacturer", "PatientID",
    "StudyInstanceUID",
    "ManufacturerModelName", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber",
    "FrameOfReferenceUID",
    "BodyPartExamined", "ContrastBolusAgent", "ContrastBolusAgentSequence", "ContrastBolusVolume",
    "ContrastBolusIngredient", "ScanOptions", "FilterMaterial", "FilterType", "ProtocolName",
    "CardiacSignalSource", "SliceThickness", "KVP", "ConvolutionKernel",
    "GantryDetectorTilt", "PatientPosition", "ImagePositionPatient", "ImageOrientationPatient", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "LossyImageCompression", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "CalciumScoringMassFactorPatient", "CalciumScoringMassFactorDevice",
    *STACK_TAGS,
]  # fmt: skip


@dataclass(frozen=True)
class SliceHeader:
    """The header of one slice: a file, or one frame of a multi-frame file. None means that the tag is missing.

    ``position`` and ``orientation`` are LPS (mm; row then column direction), ``pixel_spacing`` is (rows, columns) in
    mm as DICOM orders it, ``pixel_offset`` the byte at which the pixel data element begins (None in a deflated file).
    ``patient`` is a number that tells patients and studies apart and says nothing else.
    """

    path: Path
    frame: int
    frames: int
    sop_class: str
    sop_uid: str
    series_uid: str
    series_number: str
    instance_number: str
    frame_of_reference: str
    patient: int
    modality: str
    image_type: tuple[str, ...]
    description: str
    body_part: str
    photometric: str
    samples: int | None
    rows: int | None
    columns: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    bits_allocated: int | None
    bits_stored: int | None
    high_bit: int | None
    signed: bool | None
    padding: int | None
    padding_limit: int | None
    tilt: float | None
    transfer_syntax: str
    pixel_offset: int | None
    has_pixels: bool
    stack: tuple[str, ...]
    acquisition: Acquisition

    @property
    def place(self) -> str:
        """How messages name the slice: by its position, because file names may hold a patient's name."""
        return "A slice" if self.position is None else f"The slice at z = {self.position[2]:.2f} mm"


def is_directory_file(path: Path) -> bool:
    """Whether a file is a DICOMDIR, which lists the files of a medium and holds no image."""
    with path.open("rb") as file:
        start = file.read(META_BYTES)
    return start[128:_PREAMBLE] == b"DICM" and _DIRECTORY.encode() in start


def read_headers(path: Path) -> list[SliceHeader] | None:
    """The slices in one file: none if it is not DICOM or a directory file, None if it is DICOM but unreadable."""
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # pydicom's remarks on odd values; those that matter are rejected later
            start = file.read(META_BYTES)
            if inflates_too_far(file, start):
                return None
            marked = start[128:_PREAMBLE] == b"DICM"
            # Old files without the preamble begin with an element of group 0002 or 0008.
            if not marked and (len(start) < 8 or start[:2] not in (b"\x08\x00", b"\x02\x00") or start[3] != 0):
                return []
            file.seek(0)
            bounded = _Bounded(file, _MAXIMUM_HEADER_BYTES)
            dataset = pydicom.dcmread(bounded, stop_before_pixels=True, specific_tags=_TAGS, force=not marked)
            offset = file.tell()
            at_pixels = file.read(4) in _PIXEL_DATA
            if not marked and not dataset.get("SOPClassUID"):
                return []
            if marked and not dataset.get("SeriesInstanceUID") and not dataset.get("Rows"):
                is_directory = _DIRECTORY.encode() in start
                return [] if is_directory else None  # what is left of a header whose lengths are damaged
            return _slices_of(dataset, path, offset if at_pixels else None)
    except UNREADABLE:
        return None


class _Bounded:
    """A file of which only so many bytes can be read, so that a header's claims cannot fill the memory."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._left = limit
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """As a file's; raises ValueError beyond the limit."""
        if size > self._left:
            raise ValueError("the header is too large")
        content = self._file.read(size if size >= 0 else self._left)
        self._left -= len(content)
        return content


def inflates_too_far(file: BinaryIO, start: bytes) -> bool:
    """Whether a file is deflated and would unpack to more than memory should hold; ``start`` is its first 4 KiB."""
    if _DEFLATED.encode() not in start:
        return False
    begin = _PREAMBLE
    while start[begin : begin + 2] == b"\x02\x00":
        if start[begin + 4 : begin + 6] in (b"OB", b"UN"):  # PS3.5 section 7.1.2: these have a 32-bit length
            begin += 12 + struct.unpack_from("<I", start, begin + 8)[0]
        else:
            begin += 8 + struct.unpack_from("<H", start, begin + 6)[0]
    file.seek(begin)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    packed, unpacked = b"", 0
    while not unpacker.eof and unpacked <= _MAXIMUM_INFLATED:
        packed = packed or file.read(_PIECE)
        if not packed:
            break
        unpacked += len(unpacker.decompress(packed, _PIECE))
        packed = unpacker.unconsumed_tail
    return unpacked > _MAXIMUM_INFLATED


def _slices_of(dataset: Dataset, path: Path, offset: int | None) -> list[SliceHeader]:
    """The slices of a parsed file."""
    meta = getattr(dataset, "file_meta", Dataset())
    if str(meta.get("MediaStorageSOPClassUID", "")) == _DIRECTORY:
        return []
    syntax = str(meta.get("TransferSyntaxUID", ""))
    facts = HeaderValues(dataset)
    frames = facts.integer("NumberOfFrames") or 1
    signed = facts.integer("PixelRepresentation")
    first = SliceHeader(
        path=path,
        frame=0,
        frames=frames,
        sop_class=facts.text("SOPClassUID"),
        sop_uid=facts.text("SOPInstanceUID"),
        series_uid=facts.text("SeriesInstanceUID"),
        series_number=facts.text("SeriesNumber"),
        instance_number=facts.text("InstanceNumber"),
        frame_of_reference=facts.text("FrameOfReferenceUID"),
        patient=hash((facts.text("PatientID"), facts.text("StudyInstanceUID"))),  # salted: another one in every run
        modality=facts.text("Modality").upper(),
        image_type=facts.words("ImageType"),
        description=facts.text("SeriesDescription"),
        body_part=facts.text("BodyPartExamined").upper(),
        photometric=facts.text("PhotometricInterpretation").upper(),
        samples=facts.integer("SamplesPerPixel"),
        rows=facts.integer("Rows"),
        columns=facts.integer("Columns"),
        position=facts.numbers("ImagePositionPatient", 3),
        orientation=facts.numbers("ImageOrientationPatient", 6),
        pixel_spacing=facts.numbers("PixelSpacing", 2),
        slope=facts.number("RescaleSlope"),
        intercept=facts.number("RescaleIntercept"),
        rescale_type=facts.text("RescaleType").upper(),
        bits_allocated=facts.integer("BitsAllocated"),
        bits_stored=facts.integer("BitsStored"),
        high_bit=facts.integer("HighBit"),
        signed=None if signed is None else bool(signed),
        padding=facts.integer("PixelPaddingValue"),
        padding_limit=facts.integer("PixelPaddingRangeLimit"),
        tilt=facts.number("GantryDetectorTilt"),
        transfer_syntax=syntax,
        pixel_offset=offset,
        has_pixels=offset is not None or syntax == _DEFLATED,
        stack=tuple(facts.text(tag) for tag in STACK_TAGS),
        acquisition=acquisition_of(dataset, syntax),
    )
    if first.sop_class not in ENHANCED_CT:
        return [first]
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if not per_frame or len(per_frame) != frames:
        return [replace(first, position=None)]
    return [_frame_of(first, dataset, index) for index in range(frames)]


def _frame_of(first: SliceHeader, dataset: Dataset, index: int) -> SliceHeader:
    """One frame of an enhanced CT: its geometry and rescale are in functional groups, shared or of its own."""
    groups = [dataset.PerFrameFunctionalGroupsSequence[index], *(dataset.get("SharedFunctionalGroupsSequence") or [])]

    def group(name: str) -> HeaderValues:
        for holder in groups:
            items = holder.get(name)
            if items:
                return HeaderValues(items[0])
        return HeaderValues(Dataset())

    transformation = group("PixelValueTransformationSequence")
    measures = group("PixelMeasuresSequence")
    geometry = group("CTReconstructionSequence")
    beam = group("CTXRayDetailsSequence")
    table = group("CTAcquisitionDetailsSequence")
    stated = first.acquisition
    return replace(
        first,
        frame=index,
        image_type=group("CTImageFrameTypeSequence").words("FrameType") or first.image_type,
        position=group("PlanePositionSequence").numbers("ImagePositionPatient", 3),
        orientation=group("PlaneOrientationSequence").numbers("ImageOrientationPatient", 6),
        pixel_spacing=measures.numbers("PixelSpacing", 2),
        slope=transformation.number("RescaleSlope"),
        intercept=transformation.number("RescaleIntercept"),
        rescale_type=transformation.text("RescaleType").upper(),
        tilt=table.number("GantryDetectorTilt"),
        stack=(group("CardiacSynchronizationSequence").text("NominalPercentageOfCardiacPhase"), *first.stack[1:]),
        acquisition=replace(
            stated,
            kvp=stated.kvp if stated.kvp is not None else beam.number("KVP"),
            kernel=stated.kernel or geometry.text("ConvolutionKernel") or None,
            slice_thickness_mm=measures.number("SliceThickness") or stated.slice_thickness_mm,
            tin_filter=stated.tin_filter or _tin_filter(beam),
        ),
    )
