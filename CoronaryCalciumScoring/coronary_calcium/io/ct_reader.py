"""Opening a CT: a DICOM folder, one DICOM file, an archive of these, or an image file; all of it proven or rejected."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io.archives import is_packed, unpacked
from coronary_calcium.io.axes import to_axial
from coronary_calcium.io.checks import REFORMATTED, check_ct
from coronary_calcium.io.image_files import image_suffix, read_image_header, read_voxels
from coronary_calcium.io.pixel_data import is_irreversible
from coronary_calcium.io.pixels import AIR_HU, read_pixels
from coronary_calcium.io.series import (
    SeriesSummary,
    choose_series,
    chosen_warning,
    find_files,
    read_all_headers,
    slices_astray,
)
from coronary_calcium.io.slice_header import SliceHeader, is_directory_file, read_headers
from coronary_calcium.io.stack import Stack
from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.volume import Acquisition, CaseWarning, CTVolume, SeriesReference

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class OpenedCT:
    """A CT volume, the series it came from and the other series beside it (None and empty for image files)."""

    volume: CTVolume
    chosen: SeriesSummary | None
    others: tuple[SeriesSummary, ...]


def open_ct(path: str | Path, *, series_uid: str | None = None, progress: Progress = no_progress) -> OpenedCT:
    """Open and check a CT.

    ``path``: a DICOM folder (searched recursively), one DICOM file (its series in its folder), a DICOMDIR, a ZIP or
    gzip file of any of these, or a .nrrd, .nhdr, .nii, .nii.gz, .mha or .mhd file. ``series_uid`` names the DICOM
    series to take; otherwise the best suited is chosen (``series.choose_series``). Raises InputError with the reason,
    and whatever ``progress`` raises.
    """
    path = Path(path)

    def read() -> OpenedCT:
        if path.is_dir():
            return _open_folder(path, series_uid, progress)
        if not path.is_file():  # nor a pipe or a device, on which reading would wait for ever
            raise InputError("no-file", "There is no file or folder of that name: check the path.")
        if image_suffix(path):
            return _open_image_alone(path, series_uid, progress)
        if is_packed(path):
            return _open_packed([path], series_uid, progress)
        return _open_one_file(path, series_uid, progress)

    return _checked(read, progress)


@contextmanager
def with_files(path: Path, progress: Progress = no_progress) -> Iterator[Path]:
    """A CT's path, for ``open_ct``; what is packed lies unpacked in a temporary folder until the end of the block.

    For those who need the series' own files after it was read. Raises InputError when an archive cannot be unpacked.
    """
    packed: list[Path] = []
    if path.is_file() and not image_suffix(path) and is_packed(path):
        packed = [path]
    elif path.is_dir():
        files = find_files(path)
        packed = _only_packed(files)
        if packed and any(header is None or header for header in map(read_headers, files)):
            packed = []  # beside DICOM files, archives are not looked into
    if not packed:
        yield path
        return
    with unpacked(packed, progress) as folder:
        yield folder


def open_ct_files(files: list[Path], progress: Progress = no_progress) -> OpenedCT:
    """Open and check the best suited CT series among DICOM files, as ``open_ct`` does for those of a folder."""

    def read() -> OpenedCT:
        found = read_all_headers(files, part_of(progress, 0.0, 0.3))
        return _open_headers(*found, None, part_of(progress, 0.3, 1.0))

    return _checked(read, progress)


def _checked(read: Callable[[], OpenedCT], progress: Progress) -> OpenedCT:
    """What ``read`` opens, checked. Raises InputError."""
    try:
        opened = read()
    except OSError:
        raise InputError(
            "unreadable", "A file cannot be read (permissions, a lost network drive or a full disk): copy the data and "
            "try again."
        ) from None  # fmt: skip
    volume = check_ct(opened.volume)
    progress(1.0, "CT opened")
    return replace(opened, volume=volume)


def _open_folder(folder: Path, series_uid: str | None, progress: Progress) -> OpenedCT:
    """The best (or named) series under a folder; where there is no DICOM, its only image file, or what is packed."""
    files = find_files(folder)
    headers, unreadable = read_all_headers(files, part_of(progress, 0.0, 0.3))
    if headers or unreadable:
        return _open_headers(headers, unreadable, series_uid, part_of(progress, 0.3, 1.0))
    images = [path for path in files if image_suffix(path)]
    if len(images) == 1:
        return _open_image_alone(images[0], series_uid, progress)
    if images:
        raise InputError(
            "no-dicom",
            f"The folder holds no DICOM files, but {len(images)} image files, and any may be the CT: name the file.",
        )
    packed = _only_packed(files)
    if packed:
        return _open_packed(packed, series_uid, progress)
    several = sum(map(is_packed, files))
    if several:
        raise InputError(
            "no-dicom", f"The folder holds no DICOM files, but {several} archives: name the one with the CT."
        )
    raise InputError("no-dicom", "The folder holds no DICOM files: give the folder of a CT series, or a ZIP of one.")


def _only_packed(files: list[Path]) -> list[Path]:
    """The one archive, or the slices packed one by one, in a folder without image files; none when any may be meant."""
    packed = [path for path in files if is_packed(path)]
    several = len(packed) > 1 and any(zipfile.is_zipfile(path) for path in packed)
    return [] if several or any(map(image_suffix, files)) else packed


def _open_packed(paths: list[Path], series_uid: str | None, progress: Progress) -> OpenedCT:
    """What archives hold; the files are gone afterwards, so the series' reference names none."""
    with unpacked(paths, part_of(progress, 0.0, 0.3)) as folder:
        opened = _open_folder(folder, series_uid, part_of(progress, 0.3, 1.0))
    series = opened.volume.series
    return replace(opened, volume=replace(opened.volume, series=None if series is None else replace(series, files=())))


