"""A reader's worklist: the cases of a cohort with what is known of each, in an order that says why, and filtered."""

import bisect
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coronary_calcium.cohort.cases import checked_id
from coronary_calcium.cohort.readings import (
    AI,
    DONE,
    NOT_GRADABLE,
    OPEN,
    SECOND_LOOK,
    cases_read,
    has_reading,
    read_status,
    readers_of,
    reading_folder,
)
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring.interpretation import repeatability_limit
from coronary_calcium.scoring.lesion_warnings import LESION_CODES
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from coronary_calcium.volume import CaseWarning

# What a case is for a reader: nobody has begun with it, or the mark of the reading (``readings.MARKS``).
UNREAD, IN_PROGRESS = "unread", "in-progress"
STATUSES = (UNREAD, IN_PROGRESS, DONE, SECOND_LOOK, NOT_GRADABLE)
# What is still to be read: nothing has been said of it.
TO_READ = (UNREAD, IN_PROGRESS)

BY_ID, BY_UNCERTAINTY, BY_DISAGREEMENT, RANDOM = ORDERS = ("id", "uncertainty", "disagreement", "random")
# Orders that say nothing of the AI's result.
BLINDED_ORDERS = (BY_ID, RANDOM)
# The same order for every reader, so that what they have both read grows from the same end.
RANDOM_SEED = 1
# A category that only the next scan could change counts for half of one that uncertain lesions change in this one.
_NEAR_CUT_SHARE = 0.5
_ROWS_PER_PROGRESS = 100


@dataclass(frozen=True)
class Blinding:
    """What is kept from a reader: the network's result, and other readers' readings."""

    ai: bool = False
    readers: bool = False


NOT_BLINDED = Blinding()


@dataclass(frozen=True)
class ReadScore:
    """The total Agatston score of a reading and its risk category."""

    agatston: float
    category: str


@dataclass(frozen=True)
class WorklistRow:
    """A case as a reader's worklist shows it; what the reader is blinded to is not in it.

    Attributes
    ----------
    id : the case's id, which says nothing of who was scanned.
    status : one of ``STATUSES``, for this reader.
    reason : why the reader calls the case not gradable, or why it could not be scored.
    own, ai : scores of the reader's and of the network's reading; None where there is none.
    others : the other readers' scores by name.
    uncertainty : 0 to 1, how much of the network's score is uncertain (``score_table.case_uncertainty``); None without.
    uncertainty_reason : why, in words.
    warnings : what must be known of the scan and of the network's lesions.
    seconds, clicks : what the reader has spent on it so far.
    """

    id: str
    status: str = UNREAD
    reason: str = ""
    own: ReadScore | None = None
    ai: ReadScore | None = None
    others: dict[str, ReadScore] = field(default_factory=dict)
    uncertainty: float | None = None
    uncertainty_reason: str = ""
    warnings: tuple[CaseWarning, ...] = ()
    seconds: float | None = None
    clicks: int | None = None

    @property
    def score(self) -> ReadScore | None:
        """The reader's score; before there is one, the network's."""
        return self.own if self.status != UNREAD else self.ai


@dataclass(frozen=True)
class PlacedRow:
    """A row at its place in an order, and why it is there; empty where the order needs no reason."""

    row: WorklistRow
    why: str = ""


class Worklist:
    """The rows of a cohort for one reader, by id.

    ``folder`` is the cohort's (``worklist_folder.cohort_of`` finds it). Raises InputError: "cohort-missing",
    "cohort-id" for a name that cannot be a reader's, or that differs from another reader's by capital letters alone:
    their folders would be the same on some disks.
    """

    def __init__(
        self, folder: Path, reader: str, blinding: Blinding = NOT_BLINDED, progress: Progress = no_progress
    ) -> None:
        checked_reader(reader)
        alike = [name for name in readers_of(folder) if name != reader and name.lower() == reader.lower()]
        if alike:
            raise InputError(
                "cohort-id", f"There is a reader {alike[0]}, too like {reader}: type the name the same way, or another."
            )
        self.folder, self.reader, self.blinding = folder, reader, blinding
        own = {name: _reading_facts(folder, reader, name) for name in cases_read(folder, reader)}
        others: dict[str, dict[str, ReadScore]] = {}
        for other in () if blinding.readers else readers_of(folder):
            for case_id in () if other == reader else cases_read(folder, other):
                status, score, _ = _reading_facts(folder, other, case_id)
                if score is not None and status != NOT_GRADABLE:
                    others.setdefault(case_id, {})[other] = score
        self.rows: dict[str, WorklistRow] = {}
        found = _scored_cases(folder)
        for number, row in enumerate(found):
            if not number % _ROWS_PER_PROGRESS:
                progress(number / len(found), f"Reading the worklist: {number} of {len(found)} cases")
            known = _without_ai(row) if blinding.ai else row
            self.rows[row.id] = _with_reading(replace(known, others=others.get(row.id, {})), own.get(row.id))

    def refresh(self, case_id: str) -> WorklistRow:
        """Look at the reader's reading of a case again; returns its row."""
        has = has_reading(reading_folder(self.folder, self.reader, case_id))
        facts = _reading_facts(self.folder, self.reader, case_id) if has else None
        self.rows[case_id] = _with_reading(self.rows[case_id], facts)
        return self.rows[case_id]

    def shown(
        self,
        order: str = BY_ID,
        statuses: Iterable[str] = STATUSES,
        text: str = "",
        *,
        keep: str | None = None,
        seed: int = RANDOM_SEED,
    ) -> list[PlacedRow]:
        """The rows in an order, of them those with one of the statuses that contain all words of the text.

        The case ``keep``, which the reader is at, is among them whatever becomes of it.

        An order that would tell a blinded reader of the network's result is that of the ids.
        """
        order = order if order in orders_for(self.blinding) else BY_ID
        wanted = set(statuses)
        words = text.lower().split()
        placed = ordered(self.rows.values(), order, seed)
        return [
            one
            for one in placed
            if one.row.id == keep or (one.row.status in wanted and all(word in _text(one) for word in words))
        ]

    def counts(self) -> dict[str, int]:
        """How many cases there are of each status."""
        found = dict.fromkeys(STATUSES, 0)
        for row in self.rows.values():
            found[row.status] += 1
        return found


