"""What a worker does with a case: open the CT, score it by the pipeline, and let the case's folder appear whole."""

import contextlib
import ctypes
import faulthandler
import json
import os
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coronary_calcium
from coronary_calcium.atomic_write import PARTIAL_FOLDER, new_hidden_folder
from coronary_calcium.cohort.cases import (
    CASE_RECORD,
    CASES,
    DATABASE,
    DONE,
    FAILED,
    LOGS,
    RECORD_FORMAT,
    REJECTED,
    CohortSettings,
    FoundCase,
    Job,
    Outcome,
)
from coronary_calcium.errors import NOT_ENOUGH_MEMORY, InputError
from coronary_calcium.progress import Progress, no_progress

_OLD = ".old-"
# glibc's M_MMAP_THRESHOLD, at the most to which it raises it by itself, and M_TRIM_THRESHOLD, in bytes.
_MALLOC_OPTIONS = ((-3, 32 * 2**20), (-1, 128 * 2**20))
# A worker process scores one case at a time, whatever its number of threads: the time limit ends the process.
_ONE_AT_A_TIME = threading.Lock()
# Not the input's fault: the same case may do on another computer or another day.
_NOT_THE_INPUT = (
    "memory",
    "output",
    "device-missing",
    "weights-missing",
    "temporary-folder",
    "dicomweb-failed",
    "dicomweb-credentials",
    "dicomweb-missing",
)


def work_on(job: Job, settings: CohortSettings) -> Outcome:
    """Score a case; whatever goes wrong is an outcome, too."""
    start = time.perf_counter()
    with _ONE_AT_A_TIME, started(job, settings):
        try:
            _prepare(settings)
            # Dask gives a case to another worker when the first one dies with its result.
            record = whole_record(settings.output, job.id, settings.run) or score_into_folder(job, settings)
            return Outcome(DONE, record, seconds=record["seconds"])
        except UnusableWorker as fault:
            return Outcome(FAILED, reason=str(fault), unusable_worker=True)
        except InputError as rejection:
            state = FAILED if rejection.code in _NOT_THE_INPUT else REJECTED
            return Outcome(state, code=rejection.code, reason=str(rejection), seconds=_since(start))
        except MemoryError:
            return Outcome(FAILED, code="memory", reason=NOT_ENOUGH_MEMORY, seconds=_since(start))
        except Exception as error:  # noqa: BLE001 - a case that the program fails on must not stop the others
            reason = f"The program failed ({type(error).__name__}); `cohort status --log ID` shows where."
            return Outcome(FAILED, None, "error", reason, traceback.format_exc(), _since(start))


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)


class UnusableWorker(Exception):
    """A worker that cannot do any case, and why."""


