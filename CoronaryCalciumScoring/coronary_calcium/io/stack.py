"""From the files of one DICOM series to the one stack of slices that can be scored, or the reason why there is none."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io import checks
from coronary_calcium.io.pixel_data import same_pixels
from coronary_calcium.io.slice_geometry import SAME_POSITION_MM, Placement, place_slices, positions_along_normal
from coronary_calcium.io.slice_header import CT_IMAGE, ENHANCED_CT, STACK_TAGS, SliceHeader
from coronary_calcium.volume import CaseWarning

# Image types (0008,0008) that show no measured slice in HU.
_LOCALIZER = {"LOCALIZER", "SCOUT", "TOPOGRAM"}
# Beside the standard's words for projections, those of vendors. Siemens writes "CT_SOM5 MIP" as one value.
_PROJECTIONS = {"MIP", "MINIP", "MIN_IP", "MAX_IP", "PROJECTION IMAGE", "MAXIMUM", "MINIMUM", "VRT", "RENDERED",
                "VOLUME_RENDER", "SSD", "SCREEN SAVE"}  # fmt: skip
# Images computed from others by arithmetic (PS3.3 C.8.16.2.1.4, derived pixel contrast), and from several energies
# (PS3.17 annex JJJJ, multi-energy): their values are not those of tissue, or calcium has been taken out of them.
_COMPUTED = {"ADDITION", "DIVISION", "MULTIPLICATION", "SUBTRACTION", "STD_DEVIATION", "QUANTITY", "MAT_SPECIFIC",
             "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY"}  # fmt: skip
# PS3.3 C.11.1.1.2: RescaleType is HU for CT if absent; US means unspecified, and converters write it for HU.
_HU_TYPES = {"", "HU", "US", "HOUNSFIELD"}
# Slices whose orientation differs by less are parallel: rounding of the header's decimals.
_PARALLEL_TOLERANCE = 2e-3


@dataclass(frozen=True)
class Stack:
    """The slices of a series that can be scored, and what was noticed on the way."""

    placement: Placement
    warnings: tuple[CaseWarning, ...]


def stack_of(headers: list[SliceHeader]) -> Stack:
    """Find the stack in a series' slices.

    Raises InputError: ``"not-ct"``, ``"missing-tags"``, ``"truncated"``, ``"color"``, ``"not-hu"``,
    ``"not-slices"``, ``"unsupported"``, ``"duplicate-slices"``, ``"mixed-series"``, ``"several-stacks"``, and those of
    ``place_slices``.
    """
    left = _without_copies(_slices(headers))
    _reject_incomplete(left)
    main = _largest_orientation(left)
    _reject_mixture(main)
    placement = _place(main)
    aside = len(left) - len(placement.slices) + len(headers) - len(_only_ct(headers))
    warnings = [*_suspicions(placement.slices)]
    if aside:
        warnings.append(
            CaseWarning(
                "images-left-out",
                f"{aside} image(s) of the series, such as localizers or another acquisition, are not part of the "
                f"stack of {len(placement.slices)} slices and were left out.",
            )
        )
    return Stack(placement, tuple(warnings))


def _suspicions(slices: tuple[SliceHeader, ...]) -> Iterator[CaseWarning]:
    """Warnings of what is legal in a stack, but not what a scanner writes of an axial scan."""
    # PS3.3 C.7.6.1.1.2: secondary images were made after the examination. Some scanners reconstruct DERIVED, PRIMARY.
    if any({"DERIVED", "SECONDARY"} <= set(header.image_type) for header in slices):
        yield CaseWarning(
            "derived-images",
            "The images were derived from others after the examination, as by averaging or resampling, which changes "
            "the score: use the original axial series if there is one.",
        )
    if len({(header.slope, header.intercept) for header in slices}) > 1:
        yield CaseWarning(
            "rescale-differs",
            "The rescale of stored values to Hounsfield units differs between slices, which is unusual for a CT: check "
            "that no slice is brighter or darker than its neighbors.",
        )


def _words(header: SliceHeader) -> set[str]:
    """The values of the image type, and the single words in them."""
    return {*header.image_type, *(word for value in header.image_type for word in value.split())}


def is_localizer(header: SliceHeader) -> bool:
    """Whether an image is the scanner's overview picture."""
    return bool(_LOCALIZER & _words(header))


