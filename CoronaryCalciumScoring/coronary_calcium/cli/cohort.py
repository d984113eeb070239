"""``coronary-calcium cohort``: score thousands of CTs, see how far it is, and ask what came out."""

import argparse
import csv
import math
import os
import sys
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from coronary_calcium.atomic_write import whole_file
from coronary_calcium.cli.console import (
    INTERRUPTED,
    REJECTED,
    SCORED,
    WRONG_USAGE,
    LongProgress,
    add_cohort_folder,
    add_device,
    named_path,
    say,
    usable_output,
)
from coronary_calcium.cli.score import add_choices, rules_of, scoring_options_of
from coronary_calcium.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

    from coronary_calcium.cohort.case_search import FolderContent
    from coronary_calcium.cohort.cases import CohortSettings, Job, Outcome
    from coronary_calcium.cohort.state import CohortState

_REDO = ("changed", "failed", "rejected", "all")
# The rate is that of the last so many seconds, so that it follows when workers come and go.
_RATE_OVER_S = 600.0
# A line on a terminal takes 0.2 ms, and nobody reads ten of them in a second.
_SHOWN_EVERY_S = 0.1


def add_cohort(commands: argparse._SubParsersAction) -> None:
    """Add the command with its own commands to the parser."""
    cohort = commands.add_parser(
        "cohort",
        help="score many CTs, on one computer or a cluster",
        description="Score many CTs. The state is kept in one file: the same command goes on where it was stopped.",
    )
    actions = cohort.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(actions)
    _add_status(actions)
    _add_query(actions)
    _add_readings(actions)


def _add_run(actions: argparse._SubParsersAction) -> None:
    run = actions.add_parser(
        "run",
        help="score every CT of folders, of a CSV file or of a DICOMweb server's studies",
        epilog="Exit codes: 0 every case has a result, 2 wrong usage, 3 input rejected, 130 interrupted.",
    )
    run.add_argument(
        "input",
        type=named_path,
        nargs="*",
        help="folders, searched with their subfolders (of each study the best series is scored), or CSV files with a "
        "column path and, if wanted, id and mask; none to go on with a cohort that is there",
    )
    run.add_argument("--output", type=named_path, required=True, help="folder of the cohort; made when it is not there")
    run.add_argument("--from-dicomweb", metavar="URL", help="score the CT studies of this server; see --query")
    run.add_argument(
        "--query",
        type=_query,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="such as StudyDate=20260101-20260131",
    )
    engine = run.add_argument_group("engine", "Dask runs the cases: processes of this computer, or a cluster.")
    engine.add_argument("--workers", type=_count, metavar="N", help="processes (default: by GPUs, cores and memory)")
    engine.add_argument("--scheduler", metavar="ADDRESS", help="an existing Dask scheduler, such as tcp://host:8786")
    engine.add_argument("--time-limit", type=_seconds, metavar="SECONDS", help="fail a case that takes longer")
    engine.add_argument(
        "--redo",
        nargs="?",
        const="changed",
        choices=_REDO,
        help="score cases anew: those whose program, weights, rules, options or files have changed (the default), "
        "those that failed, those that were rejected, or all",
    )
    add_device(run, "where the network runs")
    run.add_argument("--weights", type=named_path, help="other weights than the shipped ones (.safetensors)")
    run.add_argument("--pdf", action="store_true", help="also write report.pdf of every case")
    run.add_argument(
        "--id-table", type=named_path, metavar="FILE", help="also write which id is which CT, which may say who it is"
    )
    add_choices(run, one_patient=False)
    run.set_defaults(run=_run)


def _add_status(actions: argparse._SubParsersAction) -> None:
    status = actions.add_parser("status", help="how far a cohort is", description="How far a cohort is.")
    add_cohort_folder(status)
    status.add_argument("--log", metavar="ID", help="show the program's account of a case that failed")
    status.set_defaults(run=_status)


def _add_query(actions: argparse._SubParsersAction) -> None:
    query = actions.add_parser(
        "query",
        help="ask a cohort in SQL",
        description='Ask a cohort in SQL (SQLite): a condition on the columns of the view cohort, such as "agatston > '
        "400 AND warning_codes NOT LIKE '%heart-cut%'\", or a whole SELECT on the views cohort, warnings and "
        "lesions. Nothing can be changed.",
    )
    add_cohort_folder(query)
    query.add_argument("sql", nargs="?", default="1", help="condition or SELECT (default: all cases)")
    query.add_argument("--columns", action="store_true", help="list the views with their columns instead")
    query.set_defaults(run=_ask)


