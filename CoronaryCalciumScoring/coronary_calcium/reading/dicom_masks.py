"""Reading a DICOM segmentation (SEG) back as labels, whoever wrote it, when it lies on the CT's own slices."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from coronary_calcium.arteries import ARTERIES, Artery
from coronary_calcium.errors import InputRefused
from coronary_calcium.reading.dicom_header import META_BYTES, inflates_too_far
from coronary_calcium.reading.limits import MAXIMUM_VOXELS
from coronary_calcium.volume import CTVolume

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
# A frame's pixels must lie on the CT's within this part of a voxel, as a mask's (masks.GRID_TOLERANCE_VOXELS).
_GRID_TOLERANCE_VOXELS = 0.1
# The CT's slices may lie a little unevenly themselves (dicom_geometry.POSITION_TOLERANCE_MM).
_SLICE_TOLERANCE = 0.25
_DAMAGED = (
    AttributeError, IndexError, KeyError, ValueError, TypeError, RuntimeError, NotImplementedError, struct.error,
    zlib.error,
)  # fmt: skip
_NAMES = ", ".join(artery.name for artery in ARTERIES)


def read_dicom_mask(path: Path, volume: CTVolume) -> np.ndarray | None:
    """Labels (k, j, i) uint8 on the volume's grid from a DICOM SEG; None when the file is not DICOM.

    A segment's artery is told by its label (LM, LAD, ...) or by its coded anatomic region. Raises InputRefused:
    ``"unknown-format"`` (DICOM, but no binary segmentation), ``"truncated"``, ``"mask-other-series"``, ``"mask-grid"``,
    ``"mask-labels"``, ``"mask-overlap"``.
    """
    try:
        with path.open("rb") as file:
            if inflates_too_far(file, file.read(META_BYTES)):
                raise _damaged()
        dataset = pydicom.dcmread(path)
    except InputRefused:
        raise
    except InvalidDicomError:
        return None
    except (EOFError, *_DAMAGED):
        raise _damaged() from None
    if dataset.get("SOPClassUID") != SEGMENTATION_STORAGE or dataset.get("SegmentationType") != "BINARY":
        raise InputRefused(
            "unknown-format",
            "The DICOM file given as mask is not a binary segmentation (SEG): export the segmentation as one.",
        )
    try:
        _refuse_other_series(dataset, volume)
        return _labels(dataset, volume)
    except InputRefused:
        raise
    except _DAMAGED:
        raise _damaged() from None


def _damaged() -> InputRefused:
    return InputRefused(
        "truncated", "The DICOM segmentation is damaged or incomplete and cannot be read: export it again."
    )


def _refuse_other_series(dataset: Dataset, volume: CTVolume) -> None:
    """Two series of one examination may share their grid; a mask drawn on one need not fit the other's calcium."""
    stated = {str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or ()}
    if volume.series is not None and stated and volume.series.series_uid not in stated:
        raise InputRefused(
            "mask-other-series",
            "The DICOM segmentation was made on another series than this CT: give the series that it refers to.",
        )


def _labels(dataset: Dataset, volume: CTVolume) -> np.ndarray:
    """All frames in their places."""
    frames = int(dataset.NumberOfFrames)
    if not 0 < frames * int(dataset.Rows) * int(dataset.Columns) <= MAXIMUM_VOXELS:
        raise _damaged()
    artery_of = {int(segment.SegmentNumber): _artery(segment) for segment in dataset.SegmentSequence}
    pixels = dataset.pixel_array.reshape(frames, int(dataset.Rows), int(dataset.Columns))
    shared = dataset.SharedFunctionalGroupsSequence[0]
    labels = np.zeros(volume.shape, np.uint8)
    for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        marked = frame > 0
        if not marked.any():
            continue
        number = int(_group("SegmentIdentificationSequence", groups, shared).ReferencedSegmentNumber)
        artery = artery_of[number]
        if artery is None:
            raise InputRefused(
                "mask-labels",
                "The DICOM segmentation has a segment that is not of one artery: name the segments "
                f"{_NAMES} and remove the others.",
            )
        k, plane = _placed(marked, groups, shared, volume)
        if np.any(labels[k][plane]):
            raise InputRefused(
                "mask-overlap", "Two segments of the mask overlap, so calcium would count twice: make them disjoint."
            )
        labels[k][plane] = artery.label
    return labels


def _group(name: str, own: Dataset, shared: Dataset) -> Dataset:
    """A frame's functional group, its own or that of all frames."""
    return getattr(own if name in own else shared, name)[0]


def _artery(segment: Dataset) -> Artery | None:
    """The artery that a segment's label or codes name; None if neither does, refused if they contradict each other."""
    label = str(segment.get("SegmentLabel", "")).strip().lower()
    by_label = next((artery for artery in ARTERIES if artery.name.lower() == label), None)
    stated = {
        str(code.get("CodeValue", ""))
        for sequence in (
            "AnatomicRegionSequence",
            "PrimaryAnatomicStructureSequence",
            "SegmentedPropertyTypeCodeSequence",
        )
        for code in segment.get(sequence) or ()
    }
    by_code = [artery for artery in ARTERIES if artery.code in stated]
    if len(by_code) > 1 or (by_label and by_code and by_code[0] != by_label):
        raise InputRefused(
            "mask-labels",
            "A segment of the DICOM segmentation has the name of one artery and the anatomic code of another: correct "
            "its name or its terminology.",
        )
    return by_label or next(iter(by_code), None)


def _placed(marked: np.ndarray, own: Dataset, shared: Dataset, volume: CTVolume) -> tuple[int, np.ndarray]:
    """The slice k that a frame lies in, and its marked pixels as a (j, i) array of the volume's shape."""
    position = np.array(_group("PlanePositionSequence", own, shared).ImagePositionPatient, dtype=float)
    cosines = np.array(_group("PlaneOrientationSequence", own, shared).ImageOrientationPatient, dtype=float)
    steps = np.array(_group("PixelMeasuresSequence", own, shared).PixelSpacing, dtype=float)
    # Voxel index (k, j, i) of a point on the frame, by the volume's own geometry.
    inverse = (volume.direction.T / np.array(volume.spacing)[::-1, None])[::-1]
    corner = inverse @ (position - volume.origin)
    per_row = inverse @ cosines[3:] * steps[0]
    per_column = inverse @ cosines[:3] * steps[1]
    # From pixel to pixel it is from voxel to voxel: the frame's axes are the volume's, in any order and sense.
    drift = max(np.abs(np.sort(np.abs(step)) - (0, 0, 1)).max() for step in (per_row, per_column)) * max(marked.shape)
    rows, columns = np.nonzero(marked)
    index = corner[:, None] + np.outer(per_row, rows) + np.outer(per_column, columns)
    voxel = np.rint(index).astype(int)
    off = np.abs(index - voxel).max(axis=1)
    inside = np.all((voxel >= 0) & (voxel < np.array(volume.shape)[:, None]))
    one_slice = voxel[0].min() == voxel[0].max()
    same = max(drift, *off[1:]) <= _GRID_TOLERANCE_VOXELS and off[0] <= _SLICE_TOLERANCE
    if not (inside and one_slice and same):
        raise InputRefused(
            "mask-grid",
            "The DICOM segmentation does not lie on the CT's slices and pixels: draw or export it on this CT.",
        )
    plane = np.zeros(volume.shape[1:], dtype=bool)
    plane[voxel[1], voxel[2]] = True
    return int(voxel[0, 0]), plane
