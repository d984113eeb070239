"""Finding the DICOM series under a folder, and choosing the one to be scored by stated rules."""

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.io import checks
from coronary_calcium.io.axes import axial_order
from coronary_calcium.io.checks import is_sharp
from coronary_calcium.io.contrast_words import describes_no_contrast
from coronary_calcium.io.pixels import slice_hu
from coronary_calcium.io.series_taken_apart import Groups, joined, reject_scattered
from coronary_calcium.io.slice_header import CT_IMAGE, ENHANCED_CT, SliceHeader, read_headers
from coronary_calcium.io.stack import Stack, is_localizer, stack_of
from coronary_calcium.progress import Progress
from coronary_calcium.volume import CaseWarning

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

# Endings of DICOM files' names; others than these say nothing of a file's content.
_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom", ".img")
# Uncompressed slices of a series differ in size by their headers alone.
_ALIKE = 0.05
# Lung at any depth of breath, above the foam of a head rest; in four real chests it takes 8 to 19 % of the widest
# slice, in a head the air cells of bone take less than 1 %.
_LUNG_HU = (-890, -500)
_MINIMUM_LUNG = 0.03
_LOOKED_AT = 9
# Series that the results name; a whole examination may hold a dozen.
_MOST_NAMED = 3
# Series of fewer images than this may be what damage made of one slice's identifier; its place is exact to this part.
_FEW = 3
_SAME_PLACE = 0.1


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
    """The chosen series' stack, its summary, the other series, and those of them that could be scored as well."""

    stack: Stack
    chosen: SeriesSummary
    others: tuple[SeriesSummary, ...]
    rivals: tuple[SeriesSummary, ...]


@dataclass(frozen=True)
class _Series:
    """One series: its slices, and either its stack or why it has none."""

    uid: str
    headers: list[SliceHeader]
    stack: Stack | None
    rejection: InputError | None


def find_files(folder: Path) -> list[Path]:
    """All regular files under a folder and the folders linked into it, each folder once, in a stable order.

    A folder that cannot be listed is among them, so that it is counted as unreadable: it may hold slices.
    """
    found: list[Path] = []
    locked: list[Path] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(
        folder, onerror=lambda error: locked.append(Path(error.filename)), followlinks=True
    ):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        found += [Path(parent, name) for name in sorted(names)]
    return [path for path in found if path.is_file()] + locked


def read_all_headers(files: list[Path], progress: Progress) -> tuple[list[SliceHeader], int]:
    """The slices in all DICOM files, and how many files are DICOM, or seem to be of a series, but are damaged."""
    headers: list[SliceHeader] = []
    foreign: list[Path] = []
    unreadable = 0
    for count, path in enumerate(files, start=1):
        slices = read_headers(path)
        if slices is None:
            unreadable += 1
        elif slices:
            headers += slices
        elif not _is_resource_fork(path):
            foreign.append(path)
        if count % 16 == 0 or count == len(files):
            progress(count / len(files), "reading DICOM headers")
    return headers, unreadable + _damaged_slices(foreign, headers)


def _is_resource_fork(path: Path) -> bool:
    """Whether a file is what macOS writes beside another one on foreign disks ("._name", AppleDouble, RFC 1740)."""
    if not path.name.startswith("._"):
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x00\x05\x16\x07"


def _damaged_slices(foreign: list[Path], headers: list[SliceHeader]) -> int:
    """How many files that are not DICOM lie beside a series' files and are like them in name or size: damaged ones."""
    sizes: dict[Path, list[int]] = defaultdict(list)
    suffixes: dict[Path, set[str]] = defaultdict(set)
    for path in dict.fromkeys(header.path for header in headers):
        sizes[path.parent].append(path.stat().st_size)
        suffixes[path.parent].add(path.suffix.lower())
    damaged = 0
    for path in foreign:
        beside = sizes.get(path.parent, [])
        if len(beside) < checks.MINIMUM_SLICES - 1 or path.name.upper() == "DICOMDIR":
            continue
        suffix = path.suffix.lower()
        like_a_slice = suffix in suffixes[path.parent] and suffix in _DICOM_SUFFIXES
        typical = float(np.median(beside))
        damaged += like_a_slice or abs(path.stat().st_size - typical) <= _ALIKE * typical
    return damaged


