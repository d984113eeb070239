"""The clusters of docs/cohorts.md, made as it writes them: its commands, and its SLURM program without SLURM."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from command_cases import PACKAGE, marked, patient_hu, write_image
from coronary_calcium.cohort.state import select

pytest.importorskip("distributed", reason="pip install 'coronary-calcium-scoring[cohort]'")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs the commands of a POSIX shell")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cohorts.md"
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"(?:^(?: {4}.*)?\n)*^ {4}.*\n", PAGE.read_text(encoding="utf-8"), re.M)
]
# Stand-ins for SLURM's commands: a job is a group of processes here, and its number is theirs. As SLURM does, sbatch
# keeps a copy of the script, which may go when it has ended.
SLURM = {
    "sbatch": 'cp "$1" job-$$.sh\nsetsid bash job-$$.sh >>jobs 2>&1 &\necho "Submitted batch job $!"',
    "scancel": 'kill -- "-$1" 2>/dev/null || true',
}


def block_with(text):
    (block,) = [block for block in BLOCKS if text in block]
    return block.strip()


@pytest.fixture
def scans(tmp_path):
    """A list of three CTs with masks."""
    hu = patient_hu()
    write_image(tmp_path / "a.nrrd", hu)
    write_image(tmp_path / "mask.nrrd", marked(hu))
    lines = "".join(f"c{number},a.nrrd,mask.nrrd\n" for number in range(3))
    (tmp_path / "list.csv").write_text(f"id,path,mask\n{lines}")
    return tmp_path / "list.csv"


@pytest.fixture
def started(tmp_path):
    """Starts shell commands with this Python's programs; they are ended with all that they started."""
    running = []
    places = (str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    environment = {
        **os.environ,
        "PYTHONPATH": str(PACKAGE),
        "PATH": os.pathsep.join(places),
        # A worker that needs a minute to start, on a busy computer, must not give up: nobody would start another.
        "DASK_JOBQUEUE__SLURM__DEATH_TIMEOUT": "240",
    }

    def start(command, **options):
        with (tmp_path / "log").open("a") as log:
            running.append(
                subprocess.Popen(
                    command,
                    shell=True,
                    cwd=tmp_path,
                    env=environment,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                    **options,
                )
            )
        return running[-1]

    yield start
    for process in reversed(running):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def run_command(started, line, scans, output):
    """Run the documented command on a list; returns its exit code."""
    words = {
        "SCANS": shlex.quote(str(scans)),
        "cohort": shlex.quote(str(output)),
        "coronary-calcium": f"{sys.executable} -m coronary_calcium.cli.main",
    }
    line = re.sub(r"SCANS|(?<=--output )cohort|coronary-calcium", lambda match: words[match[0]], line)
    return started(line, stdout=subprocess.DEVNULL).wait(240)


def scores(output):
    return select(output, "SELECT id, state, agatston FROM cohort")[1]


ALL_DONE = [(f"c{number}", "done", 432.0) for number in range(3)]


def test_the_documented_scheduler_and_worker_commands_score_a_cohort(started, scans, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    block = block_with("dask scheduler").replace("HOST", "127.0.0.1").replace("8786", port)
    scheduler, worker, command = block.replace("--nworkers 4", "--nworkers 1").splitlines()
    started(scheduler)
    started(worker)
    deadline = time.monotonic() + 120
    while socket.socket().connect_ex(("127.0.0.1", int(port))):
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.1)
    assert run_command(started, command, scans, tmp_path / "out") == 0, (tmp_path / "log").read_text()
    assert scores(tmp_path / "out") == ALL_DONE


def test_the_documented_slurm_program_asks_for_workers_as_cases_wait_and_gives_them_back(started, scans, tmp_path):
    pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue")
    (tmp_path / "bin").mkdir()
    for name, script in SLURM.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\necho {name} >>{tmp_path}/slurm\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    program = block_with("SLURMCluster").replace("cores=4, processes=4", "cores=1, processes=1")
    (tmp_path / "program.py").write_text(program.replace("maximum=64", "maximum=1"))
    cluster = started(f"{sys.executable} program.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    address = cluster.stdout.readline().strip()
    assert address.startswith("tcp://"), (tmp_path / "log").read_text()
    command = block_with("dask scheduler").splitlines()[-1].replace("tcp://HOST:8786", address)
    assert run_command(started, command, scans, tmp_path / "out") == 0, (tmp_path / "log").read_text()
    assert scores(tmp_path / "out") == ALL_DONE
    cluster.communicate("\n", timeout=60)
    assert cluster.returncode == 0
    asked = (tmp_path / "slurm").read_text().split()
    assert asked[0] == "sbatch" and asked[-1] == "scancel"