def _add_readings(actions: argparse._SubParsersAction) -> None:
    readings = actions.add_parser(
        "add-readings",
        help="take over a reader's label maps",
        description="Score a reader's label maps on the cohort's CTs and keep them as that reader's done cases, for "
        "`agreement` and training.",
    )
    add_cohort_folder(readings)
    readings.add_argument("masks", type=named_path, help="folder of label maps named by id: ID.nrrd, ID.seg.nrrd, ...")
    readings.add_argument("--reader", required=True, help="the reader's name")
    readings.set_defaults(run=_take_readings)


def _take_readings(options: argparse.Namespace) -> int:
    from coronary_calcium.cohort.reader_masks import add_readings  # noqa: PLC0415

    with LongProgress() as bar:
        taken, rejected = add_readings(options.cohort, options.masks, options.reader, bar)
    for case_id, reason in rejected:
        say(f"Rejected: {case_id}: {reason}")
    say(f"{taken} readings of {options.reader}.")
    return SCORED if taken else REJECTED


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of processes")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return seconds


def _query(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key.isalnum() or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text} is not KEY=VALUE, such as StudyDate=20260101-20260131")
    return key, value


def _run(options: argparse.Namespace) -> int:
    from coronary_calcium.cohort.dask_run import cluster_client, local_plan, require_dask  # noqa: PLC0415
    from coronary_calcium.cohort.export import TABLE_PARQUET, write_page, write_tables  # noqa: PLC0415
    from coronary_calcium.cohort.state import CohortState  # noqa: PLC0415

    wrong = _wrong_usage(options)
    if wrong or not usable_output(options.output):
        if wrong:
            say(wrong)
        return WRONG_USAGE
    require_dask()
    plan = None if options.scheduler else local_plan(options.workers, options.device)
    settings = _settings(options, plan.threads if plan else None, plan.gpus if plan else 0)
    with _only_run(options.output), CohortState(options.output) as state:
        with cluster_client(options.scheduler, plan) as client:
            _say_workers(client, options.scheduler)
            _search(options, state, client)
            if options.id_table is not None:
                _write_ids(options.id_table, state)
            _take_up(options, state, settings)
            stopped = _score(state, client, settings)
        if stopped:
            counts = state.counts()
            left = counts["queued"] + counts["running"]
            say(f"Stopped: {counts['done']} done, {left} to do. The same command goes on.")
            return INTERRUPTED
        if options.output / TABLE_PARQUET not in write_tables(options.output):
            say(f"No {TABLE_PARQUET}, only the CSV: pip install 'coronary-calcium-scoring[parquet]' adds it.")
        page = write_page(options.output, datetime.now(UTC))
        _print_counts(state)
        say(f"Results: {page.resolve()}")
    return SCORED


def _wrong_usage(options: argparse.Namespace) -> str | None:
    from coronary_calcium.cohort.cases import DATABASE  # noqa: PLC0415 - --help answers at once

    if not options.input and not options.from_dicomweb and not (options.output / DATABASE).is_file():
        return "Name the CTs: folders, a CSV file, or --from-dicomweb URL."
    if options.query and not options.from_dicomweb:
        return "--query belongs to --from-dicomweb; name the server."
    if options.scheduler and options.workers:
        return "--workers belongs to the processes of this computer; a --scheduler has its own workers."
    return None


def _settings(options: argparse.Namespace, threads: int | None, gpus: int) -> "CohortSettings":
    from coronary_calcium.cohort.cases import CohortSettings  # noqa: PLC0415
    from coronary_calcium.network.model_card import default_weights, read_card  # noqa: PLC0415

    weights = options.weights or default_weights()
    if not weights.is_file():
        raise InputError("weights-missing", f"There are no network weights at {weights.name}; name others.")
    return CohortSettings(
        output=options.output.resolve(),
        rules=rules_of(options),
        options=scoring_options_of(options),
        weights=None if options.weights is None else options.weights.resolve(),
        weights_sha256=read_card(weights)["sha256"],
        device=options.device,
        pdf=options.pdf,
        time_limit_s=options.time_limit,
        threads=threads,
        gpus=gpus,
        run=uuid.uuid4().hex,
    )