# What makes one series better suited than another, the most important first. Each rule gives a number; the lowest wins.
_RULES: tuple[tuple[str, Callable[[SliceHeader, Stack], float]], ...] = (
    ("it was made with contrast medium", lambda _, stack: _contrast(stack)),
    ("it is not axial", lambda _, stack: not axial_order(stack.placement.direction).is_identity),
    ("it is too short for a whole heart", lambda _, stack: _length(stack) < WHOLE_HEART_MM),
    (
        "it shows another part of the body, and no lung",
        lambda first, stack: shows_another_part(first.body_part) and not shows_lung(stack),
    ),
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

    Best means, in this order: without contrast medium; axial; long enough for a heart; not said to be of another part
    of the body when there is no lung in it either; a kernel that is not sharp;
    slice thickness nearest 3 mm; not another part of the body; original; synchronized with the heart; more slices.
    Series that cannot be scored are never chosen. Raises InputError with the named (or most promising) series'
    reason.
    """
    groups: Groups = defaultdict(list)
    for header in headers:
        groups[header.series_uid].append(header)
    groups = joined(groups)
    series_uid = next((uid for uid in groups if any(part.series_uid == series_uid for part in groups[uid])), series_uid)
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
        reject_scattered(groups, best.headers)
        assert best.rejection is not None  # noqa: S101 - for the type checker: no stack means a rejection
        raise best.rejection
    best = min(usable, key=_rank)
    others = [
        _summary(examined.get(uid) or _Series(uid, groups[uid], None, None), best) for uid in sorted(groups)
        if uid != best.uid
    ]  # fmt: skip
    assert best.stack is not None  # noqa: S101 - for the type checker: usable means that there is a stack
    _log.debug("%d series, %d usable; the chosen one has %d slices", len(groups), len(usable), len(groups[best.uid]))
    could = {series.uid for series in usable}
    rivals = tuple(other for other in others if other.series_uid in could)
    return Choice(best.stack, _summary(best, None), tuple(others), rivals)


def chosen_warning(choice: Choice) -> tuple[CaseWarning, ...]:
    """Which of several series that could be scored was taken, for the results; without their identifiers."""
    if not choice.rivals:
        return ()
    kept = "; ".join(f"{_kind(other)}, because {other.reason}" for other in choice.rivals[:_MOST_NAMED])
    more = f"; and {len(choice.rivals) - _MOST_NAMED} more" if len(choice.rivals) > _MOST_NAMED else ""
    return (
        CaseWarning(
            "series-chosen",
            f"Of {len(choice.rivals) + 1} series that could be scored, one was chosen ({_kind(choice.chosen)}); not "
            f"scored: {kept}{more}.",
        ),
    )


def _kind(series: SeriesSummary) -> str:
    """A series in a few words, without its description and identifier."""
    thickness = "" if series.slice_thickness_mm is None else f", {series.slice_thickness_mm:g} mm"
    kernel = "" if series.kernel is None else f", kernel {series.kernel}"
    return f"{series.slices} slices{thickness}{kernel}"


def slices_astray(choice: Choice, headers: list[SliceHeader]) -> int:
    """How many images of other series continue the chosen stack at an end, as the slice of a damaged file does."""
    placement = choice.stack.placement
    counts = Counter(header.series_uid for header in headers)
    normal = placement.direction[:, 2]
    ends = (-1, len(placement.slices))
    astray = 0
    for header in headers:
        few = header.series_uid != choice.chosen.series_uid and counts[header.series_uid] < _FEW
        if not few or header.position is None or header.rows != placement.slices[0].rows:
            continue
        step = np.subtract(header.position, placement.origin)
        along = float(step @ normal) / placement.spacing[0]
        aside = float(np.linalg.norm(step - (step @ normal) * normal))
        astray += aside < 1.0 and min(abs(along - end) for end in ends) < _SAME_PLACE
    return astray


def shows_another_part(body_part: str) -> bool:
    """Whether BodyPartExamined, in capital letters, names parts of the body of which none holds the heart."""
    return _OTHER_PARTS.search(body_part) is not None and _HEART_PARTS.search(body_part) is None


def shows_lung(stack: Stack) -> bool:
    """Whether any of a few slices shows lung, without which there is no heart; True where they cannot be read."""
    slices = stack.placement.slices
    for index in np.unique(np.linspace(0, len(slices) - 1, _LOOKED_AT).astype(int)):
        try:
            hu = slice_hu(slices[index])
        except InputError:
            return True  # said when the series is read
        if np.mean((hu > _LUNG_HU[0]) & (hu < _LUNG_HU[1])) >= _MINIMUM_LUNG:
            return True
    return False


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
    first = _first(series.headers)
    return first.modality == "CT", not is_localizer(first), len(series.headers)


def _first(headers: list[SliceHeader]) -> SliceHeader:
    """The header that speaks for a series: of a CT image, where there is one."""
    return next((header for header in headers if header.sop_class in (CT_IMAGE, *ENHANCED_CT)), headers[0])


def _summary(series: _Series, winner: _Series | None) -> SeriesSummary:
    """What is shown of a series; ``winner`` is the chosen one, None for itself."""
    first = _first(series.headers)
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
