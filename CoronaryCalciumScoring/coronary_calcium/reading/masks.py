"""Opening a label map drawn by somebody or something else, on the CT's grid."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from coronary_calcium.arteries import ARTERIES
from coronary_calcium.errors import InputRefused
from coronary_calcium.reading.axes import AxialArray, to_axial
from coronary_calcium.reading.image_file import image_suffix, read_image_header, read_voxels
from coronary_calcium.reading.image_header import ImageHeader, damaged
from coronary_calcium.volume import CTVolume

# A mask's corners must lie on the CT's within this part of a voxel; files round positions to a hundredth or better.
GRID_TOLERANCE_VOXELS = 0.1
_OWN_LABELS = {0: 0, **{artery.label: artery.label for artery in ARTERIES}}
_SEGMENT_NAME = re.compile(r"^Segment(\d+)_Name$")


def open_mask(path: str | Path, volume: CTVolume, values: Mapping[int, int] = _OWN_LABELS) -> np.ndarray:
    """Labels (k, j, i) uint8 on the volume's grid: 0, and 1 LM, 2 LAD, 3 LCX, 4 RCA, 5 unassigned.

    A plain label map has the CT's grid (axes in any order) and the keys of ``values``, which says what label each of
    them means; by default these labels themselves. A segmentation written by Slicer or by this program (.seg.nrrd) is
    understood by the names of its segments, and may be cropped; a DICOM segmentation (SEG) by their names or anatomic
    codes. Raises InputRefused: ``"no-file"``, ``"unknown-format"``, ``"mask-grid"``,
    ``"mask-labels"``, ``"mask-overlap"``, ``"mask-other-series"``, and those of image files.
    """
    path = Path(path)
    if not path.is_file():
        raise InputRefused("no-file", "There is no mask file of that name: check the path.")
    try:
        if image_suffix(path) is None:
            return _dicom_labels(path, volume)
        header = read_image_header(path)
        voxels = read_voxels(path, header)
    except OSError:
        raise InputRefused("unreadable", "The mask file cannot be read: copy it and try again.") from None
    labels = _labels_by_name(voxels, header) if header.is_segmentation else _labels_by_value(voxels, header, values)
    axial = to_axial(labels, header.spacing, header.origin, header.direction)
    return _on_grid(axial, volume, cropped=header.is_segmentation)


def _dicom_labels(path: Path, volume: CTVolume) -> np.ndarray:
    """The labels of a DICOM segmentation; refuses files of other kinds."""
    # Imported here so that masks that are image files open without pydicom.
    from coronary_calcium.reading.dicom_masks import read_dicom_mask  # noqa: PLC0415

    labels = read_dicom_mask(path, volume)
    if labels is None:
        raise InputRefused(
            "unknown-format",
            "The mask is not NRRD, NIfTI, MetaImage or a DICOM segmentation: save it in one of these formats.",
        )
    return labels


def _labels_by_value(voxels: np.ndarray, header: ImageHeader, values: Mapping[int, int]) -> np.ndarray:
    """A plain label map's values, checked and as labels."""
    if header.layers != 1:
        raise InputRefused("mask-labels", "The mask has several values in each voxel: give a label map.")
    foreign = np.setdiff1d(np.unique(voxels), list(values))
    if foreign.size:
        shown = ", ".join(f"{value:g}" for value in foreign[:8])
        if values is _OWN_LABELS:
            raise InputRefused(
                "mask-labels",
                f"The mask holds other values ({shown}) than 0 to {max(values)}: use "
                f"{', '.join(f'{artery.label} {artery.name}' for artery in ARTERIES)}.",
            )
        raise InputRefused(
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
            raise InputRefused(
                "mask-labels",
                "The segmentation has a segment whose name is not that of an artery: name the segments "
                f"{', '.join(artery.name for artery in ARTERIES)} and remove the others.",
            )
        if np.any(labels[marked]):
            raise InputRefused(
                "mask-overlap", "Two segments of the mask overlap, so calcium would count twice: make them disjoint."
            )
        labels[marked] = label
    if np.count_nonzero(layered) > np.count_nonzero(labels):
        raise InputRefused(
            "mask-labels",
            "The segmentation holds voxels that belong to none of its segments: save it again from Slicer.",
        )
    return labels


def _on_grid(axial: AxialArray, volume: CTVolume, *, cropped: bool) -> np.ndarray:
    """Put labels into the volume's grid; refuses another grid."""
    spacing = np.array(volume.spacing)
    offset = (volume.direction.T @ np.subtract(axial.origin, volume.origin))[::-1] / spacing
    start = np.rint(offset).astype(int)
    # Where the mask's far corner lies, as voxel index of the volume, against where it should lie.
    steps = np.array(axial.array.shape) - 1
    far = axial.direction @ (steps * axial.spacing)[::-1]
    drift = np.abs((volume.direction.T @ far)[::-1] / spacing - steps).max()
    same = max(np.abs(offset - start).max(), drift) <= GRID_TOLERANCE_VOXELS
    if not same or (not cropped and (start.any() or axial.array.shape != volume.shape)):
        raise InputRefused(
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
        raise InputRefused("mask-grid", "The segmentation marks voxels outside the CT: draw or export it on this CT.")
    return labels


def _grid(shape: tuple[int, ...], spacing: tuple[float, ...]) -> str:
    """A grid in words."""
    return f"{' x '.join(map(str, shape[::-1]))} of {' x '.join(f'{value:g}' for value in spacing[::-1])} mm"