@contextmanager
def _only_run(folder: Path) -> Iterator[None]:
    """Keep a second run of the same cohort out; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cohort.lock").open("w") as lock:
        try:
            import fcntl  # noqa: PLC0415 - not on Windows

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except OSError:
            raise InputError(
                "cohort-runs", f"The cohort {folder} is being run already; wait for it, or stop it first."
            ) from None
        yield


def _say_workers(client: "Client", scheduler: str | None) -> None:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    where = f"of {scheduler}" if scheduler else "on this computer"
    # Not waited for: an adaptive cluster starts workers only once there is work.
    later = "" if workers else " yet, the cases wait for the first"
    listed = f"{len(workers) or 'No'} worker{'' if len(workers) == 1 else 's'}"
    say(f"{listed} {where}{later}; Dask's dashboard: {client.dashboard_link}")


def _search(options: argparse.Namespace, state: "CohortState", client: "Client") -> None:
    from coronary_calcium.cohort import case_search  # noqa: PLC0415
    from coronary_calcium.cohort.cases import CASES  # noqa: PLC0415

    read = partial(_read_folders, client, state.salt)
    with LongProgress() as bar:
        for top in options.input:
            if top.is_file() and top.suffix.lower() == ".csv":
                state.add_cases(case_search.rows_of_csv(top, state.salt))
                continue
            counts = case_search.search_folder(state, top, read, lambda count: bar(0.0, f"Folders searched: {count}"))
            if counts.label_maps or counts.other:
                say(f"Left out: {counts.label_maps} label maps, {counts.other} files that are not CTs.")
    if options.from_dicomweb is not None:
        state.add_cases(case_search.studies_of_server(options.from_dicomweb, dict(options.query), state.salt))
    if not sum(state.counts().values()):
        raise InputError("cohort-empty", "There is no CT in what was named: give folders with DICOM or image files.")
    (options.output / CASES).mkdir(exist_ok=True)


def _read_folders(client: "Client", salt: str, paths: list[str]) -> Iterable["FolderContent"]:
    """What lies in folders, read by the workers; few are not worth the way."""
    from coronary_calcium.cohort.case_search import read_folder  # noqa: PLC0415

    if len(paths) < 8:
        yield from (read_folder(path, salt) for path in paths)
        return
    for start in range(0, len(paths), 1000):
        futures = client.map(read_folder, paths[start : start + 1000], salt=salt, pure=False)
        yield from client.gather(futures)


def _write_ids(path: Path, state: "CohortState") -> None:
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("id", "place", "study"))
        table.writerows(state.ids())


def _take_up(options: argparse.Namespace, state: "CohortState", settings: "CohortSettings") -> None:
    """Tidy up after a run that was ended, say what has changed since, and queue what is to be done anew."""
    from coronary_calcium.cohort.case_worker import tidy, whole_record  # noqa: PLC0415

    tidy(settings.output)
    state.begin_run(settings.run, lambda case_id, run: whole_record(settings.output, case_id, run))
    if options.redo in ("failed", "rejected"):
        state.requeue("state = ?", options.redo)
    elif options.redo == "all":
        state.requeue("1")
    elif options.redo == "changed":
        state.requeue_changed(settings.identity)
    changed = state.changed(settings.identity)
    if changed:
        listed = ", ".join(f"{count} by other {name}" for name, count in changed.items())
        say(f"Scored earlier and kept: {listed}. --redo scores them anew.")


class _Report:
    """What is shown while cases are scored: how many, how fast, how long still, and what came out so far."""

    def __init__(self, state: "CohortState", bar: LongProgress) -> None:
        counts = state.counts()
        self._bar, self._total = bar, sum(counts.values())
        self._ended = Counter({name: counts[name] for name in ("done", "rejected", "failed")})
        self._categories = Counter(state.categories())
        self._times = deque([time.monotonic()])
        self._shown = -math.inf
        self.show()

    def __call__(self, job: "Job", outcome: "Outcome") -> None:
        self._ended[outcome.state] += 1
        if outcome.record is not None:
            self._categories[outcome.record["scores"].get("risk_category")] += 1
        now = time.monotonic()
        self._times.append(now)
        while self._times[0] < now - _RATE_OVER_S and len(self._times) > 2:
            self._times.popleft()
        if now - self._shown >= _SHOWN_EVERY_S or self._ended.total() == self._total:
            self._shown = now
            self.show()

    def show(self) -> None:
        """Show it."""
        from coronary_calcium.scoring.risk import in_scheme_order  # noqa: PLC0415

        ended = self._ended.total()
        took = self._times[-1] - self._times[0]
        rate = f", {3600 * (len(self._times) - 1) / took:.0f} per hour" if took > 0 else ""
        categories = ", ".join(f"{name}: {count}" for name, count in in_scheme_order(self._categories).items() if count)
        text = f"{ended} of {self._total} cases{rate}; {categories}{'; ' if categories else ''}"
        self._bar(ended / self._total, f"{text}{self._ended['rejected']} rejected, {self._ended['failed']} failed")


def _score(state: "CohortState", client: "Client", settings: "CohortSettings") -> bool:
    """Score what is queued; whether it was stopped."""
    from coronary_calcium.cohort.dask_run import CohortRun  # noqa: PLC0415

    with LongProgress() as bar:
        try:
            CohortRun(state, client, settings, _Report(state, bar))()
        except KeyboardInterrupt:
            return True
    return False


def _print_counts(state: "CohortState") -> None:
    from coronary_calcium.scoring.risk import in_scheme_order  # noqa: PLC0415

    counts, categories = state.counts(), state.categories()
    states = {name: count for name, count in counts.items() if count or name == "done"}
    sys.stdout.write("\n" + _counted("state", states))
    if categories:
        sys.stdout.write("\n" + _counted("risk category", in_scheme_order(categories)))


def _counted(title: str, counts: Mapping[str, int]) -> str:
    """A small table for the terminal: how many cases of which state, category or reason."""
    return f"{title:<32}{'cases':>8}\n" + "".join(f"{name:<32}{count:>8}\n" for name, count in counts.items())


def _status(options: argparse.Namespace) -> int:
    from coronary_calcium.cohort.state import select  # noqa: PLC0415
    from coronary_calcium.scoring.risk import in_scheme_order  # noqa: PLC0415

    if options.log is not None:
        rows = select(options.cohort, "SELECT state, reason, log FROM case_state WHERE id = ?", (options.log,))[1]
        if not rows:
            raise InputError("cohort-id", f"The cohort has no case {options.log!r}; `cohort query` lists them.")
        sys.stdout.write("\n".join(text for text in rows[0] if text) + "\n")
        return SCORED
    states, categories, reasons = (
        dict(select(options.cohort, sql)[1])
        for sql in (
            "SELECT state, COUNT(*) FROM cohort GROUP BY state",
            "SELECT risk_category, COUNT(*) FROM cohort WHERE state = 'done' GROUP BY risk_category",
            "SELECT state || ': ' || code, COUNT(*) FROM cohort WHERE state IN ('rejected', 'failed') GROUP BY 1",
        )
    )
    if not states:
        sys.stdout.write("The cohort has no case yet.\n")
    found = in_scheme_order(categories) if categories else {}
    tables = {"state": states, "risk category": found, "reason": reasons}
    sys.stdout.write("\n".join(_counted(title, counts) for title, counts in tables.items() if counts))
    return SCORED


def _ask(options: argparse.Namespace) -> int:
    from coronary_calcium.cohort.score_table import VIEWS  # noqa: PLC0415
    from coronary_calcium.cohort.state import select  # noqa: PLC0415
    from coronary_calcium.formatting import cell  # noqa: PLC0415

    if options.columns:
        for view, columns in VIEWS.items():
            sys.stdout.write(f"{view}\n" + "".join(f"  {one.name:<28}{one.meaning}\n" for one in columns))
        return SCORED
    sql = options.sql.strip()
    whole = sql.split(None, 1)[0].upper() in ("SELECT", "WITH") if sql else False
    condition = sql or "1"
    names, rows = select(options.cohort, sql if whole else f"SELECT * FROM cohort WHERE {condition}")  # noqa: S608
    table = csv.writer(sys.stdout, lineterminator=os.linesep)
    table.writerow(names)
    table.writerows([cell(value) for value in row] for row in rows)
    return SCORED
