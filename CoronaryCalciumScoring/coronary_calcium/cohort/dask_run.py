"""Running a cohort on Dask: one path for the processes of one computer and for a cluster of many."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from coronary_calcium.cohort.case_worker import started_file, whole_record, work_on
from coronary_calcium.cohort.cases import DONE, FAILED, CohortSettings, Job, Outcome
from coronary_calcium.cohort.state import CohortState
from coronary_calcium.errors import InputError

if TYPE_CHECKING:
    from distributed import Client, Future

# Cases handed to the cluster at a time, for each of its threads and at least: enough that no worker waits, and so few
# that the scheduler's memory does not grow with the cohort.
_PER_THREAD, _LEAST_WINDOW = 2, 8
# How long the number of workers is taken for granted: to ask for it takes the scheduler as long as a case.
_WINDOW_S = 1.0
# A case whose worker died is tried once more.
_MOST_ATTEMPTS = 2
# A chest CT of 350 slices takes 1.3 GB with the network (Testing/benchmarks/benchmark_score.py); the rest is room for
# larger ones.
MEMORY_PER_WORKER = 4 * 2**30


@dataclass(frozen=True)
class LocalPlan:
    """Workers of a local cluster, the threads of each one's computations, bytes of memory of each, and GPUs."""

    workers: int
    threads: int
    memory: int
    gpus: int


