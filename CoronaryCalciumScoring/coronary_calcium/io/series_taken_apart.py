"""Series that de-identification has taken apart: every slice has a series identifier of its own."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io.checks import MINIMUM_SLICES
from coronary_calcium.io.image_type import is_localizer
from coronary_calcium.io.slice_header import CT_IMAGE, SliceHeader

Groups = dict[str, list[SliceHeader]]


def joined(groups: Mapping[str, list[SliceHeader]]) -> Groups:
    """The series by identifier, those of one image each put together where they are slices of one scan.

    A series of one image cannot be scored by itself. Images are put together when they are of one patient and study,
    were made alike (size, direction, pixels, thickness, kernel, tube voltage, scanner, description), share series
    number and frame of reference or have one of their own each, and no number of an image comes twice. Whether they
    lie evenly, each place taken once, is for ``stack_of`` to say, which rejects them otherwise.
    """
    single = [headers[0] for headers in groups.values() if _is_single(headers)]
    found = dict(groups)
    for alike in _grouped(single, _made).values():
        for numbered in _split(alike, lambda header: header.series_number):
            for slices in _split(numbered, lambda header: header.frame_of_reference):
                if len(slices) >= MINIMUM_SLICES and _numbered_once(slices):
                    first = min(header.series_uid for header in slices)
                    found[first] = [part for header in slices for part in found.pop(header.series_uid)]
    return found


def reject_scattered(groups: Mapping[str, list[SliceHeader]], best: list[SliceHeader]) -> None:
    """Raise InputError("mixed-series") when the ``best`` of many series is one of many images by themselves."""
    if not _is_single(best):
        return
    single = sum(_is_single(headers) for headers in groups.values())
    if single >= MINIMUM_SLICES:
        raise InputError(
            "mixed-series",
            f"{single} images have a series identifier of their own each, and it is not certain that they are slices "
            "of one scan: export the scan again from the archive, as one series.",
        )


def _is_single(headers: list[SliceHeader]) -> bool:
    """Whether a series is one slice of a CT, which may lie there in two copies."""
    first = headers[0]
    return (
        first.sop_class == CT_IMAGE
        and first.frames == 1
        and not is_localizer(first.image_type)
        and first.position is not None
        and len({header.sop_uid for header in headers}) == 1
    )


def _made(header: SliceHeader) -> Hashable:
    """What all slices of a scan have in common; numbers without their rounding."""
    facts = header.acquisition
    return (
        *(header.patient, header.modality, header.rows, header.columns, header.image_type, header.description),
        *(header.body_part, facts.manufacturer, facts.model, " ".join((facts.kernel or "").upper().split())),
        _rounded(header.orientation, 2),
        _rounded(header.pixel_spacing, 3),
        _rounded((facts.slice_thickness_mm or 0.0, facts.kvp or 0.0), 1),
    )


def _rounded(values: tuple[float, ...] | None, decimals: int) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) + 0.0 for value in np.round(values, decimals))


def _grouped(headers: list[SliceHeader], value: Callable[[SliceHeader], Hashable]) -> dict[Hashable, list[SliceHeader]]:
    groups: dict[Hashable, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        groups[value(header)].append(header)
    return groups


def _split(headers: list[SliceHeader], value: Callable[[SliceHeader], Hashable]) -> list[list[SliceHeader]]:
    """The slices by a value, or all together when each has one of its own, which says nothing."""
    groups = _grouped(headers, value)
    return [headers] if len(groups) == len(headers) else list(groups.values())


def _numbered_once(slices: list[SliceHeader]) -> bool:
    """Whether the images' numbers are those of one series: each another one, or all the same, which says nothing."""
    return len({header.instance_number for header in slices}) in (1, len(slices))
