"""Opening a label map drawn by somebody or something else, DICOM segmentations among them, on the CT's grid."""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from coronary_calcium.arteries import ARTERIES, Artery
from coronary_calcium.errors import InputError
from coronary_calcium.io.axes import AxialArray, to_axial
from coronary_calcium.io.checks import MAXIMUM_VOXELS
from coronary_calcium.io.image_files import image_suffix, read_image_header, read_voxels
from coronary_calcium.io.image_header import ImageHeader, damaged
from coronary_calcium.io.slice_header import META_BYTES, inflates_too_far
from coronary_calcium.volume import CTVolume

# Segmentation Storage, and since DICOM 2024d Label Map Segmentation Storage.
SEGMENTATION_STORAGE = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_SEGMENTATION_TYPES = ("BINARY", "LABELMAP")
# A frame's pixels must lie on the CT's within this part of a voxel, as a mask's (GRID_TOLERANCE_VOXELS).
_GRID_TOLERANCE_VOXELS = 0.1
# The CT's slices may lie a little unevenly themselves (slice_geometry.POSITION_TOLERANCE_MM).
_SLICE_TOLERANCE = 0.25
# Programs that save labels as floating-point numbers, or scale them, leave this much.
_ROUNDING = 1e-3
_DAMAGED = (
    AttributeError, IndexError, KeyError, ValueError, TypeError, RuntimeError, NotImplementedError, struct.error,
    zlib.error, BytesLengthException, OverflowError,
)  # fmt: skip
_NAMES = ", ".join(artery.name for artery in ARTERIES)


def read_dicom_mask(path: Path, volume: CTVolume) -> np.ndarray | None:
    """Labels (k, j, i) uint8 on the volume's grid from a DICOM SEG; None when the file is not DICOM.

    A segment's artery is told by its label (LM, LAD, ...) or by its coded anatomic region. Raises InputError:
    ``"unknown-format"`` (DICOM, but no such segmentation), ``"truncated"``, ``"mask-other-series"``, ``"mask-grid"``,
    ``"mask-labels"``, ``"mask-overlap"``.
    """
    try:
        with path.open("rb") as file:
            if inflates_too_far(file, file.read(META_BYTES)):
                raise _damaged()
        dataset = pydicom.dcmread(path)
    except InputError:
        raise
    except InvalidDicomError:
        return None
    except (EOFError, *_DAMAGED):
        raise _damaged() from None
    kind = str(dataset.get("SegmentationType") or "").upper()
    if dataset.get("SOPClassUID") not in SEGMENTATION_STORAGE or kind not in _SEGMENTATION_TYPES:
        raise InputError(
            "unknown-format",
            "The DICOM file given as mask is not a binary segmentation (SEG) or label map: export it as one.",
        )
    try:
        _reject_other_series(dataset, volume)
        return _labels(dataset, volume)
    except InputError:
        raise
    except _DAMAGED:
        raise _damaged() from None


def _damaged() -> InputError:
    return InputError(
        "truncated", "The DICOM segmentation is damaged or incomplete and cannot be read: export it again."
    )


