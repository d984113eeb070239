"""From the files of one DICOM series to the one stack of slices that can be scored, or the reason why there is none."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io import checks, image_type
from coronary_calcium.io.pixel_data import same_image, same_pixels
from coronary_calcium.io.slice_geometry import SAME_POSITION_MM, Placement, place_slices, positions_along_normal
from coronary_calcium.io.slice_header import CT_IMAGE, ENHANCED_CT, STACK_TAGS, SliceHeader
from coronary_calcium.volume import CaseWarning

# PS3.3 C.11.1.1.2: RescaleType is HU for CT if absent; US means unspecified, and converters write it for HU. Some
# write the unit in words, in several languages; HU_MOD, modified Hounsfield units, is none of these.
_HU_TYPES = re.compile(
    r"(HU|US|UH|HE|UNSPECIFIED|CTNUMBERS?|HOUNSFIELD|HOUNSFIELDS?(UNITS?|SCALE|NUMBERS?|EINHEIT(EN)?)(HU)?|HUNITS?"
    r"|(UNITE|UNITES|UNIDAD|UNIDADES|UNIDADE|UNITA)(DE|DI)?HOUNSFIELD)?"
)
# What is quoted from a header, in a sentence.
_LONGEST_WORD = 32
_MODALITY = re.compile(r"[A-Z]{2,16}")
# Entries that all slices of a scan share. De-identification has left public series with one of its own in every slice.
_IDENTIFIERS: dict[str, Callable[[SliceHeader], object]] = {
    "patient or study": lambda header: header.patient,
    "series": lambda header: header.series_uid,
    "frame of reference": lambda header: header.frame_of_reference,
}
# The header's decimals, over 512 pixels 0.05 mm.
_PIXEL_ROUNDING_MM = 1e-4
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
    once = _without_repeats(main)
    placement = _place(once)
    repeats = len(main) - len(once)
    aside = len(left) - repeats - len(placement.slices) + len(headers) - len(_only_ct(headers))
    return Stack(
        placement, (*_suspicions(placement.slices), *_left_out(headers, aside, len(placement.slices), repeats))
    )


def _left_out(headers: list[SliceHeader], aside: int, used: int, repeats: int) -> Iterator[CaseWarning]:
    """Warnings of what the series holds beside the stack."""
    if aside:
        other = sorted({header.modality for header in headers if not _is_ct_storage(header)} - {"CT"})
        kinds = ", ".join(kind for kind in other if _MODALITY.fullmatch(kind))
        named = f" or objects of other kinds ({kinds})" if kinds else ""
        yield CaseWarning(
            "images-left-out",
            f"{aside} image(s) of the series, such as localizers or another acquisition{named}, are not part of the "
            f"stack of {used} slices and were left out.",
        )
    if repeats:
        yield CaseWarning(
            "duplicate-slices",
            f"{repeats} image(s) of the series were sent twice under different identifiers; each is used once.",
        )


def _suspicions(slices: tuple[SliceHeader, ...]) -> Iterator[CaseWarning]:
    """Warnings of what is legal in a stack, but not what a scanner writes of an axial scan."""
    # PS3.3 C.7.6.1.1.2: secondary images were made after the examination. Some scanners reconstruct DERIVED, PRIMARY.
    if any({"DERIVED", "SECONDARY"} <= set(header.image_type) for header in slices):
        yield CaseWarning(
            "derived-images",
            "The images were derived from others after the examination, as by averaging or resampling, which changes "
            "the score: use the original axial series if there is one.",
        )
    broken = [name for name, value in _IDENTIFIERS.items() if _own_in_every_slice([*slices], value)]
    if broken:
        yield CaseWarning(
            "identifiers-differ",
            f"Every slice has its own {' and '.join(broken)}, as some de-identification leaves it; the slices lie "
            "evenly and were taken as one scan: check that they are.",
        )
    energy = image_type.virtual_energy(slices[0].image_type)
    if energy is not None:
        yield CaseWarning(
            "monoenergetic",
            f"The images are virtual monoenergetic ones{f' ({energy})' if energy else ''}, in which calcium has other "
            "Hounsfield units than at 120 kVp, and more at low energies: use the conventional series if there is one.",
        )
    spectral = image_type.describes_spectral(slices[0].description)
    if spectral and energy is None:
        yield CaseWarning(
            "described-as-spectral",
            f"The series' description speaks of a spectral image ({spectral.lower()}), in which calcium may be changed "
            "or missing: use the conventional series if there is one.",
        )
    if len({(header.slope, header.intercept) for header in slices}) > 1:
        yield CaseWarning(
            "rescale-differs",
            "The rescale of stored values to Hounsfield units differs between slices, which is unusual for a CT: check "
            "that no slice is brighter or darker than its neighbors.",
        )


def is_localizer(header: SliceHeader) -> bool:
    """Whether an image is the scanner's overview picture."""
    return image_type.is_localizer(header.image_type)


def _is_ct_storage(header: SliceHeader) -> bool:
    """Whether an object is stored as a CT image: not a segmentation, a report or a picture of one."""
    return header.sop_class in (CT_IMAGE, *ENHANCED_CT)


