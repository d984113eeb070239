"""Small valid CT DICOM series for tests, with a way to put every header fault into them."""

import io
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-lossless": JPEGLosslessSV1,
    "jpeg2000": JPEG2000Lossless,
    "jpeg-lossy": JPEGBaseline8Bit,
    # The transfer syntax that may be either, with the one wavelet and the other.
    "jpeg2000-reversible": JPEG2000,
    "jpeg2000-irreversible": JPEG2000,
}


def chest_hu(shape: tuple[int, int, int] = (24, 64, 64)) -> np.ndarray:
    """A coarse chest (k, j, i) int16: air, a body with two lungs and noise, so that no two places look alike."""
    rng = np.random.default_rng(7)
    j, i = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    plane = np.full(shape[1:], -1000.0)
    plane[(j / 0.7) ** 2 + (i / 0.95) ** 2 < 1] = 40
    for side in (-0.5, 0.5):
        plane[(j / 0.5) ** 2 + ((i - side) / 0.3) ** 2 < 1] = -850
    hu = np.repeat(plane[None], shape[0], axis=0) + rng.normal(0, 15, shape)
    hu[:, shape[1] * 3 // 4, shape[2] // 2] += np.linspace(300, 900, shape[0])
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)


def write_series(
    folder: Path,
    hu: np.ndarray | None = None,
    *,
    spacing: tuple[float, float, float] = (3.0, 2.0, 2.0),
    origin: tuple[float, float, float] = (-64.0, -70.0, -300.0),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    slope: float | Sequence[float] = 1,
    intercept: float | Sequence[float] = -1024,
    signed: bool = False,
    bits_stored: int = 16,
    syntax: str = "explicit",
    series_uid: str | None = None,
    skip: Sequence[int] = (),
    edit: Callable[[int, Dataset], None] | None = None,
    seed: int = 1,
    **tags: object,
) -> list[Path]:
    """Write one file per slice, under random names, and return the paths in order of k.

    ``hu``: (k, row, column). Slices follow the normal of ``orientation``. ``slope`` and ``intercept`` may differ by
    slice. ``skip`` leaves slices out. ``edit(k, dataset)`` may change anything before the pixels are encoded; ``tags``
    sets keywords, None removes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hu = chest_hu() if hu is None else hu
    names = random.Random(seed)
    slopes, intercepts = (np.broadcast_to(value, len(hu)) for value in (slope, intercept))
    series_uid = series_uid or generate_uid()
    frame_uid = generate_uid()
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, column)
    paths = []
    for k, plane in enumerate(hu):
        stored = np.rint((plane - intercepts[k]) / slopes[k]).astype(np.int64)
        dataset = _base(series_uid, frame_uid, CT_IMAGE)
        position = np.array(origin) + k * spacing[0] * normal
        dataset.ImagePositionPatient = [_decimal(value) for value in position]
        dataset.ImageOrientationPatient = [_decimal(value) for value in orientation]
        dataset.PixelSpacing = [_decimal(value) for value in spacing[1:]]
        dataset.SliceThickness = _decimal(spacing[0])
        dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(slopes[k]), _decimal(intercepts[k])
        dataset.InstanceNumber = len(hu) - k
        _describe_pixels(dataset, plane.shape, signed, bits_stored)
        for keyword, value in tags.items():
            if value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                delattr(dataset, keyword)
        if edit is not None:
            edit(k, dataset)
        if k in skip:
            continue
        path = folder / f"{names.getrandbits(40):010X}"
        _save(dataset, stored, path, syntax)
        paths.append(path)
    return paths


def write_enhanced(
    path: Path, hu: np.ndarray, *, spacing: tuple[float, float, float] = (3.0, 2.0, 2.0), syntax: str = "explicit"
) -> Path:
    """Write one enhanced multi-frame CT whose frames are in shuffled order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = list(range(len(hu)))
    random.Random(3).shuffle(order)
    dataset = _base(generate_uid(), generate_uid(), ENHANCED_CT)
    dataset.NumberOfFrames = len(hu)
    for keyword in ("KVP", "ConvolutionKernel"):
        delattr(dataset, keyword)
    _describe_pixels(dataset, hu.shape[1:], signed=False, bits_stored=16)
    measures = _item(PixelSpacing=[_decimal(value) for value in spacing[1:]], SliceThickness=_decimal(spacing[0]))
    shared = _item(
        PixelMeasuresSequence=DicomSequence([measures]),
        PlaneOrientationSequence=DicomSequence([_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
        PixelValueTransformationSequence=DicomSequence(
            [_item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")]
        ),
        CTXRayDetailsSequence=DicomSequence([_item(KVP=100.0)]),
        CTReconstructionSequence=DicomSequence([_item(ConvolutionKernel="Br36")]),
    )
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(
        [
            _item(
                PlanePositionSequence=DicomSequence([_item(ImagePositionPatient=[-64, -70, -300 + k * spacing[0]])]),
            )
            for k in order
        ]
    )
    _save(dataset, hu[order].astype(np.int64) + 1024, path, syntax)
    return path


def _item(**entries: object) -> Dataset:
    item = Dataset()
    for keyword, value in entries.items():
        setattr(item, keyword, value)
    return item


def _decimal(value: float) -> str:
    """A number as a DICOM decimal string of at most 16 characters."""
    return f"{float(value):.10g}"[:16]


def _base(series_uid: str, frame_uid: str, sop_class: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series_uid, series_uid
    dataset.FrameOfReferenceUID = frame_uid
    dataset.PatientName, dataset.PatientID = "Synthetic^Person", "SYN-4711"
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", "Test 64"
    dataset.KVP, dataset.ConvolutionKernel = "120", "B35f"
    dataset.AcquisitionNumber = "1"
    return dataset


def _describe_pixels(dataset: Dataset, shape: tuple[int, ...], signed: bool, bits_stored: int) -> None:
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits_stored, bits_stored - 1
    dataset.PixelRepresentation = int(signed)


def _save(dataset: FileDataset, stored: np.ndarray, path: Path, syntax: str) -> None:
    """Encode the stored values and write the file."""
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    mask = 2**dataset.BitsStored - 1
    native = (stored & mask).astype(">u2" if syntax == "big" else "<u2")
    if syntax == "jpeg-lossy":
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        buffer = io.BytesIO()
        Image.fromarray(stored.astype(np.uint8)).save(buffer, "JPEG", quality=95)
        dataset.PixelData = encapsulate([buffer.getvalue()])
    elif syntax.startswith("jpeg2000-"):
        buffer = io.BytesIO()
        picture = Image.fromarray(stored.astype(np.uint16))
        picture.save(buffer, "JPEG2000", no_jp2=True, irreversible=syntax == "jpeg2000-irreversible")
        dataset.PixelData = encapsulate([buffer.getvalue()])
    elif syntax in ("jpeg-lossless", "jpeg2000"):
        frames = stored if stored.ndim == 3 else stored[None]
        dataset.PixelData = encapsulate([_gdcm_frame(frame, dataset, syntax) for frame in frames])
    else:
        dataset.PixelData = native.tobytes()
        dataset["PixelData"].VR = "OW"
    if syntax.startswith("jpeg"):
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    if syntax == "rle":
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(RLELossless)
    little = syntax != "big"
    pydicom.dcmwrite(
        path, dataset, little_endian=little, implicit_vr=syntax == "implicit", force_encoding=True,
        enforce_file_format=False,
    )  # fmt: skip


def _gdcm_frame(stored: np.ndarray, dataset: Dataset, syntax: str) -> bytes:
    """One frame as GDCM compresses it."""
    image = sitk.GetImageFromArray(stored.astype(np.int16 if dataset.PixelRepresentation else np.uint16))
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG" if syntax == "jpeg-lossless" else "JPEG2000")
    with tempfile.TemporaryDirectory() as folder:
        writer.SetFileName(str(Path(folder, "frame.dcm")))
        writer.Execute(image)
        compressed = pydicom.dcmread(Path(folder, "frame.dcm"))
    assert compressed.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    return next(iter(pydicom.encaps.generate_frames(compressed.PixelData, number_of_frames=1)))