def _open_image_alone(path: Path, series_uid: str | None, progress: Progress) -> OpenedCT:
    if series_uid is not None:
        raise InputError("series-not-found", "An image file has no DICOM series: leave out the series.")
    return OpenedCT(_open_image(path, progress), None, ())


def _open_one_file(path: Path, series_uid: str | None, progress: Progress) -> OpenedCT:
    """The series that one DICOM file belongs to, from the files beside it; all that a DICOMDIR lies above."""
    if is_directory_file(path):
        return _open_folder(path.parent, series_uid, progress)
    headers = read_headers(path)
    if headers is None:
        raise InputError("truncated", "The DICOM file is damaged and cannot be read: copy or export it again.")
    if not headers:
        raise InputError(
            "unknown-format",
            "The file is not DICOM, ZIP, NRRD, NIfTI or MetaImage: give a CT in one of these, or a DICOM folder.",
        )
    uid = series_uid or headers[0].series_uid
    beside = sorted(item for item in path.parent.iterdir() if item.is_file())
    found = read_all_headers(beside, part_of(progress, 0.0, 0.3))
    return _open_headers(*found, uid, part_of(progress, 0.3, 1.0))


def _open_headers(headers: list[SliceHeader], unreadable: int, series_uid: str | None, progress: Progress) -> OpenedCT:
    """The best (or named) of the series that were found."""
    if not headers:
        raise InputError(
            "truncated", "The DICOM files are damaged or not readable: check their permissions or export them again."
        )
    choice = choose_series(headers, series_uid)
    warnings = choice.stack.warnings
    astray = slices_astray(choice, headers)
    if unreadable or astray:
        warnings += (
            CaseWarning(
                "unreadable-files",
                f"{unreadable + astray} file(s) or folder(s) are damaged or not readable and were left out; slices at "
                "the ends may be missing.",
            ),
        )
    if series_uid is None:
        warnings += chosen_warning(choice)
    volume = _volume_of(choice.stack, warnings, progress)
    return OpenedCT(volume, choice.chosen, choice.others)


def _volume_of(stack: Stack, warnings: tuple[CaseWarning, ...], progress: Progress) -> CTVolume:
    """Read a stack and bring it to axial order."""
    placement = stack.placement
    facts = _facts(placement.slices)
    axial = to_axial(read_pixels(placement, progress), placement.spacing, placement.origin, placement.direction)
    series: SeriesReference | None = None
    slices = placement.slices
    if axial.order.axes[0] == 0:
        slices = slices[::-1] if axial.order.flipped[0] else slices
        series = SeriesReference(
            slices[0].series_uid,
            tuple(header.sop_uid for header in slices),
            tuple(str(header.path) for header in slices),
        )
    else:
        # The thickness stated is that of the coronal or sagittal slices, which are no longer the slices.
        facts = replace(facts, slice_thickness_mm=None)
        warnings += (
            CaseWarning(
                REFORMATTED,
                "The series is not axial; its axial slices were put together from it, which smooths small calcium: use "
                "the original axial series if there is one.",
            ),
        )
    return CTVolume(axial.array, axial.spacing, axial.origin, axial.direction, facts, warnings, series)


def _facts(slices: tuple[SliceHeader, ...]) -> Acquisition:
    """The acquisition facts of a stack: of its first slice, but contrast and lossy compression of any slice."""
    stated = [header.acquisition for header in slices]
    files = {header.path: header for header in slices}
    lossy = any(facts.lossy_compression for facts in stated) or any(map(is_irreversible, files.values()))
    return replace(
        stated[0],
        contrast_agent=next((facts.contrast_agent for facts in stated if facts.contrast_agent), None),
        lossy_compression=lossy or stated[0].lossy_compression,
    )


def _open_image(path: Path, progress: Progress) -> CTVolume:
    """A CT from an image file."""
    progress(0.0, "reading the image")
    header = read_image_header(path)
    if header.is_segmentation or path.name.lower().endswith(".seg.nrrd"):
        raise InputError("label-map", "The file is a segmentation, not a CT: give the CT, and this as the mask.")
    if header.layers != 1:
        raise InputError("not-3d", "The image has several values in each voxel: give a single CT volume.")
    axial = to_axial(_to_hu(read_voxels(path, header)), header.spacing, header.origin, header.direction)
    progress(0.9, "reading the image")
    facts = Acquisition(modality=header.modality)
    return CTVolume(axial.array, axial.spacing, axial.origin, axial.direction, facts, header.warnings)


def _to_hu(voxels: np.ndarray) -> np.ndarray:
    """Intensities as int16 where they are whole numbers, else float32; padding far below air becomes air."""
    whole = voxels.dtype.kind in "iu" or all(np.array_equal(plane, np.rint(plane)) for plane in voxels)
    if voxels.max() > _INT16.max:
        raise InputError(
            "not-hu", f"The image holds the value {voxels.max():g}, which no tissue has: give a CT in Hounsfield units."
        )
    if not whole:
        return voxels.astype(np.float32, copy=False)
    if voxels.min() < _INT16.min:
        voxels = np.where(voxels < _INT16.min, AIR_HU, voxels)
    return voxels.astype(np.int16, copy=False)
