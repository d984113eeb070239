"""What a cohort costs beside its scores: python Testing/benchmarks/benchmark_cohort.py [--only PART].

``overhead``: cases that do nothing, on two worker processes as `cohort run` starts them: milliseconds per case by the
clock and of the command's own CPU time, and the command's memory (with the scheduler) on the way. ``resume``: how long
a cohort of as many studies takes to be searched again and taken up. ``efficiency``: simulated cases on one worker of
one thread and on two, in turns; twice as fast is 1. It needs an idle computer.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "CoronaryCalciumScoring"), str(ROOT / "Testing" / "helpers")]

import psutil  # noqa: E402 after the paths that these modules lie on; it comes with distributed
import pydicom  # noqa: E402
from cohort_work import make_cohort, no_work, record_of, settings_of  # noqa: E402
from coronary_calcium.cohort.case_search import read_folder, search_folder  # noqa: E402
from coronary_calcium.cohort.cases import CASES, DONE, FoundCase, Outcome  # noqa: E402
from coronary_calcium.cohort.dask_run import CohortRun, LocalPlan, cluster_client  # noqa: E402
from coronary_calcium.cohort.export import write_page, write_tables  # noqa: E402
from coronary_calcium.cohort.state import CohortState  # noqa: E402
from dicom_factory import write_series  # noqa: E402

MEMORY = 4 * 2**30
SHOWN_AT = (100, 1000, 2500, 5000, 10_000, 15_000, 20_000, 25_000)
PARTS = ("overhead", "resume", "efficiency")


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Print how long the block took."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{name}: {time.perf_counter() - wall:.2f} s, {time.process_time() - cpu:.2f} s of CPU", flush=True)


def overhead(cases: int) -> None:
    """Milliseconds per case that does nothing, and the memory of the command's process."""
    with tempfile.TemporaryDirectory() as name, cluster_client(None, LocalPlan(2, 1, MEMORY, 0)) as client:
        # Twice: the workers import what they need with the first.
        for part, count in (("warm", 100), ("cases", cases)):
            folder, told = make_cohort(Path(name) / part, count), Told()
            wall, cpu = time.perf_counter(), time.process_time()
            with CohortState(folder) as state:
                CohortRun(state, client, settings_of(folder), told, no_work)()
                assert state.counts()[DONE] == count
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{cases} cases: {1e3 * wall / cases:.2f} ms each, {1e3 * cpu / cases:.2f} ms of the command's CPU time")
    print("MB after cases: " + ", ".join(f"{count}: {mb:.0f}" for count, mb in told.memory.items()), flush=True)


class Told:
    """Takes the memory of this process after so many cases."""

    def __init__(self) -> None:
        self.count, self.memory = 0, {}

    def __call__(self, job: object, outcome: object) -> None:
        self.count += 1
        if self.count in SHOWN_AT:
            self.memory[self.count] = psutil.Process().memory_info().rss / 1e6


def resume(cases: int) -> None:
    """Search and take-up of a cohort of DICOM studies of which half is done, and its tables."""
    with tempfile.TemporaryDirectory() as name:
        tree, folder = Path(name) / "scans", Path(name) / "cohort"
        dataset = pydicom.dcmread(write_series(Path(name) / "one")[0])
        del dataset.PixelData
        for number in range(cases):
            place = tree / f"{number // 1000}" / f"{number}"
            place.mkdir(parents=True)
            dataset.StudyInstanceUID = f"1.2.3.{number}"
            dataset.save_as(place / "IM0")
        settings = settings_of(folder)

        def search(state: CohortState) -> None:
            search_folder(state, tree, lambda paths: (read_folder(path, state.salt) for path in paths))

        with CohortState(folder) as state:
            with timed(f"first search of {cases} studies of one file"):
                search(state)
            jobs = list(state.queued())
            assert len(jobs) == cases, f"{len(jobs)} cases found"
            state.finish([(job.number, Outcome(DONE, record_of(job, settings))) for job in jobs[::2]])
        with timed(f"taking up {cases} cases, half of them done"), CohortState(folder) as state:
            search(state)
            state.begin_run("next", lambda case_id, run: None)
            assert state.changed(settings.identity) == {}
            assert sum(1 for _ in state.queued()) == cases // 2
        with timed("the CSV and Parquet tables"):
            write_tables(folder)
        with timed("the page"):
            write_page(folder, datetime.now(UTC))


def efficiency(scans: list[Path], rounds: int) -> None:
    """Cases per second of two workers of one thread against twice those of one worker, in turns."""
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        for turn in range(rounds):
            one, two = (rate(scans, workers, Path(name) / f"{turn}-{workers}") for workers in (1, 2))
            ratios.append(two / (2 * one))
            print(f"one worker {one:.4f} cases/s, two {two:.4f}: efficiency {ratios[-1]:.3f}", flush=True)
    print(f"median efficiency {statistics.median(ratios):.3f}")


def rate(scans: list[Path], workers: int, folder: Path) -> float:
    """Cases per second on warm workers."""
    with cluster_client(None, LocalPlan(workers, 1, MEMORY, 0)) as client:
        for part, paths in (("warm", scans[:1] * 2 * workers), ("cases", scans * 2)):
            settings = settings_of(folder / part, device="cpu", threads=1, run=part)
            settings.output.mkdir(parents=True)
            (settings.output / CASES).mkdir()
            with CohortState(settings.output) as state:
                state.add_cases(FoundCase(f"{n}", str(path), id=f"c{n}") for n, path in enumerate(paths))
                start = time.perf_counter()
                CohortRun(state, client, settings)()
                took = time.perf_counter() - start
                assert state.counts()[DONE] == len(paths), state.counts()
    return len(paths) / took


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="one of the parts")
    parser.add_argument("--cases", type=int, default=25_000, help="cases that do nothing (default: 25000)")
    parser.add_argument("--scans", type=Path, nargs="*", default=[], help="DICOM folders for the efficiency")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs (default: 3)")
    options = parser.parse_args()
    parts = [options.only] if options.only else PARTS
    if "overhead" in parts:
        overhead(options.cases)
    if "resume" in parts:
        resume(options.cases)
    if "efficiency" in parts and options.scans:
        efficiency(options.scans, options.rounds)


if __name__ == "__main__":
    main()