def local_plan(workers: int | None, device: str) -> LocalPlan:
    """One worker for each GPU that is to be used; otherwise as many as cores and memory allow, at most ``workers``."""
    from dask.system import CPU_COUNT  # noqa: PLC0415 - an optional package
    from distributed.system import MEMORY_LIMIT  # noqa: PLC0415

    gpus = _gpus(device)
    chosen = workers or gpus or max(1, min(CPU_COUNT, MEMORY_LIMIT // MEMORY_PER_WORKER))
    return LocalPlan(chosen, max(1, CPU_COUNT // chosen), MEMORY_LIMIT // chosen, gpus)


def _gpus(device: str) -> int:
    if device not in ("auto", "cuda"):
        return 0
    import torch  # noqa: PLC0415 - slow to import, and not needed where the device is named

    return torch.cuda.device_count()


def require_dask() -> None:
    """Raise InputError("cohort-missing-dask") when the optional packages are not installed."""
    try:
        import distributed  # noqa: F401, PLC0415
    except ImportError:
        raise InputError(
            "cohort-missing-dask",
            "The package distributed is not installed: pip install 'coronary-calcium-scoring[cohort]'.",
        ) from None


@contextmanager
def cluster_client(scheduler: str | None, plan: LocalPlan | None) -> Iterator["Client"]:
    """A client of the scheduler at an address, or of a cluster of processes on this computer.

    Raises InputError("scheduler") when there is no scheduler at the address.
    """
    import dask  # noqa: PLC0415 - an optional package
    from distributed import Client, LocalCluster  # noqa: PLC0415

    # A worker is sent as many cases as it works on: with more, the death of one would be blamed on all of them. And the
    # death is told at once; a case is tried again by our own count, which survives the scheduler.
    options = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.allowed-failures": 0}
    for name in ("distributed", "distributed.nanny", "distributed.scheduler"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(options):
        if scheduler is not None:
            try:
                client = Client(scheduler, timeout="10s")
            except (OSError, ValueError) as error:
                raise InputError(
                    "scheduler",
                    f"There is no Dask scheduler at {scheduler} ({type(error).__name__}): check --scheduler.",
                ) from error
            with client:
                yield client
            return
        assert plan is not None  # noqa: S101 - for the type checker: without a scheduler there is a plan
        with (
            LocalCluster(
                n_workers=plan.workers,
                threads_per_worker=1,
                memory_limit=plan.memory,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


Work = Callable[[Job, CohortSettings], Outcome]
Told = Callable[[Job, Outcome], None]


class CohortRun:
    """Hands the queued cases of a cohort to a cluster, and keeps what becomes of each.

    ``work`` is what a worker does with a case, and ``told`` is called when one is finished.
    """

    def __init__(
        self,
        state: CohortState,
        client: "Client",
        settings: CohortSettings,
        told: Told = lambda job, outcome: None,
        work: Work = work_on,
    ) -> None:
        self._state, self._client, self._settings = state, client, settings
        self._told, self._work = told, work
        self._pending: dict[Future, Job] = {}
        self._window, self._window_until = 0, -math.inf

    def __call__(self) -> None:
        """Run until no case is queued. Raises InputError("scheduler") or ("worker"), and what interrupts it.

        Whatever ends it, a case that a worker may still be at stays running: the next run adopts or queues it.
        """
        from distributed import as_completed  # noqa: PLC0415 - an optional package

        waiting = self._state.queued()
        completed = as_completed(with_results=True, raise_errors=False)
        try:
            self._hand_out(completed, waiting)
            while self._pending:
                self._take(completed.next_batch(block=True), completed)
                self._hand_out(completed, waiting)
        finally:
            self._keep_what_is_whole()

    def _keep_what_is_whole(self) -> None:
        whole = [(job.number, self._whole(job)) for job in self._pending.values()]
        self._state.finish([(number, outcome) for number, outcome in whole if outcome is not None])
        self._pending.clear()

    def _hand_out(self, completed: Any, waiting: Iterator[Job]) -> None:
        jobs = list(islice(waiting, max(self._most_pending() - len(self._pending), 0)))
        if jobs:
            self._state.start(jobs)
            self._submit(completed, jobs)

    def _most_pending(self) -> int:
        now = time.monotonic()
        if now > self._window_until:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self._window = max(_LEAST_WINDOW, _PER_THREAD * sum(worker["nthreads"] for worker in workers))
            self._window_until = now + _WINDOW_S
        return self._window

    def _submit(self, completed: Any, jobs: list[Job]) -> None:
        # Of one group, as Dask calls what has the same first word: such tasks wait at the scheduler, not at a worker.
        # In one message, which takes half as long as one for each.
        keys = [("cohort-case", job.number, job.attempts, time.monotonic_ns()) for job in jobs]
        futures = self._client.map(self._work, jobs, settings=self._settings, key=keys, pure=False)
        self._pending.update(zip(futures, jobs, strict=True))
        completed.update(futures)

    def _take(self, batch: list[tuple["Future", Any]], completed: Any) -> None:
        """Keep what became of the cases of a batch, all in one transaction, and hand out those to be tried again."""
        ended: list[tuple[Job, Outcome]] = []
        again: list[Job] = []
        try:
            for future, result in batch:
                job = self._pending[future]
                outcome = self._outcome(job, future, result)
                if outcome is not None:
                    ended.append((job, outcome))
                    continue
                log = started_file(self._settings.output, job.id)
                again.append(replace(job, attempts=job.attempts + log.is_file()))
                log.unlink(missing_ok=True)
        finally:
            self._state.finish([(job.number, outcome) for job, outcome in ended])
        # Only now: whatever interrupts the transaction must find the cases pending.
        for future, _ in batch:
            del self._pending[future]
        for job, outcome in ended:
            self._told(job, outcome)
        if again:
            self._state.start(again)
            self._submit(completed, again)

    def _outcome(self, job: Job, future: "Future", result: Any) -> Outcome | None:
        """What became of a case; None to try it once more. Raises InputError("scheduler") or ("worker")."""
        # A result that has come is there, even if its worker has died since and the status says so.
        if isinstance(result, Outcome):
            outcome: Outcome | None = result
        elif future.status == "error" or self._client.status == "running":
            outcome = self._of_dead_worker(job, result)
        else:
            raise InputError("scheduler", "The connection to the Dask scheduler is lost; the same command goes on.")
        if outcome is not None and outcome.unusable_worker:
            raise InputError("worker", outcome.reason)
        return outcome

    def _whole(self, job: Job) -> Outcome | None:
        """What a worker did before it died, where the case's folder is whole."""
        record = whole_record(self._settings.output, job.id, self._settings.run)
        return None if record is None else Outcome(DONE, record, seconds=record["seconds"])

    def _of_dead_worker(self, job: Job, error: Any) -> Outcome | None:
        """What becomes of a case whose worker died; None to try it once more."""
        from distributed import KilledWorker  # noqa: PLC0415 - an optional package

        exception = error[1] if isinstance(error, tuple) else error
        if isinstance(exception, Exception) and not isinstance(exception, KilledWorker | CancelledError):
            raise InputError(
                "worker",
                f"A worker cannot run this program ({type(exception).__name__}: {exception}): install the same version "
                "of it on all workers.",
            )
        whole = self._whole(job)
        if whole is not None:
            return whole
        log = started_file(self._settings.output, job.id)
        if not log.is_file():
            return None
        hung = log.read_text(encoding="utf-8", errors="replace")
        if hung:
            log.unlink(missing_ok=True)
            limit = self._settings.time_limit_s or 0.0
            reason = f"The case took longer than the time limit of {limit:g} s; give more with --time-limit."
            return Outcome(FAILED, None, "time-limit", reason, hung, limit)
        if job.attempts + 1 < _MOST_ATTEMPTS:
            return None
        log.unlink(missing_ok=True)
        return Outcome(
            FAILED,
            None,
            "worker-died",
            "The worker died twice with this case, probably of too little memory; use fewer --workers or more memory.",
            str(exception),
        )