def _only_ct(headers: list[SliceHeader]) -> list[SliceHeader]:
    """The images stored as CT images that are no overview pictures."""
    return [header for header in headers if header.sop_class in (CT_IMAGE, *ENHANCED_CT) and not is_localizer(header)]


def _slices(headers: list[SliceHeader]) -> list[SliceHeader]:
    """The slices in HU; rejects series that have none."""
    modality = headers[0].modality
    if any(header.modality != "CT" for header in headers):
        raise InputError(
            "not-ct", f"The series is not a CT (its modality is {modality or 'not stated'}): give a non-contrast CT."
        )
    slices = _only_ct(headers)
    if not slices:
        raise InputError(
            "not-ct",
            "The series holds no CT slices, only localizers or secondary captures: give the axial CT series.",
        )
    if any(header.sop_class == CT_IMAGE and header.frames != 1 for header in slices):
        raise InputError(
            "unsupported",
            "A file of the series holds several frames without saying where each of them lies: export the series again "
            "with one file per slice, or as an enhanced CT.",
        )
    if any(_PROJECTIONS & _words(header) for header in slices):
        raise InputError(
            "not-slices",
            "The images are projections or renderings, whose intensities are not those of a slice: give the original "
            "axial series.",
        )
    computed = sorted({word for header in slices for word in _COMPUTED & _words(header)})
    if computed:
        raise InputError(
            "not-hu",
            f"The images were computed from others ({computed[0]}), and their values are not Hounsfield units: give "
            "the original axial series.",
        )
    wrong = sorted({header.rescale_type for header in slices} - _HU_TYPES)
    if wrong:
        raise InputError(
            "not-hu", f"The pixel values are stated in {wrong[0]}, not in Hounsfield units: give the plain CT series."
        )
    return slices


def _without_copies(slices: list[SliceHeader]) -> list[SliceHeader]:
    """Each image once: archives often hold the same file in two folders."""
    seen: dict[tuple[str, int], SliceHeader] = {}
    compared: set[tuple[Path, Path]] = set()
    for header in slices:
        kept = seen.setdefault((header.sop_uid or str(header.path), header.frame), header)
        if kept is header:
            continue
        same = replace(kept, path=header.path, pixel_offset=header.pixel_offset) == header
        if same and (kept.path, header.path) not in compared:
            compared.add((kept.path, header.path))
            same = same_pixels(kept, header)
        if not same:
            raise InputError(
                "duplicate-slices",
                "Two different images carry the same instance identifier: export the series again from the archive.",
            )
    return list(seen.values())


def _reject_incomplete(slices: list[SliceHeader]) -> None:
    """Reject slices without the entries that geometry and HU are computed from; nothing is ever assumed."""
    needed: dict[str, Callable[[SliceHeader], object]] = {
        "ImagePositionPatient": lambda header: header.position,
        "ImageOrientationPatient": lambda header: header.orientation,
        "PixelSpacing": lambda header: header.pixel_spacing,
        "Rows": lambda header: header.rows,
        "Columns": lambda header: header.columns,
        "RescaleSlope": lambda header: header.slope,
        "RescaleIntercept": lambda header: header.intercept,
        "BitsAllocated": lambda header: header.bits_allocated,
        "BitsStored": lambda header: header.bits_stored,
        "PixelRepresentation": lambda header: header.signed,
        "SamplesPerPixel": lambda header: header.samples,
        "TransferSyntaxUID": lambda header: header.transfer_syntax or None,
    }
    lacking = {name: sum(value(header) is None for header in slices) for name, value in needed.items()}
    missing = {name: count for name, count in lacking.items() if count}
    cut = sum(not header.has_pixels for header in slices)
    if cut:
        raise InputError(
            "truncated", f"{cut} of {len(slices)} files end before their pixel data: export the series again."
        )
    if missing:
        raise InputError(
            "missing-tags",
            f"The DICOM header lacks a valid {' and '.join(missing)} in {max(missing.values())} of {len(slices)} "
            "slices, without which no score can be computed: export the series again without removing it.",
        )
    if any(header.samples != 1 or header.photometric not in ("MONOCHROME1", "MONOCHROME2", "") for header in slices):
        raise InputError("color", "The images are in color: give the CT series in Hounsfield units.")
    if any(header.photometric == "MONOCHROME1" for header in slices):
        # GDCM inverts the values of such images, rescaled or not.
        raise InputError(
            "not-hu",
            "The images are stored with inverted gray values (MONOCHROME1): export the series again as the scanner "
            "wrote it.",
        )
    if any(header.slope == 0 for header in slices):
        raise InputError("not-hu", "The header's RescaleSlope is 0, which makes every voxel equal: export it again.")
    sides = [side for header in slices for side in (header.rows or 0, header.columns or 0)]
    spacings = [value for header in slices for value in header.pixel_spacing or ()]
    voxels = sum((header.rows or 0) * (header.columns or 0) for header in slices)
    if min(sides) < 2 or max(sides) > checks.MAXIMUM_SIDE or voxels > checks.MAXIMUM_VOXELS:
        raise InputError(
            "absurd-size",
            f"The headers claim {len(slices)} images of up to {max(sides)} pixels per side: the files are damaged.",
        )
    if min(spacings) <= 0:
        raise InputError("bad-geometry", "The header's PixelSpacing is not positive: export the series again.")