def _prepare(settings: CohortSettings) -> None:
    """Check that this worker sees the cohort's folder, and set up its processor and memory."""
    if not (settings.output / DATABASE).is_file():
        raise UnusableWorker(
            "A worker does not see the cohort's folder: all workers need the same input and --output, under the same "
            "path."
        )
    keep_freed_memory()
    if settings.gpus and "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(_worker_number() % settings.gpus)  # before torch is imported
    if settings.threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads))
        import torch  # noqa: PLC0415 - slow to import, and needed by the network only

        torch.set_num_threads(settings.threads)


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed arrays for the next ones, as glibc does by itself, up to 128 MiB.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_, with which every array's pages are given back to the system and
    fetched anew: a small CT takes 3.6 s of CPU time in the network instead of 2.1 s.
    """
    with contextlib.suppress(OSError, AttributeError):  # another system's library needs no telling
        library = ctypes.CDLL("libc.so.6")
        for option, size in _MALLOC_OPTIONS:
            library.mallopt(option, size)


def _worker_number() -> int:
    from distributed import get_worker  # noqa: PLC0415 - there in every worker

    name = get_worker().name
    return name if isinstance(name, int) else 0


@contextlib.contextmanager
def started(job: Job, settings: CohortSettings) -> Iterator[None]:
    """Leave a file while a case is worked on, and end this process when it takes too long, whatever it hangs in.

    When a worker dies, Dask blames all cases that it was sent; the file tells the one that it worked on. Where a case
    hung is written to it.
    """
    path = started_file(settings.output, job.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as log:
        if settings.time_limit_s is not None:
            # A thread of C that needs no lock of Python's; a timer in Python would not run while C code holds it.
            faulthandler.dump_traceback_later(settings.time_limit_s, exit=True, file=log)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            path.unlink(missing_ok=True)


def started_file(output: Path, case_id: str) -> Path:
    """The file of a case that is worked on, or whose worker died; it says where the case hung, and is empty else."""
    return output / LOGS / f"{case_id}.txt"


def score_into_folder(job: Job, settings: CohortSettings) -> dict[str, Any]:
    """Score a case; its folder appears under the cohort's ``cases`` when it is whole. Returns its case.json.

    Raises InputError as `score` does.
    """
    from coronary_calcium.cohort.readings import reading_of, write_reading  # noqa: PLC0415
    from coronary_calcium.cohort.score_table import lesion_rows, table_row  # noqa: PLC0415
    from coronary_calcium.cohort.uncertainty_file import write_uncertainty  # noqa: PLC0415
    from coronary_calcium.io import open_mask  # noqa: PLC0415
    from coronary_calcium.pipeline import score_case  # noqa: PLC0415
    from coronary_calcium.progress import Timing  # noqa: PLC0415
    from coronary_calcium.reports import Extras, write_case  # noqa: PLC0415
    from coronary_calcium.reports.case_files import SCORES  # noqa: PLC0415

    start, timing = time.perf_counter(), Timing()
    with opened_case(job.case, timing) as opened:
        labels = None if job.case.mask is None else open_mask(Path(job.case.mask), opened.volume)
        result = score_case(
            opened.volume,
            labels=labels,
            model_path=settings.weights,
            device=settings.device,
            rules=settings.rules,
            options=settings.options,
            timing=timing,
        )
        _check_weights(result.model_card, settings)
        with new_hidden_folder(settings.output / CASES) as partial:
            write_case(result, partial, extras=Extras(pdf=settings.pdf, overview=True))
            content = json.loads((partial / SCORES).read_text(encoding="utf-8"))
            write_reading(partial, reading_of(result.score, result.labels, content["risk_category"]))
            if result.uncertainty is not None:
                write_uncertainty(partial, result.uncertainty)
            record = {
                "format": RECORD_FORMAT,
                "settings": settings.identity,
                "run": settings.run,
                "input": job.fingerprint,
                "scores": table_row(result, content, opened),
                "warnings": content["warnings"],
                "lesions": lesion_rows(content),
                "seconds": _since(start),
            }
            (partial / CASE_RECORD).write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            publish(partial, settings.output / CASES / job.id)
    return record


def _check_weights(card: dict[str, Any] | None, settings: CohortSettings) -> None:
    if card is not None and settings.weights_sha256 and card["sha256"] != settings.weights_sha256:
        raise UnusableWorker(
            f"A worker has other weights, or another version than {coronary_calcium.__version__} of this program: "
            "install the same on all workers."
        )


@contextlib.contextmanager
def opened_case(case: FoundCase, timing: Any = None, progress: Progress = no_progress) -> Iterator[Any]:
    """A case's CT, ``io.OpenedCT``; one from a server lies in a temporary folder that goes at the end of the block."""
    from coronary_calcium.dicomweb import fetch_ct_study  # noqa: PLC0415
    from coronary_calcium.io.ct_reader import open_ct, open_ct_files  # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        if timing is not None:
            stack.enter_context(timing.timed("read"))
        if case.study is not None and case.path is not None:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="coronary-calcium-"))
            opened = open_ct_files(fetch_ct_study(case.path, case.study, Path(name)), progress)
        elif case.path is not None:
            opened = open_ct(case.path, progress=progress)
        else:
            files = [Path(folder, name) for folder, names in sorted(case.files.items()) for name in names]
            gone = [path for path in files if not path.is_file()]
            if gone or not files:
                raise InputError("no-file", "Files of the study are there no more: run the cohort's search again.")
            opened = open_ct_files(files, progress)
        yield opened


def publish(partial: Path, final: Path) -> None:
    """Let a whole folder appear under its name; an earlier one goes when the new one is there."""
    old = final.with_name(f"{_OLD}{final.name}")
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        final.rename(old)
    partial.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def tidy(output: Path) -> None:
    """Remove what killed workers left; a folder that was to be replaced and was not comes back."""
    folder = output / CASES
    for log in (output / LOGS).glob("*.txt"):
        log.unlink(missing_ok=True)
    for left in folder.glob(f"{PARTIAL_FOLDER}*"):
        shutil.rmtree(left, ignore_errors=True)
    for old in folder.glob(f"{_OLD}*"):
        final = folder / old.name.removeprefix(_OLD)
        if not final.exists():
            old.rename(final)
        else:
            shutil.rmtree(old, ignore_errors=True)


def whole_record(output: Path, case_id: str, run: str) -> dict[str, Any] | None:
    """The record of a case whose folder became whole in this run, or None.

    Its worker, the scheduler or the command may have died after that and before the state knew of it.
    """
    try:
        record = json.loads((output / CASES / case_id / CASE_RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT or record.get("run") != run:
        return None
    return record
