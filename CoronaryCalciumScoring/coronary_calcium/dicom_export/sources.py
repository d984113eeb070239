"""The CT's own DICOM images, which every object made from it refers to and takes patient and study from."""

import itertools
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from coronary_calcium.dicom_export.conformance import make_conformant
from coronary_calcium.errors import InputError
from coronary_calcium.io.axes import axial_order
from coronary_calcium.io.slice_header import ENHANCED_CT, UNREADABLE
from coronary_calcium.volume import CaseWarning, CTVolume, SeriesReference

# A frame of a multi-frame image lies at a slice's position to this part of the slice spacing.
_SAME_SLICE = 0.1
# PS3.3 C.7.1.1 and C.7.2.1: type 2 entries of patient and study, which careless anonymizers remove.
_MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
# What the user is told of when it was changed: who was scanned, and when.
_SAID = (*_MAY_BE_EMPTY, "PatientAge", "PatientSize", "PatientWeight", "StudyDescription")
# What all images of a series share, and objects refer to.
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# What an object is made from besides: what it is, where it lies, and how large its pixels are.
_NEEDED = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "Modality",
    "ImageType",
    "SeriesNumber",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True, eq=False)
class Sources:
    """The images without their pixels, and how the volume's slices lie in them.

    Attributes
    ----------
    images : one dataset per slice, k ascending; or a single multi-frame dataset.
    frames : for a multi-frame image, the k of each of its frames in order; None for single slices.
    direction : (3, 3), columns are the LPS unit vectors of the images' columns, rows and of k.
    warnings : what was changed in the headers so that an object can take it over.

    """

    images: tuple[Dataset, ...]
    frames: tuple[int, ...] | None
    direction: np.ndarray
    warnings: tuple[CaseWarning, ...] = ()

    def bare(self) -> "Sources":
        """The same images with nothing but what an object cannot do without."""
        return replace(self, images=tuple(_bare(image) for image in self.images))

    def to_images(self, labels: np.ndarray) -> np.ndarray:
        """A (k, j, i) array on the volume's grid as (image or frame, row, column) of the source images."""
        stored = axial_order(self.direction).undo(labels)
        return np.ascontiguousarray(stored if self.frames is None else stored[list(self.frames)])

    def slice_reference(self, k: int) -> tuple[str, str, int | None]:
        """SOP class, instance and, for a multi-frame image, frame number (from 1) of slice ``k``."""
        image = self.images[k if self.frames is None else 0]
        frame = None if self.frames is None else self.frames.index(k) + 1
        return image.SOPClassUID, image.SOPInstanceUID, frame


def require_sources(volume: CTVolume) -> SeriesReference:
    """The series that DICOM objects of this CT refer to.

    Raises InputError("no-dicom-source") when the CT did not come from DICOM files that are still there.
    """
    if volume.series is None:
        raise InputError(
            "no-dicom-source",
            "A DICOM object refers to the images it was made from, and this CT is not an axial DICOM series: give the "
            "DICOM folder, or leave out the DICOM objects.",
        )
    if not volume.series.files:
        raise InputError(
            "no-dicom-source",
            "A DICOM object takes patient and study from the CT's own files, which are not there any more after a ZIP "
            "was read: unpack it and give the folder.",
        )
    return volume.series


def read_sources(volume: CTVolume) -> Sources:
    """Read the headers of the CT's images.

    Raises InputError: ``"no-dicom-source"``, ``"source-changed"``, ``"source-incomplete"``.
    """
    series = require_sources(volume)
    images = tuple(_header(path) for path in dict.fromkeys(series.files))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on identifiers, which are compared as they are
        found = [str(image.get("SOPInstanceUID", "")) for image in images]
        for image, keyword in itertools.product(images, _IDENTIFIERS):
            image.get(keyword)
    if found != list(dict.fromkeys(series.instance_uids)):
        raise _changed()
    _reject_incomplete(images)
    several = images[0].SOPClassUID in ENHANCED_CT
    cosines = _orientation(images[0], several)
    frames = _frames(images[0], volume) if several else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on values that are corrected here
        changed = {name for image in images for name in make_conformant(image)}
        for image in images:
            _fill(image, cosines, volume)
    direction = np.column_stack([cosines[:3], cosines[3:], volume.direction[:, 2]])
    return Sources(images, frames, direction, _changed_values(changed))


