"""A consensus of two readings: where it begins, what is decided so far, and how it is kept as a reading of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coronary_calcium.atomic_write import write_whole
from coronary_calcium.cohort.cases import checked_id
from coronary_calcium.cohort.reading_differences import BORDER_POINTS, Difference, differences, labels_at
from coronary_calcium.cohort.readings import (
    AI,
    NOT_GRADABLE,
    Reading,
    ReadingStatus,
    cases_done,
    has_reading,
    read_reading,
    read_status,
    reading_folder,
)
from coronary_calcium.errors import InputError, not_written

# The reader under whose name a consensus is kept, unless the user names another.
CONSENSUS_READER = "consensus"
# Beside the reading: between whom it is, and what was decided for the first of them.
CONSENSUS_FILE = "consensus.json"
FORMAT = "coronary-calcium-consensus/1"

UNDECIDED, TAKEN_FIRST, TAKEN_SECOND, EDITED = STATES = ("undecided", "first", "second", "edited")


@dataclass(frozen=True, eq=False)
class ConsensusCase:
    """Two readings of a case, where they differ, and what was decided on an earlier visit.

    Attributes
    ----------
    folder : of the consensus reading.
    id : the case's id.
    readers : the two names; AI is the network's.
    first, second : their readings.
    differences : by the size of their effect.
    own : the consensus as it was left, or None.
    confirmed : keys of differences that were decided for the first reader; a difference that has become another one
        since has another key.
    changed : which of the readers has another reading than on the earlier visit.
    versions : tells either reading from an earlier one of the same reader.
    """

    folder: Path
    id: str
    readers: tuple[str, str]
    first: Reading
    second: Reading
    differences: tuple[Difference, ...]
    own: Reading | None
    confirmed: frozenset[str]
    changed: tuple[str, ...]
    versions: tuple[str, str]

    @property
    def start(self) -> Reading:
        """Where the consensus begins: as it was left, else as the first reader has it, with nothing spent on it yet."""
        saw_ai = AI in self.readers or self.first.status.saw_ai or self.second.status.saw_ai
        seen = ReadingStatus(saw_ai=saw_ai, saw_readers=tuple(sorted(set(self.readers) - {AI})))
        if self.own is None:
            return replace(self.first, status=seen)
        return replace(self.own, status=replace(self.own.status, saw_ai=saw_ai, saw_readers=seen.saw_readers))


def read_consensus(
    cohort: Path,
    case_id: str,
    readers: tuple[str, str],
    name: str = CONSENSUS_READER,
    border_points: float = BORDER_POINTS,
) -> ConsensusCase:
    """Two readers' readings of a case, their differences, and the consensus as it was left under a name.

    Raises InputError: "consensus-readers" when it is not between two readers, "consensus-name" for a name that is that
    of a reader, "consensus-case" when one of the two has not read the case or calls it not gradable, "cohort-id" for
    what cannot be a name, "reading" for a reading that is damaged or of another CT.
    """
    if len(set(readers)) < 2:
        raise InputError("consensus-readers", "Name two different readers; AI is the network.")
    if checked_id(name) in (*readers, AI):
        raise InputError(
            "consensus-name", f"The consensus would replace what {name} has read: give it a name of its own."
        )
    folder = reading_folder(cohort, name, case_id)
    kept = _kept(folder)
    if has_reading(folder) and kept is None:
        raise InputError(
            "consensus-name",
            f"{name} has read {case_id} alone, and it is no consensus: give the consensus another name.",
        )
    first, second = (_reading(cohort, reader, case_id) for reader in readers)
    versions = tuple(str(read_status(reading_folder(cohort, reader, case_id))[1]["voxels_file"]) for reader in readers)
    if kept is not None and kept["readers"] != list(readers):
        between = " and ".join(kept["readers"])
        raise InputError(
            "consensus-name",
            f"{name} has a consensus of {between} in {case_id}: name them in this order, or give it another name.",
        )
    earlier = kept["versions"] if kept is not None else list(versions)
    changed = tuple(reader for reader, now, then in zip(readers, versions, earlier, strict=True) if now != then)
    return ConsensusCase(
        folder=folder,
        id=case_id,
        readers=readers,
        first=first,
        second=second,
        differences=tuple(differences(first, second, border_points)),
        own=read_reading(folder) if has_reading(folder) else None,
        confirmed=frozenset(kept["confirmed"] if kept is not None else ()),
        changed=changed,
        versions=(versions[0], versions[1]),
    )


def cases_without_consensus(cohort: Path, readers: tuple[str, str], name: str = CONSENSUS_READER) -> list[str]:
    """The ids, sorted, of the cases that both readers have done and whose consensus is not done yet."""
    both = cases_done(cohort, readers[0]) & cases_done(cohort, readers[1])
    return sorted(both - cases_done(cohort, name))


def _reading(cohort: Path, reader: str, case_id: str) -> Reading:
    folder = reading_folder(cohort, reader, case_id)
    if not has_reading(folder):
        raise InputError("consensus-case", f"{reader} has not read {case_id}: name another reader or case.")
    reading = read_reading(folder)
    if reading.status.mark == NOT_GRADABLE:
        raise InputError(
            "consensus-case", f"{reader} calls {case_id} not gradable ({reading.status.reason}): agree on that first."
        )
    return reading


def _kept(folder: Path) -> dict | None:
    """What an earlier visit has kept beside the reading; None when there was none or it cannot be understood."""
    try:
        content = json.loads((folder / CONSENSUS_FILE).read_text(encoding="utf-8"))
        lists = {name: [str(one) for one in content[name]] for name in ("readers", "versions", "confirmed")}
        if content["format"] != FORMAT or len(lists["readers"]) != 2 or len(lists["versions"]) != 2:
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return lists


def keep_decisions(case: ConsensusCase, confirmed: frozenset[str]) -> None:
    """Keep, beside the consensus reading, between whom it is and what was decided for the first reader.

    Raises InputError("output") when it cannot be written.
    """
    content = {
        "format": FORMAT,
        "readers": list(case.readers),
        "versions": list(case.versions),
        "confirmed": sorted(confirmed),
    }
    try:
        case.folder.mkdir(parents=True, exist_ok=True)
        write_whole(case.folder / CONSENSUS_FILE, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise not_written("The consensus", case.folder, error) from error


def states(found: Sequence[Difference], voxels: np.ndarray, labels: np.ndarray, confirmed: frozenset[str]) -> list[str]:
    """What became of each difference in the consensus as it stands, one of ``STATES``.

    ``voxels`` are the marked voxels of the consensus (flat indices, ascending) with their labels: what was taken can
    be seen in them, also after an undo. Only that the first reader was agreed with has to be kept (``confirmed``).
    """
    result = []
    for difference in found:
        now = labels_at(voxels, labels, difference.voxels)
        if np.array_equal(now, difference.first_labels):
            result.append(TAKEN_FIRST if difference.key in confirmed else UNDECIDED)
        else:
            result.append(TAKEN_SECOND if np.array_equal(now, difference.second_labels) else EDITED)
    return result
