"""A reader's done cases of a cohort as a data set, for training and evaluation."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coronary_calcium.cohort.case_worker import opened_case
from coronary_calcium.cohort.cases import READERS, FoundCase
from coronary_calcium.cohort.readings import (
    AI,
    DONE,
    FACTS,
    MARKS,
    NOT_GRADABLE,
    OPEN,
    SECOND_LOOK,
    cases_read,
    read_reading,
    read_status,
    reading_folder,
)
from coronary_calcium.cohort.state import CohortState, read_found_case, require_cohort
from coronary_calcium.datasets.base import Case, DataSet, Entry, LeftOut
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress
from coronary_calcium.volume import CTVolume

LAYOUT = "cohort"
# What the training cases say of their origin, as those that are saved one by one in Slicer.
SOURCE = "reader"
_WORDS = {OPEN: "open", DONE: "done", SECOND_LOOK: "for a second look", NOT_GRADABLE: "not gradable"}


@dataclass(frozen=True)
class ReaderCases:
    """The data set of a reader's done cases, and how many cases the reader marked how (``readings.MARKS``)."""

    data: DataSet
    marks: dict[str, int]

    def counted(self, reader: str) -> str:
        """How many cases take part and how many do not, in one sentence."""
        others = [f"{self.marks[mark]} {_WORDS[mark]}" for mark in MARKS if mark != DONE and self.marks[mark]]
        left = f"; {', '.join(others)}, which do not take part" if others else ""
        done = self.marks[DONE]
        return f"{reader} has {done} {'case' if done == 1 else 'cases'} done{left}."


def reader_cases(cohort: Path, reader: str) -> ReaderCases:
    """The done cases of a reader; those that are open, not gradable or for a second look do not take part.

    A reading that cannot be read is among ``data.left_out``; a CT that is there no more is rejected, with its reason,
    when its entry is opened. Raises InputError: "cohort-missing", "cohort-id" for a name that cannot be a reader's,
    and "no-readings" when the reader has done no case.
    """
    require_cohort(cohort)
    if reader == AI:
        raise InputError("no-readings", f"{AI} is the network, which must not learn from itself; name a reader.")
    done, left_out, marks = [], [], Counter(dict.fromkeys(MARKS, 0))
    for case_id in cases_read(cohort, reader):
        try:
            mark = read_status(reading_folder(cohort, reader, case_id))[0].mark
        except InputError as rejection:
            left_out.append(LeftOut(case_id, str(rejection)))
            continue
        marks[mark] += 1
        if mark == DONE:
            done.append(case_id)
    if not done:
        raise InputError(
            "no-readings",
            f"{reader} has marked no case of {cohort} as done: check the name, or mark the cases that are.",
        )
    with CohortState(cohort) as state:
        entries = tuple(_entry(state, cohort, reader, case_id) for case_id in done)
    return ReaderCases(DataSet(LAYOUT, cohort / READERS / reader, entries, tuple(left_out)), dict(marks))


def _entry(state: CohortState, cohort: Path, reader: str, case_id: str) -> Entry:
    facts = reading_folder(cohort, reader, case_id) / FACTS
    return Entry(case_id, (facts, *_places(state, case_id)), partial(_open, cohort, reader, case_id))


def _places(state: CohortState, case_id: str) -> list[Path]:
    """The files and folders that the CT lies in, as far as they are there; none for one that lies on a server."""
    try:
        case = state.job(case_id).case
    except InputError:  # the state knows no such case: said when it is opened
        return []
    places = [case.path] if case.path is not None else list(case.files)
    return [Path(place) for place in places if Path(place).exists()]


def _open(cohort: Path, reader: str, case_id: str, progress: Progress) -> Case:
    """The CT with the reader's labels. Raises InputError as ``open_ct`` does, "no-file", "reading", "cohort-id"."""
    reading = read_reading(reading_folder(cohort, reader, case_id))
    volume = _volume(read_found_case(cohort, case_id), progress)
    if volume.shape != reading.shape:
        raise InputError("reading", "The reading is of another CT than the one that is there now; read the case again.")
    gating = volume.acquisition.cardiac_gating
    facts = {"source": SOURCE, "gated": None if gating is None else True, "left_main_in_lad": False}
    return Case(case_id, volume, reading.label_map(), dict(reading.agatston), facts)


def _volume(case: FoundCase, progress: Progress) -> CTVolume:
    """A case's CT, wherever it lies."""
    try:
        with opened_case(case, progress=progress) as opened:
            volume: CTVolume = opened.volume
            return volume
    except InputError as rejection:
        if rejection.code != "no-file":
            raise
        raise InputError(
            "no-file",
            "Its CT is not where the cohort found it: bring it back (a network drive?), or let `cohort run` search the "
            "folder where it is now.",
        ) from None