def _only_ct(headers: list[SliceHeader]) -> list[SliceHeader]:
    """The images stored as CT images that are no overview pictures; beside gray slices, no page in color either."""
    images = [header for header in headers if _is_ct_storage(header) and not is_localizer(header)]
    return [header for header in images if not _is_page(header)] or images


def _is_page(header: SliceHeader) -> bool:
    """Whether an image is a page in color, or a picture of the screen that lies nowhere in the patient."""
    in_color = header.samples == 3 or header.photometric.startswith(("RGB", "YBR", "PALETTE"))
    lies_nowhere = header.position is None and header.orientation is None
    return in_color or (lies_nowhere and image_type.is_projection(header.image_type))


def _slices(headers: list[SliceHeader]) -> list[SliceHeader]:
    """The slices in HU; rejects series that have none."""
    # Contours, presentation states, key objects and reports may bear the series' identifier: they are left out.
    images = [header for header in headers if _is_ct_storage(header)]
    foreign = next((header.modality for header in images or headers if header.modality != "CT"), None)
    if foreign is not None:
        raise InputError(
            "not-ct", f"The series is not a CT (its modality is {foreign or 'not stated'}): give a non-contrast CT."
        )
    slices = _only_ct(images)
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
    if any(image_type.is_projection(header.image_type) for header in slices):
        raise InputError(
            "not-slices",
            "The images are projections or renderings, whose intensities are not those of a slice: give the original "
            "axial series.",
        )
    computed = next(filter(None, (image_type.computed_word(header.image_type) for header in slices)), None)
    if computed:
        raise InputError(
            "not-hu",
            f"The images were computed from others ({computed[:_LONGEST_WORD]}), and their values are not Hounsfield "
            "units of what was scanned: give the original axial series.",
        )
    wrong = sorted(kind for kind in {header.rescale_type for header in slices} if not _is_hu(kind))
    if wrong:
        raise InputError(
            "not-hu",
            f"The pixel values are stated in {wrong[0][:_LONGEST_WORD]}, not in Hounsfield units: give the plain CT "
            "series.",
        )
    return slices


def _is_hu(rescale_type: str) -> bool:
    """Whether a RescaleType means Hounsfield units or says nothing, in any of its spellings."""
    plain = unicodedata.normalize("NFKD", rescale_type)
    return _HU_TYPES.fullmatch("".join(letter for letter in plain.upper() if letter.isalpha())) is not None


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


def _without_repeats(slices: list[SliceHeader]) -> list[SliceHeader]:
    """The slices, each once, where some were sent twice under two identifiers.

    All of them when two at one place differ, as phases or reconstructions do.
    """
    kept: list[SliceHeader] = []
    for header in sorted(slices, key=lambda header: positions_along_normal([slices[0], header])[1]):
        if kept and np.abs(_position(kept[-1]) - _position(header)).max() <= SAME_POSITION_MM:
            if not same_image(kept[-1], header):
                return slices
        else:
            kept.append(header)
    return kept


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


def _position(header: SliceHeader) -> np.ndarray:
    """Where the first pixel lies, LPS in mm."""
    return np.asarray(header.position, dtype=float)


def _reject_mixture(slices: list[SliceHeader]) -> None:
    """Reject slices that cannot come from one reconstruction; numbers may differ by rounding."""
    same: dict[str, Callable[[SliceHeader], object]] = {
        "matrix size": lambda header: (header.rows, header.columns),
        "reconstruction kernel": lambda header: " ".join((header.acquisition.kernel or "").upper().split()),
    }
    close: dict[str, tuple[Callable[[SliceHeader], float], float]] = {
        "pixel spacing": (lambda header: (header.pixel_spacing or (0.0, 0.0))[0], _PIXEL_ROUNDING_MM),
        "pixel spacing ": (lambda header: (header.pixel_spacing or (0.0, 0.0))[1], _PIXEL_ROUNDING_MM),
        "tube voltage": (lambda header: header.acquisition.kvp or 0.0, checks.KVP_TOLERANCE),
        "slice thickness": (lambda header: header.acquisition.slice_thickness_mm or 0.0, checks.THICKNESS_TOLERANCE_MM),
    }
    differing = [
        *(name for name, values in _IDENTIFIERS.items() if len(set(map(values, slices))) > 1
          and not _own_in_every_slice(slices, values)),
        *(name for name, value in same.items() if len(set(map(value, slices))) > 1),
        *(name for name, (value, rounding) in close.items() if float(np.ptp([*map(value, slices)])) > rounding),
    ]  # fmt: skip
    if differing:
        raise InputError(
            "mixed-series",
            f"The slices of the series differ in {differing[0].strip()}, so they are not one scan: export the scan to "
            "be scored as a series of its own.",
        )


def _own_in_every_slice(slices: list[SliceHeader], value: Callable[[SliceHeader], object]) -> bool:
    """Whether no two of many slices share a value, as some de-identification leaves identifiers; files count once."""
    files = {header.path: value(header) for header in slices}
    return len(files) >= checks.MINIMUM_SLICES and len(set(files.values())) == len(files)


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