def _largest_orientation(slices: list[SliceHeader]) -> list[SliceHeader]:
    """The parallel slices that make the stack; a few others may be left aside, a second stack may not."""
    groups: list[list[SliceHeader]] = []
    for header in slices:
        for group in groups:
            if np.abs(np.subtract(_orientation(group[0]), _orientation(header))).max() < _PARALLEL_TOLERANCE:
                group.append(header)
                break
        else:
            groups.append([header])
    groups.sort(key=len, reverse=True)
    if len(groups) > 1 and len(groups[1]) >= checks.MINIMUM_SLICES:
        raise InputError(
            "mixed-series",
            f"The series mixes {len(groups[0])} slices of one orientation with {len(groups[1])} of another: export "
            "the axial slices as a series of their own.",
        )
    return groups[0]


def _orientation(header: SliceHeader) -> np.ndarray:
    """The six direction cosines."""
    return np.asarray(header.orientation, dtype=float)


def _reject_mixture(slices: list[SliceHeader]) -> None:
    """Reject slices that cannot come from one reconstruction."""
    facts: dict[str, Callable[[SliceHeader], object]] = {
        "patient or study": lambda header: header.patient,
        "matrix size": lambda header: (header.rows, header.columns),
        "pixel spacing": lambda header: tuple(round(value, 5) for value in header.pixel_spacing or ()),
        "frame of reference": lambda header: header.frame_of_reference,
        "tube voltage": lambda header: header.acquisition.kvp,
        "reconstruction kernel": lambda header: header.acquisition.kernel,
        "slice thickness": lambda header: round(header.acquisition.slice_thickness_mm or 0, 2),
    }
    for name, fact in facts.items():
        if len({fact(header) for header in slices}) > 1:
            raise InputError(
                "mixed-series",
                f"The slices of the series differ in {name}, so they are not one scan: export the scan to be scored "
                "as a series of its own.",
            )


def _place(slices: list[SliceHeader]) -> Placement:
    """Place the slices; where several stacks share positions, the only usable one, and none if several are."""
    along = np.sort(positions_along_normal(slices))
    if np.all(np.diff(along) > SAME_POSITION_MM) or len(slices) < checks.MINIMUM_SLICES:
        return place_slices(slices)
    for index in range(len(STACK_TAGS)):
        groups = defaultdict(list)
        for header in slices:
            groups[header.stack[index]].append(header)
        if len(groups) == 1:
            continue
        usable = list(_usable(groups.values()))
        if len(usable) == 1:
            return usable[0]
        if len(usable) > 1:
            raise InputError(
                "several-stacks",
                f"The series holds {len(usable)} stacks of slices over the same region, told apart by "
                f"{STACK_TAGS[index]}, such as heart phases: export the one to be scored as a series of its own.",
            )
    return place_slices(slices)


def _usable(groups: Iterable[list[SliceHeader]]) -> Iterable[Placement]:
    """The placements of those groups that make a stack long enough for a heart."""
    for group in groups:
        try:
            placement = place_slices(group)
        except InputError:
            continue
        if len(group) * placement.spacing[0] >= checks.MINIMUM_EXTENT_MM:
            yield placement