def checked_reader(name: str) -> str:
    """A name that can be a reader's. Raises InputError("cohort-id") for one that cannot."""
    if name.lower() == AI.lower():
        raise InputError("cohort-id", f"{AI} is the network's name; give the reader another.")
    return checked_id(name)


def orders_for(blinding: Blinding) -> tuple[str, ...]:
    """The orders that a reader may have."""
    return BLINDED_ORDERS if blinding.ai else ORDERS


def ordered(rows: Iterable[WorklistRow], order: str, seed: int = RANDOM_SEED) -> list[PlacedRow]:
    """Rows in an order, each with the reason for its place; rows for which the order has no reason come last."""
    rows = list(rows)
    if order == RANDOM:
        # By a checksum of each id: a case that is added later moves no other.
        rows.sort(key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
        return [PlacedRow(row, f"random, seed {seed}") for row in rows]
    if order == BY_ID:
        return [PlacedRow(row) for row in sorted(rows, key=lambda row: row.id)]
    measure = review_priority if order == BY_UNCERTAINTY else disagreement
    measured = [(*measure(row), row) for row in rows]
    measured.sort(key=lambda one: (-one[0], one[2].id))
    return [PlacedRow(row, why) for _value, why, row in measured]


def sort_rows(placed: Sequence[PlacedRow], by: str, *, descending: bool = False) -> list[PlacedRow]:
    """Rows by a column: "id", "status", "agatston", "category", "uncertainty", "warnings", "readers" or "why".

    Rows without a value come last either way; equal ones stay in their order.
    """

    def value(one: PlacedRow) -> Any:
        row, score = one.row, one.row.score
        return {
            "id": row.id,
            "status": STATUSES.index(row.status),
            "agatston": score.agatston if score else None,
            "category": score.agatston if score else None,
            "uncertainty": row.uncertainty,
            "warnings": len(row.warnings) or None,
            "readers": len(row.others) or None,
            "why": one.why or None,
        }[by]

    known = [one for one in placed if value(one) is not None]
    unknown = [one for one in placed if value(one) is None]
    return sorted(known, key=value, reverse=descending) + unknown


def review_priority(row: WorklistRow) -> tuple[float, str]:
    """How much a look at a case may change, 0 to 1, and why: uncertain lesions, or a score near a category's limit.

    The network's uncertainty counts in full: half the share that uncertain lesions have in the score, and 0.5 more when
    they decide the category. A score within the repeatability limit of another category counts up to 0.5, the more
    the nearer it is.
    """
    uncertainty = row.uncertainty or 0.0
    near, cut = _nearness_to_cut(row.ai.agatston) if row.ai else (0.0, 0.0)
    near *= _NEAR_CUT_SHARE
    reasons = [row.uncertainty_reason] if uncertainty and row.uncertainty_reason else []
    if row.ai and near and near >= uncertainty:
        reasons.insert(0, f"{row.ai.agatston:.0f} is near the limit at {cut:g}")
    return max(uncertainty, near), "; ".join(reasons)


def _nearness_to_cut(agatston: float) -> tuple[float, float]:
    """How near a score is to a limit of its category, 1 at it and 0 beyond the repeatability limit; and the limit."""
    if not agatston:
        return 0.0, 0.0
    cuts = FIVE_CATEGORIES.cuts
    place = bisect.bisect_left(cuts, agatston)
    nearest = min(cuts[max(place - 1, 0) : place + 1], key=lambda cut: abs(agatston - cut))
    reach = repeatability_limit(agatston)
    return (max(0.0, 1.0 - abs(agatston - nearest) / reach) if reach > 0 else 0.0), nearest


def disagreement(row: WorklistRow) -> tuple[float, str]:
    """How far a reader is from the network, and why: the categories between, and the scores' relative difference.

    It is the reader's own difference; before there is a reading, that of the other reader who is farthest off.
    """
    if row.ai is None:
        return -2.0, "not scored by the AI"
    readings = {"you": row.own} if row.own is not None else dict(row.others)
    if not readings:
        return -1.0, "not read yet"
    found = {name: _distance(score, row.ai) for name, score in readings.items() if score is not None}
    name = max(found, key=lambda one: found[one])
    score, value = readings[name], found[name]
    if not value or score is None:
        return 0.0, f"{name} and the AI agree"
    return value, f"{name} {score.agatston:.0f} ({_category(score)}), AI {row.ai.agatston:.0f} ({_category(row.ai)})"


def _category(score: ReadScore) -> str:
    return FIVE_CATEGORIES.category(score.agatston)


def _distance(first: ReadScore, second: ReadScore) -> float:
    names = FIVE_CATEGORIES.categories
    steps = abs(names.index(_category(first)) - names.index(_category(second)))
    most = max(first.agatston, second.agatston)
    return steps + (abs(first.agatston - second.agatston) / most if most else 0.0)


def next_to_read(placed: Sequence[PlacedRow], current: str | None) -> str | None:
    """The id of the next case that nothing has been said of, after the current one and then from the start."""
    ids = [one.row.id for one in placed]
    start = ids.index(current) + 1 if current in ids else 0
    around = [*placed[start:], *placed[:start]]
    return next((one.row.id for one in around if one.row.status in TO_READ and one.row.id != current), None)


def neighbor(placed: Sequence[PlacedRow], current: str | None, step: int) -> str | None:
    """The id of the case after (1) or before (-1) the current one; None at the ends.

    Without a current case in the list, it is the first one.
    """
    ids = [one.row.id for one in placed]
    if current not in ids:
        return ids[0] if ids else None
    place = ids.index(current) + step
    return ids[place] if 0 <= place < len(ids) else None


def _text(placed: PlacedRow) -> str:
    row = placed.row
    score = row.score
    parts = (row.id, row.status, row.reason, placed.why, score.category if score else "", *row.others)
    return " ".join((*parts, *(warning.code for warning in row.warnings))).lower()


def _scored_cases(folder: Path) -> list[WorklistRow]:
    """The cohort's cases by number as its run left them."""
    from coronary_calcium.cohort.state import select  # noqa: PLC0415 - it brings pydicom, which Slicer imports late

    warnings: dict[str, list[CaseWarning]] = {}
    for case_id, code, message in select(folder, "SELECT id, code, message FROM warnings")[1]:
        warnings.setdefault(case_id, []).append(CaseWarning(code, message))
    rows = select(folder, "SELECT id, reason, agatston, risk_category, uncertainty, uncertainty_reason FROM cohort")[1]
    return [
        WorklistRow(
            case_id,
            reason=reason or "",
            ai=None if agatston is None else ReadScore(agatston, category or ""),
            uncertainty=uncertainty,
            uncertainty_reason=why or "",
            warnings=tuple(warnings.get(case_id, ())),
        )
        for case_id, reason, agatston, category, uncertainty, why in rows
    ]


def _without_ai(row: WorklistRow) -> WorklistRow:
    """The row without what the network found; warnings about the scan stay."""
    about_scan = tuple(warning for warning in row.warnings if warning.code not in LESION_CODES)
    return replace(row, ai=None, uncertainty=None, uncertainty_reason="", warnings=about_scan)


_Facts = tuple[str, ReadScore | None, dict[str, Any]]


def _reading_facts(folder: Path, reader: str, case_id: str) -> _Facts:
    """Status, score and the status' other fields of a reading; a damaged reading is one in progress without a score."""
    try:
        status, facts = read_status(reading_folder(folder, reader, case_id))
        score = ReadScore(float(facts["agatston"]["total"]), str(facts["risk_category"]))
    except (InputError, KeyError, TypeError, ValueError) as error:
        return IN_PROGRESS, None, {"reason": str(error) if isinstance(error, InputError) else ""}
    name = IN_PROGRESS if status.mark == OPEN else status.mark
    rest = {"reason": status.reason, "seconds": status.seconds, "clicks": status.clicks}
    return name, None if name == NOT_GRADABLE else score, rest


def _with_reading(row: WorklistRow, facts: _Facts | None) -> WorklistRow:
    if facts is None:
        return row
    status, score, rest = facts
    return replace(row, status=status, own=score, **{**rest, "reason": rest["reason"] or row.reason})
