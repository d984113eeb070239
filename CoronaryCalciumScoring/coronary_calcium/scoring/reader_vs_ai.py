"""Reader versus AI: scores per artery, and the lesions that were added, removed, reassigned or resized."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coronary_calcium.arteries import UNASSIGNED
from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.scoring.lesions import Lesion

ADDED, REMOVED, REASSIGNED, RESIZED = "added", "removed", "reassigned", "resized"
# What is kept of the network's card.
_CARD_FACTS = ("name", "sha256", "statement")


@dataclass(frozen=True)
class LesionChange:
    """One lesion that is not as the AI found it.

    Attributes
    ----------
    kind : ``ADDED``, ``REMOVED``, ``REASSIGNED`` (given to another artery) or ``RESIZED`` (other voxels).
    artery : of the reader's lesion; None for one that was removed.
    ai_artery : of the AI's lesion; None for one that was added.
    agatston : of the reader's lesion, or of the removed one.
    main_slice : the slice, k, in which that lesion scores most.

    """

    kind: str
    artery: str | None
    ai_artery: str | None
    agatston: float
    main_slice: int


@dataclass(frozen=True)
class ReaderVsAI:
    """The reader's result beside the network's prediction.

    Attributes
    ----------
    reader, predicted : their scores, by the same rules.
    changes : the lesions that differ, added ones first, each kind by descending score.
    unchanged : how many of the reader's lesions are exactly as the AI found them.
    model : name, checksum and statement of the network, as far as they are known.

    """

    reader: CaseScore
    predicted: CaseScore
    changes: tuple[LesionChange, ...]
    unchanged: int
    model: Mapping[str, Any]

    def of_artery(self, name: str) -> tuple[float, float]:
        """The AI's Agatston score of an artery, and by how much the reader's is higher."""
        predicted = self.predicted.by_artery[name].agatston
        return predicted, self.reader.by_artery[name].agatston - predicted

    @property
    def of_total(self) -> tuple[float, float]:
        """The AI's total Agatston score, and by how much the reader's is higher."""
        return self.predicted.total.agatston, self.reader.total.agatston - self.predicted.total.agatston

    def of_kind(self, kind: str) -> tuple[LesionChange, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.kind == kind)

    @property
    def summary(self) -> str:
        """What the reader did, one sentence."""
        done = [
            f"{verb} {len(changes)} lesion{'' if len(changes) == 1 else 's'}{after}"
            + (f" ({sum(change.agatston for change in changes):.1f} Agatston)" if counted else "")
            for kind, verb, after, counted in (
                (ADDED, "added", "", True),
                (REMOVED, "removed", "", True),
                (REASSIGNED, "reassigned", " to another artery", False),
                (RESIZED, "changed the extent of", "", False),
            )
            if (changes := self.of_kind(kind))
        ]
        rest = {0: "none is as the AI found it", 1: "1 is as the AI found it"}.get(
            self.unchanged, f"{self.unchanged} are as the AI found them"
        )
        if not done:
            return f"The reader changed no lesions; {rest}."
        listed = done[0] if len(done) == 1 else f"{', '.join(done[:-1])} and {done[-1]}"
        return f"The reader {listed}; {rest}."


def reader_vs_ai(reader: CaseScore, predicted: CaseScore, card: Mapping[str, Any] | None = None) -> ReaderVsAI:
    """Compare a reader's result with the network's prediction, both scored on the same CT.

    A reader's lesion belongs to the AI's lesion that it shares most voxels with (the one of higher score among
    equals); without any it was added, and a lesion of the AI that shares none was removed. ``card`` is the network's.
    """
    voxels = np.concatenate([np.zeros(0, np.int64), *(lesion.voxels for lesion in predicted.lesions)])
    owners = np.repeat(np.arange(len(predicted.lesions)), [lesion.voxels.size for lesion in predicted.lesions])
    order = np.argsort(voxels)
    voxels, owners = voxels[order], owners[order].astype(np.int64)
    changes, touched, unchanged = [], set(), 0
    for lesion in reader.lesions:
        shared = np.bincount(owners[np.isin(voxels, lesion.voxels, assume_unique=True)], minlength=1)
        if not shared.any():
            changes.append(LesionChange(ADDED, lesion.artery, None, lesion.agatston, lesion.main_slice))
            continue
        touched.update(np.flatnonzero(shared).tolist())
        kind = _kind(lesion, predicted.lesions[int(shared.argmax())], int(shared.max()))
        if kind is None:
            unchanged += 1
            continue
        before = predicted.lesions[int(shared.argmax())].artery
        changes.append(LesionChange(kind, lesion.artery, before, lesion.agatston, lesion.main_slice))
    changes += [
        LesionChange(REMOVED, None, lesion.artery, lesion.agatston, lesion.main_slice)
        for number, lesion in enumerate(predicted.lesions)
        if number not in touched
    ]
    kinds = (ADDED, REMOVED, REASSIGNED, RESIZED)
    changes.sort(key=lambda change: (kinds.index(change.kind), -change.agatston))
    return ReaderVsAI(reader, predicted, tuple(changes), unchanged, network_facts(card or {}))


def network_facts(card: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a network's card beside its prediction: name, checksum and statement, as far as they are
    there.
    """
    return {name: card[name] for name in _CARD_FACTS if name in card}


def _kind(lesion: Lesion, predicted: Lesion, shared: int) -> str | None:
    """What the reader did to a lesion of the AI; None for nothing."""
    if lesion.artery != predicted.artery:
        return REASSIGNED
    return None if shared == lesion.voxels.size == predicted.voxels.size else RESIZED


# Changes that a report lists one by one; scores.json has them all.
MOST_CHANGES = 8
_TITLES = {ADDED: "Added", REMOVED: "Removed", REASSIGNED: "Reassigned to another artery", RESIZED: "Extent changed"}


def listed_changes(difference: ReaderVsAI) -> list[tuple[str, str]]:
    """The changes by kind: a title, and the lesions in words; the last entry says how many are left out."""
    shown = difference.changes[:MOST_CHANGES]
    listed = []
    for kind, title in _TITLES.items():
        lesions = [_in_words(change) for change in shown if change.kind == kind]
        if lesions:
            listed.append((title, "; ".join(lesions)))
    left_out = len(difference.changes) - len(shown)
    if left_out:
        listed.append(("Not listed here", f"{left_out} more, listed in scores.json"))
    return listed


def _in_words(change: LesionChange) -> str:
    names = (
        [change.ai_artery, change.artery]
        if change.kind == REASSIGNED
        else [change.ai_artery if change.kind == REMOVED else change.artery]
    )
    arteries = " \u2192 ".join("not assigned" if name == UNASSIGNED.name else str(name) for name in names)
    return f"{arteries}, slice {change.main_slice} ({change.agatston:.1f})"
