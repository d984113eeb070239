"""Finding the DICOM series under a folder, and choosing the one to be scored by stated rules."""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coronary_calcium.errors import InputError
from coronary_calcium.io import checks
from coronary_calcium.io.axes import axial_order
from coronary_calcium.io.checks import is_sharp
from coronary_calcium.io.contrast_words import describes_no_contrast
from coronary_calcium.io.slice_header import SliceHeader, read_headers
from coronary_calcium.io.stack import Stack, is_localizer, stack_of
from coronary_calcium.progress import Progress

_log = logging.getLogger(__name__)

# A whole heart with its arteries fits into this length; longer scans are not preferred over each other by it.
WHOLE_HEART_MM = 100.0
REFERENCE_THICKNESS_MM = 3.0
# BodyPartExamined is a code of PS3.16 annex L, which may name several parts (CHESTABDPELVIS), or free text. With one of
# the first it shows the heart, whatever else it names. Of other parts, short words count as whole words alone: "ARM" is
# in PHARMA, "HIP" in WHIPPLE, "LEG" in LEGACY.
_HEART_PARTS = re.compile("CHEST|THORAX|HEART|CARDIAC")
_OTHER_PARTS = re.compile(
    r"HEAD|BRAIN|SKULL|NECK|ABDOMEN|PELVIS|KNEE|SHOULDER|SPINE|\b(FOOT|FEET|(FORE)?ARMS?|LEGS?|HANDS?|HIPS?)\b"
)


@dataclass(frozen=True)
class SeriesSummary:
    """A series in a folder, for the list shown to the user.

    ``description`` is free text that may hold a name: show it on the user's own screen, never write it to a result.
    ``reason`` says why the series was not chosen; it is empty for the chosen one.
    """

    series_uid: str
    modality: str
    slices: int
    kernel: str | None
    slice_thickness_mm: float | None
    spacing_mm: float | None
    description: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """The chosen series' stack, its summary, and the other series."""

    stack: Stack
    chosen: SeriesSummary
    others: tuple[SeriesSummary, ...]


@dataclass(frozen=True)
class _Series:
    """One series: its slices, and either its stack or why it has none."""

    uid: str
    headers: list[SliceHeader]
    stack: Stack | None
    rejection: InputError | None


def find_files(folder: Path) -> list[Path]:
    """All regular files under a folder, without following links out of it, in a stable order.

    A folder that cannot be listed is among them, so that it is counted as unreadable: it may hold slices.
    """
    found: list[Path] = []
    locked: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: locked.append(Path(error.filename))):
        folders.sort()
        found += [Path(parent, name) for name in sorted(names)]
    return [path for path in found if path.is_file()] + locked


def read_all_headers(files: list[Path], progress: Progress) -> tuple[list[SliceHeader], int]:
    """The slices in all files that are DICOM, and how many files are DICOM but cannot be read."""
    headers: list[SliceHeader] = []
    unreadable = 0
    for count, path in enumerate(files, start=1):
        slices = read_headers(path)
        if slices is None:
            unreadable += 1
        else:
            headers += slices
        if count % 16 == 0 or count == len(files):
            progress(count / len(files), "reading DICOM headers")
    return headers, unreadable


# What makes one series better suited than another, the most important first. Each rule gives a number; the lowest wins.
_RULES: tuple[tuple[str, Callable[[SliceHeader, Stack], float]], ...] = (
    ("it was made with contrast medium", lambda _, stack: _contrast(stack)),
    ("it is not axial", lambda _, stack: not axial_order(stack.placement.direction).is_identity),
    ("it is too short for a whole heart", lambda _, stack: _length(stack) < WHOLE_HEART_MM),
    (
        "its kernel is sharp",
        lambda first, _: is_sharp(first.acquisition.kernel, first.acquisition.manufacturer),
    ),
    (
        "its slice thickness is farther from 3 mm",
        lambda first, _: abs((first.acquisition.slice_thickness_mm or 99.0) - REFERENCE_THICKNESS_MM),
    ),
    ("it shows another part of the body", lambda first, _: shows_another_part(first.body_part)),
    (
        "it is derived, not original",
        lambda first, _: "DERIVED" in first.image_type or "SECONDARY" in first.image_type,
    ),
    ("it is not synchronized with the heart", lambda first, _: first.acquisition.cardiac_gating is None),
    ("it has fewer slices", lambda _, stack: -len(stack.placement.slices)),
)


