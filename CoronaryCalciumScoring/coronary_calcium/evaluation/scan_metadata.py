"""How a patient's scan was made, as far as it is known, and the groups in which results are looked at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from coronary_calcium.volume import CTVolume

# ScanMetadata by which results are grouped; a fact that nothing states is None.
FACTS = ("kind", "kernel", "thickness_mm", "spacing_mm", "noise_hu", "motion_mm", "kvp", "field_of_view_mm")
_WORDS = ("kind", "kernel")
NOT_STATED = "not stated"
# ScanMetadata come from files: a longer word is none that a scanner or the simulator wrote.
_LONGEST_WORD = 32

ScanMetadata = dict[str, str | float | None]


def scan_metadata(volume: CTVolume | None, *stated: object) -> ScanMetadata:
    """The facts of a patient: of the first of ``stated`` (objects as JSON knows them) that has one, else the CT's.

    ``volume`` is None for a patient whose CT could not be opened.
    """
    sources = stated if volume is None else (*stated, _from_ct(volume))
    return {name: _first(name, sources) for name in FACTS}


def unknown_metadata() -> ScanMetadata:
    """The facts of a patient of whom nothing could be read."""
    return dict.fromkeys(FACTS)


def _from_ct(volume: CTVolume) -> ScanMetadata:
    spacing, acquisition = volume.spacing, volume.acquisition
    return {
        "kernel": acquisition.kernel,
        "thickness_mm": acquisition.slice_thickness_mm,
        "spacing_mm": spacing[0],
        "kvp": acquisition.kvp,
        "field_of_view_mm": spacing[2] * volume.shape[2],
    }


def _first(name: str, sources: Iterable[object]) -> str | float | None:
    for source in sources:
        value: Any = source.get(name) if isinstance(source, dict) else None
        if name in _WORDS and isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD:
            return value
        if name not in _WORDS and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return None


@dataclass(frozen=True)
class Grouping:
    """One way to part the patients: a title, the fact, and the name of the group that a value of it belongs to."""

    title: str
    fact: str
    group: Callable[[Any], str]


def _ranges(unit: str, *cuts: float) -> Callable[[float], str]:
    """Groups parted by ``cuts``; a value equal to a cut belongs to the group below it."""

    def group(value: float) -> str:
        below = [cut for cut in cuts if cut < value]
        above = [cut for cut in cuts if cut >= value]
        if not below:
            return f"up to {cuts[0]:g} {unit}"
        return f"above {below[-1]:g} to {above[0]:g} {unit}" if above else f"above {below[-1]:g} {unit}"

    return group


# Cuts near the quartiles of what the simulated protocols draw; a 200 mm field of view and less is a zoomed cardiac one.
GROUPINGS = (
    Grouping("Protocol", "kind", str),
    Grouping("Kernel", "kernel", str),
    Grouping("Slice thickness", "thickness_mm", _ranges("mm", 1.0, 2.0, 3.0)),
    Grouping("Noise", "noise_hu", _ranges("HU", 15.0, 25.0, 40.0)),
    Grouping("Motion", "motion_mm", _ranges("mm", 0.5, 1.5, 2.5)),
    Grouping("Tube voltage", "kvp", lambda value: f"{value:g} kVp"),
    Grouping("Field of view", "field_of_view_mm", _ranges("mm", 200.0, 300.0, 400.0)),
)


def groups_of(grouping: Grouping, patients: Iterable[ScanMetadata]) -> dict[str, list[int]]:
    """The patients' positions by group, ascending by value; those without the fact come last, as "not stated"."""
    values: list[Any] = [facts[grouping.fact] for facts in patients]
    groups: dict[str, list[int]] = {}
    for position in sorted((n for n, value in enumerate(values) if value is not None), key=lambda n: values[n]):
        groups.setdefault(grouping.group(values[position]), []).append(position)
    missing = [n for n, value in enumerate(values) if value is None]
    return groups | ({NOT_STATED: missing} if missing else {})
