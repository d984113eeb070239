"""Cohorts of made-up cases, work on them that takes no time, and ways in which it goes wrong; workers import it."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
from coronary_calcium.atomic_write import new_hidden_folder
from coronary_calcium.cohort.case_worker import publish, started, whole_record
from coronary_calcium.cohort.cases import CASE_RECORD, CASES, DONE, RECORD_FORMAT, CohortSettings, FoundCase, Outcome
from coronary_calcium.cohort.state import CohortState


def record_of(job, settings):
    """What a scored case's case.json holds, with a score that follows from its number."""
    score = float(job.number % 7 * 100)
    category = "0" if not score else ("11-100" if score == 100 else "101-400" if score <= 400 else ">400")
    return {
        "format": RECORD_FORMAT,
        "settings": settings.identity,
        "run": settings.run,
        "input": job.fingerprint,
        "scores": {"agatston": score, "risk_category": category, "warning_codes": "made-up", "kernel": "B35f"},
        "warnings": [{"code": "made-up", "message": "A made-up case."}],
        "lesions": [],
        "seconds": 0.0,
    }


def no_work(job, settings):
    """Done at once, without a folder."""
    return Outcome(DONE, record_of(job, settings))


def _first_time(settings, name):
    """Whether a thing is done for the first time, whichever process does it."""
    try:
        os.close(os.open(settings.output / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def work(job, settings):
    """Let the case's folder appear; the case's id says what goes wrong. Each completed work leaves a line in `ran`."""
    whole = whole_record(settings.output, job.id, settings.run)
    if whole is not None:
        return Outcome(DONE, whole)
    with started(job, settings):
        if job.id.startswith("dies-twice") or (job.id.startswith("dies-once") and _first_time(settings, job.id)):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.id.startswith("hangs"):
            time.sleep(600)
        if job.id.startswith("slow"):
            time.sleep(0.3)
        record = record_of(job, settings)
        with new_hidden_folder(settings.output / CASES) as partial:
            (partial / CASE_RECORD).write_text(json.dumps(record))
            if job.id.startswith("dies-writing") and _first_time(settings, job.id):
                os.kill(os.getpid(), signal.SIGKILL)
            publish(partial, settings.output / CASES / job.id)
        with (settings.output / "ran").open("a") as ran:
            ran.write(f"{job.id}\n")
        if job.id.startswith("dies-done") and _first_time(settings, job.id):
            os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(DONE, record)


def pages_fetched(prepare):
    """How many pages of memory the system gives this process for 50 arrays of 2 MB, one after the other."""
    import resource

    prepare()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(2**21, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def times_run(folder):
    """How often each case's work was completed."""
    lines = (folder / "ran").read_text().split() if (folder / "ran").exists() else []
    return {case_id: lines.count(case_id) for case_id in lines}


def make_cohort(folder, ids):
    """A cohort of queued cases with these ids, or as many numbered ones."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"c{number:05d}" for number in range(ids)] if isinstance(ids, int) else list(ids)
    with CohortState(folder) as state:
        state.add_cases(FoundCase(f"key-{name}", "/nowhere", id=name) for name in names)
    (folder / CASES).mkdir(exist_ok=True)
    return folder


def settings_of(folder, **others):
    """Settings of a run into a folder."""
    return CohortSettings(output=Path(folder), **others)