def choose_series(headers: list[SliceHeader], series_uid: str | None) -> Choice:
    """Choose the series to be scored: ``series_uid``, or the best one.

    Best means, in this order: without contrast medium; axial; long enough for a heart; a kernel that is not sharp;
    slice thickness nearest 3 mm; not another part of the body; original; synchronized with the heart; more slices.
    Series that cannot be scored are never chosen. Raises InputError with the named (or most promising) series'
    reason.
    """
    groups: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        groups[header.series_uid].append(header)
    if series_uid is not None and series_uid not in groups:
        raise InputError(
            "series-not-found",
            f"None of the {len(groups)} series in the folder has the identifier {series_uid}: run without naming a "
            "series to see the list.",
        )
    wanted = [series_uid] if series_uid is not None else sorted(groups)
    examined = {uid: _examine(uid, groups[uid]) for uid in wanted}
    usable = [series for series in examined.values() if series.stack is not None]
    if not usable:
        best = max(examined.values(), key=_promise)
        assert best.rejection is not None  # noqa: S101 - for the type checker: no stack means a rejection
        raise best.rejection
    best = min(usable, key=_rank)
    others = [
        _summary(examined.get(uid) or _Series(uid, groups[uid], None, None), best) for uid in sorted(groups)
        if uid != best.uid
    ]  # fmt: skip
    assert best.stack is not None  # noqa: S101 - for the type checker: usable means that there is a stack
    _log.debug("%d series, %d usable; the chosen one has %d slices", len(groups), len(usable), len(groups[best.uid]))
    return Choice(best.stack, _summary(best, None), tuple(others))


def shows_another_part(body_part: str) -> bool:
    """Whether BodyPartExamined, in capital letters, names parts of the body of which none holds the heart."""
    return _OTHER_PARTS.search(body_part) is not None and _HEART_PARTS.search(body_part) is None


def _contrast(stack: Stack) -> float:
    """0 without contrast medium, 1 with; between them where an agent is stated and the description denies it.

    Some scanners write the agent of an examination into its native series as well.
    """
    slices = stack.placement.slices
    if all(header.acquisition.contrast_agent is None for header in slices):
        return 0.0
    return 0.5 if describes_no_contrast(slices[0].description) else 1.0


def _examine(uid: str, headers: list[SliceHeader]) -> _Series:
    """A series with its stack, or with the reason why it has none."""
    try:
        stack = stack_of(headers)
        axial_order(stack.placement.direction)
        if _length(stack) < checks.MINIMUM_EXTENT_MM:
            raise InputError(
                "too-short",
                f"The series is {_length(stack):.0f} mm long, less than the {checks.MINIMUM_EXTENT_MM:.0f} mm that a "
                "heart needs: give a scan of the whole heart.",
            )
    except InputError as rejection:
        return _Series(uid, headers, None, rejection)
    return _Series(uid, headers, stack, None)


def _length(stack: Stack) -> float:
    """From the lowest to the highest point of the stack, in mm along the patient, slices' own extent included."""
    spacing = stack.placement.spacing
    first = stack.placement.slices[0]
    shape = (len(stack.placement.slices), first.rows or 0, first.columns or 0)
    axis = axial_order(stack.placement.direction).axes[0]
    return shape[axis] * spacing[axis]


def _rank(series: _Series) -> tuple[object, ...]:
    """Sort key: the best suited series first."""
    assert series.stack is not None  # noqa: S101 - for the type checker: only usable series are ranked
    stack = series.stack
    return (*(float(rule(stack.placement.slices[0], stack)) for _, rule in _RULES), series.uid)


def _promise(series: _Series) -> tuple[bool, bool, int]:
    """Sort key: which rejected series the user most likely meant; a CT, not a localizer, with many slices."""
    first = series.headers[0]
    return first.modality == "CT", not is_localizer(first), len(series.headers)


def _summary(series: _Series, winner: _Series | None) -> SeriesSummary:
    """What is shown of a series; ``winner`` is the chosen one, None for itself."""
    first = series.headers[0]
    return SeriesSummary(
        series_uid=series.uid,
        modality=first.modality,
        slices=len(series.headers),
        kernel=first.acquisition.kernel,
        slice_thickness_mm=first.acquisition.slice_thickness_mm,
        spacing_mm=None if series.stack is None else round(series.stack.placement.spacing[0], 3),
        description=first.description,
        reason="" if winner is None else _reason(series, winner),
    )


def _reason(series: _Series, winner: _Series) -> str:
    """Why a series lost against the winner."""
    if series.rejection is not None:
        return str(series.rejection)
    if series.stack is None:
        return "another series was asked for"
    for (reason, _), own, best in zip(_RULES, _rank(series), _rank(winner)):
        if own != best:
            return reason
    return "it is equally suited, and its identifier sorts later"
