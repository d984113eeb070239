"""A cohort on two machines, network namespaces of this computer, of which one is cut off in the middle."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cohort_work import make_cohort, times_run
from command_cases import PACKAGE
from coronary_calcium.cohort.state import select

pytestmark = pytest.mark.skipif(
    not os.environ.get("COHORT_NETWORK"), reason="takes half a minute: COHORT_NETWORK=1 runs it"
)
pytest.importorskip("distributed", reason="pip install 'coronary-calcium-scoring[cohort]'")

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
SCHEDULER = "tcp://10.213.7.1:8786"
CASES = 24

PROGRAM = """
import sys
from pathlib import Path
from cohort_work import settings_of, work
from coronary_calcium.cohort.dask_run import CohortRun, cluster_client
from coronary_calcium.cohort.state import CohortState

folder = Path(sys.argv[1])
settings = settings_of(folder, run="this")
with CohortState(folder) as state, cluster_client(sys.argv[2], None) as client:
    client.wait_for_workers(2, timeout=60)
    (folder / "both-here").touch()
    state.begin_run(settings.run, lambda case_id, run: None)
    CohortRun(state, client, settings, work=work)()
"""


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, check=False, timeout=10).returncode == 0


@pytest.fixture
def machines():
    """Two namespaces with a cable between them that reaches nowhere else; their names."""
    if shutil.which("ip") is None:
        pytest.skip("needs the command ip")
    names = [f"cohort-{os.getpid()}-{number}" for number in (1, 2)]
    try:
        if not all(ip("netns", "add", name) for name in names):
            pytest.skip("network namespaces are not permitted here")
        made = ip("link", "add", "cable1", "netns", names[0], "type", "veth", "peer", "cable2", "netns", names[1])
        for number, name in enumerate(names, start=1):
            made = made and ip("-n", name, "addr", "add", f"10.213.7.{number}/24", "dev", f"cable{number}")
            made = (
                made
                and ip("-n", name, "link", "set", f"cable{number}", "up")
                and ip("-n", name, "link", "set", "lo", "up")
            )
        if not made:
            pytest.skip("virtual network cables are not permitted here")
        yield names
    finally:
        for name in names:
            ip("netns", "delete", name)


@pytest.fixture
def started(tmp_path):
    """Starts programs in a namespace; they are ended at the end."""
    running, log = [], tmp_path / "log"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{PACKAGE}{os.pathsep}{HELPERS}",
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "4s",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
    }

    def start(name, *arguments):
        running.append(
            subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, *map(str, arguments)],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=log.open("a"),
            )
        )
        return running[-1]

    yield start
    for process in reversed(running):
        process.terminate()
    for process in running:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def test_a_machine_that_is_cut_off_costs_no_case_and_none_is_done_twice(machines, started, tmp_path):
    here, there = machines
    folder = make_cohort(tmp_path / "cohort", [f"slow{number:02d}" for number in range(CASES)])
    dask = ("-m", "distributed.cli.dask_worker", SCHEDULER, "--nthreads", "1", "--no-dashboard")
    started(here, "-m", "distributed.cli.dask_scheduler", "--host", "10.213.7.1", "--port", "8786", "--no-dashboard")
    for number, name in enumerate(machines, start=1):
        started(name, *dask, "--host", f"10.213.7.{number}", "--local-directory", tmp_path / f"machine-{number}")
    command = started(here, "-c", PROGRAM, folder, SCHEDULER)
    deadline = time.monotonic() + 100
    while sum(times_run(folder).values()) < CASES // 4:
        assert command.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert ip("-n", there, "link", "set", "cable2", "down")
    assert command.wait(max(deadline - time.monotonic(), 1)) == 0
    assert (folder / "both-here").exists()
    assert select(folder, "SELECT state, COUNT(*) FROM cohort GROUP BY state")[1] == [("done", CASES)]
    assert times_run(folder) == dict.fromkeys([f"slow{number:02d}" for number in range(CASES)], 1)