def _changed_values(keywords: set[str]) -> tuple[CaseWarning, ...]:
    """The warning of values that were changed, by their names alone."""
    shown = sorted(keywords & set(_SAID))
    if not shown:
        return ()
    return (
        CaseWarning(
            "source-values",
            f"The CT's DICOM header has values that are not valid DICOM ({', '.join(shown)}); in the DICOM objects "
            "they were corrected or left empty: check patient and study there.",
        ),
    )


def _bare(image: Dataset) -> Dataset:
    """A copy of a header without everything that may be left out."""
    kept = Dataset()
    kept.file_meta = image.file_meta
    for keyword in (*_MAY_BE_EMPTY, *_NEEDED):
        if keyword in image:
            kept[keyword] = image[keyword]
    return kept


def _header(path: str) -> Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except UNREADABLE:
        raise _changed() from None


def _changed() -> InputError:
    return InputError(
        "source-changed",
        "The CT's DICOM files were moved or changed while it was scored, so no DICOM object can refer to them: score "
        "it again.",
    )


def _reject_incomplete(images: tuple[Dataset, ...]) -> None:
    """Reject images that no object can refer to."""
    for keyword in _IDENTIFIERS:
        values = {str(image.get(keyword) or "") for image in images}
        if "" in values or len(values) > 1:
            raise InputError(
                "source-incomplete",
                f"The CT's DICOM images have no common {keyword}, so no DICOM object can refer to them: export the "
                "series again from the archive, or leave out the DICOM objects.",
            )


def _orientation(image: Dataset, several: bool) -> np.ndarray:
    """The six direction cosines of an image, or those that all frames of a multi-frame image share."""
    if several and "PlaneOrientationSequence" not in image.SharedFunctionalGroupsSequence[0]:
        raise InputError(
            "source-incomplete",
            "The frames of the CT's multi-frame image state their orientation one by one, which a DICOM object made "
            "here cannot follow: export the scan as single slices, or leave out the DICOM objects.",
        )
    holder = image.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0] if several else image
    return np.array(holder.ImageOrientationPatient, dtype=float)


def _fill(image: Dataset, cosines: np.ndarray, volume: CTVolume) -> None:
    """Make a header what the objects' makers rely on; only the copy in memory changes.

    Entries that must be there but may be empty are empty when they were left out. The spacing is the one measured from
    the positions, because SpacingBetweenSlices is wrong in files of many scanners and readers of a SEG trust it.
    Orientations that differ by rounding become equal.
    """
    for keyword in _MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, "")
    if image.SOPClassUID not in ENHANCED_CT:
        image.ImageOrientationPatient = cosines.tolist()
        image.SpacingBetweenSlices = volume.spacing[0]
        if not _positive(image.get("SliceThickness")):
            image.SliceThickness = volume.spacing[0]


def _positive(value: object) -> bool:
    """Whether a header's value is a number above 0; it may be text such as "3mm" where its type is wrong."""
    try:
        return float(str(value)) > 0
    except ValueError:
        return False


def _frames(image: Dataset, volume: CTVolume) -> tuple[int, ...]:
    """The slice k that each frame shows; rejects a multi-frame image of which only some frames were scored."""
    positions = np.array(
        [
            groups.PlanePositionSequence[0].ImagePositionPatient
            for groups in image.PerFrameFunctionalGroupsSequence
            if "PlanePositionSequence" in groups
        ],
        dtype=float,
    )
    along = (positions - volume.origin) @ volume.direction[:, 2] / volume.spacing[0]
    slices = np.rint(along).astype(int)
    exact = np.abs(along - slices).max(initial=0.0) <= _SAME_SLICE
    if not exact or sorted(slices) != list(range(volume.shape[0])):
        raise InputError(
            "source-incomplete",
            "Only some frames of the CT's multi-frame image were scored, which a DICOM object cannot refer to here: "
            "export the scan to be scored as a series of its own, or leave out the DICOM objects.",
        )
    return tuple(int(k) for k in slices)