def _reject_other_series(dataset: Dataset, volume: CTVolume) -> None:
    """Two series of one examination may share their grid; a mask drawn on one need not fit the other's calcium."""
    stated = {str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or ()}
    if volume.series is not None and stated and volume.series.series_uid not in stated:
        raise InputError(
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
        for number, marked in _marked(frame, dataset, groups, shared):
            artery = artery_of[number]
            if artery is None:
                raise InputError(
                    "mask-labels",
                    "The DICOM segmentation has a segment that is not of one artery: name the segments "
                    f"{_NAMES} and remove the others.",
                )
            k, plane = _placed(marked, groups, shared, volume)
            if np.any(labels[k][plane]):
                raise InputError(
                    "mask-overlap",
                    "Two segments of the mask overlap, so calcium would count twice: make them disjoint.",
                )
            labels[k][plane] = artery.label
    return labels


def _marked(frame: np.ndarray, dataset: Dataset, groups: Dataset, shared: Dataset) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers of the segments that a frame marks, and where: one of a binary frame, any of a label map's values."""
    if str(dataset.SegmentationType).upper() == "LABELMAP":
        # PS3.3 C.8.20.2: the values are segment numbers; 0, or the padding value, is where none is.
        nothing = {0, int(dataset.get("PixelPaddingValue", 0))}
        for number in set(np.unique(frame).tolist()) - nothing:
            yield int(number), frame == number
    elif np.any(frame):
        yield int(_group("SegmentIdentificationSequence", groups, shared).ReferencedSegmentNumber), frame > 0


def _group(name: str, own: Dataset, shared: Dataset) -> Dataset:
    """A frame's functional group, its own or that of all frames."""
    return getattr(own if name in own else shared, name)[0]


def _artery(segment: Dataset) -> Artery | None:
    """The artery that a segment's label or codes name; None if neither does, rejected if they contradict each other."""
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
        raise InputError(
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
        raise InputError(
            "mask-grid",
            "The DICOM segmentation does not lie on the CT's slices and pixels: draw or export it on this CT.",
        )
    plane = np.zeros(volume.shape[1:], dtype=bool)
    plane[voxel[1], voxel[2]] = True
    return int(voxel[0, 0]), plane


# A mask's corners must lie on the CT's within this part of a voxel; files round positions to a hundredth or better.
GRID_TOLERANCE_VOXELS = 0.1
_OWN_LABELS = {0: 0, **{artery.label: artery.label for artery in ARTERIES}}
_SEGMENT_NAME = re.compile(r"^Segment(\d+)_Name$")


def open_mask(path: str | Path, volume: CTVolume, values: Mapping[int, int] = _OWN_LABELS) -> np.ndarray:
    """Labels (k, j, i) uint8 on the volume's grid: 0, and 1 LM, 2 LAD, 3 LCX, 4 RCA, 5 unassigned.

    A plain label map has the CT's grid (axes in any order) and the keys of ``values``, which says what label each of
    them means; by default these labels themselves. A segmentation written by Slicer or by this program (.seg.nrrd) is
    understood by the names of its segments, and may be cropped; a DICOM segmentation (SEG) by their names or anatomic
    codes. Raises InputError: ``"no-file"``, ``"unknown-format"``, ``"mask-grid"``,
    ``"mask-labels"``, ``"mask-overlap"``, ``"mask-other-series"``, and those of image files.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no-file", "There is no mask file of that name: check the path.")
    try:
        if image_suffix(path) is None:
            return _dicom_labels(path, volume)
        header = read_image_header(path)
        voxels = read_voxels(path, header)
    except OSError:
        raise InputError("unreadable", "The mask file cannot be read: copy it and try again.") from None
    labels = _labels_by_name(voxels, header) if header.is_segmentation else _labels_by_value(voxels, header, values)
    axial = to_axial(labels, header.spacing, header.origin, header.direction)
    return _on_grid(axial, volume, cropped=header.is_segmentation)


def _dicom_labels(path: Path, volume: CTVolume) -> np.ndarray:
    """The labels of a DICOM segmentation; rejects files of other kinds."""
    # Imported here so that masks that are image files open without pydicom.

    labels = read_dicom_mask(path, volume)
    if labels is None:
        raise InputError(
            "unknown-format",
            "The mask is not NRRD, NIfTI, MetaImage or a DICOM segmentation: save it in one of these formats.",
        )
    return labels


def _labels_by_value(voxels: np.ndarray, header: ImageHeader, values: Mapping[int, int]) -> np.ndarray:
    """A plain label map's values, checked and as labels."""
    if header.layers != 1:
        raise InputError("mask-labels", "The mask has several values in each voxel: give a label map.")
    if voxels.dtype.kind == "f":
        whole = np.rint(voxels)
        voxels = np.where(np.abs(voxels - whole) <= _ROUNDING, whole, voxels)
    foreign = np.setdiff1d(np.unique(voxels), list(values))
    if foreign.size:
        shown = ", ".join(f"{value:g}" for value in foreign[:8])
        if values is _OWN_LABELS:
            raise InputError(
                "mask-labels",
                f"The mask holds other values ({shown}) than 0 to {max(values)}: use "
                f"{', '.join(f'{artery.label} {artery.name}' for artery in ARTERIES)}.",
            )
        raise InputError(
            "mask-labels",
            f"The label map holds other values ({shown}) than {', '.join(map(str, sorted(values)))}, which it "
            "should have: check that it is the data set's own.",
        )
    labels = np.zeros(voxels.shape, np.uint8)
    for value, label in values.items():
        if label:
            labels[voxels == value] = label
    return labels


def _labels_by_name(voxels: np.ndarray, header: ImageHeader) -> np.ndarray:
    """A segmentation's voxels as labels, each segment by its name."""
    by_name = {artery.name.lower(): artery.label for artery in ARTERIES}
    layered = voxels.reshape(*header.shape, header.layers)
    labels = np.zeros(header.shape, np.uint8)
    fields = header.fields
    for number in sorted(int(match.group(1)) for match in map(_SEGMENT_NAME.match, fields) if match):
        name = fields[f"Segment{number}_Name"].strip()
        try:
            value = int(fields.get(f"Segment{number}_LabelValue", "1"))
            layer = int(fields.get(f"Segment{number}_Layer", "0"))
        except ValueError:
            raise damaged("a segment's label value or layer") from None
        if not 0 <= layer < header.layers or value == 0:
            raise damaged("a segment's label value or layer")
        marked = layered[..., layer] == value
        if not marked.any():
            continue
        label = by_name.get(name.lower())
        if label is None:
            raise InputError(
                "mask-labels",
                "The segmentation has a segment whose name is not that of an artery: name the segments "
                f"{', '.join(artery.name for artery in ARTERIES)} and remove the others.",
            )
        if np.any(labels[marked]):
            raise InputError(
                "mask-overlap", "Two segments of the mask overlap, so calcium would count twice: make them disjoint."
            )
        labels[marked] = label
    if np.count_nonzero(layered) > np.count_nonzero(labels):
        raise InputError(
            "mask-labels",
            "The segmentation holds voxels that belong to none of its segments: save it again from Slicer.",
        )
    return labels


def _on_grid(axial: AxialArray, volume: CTVolume, *, cropped: bool) -> np.ndarray:
    """Put labels into the volume's grid; rejects another grid."""
    spacing = np.array(volume.spacing)
    offset = (volume.direction.T @ np.subtract(axial.origin, volume.origin))[::-1] / spacing
    start = np.rint(offset).astype(int)
    # Where the mask's far corner lies, as voxel index of the volume, against where it should lie.
    steps = np.array(axial.array.shape) - 1
    far = axial.direction @ (steps * axial.spacing)[::-1]
    drift = np.abs((volume.direction.T @ far)[::-1] / spacing - steps).max()
    same = max(np.abs(offset - start).max(), drift) <= GRID_TOLERANCE_VOXELS
    if not same or (not cropped and (start.any() or axial.array.shape != volume.shape)):
        raise InputError(
            "mask-grid",
            f"The mask's grid ({_grid(axial.array.shape, axial.spacing)}) is not the CT's "
            f"({_grid(volume.shape, volume.spacing)}) or lies elsewhere: draw or export the mask on this CT.",
        )
    if not cropped:
        return axial.array
    labels = np.zeros(volume.shape, np.uint8)
    first = np.maximum(start, 0)
    last = np.minimum(start + axial.array.shape, volume.shape)
    if np.any(last <= first):
        inside = np.zeros((0, 0, 0), np.uint8)
    else:
        inside = axial.array[tuple(slice(a - s, b - s) for a, b, s in zip(first, last, start))]
        labels[tuple(slice(a, b) for a, b in zip(first, last))] = inside
    if np.count_nonzero(inside) != np.count_nonzero(axial.array):
        raise InputError("mask-grid", "The segmentation marks voxels outside the CT: draw or export it on this CT.")
    return labels


def _grid(shape: tuple[int, ...], spacing: tuple[float, ...]) -> str:
    """A grid in words."""
    return f"{' x '.join(map(str, shape[::-1]))} of {' x '.join(f'{value:g}' for value in spacing[::-1])} mm"
