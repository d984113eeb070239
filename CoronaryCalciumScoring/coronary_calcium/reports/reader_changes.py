"""What the reader changed in the network's proposal, in the words of the reports."""

from coronary_calcium.arteries import UNASSIGNED
from coronary_calcium.scoring.reader_difference import (
    ADDED,
    REASSIGNED,
    REMOVED,
    RESIZED,
    LesionChange,
    ReaderDifference,
)

# Changes that a report lists one by one; scores.json has them all.
MOST_CHANGES = 8
_TITLES = {ADDED: "Added", REMOVED: "Removed", REASSIGNED: "Given to another artery", RESIZED: "Other extent"}


def listed_changes(difference: ReaderDifference) -> list[tuple[str, str]]:
    """The changes by kind: a title, and the lesions in words; the last entry says how many are left out."""
    shown = difference.changes[:MOST_CHANGES]
    listed = []
    for kind, title in _TITLES.items():
        lesions = [_in_words(change) for change in shown if change.kind == kind]
        if lesions:
            listed.append((title, "; ".join(lesions)))
    left_out = len(difference.changes) - len(shown)
    if left_out:
        listed.append(("Not listed here", f"{left_out} more, which scores.json has"))
    return listed


def _in_words(change: LesionChange) -> str:
    names = (
        [change.proposed_artery, change.artery]
        if change.kind == REASSIGNED
        else [change.proposed_artery if change.kind == REMOVED else change.artery]
    )
    arteries = " \u2192 ".join("not assigned" if name == UNASSIGNED.name else str(name) for name in names)
    return f"{arteries}, slice {change.main_slice} ({change.agatston:.1f})"
