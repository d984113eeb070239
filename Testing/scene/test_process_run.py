"""The network in a process of its own: the same result, and nothing left behind however it ends."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import tiny_worker
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.volume import Acquisition, CaseWarning, CTVolume
from coronary_calcium.worker_messages import Request, read_result, write_result
from CoronaryCalciumScoringLib.background_run import Failed, Finished, Stopped
from CoronaryCalciumScoringLib.process_run import ProcessRun
from training_blobs import SPACING, blobs

VOLUME = CTVolume(
    blobs(3)[0],
    SPACING,
    (-36.0, -36.0, 0.0),
    acquisition=Acquisition(kvp=100.0),
    warnings=(CaseWarning("thick-slices", "Thick."),),
)
# It holds no heart.
ALLOWED = frozenset(["no-heart"])
posix = pytest.mark.skipif(sys.platform == "win32", reason="asks for processes by POSIX's means")


def command(*fault):
    return [sys.executable, "-P", tiny_worker.__file__, *fault]


@pytest.fixture(autouse=True)
def nothing_on_the_disk(monkeypatch, tmp_path):
    """No temporary file is left when a test ends, however the processes ended."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(Path(tiny_worker.__file__).parent), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def weights(small_network, tmp_path_factory):
    """Weights of a tiny network that takes most of what could count for calcium."""
    import torch
    from coronary_calcium.network.denseraunet import DenseRAUNet
    from coronary_calcium.network.weights import save_model

    torch.manual_seed(1)
    training = {"data": "nothing", "recipe": "none", "iterations": 0, "minutes": 0.0}
    facts = {"name": "tiny", "date": "2026-01-01", "statement": "The network was never trained."}
    card = {**facts, "training": training, "metrics": {"f1": 0.0}}
    network = DenseRAUNet()
    torch.nn.init.constant_(network.calcium.bias, 2.0)
    network.calcium.weight.data *= 0.1
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(network, card, path)
    return path


def outcome(run, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = run.poll()
        if status.outcome:
            assert run.poll() is None
            return status.outcome
        time.sleep(0.01)
    run.cancel()
    raise AssertionError("no outcome")


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def alive(pid):
    """Whether a process runs; one that has ended and that nobody has asked for its end does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    try:
        return not state.is_file() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def grandchild_of(run):
    """The number of the process that the worker has started, which it tells as the text of its progress."""
    until(lambda: run.poll().text)
    return int(run.poll().text)


def assert_same(one, other):
    """Equal values, arrays with their types, in all parts of an object."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    elif hasattr(one, "__dataclass_fields__"):
        for entry in fields(one):
            if entry.name != "seconds":
                assert_same(getattr(one, entry.name), getattr(other, entry.name))
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for pair in zip(one, other):
            assert_same(*pair)
    else:
        assert one == other


def as_it_is(volume):
    return volume


def turned_and_real(volume):
    """Real numbers in another order in memory, as the axes of a scene may have them."""
    return replace(volume, hu=np.asfortranarray(volume.hu.astype(np.float32) + np.float32(0.1)))


@pytest.mark.parametrize("changed", [as_it_is, turned_and_real])
def test_the_result_is_that_of_the_same_process_to_the_last_digit(weights, changed):
    from coronary_calcium.pipeline import score_case

    volume = changed(VOLUME)
    expected = score_case(volume, model_path=weights, device="cpu", options=ScoringOptions(allowed=ALLOWED))
    assert expected.score.total.lesions > 0
    assert expected.uncertainty.counted.size > 0
    finished = outcome(ProcessRun(volume, "cpu", weights=weights, allowed=ALLOWED, command=command()))
    assert isinstance(finished, Finished), finished
    assert finished.result.volume is volume
    assert_same(finished.result, expected)
    assert finished.result.seconds.keys() == expected.seconds.keys()


def test_a_result_without_any_lesion_is_the_same_too(weights):
    from coronary_calcium.pipeline import score_case

    volume = replace(VOLUME, hu=np.minimum(VOLUME.hu, 100))
    expected = score_case(volume, model_path=weights, device="cpu", options=ScoringOptions(allowed=ALLOWED))
    assert expected.score.lesions == ()
    stream = io.BytesIO()
    write_result(stream, expected)
    line, _, content = stream.getvalue().partition(b"\n")
    assert json.loads(line) == {"result": len(content)}
    assert_same(read_result(content, Request(volume, allowed=ALLOWED)), expected)


def test_without_a_command_the_worker_itself_runs():
    run = ProcessRun(VOLUME, "no such device", allowed=ALLOWED)
    failed = outcome(run)
    assert failed.error.code == "device-unknown"


def test_what_the_worker_logs_and_how_far_it_is_comes_to_the_parent(weights, caplog):
    caplog.set_level(logging.DEBUG, "coronary_calcium")
    run = ProcessRun(VOLUME, "cpu", weights=weights, allowed=ALLOWED, command=command())
    seen = set()
    until(lambda: (status := run.poll()) and (seen.add((status.fraction, status.text)) or status.outcome))
    assert any(fraction > 0.1 and text.startswith("Looking for calcium") for fraction, text in seen)
    assert any(record.name.startswith("coronary_calcium.inference") for record in caplog.records)


@pytest.mark.parametrize(("allowed", "code"), [(ALLOWED, "weights-missing"), (frozenset(), "no-heart")])
def test_a_rejection_is_the_engines_and_may_be_overruled(allowed, code):
    failed = outcome(ProcessRun(VOLUME, weights=Path("none.safetensors"), allowed=allowed, command=command()))
    assert failed.error.code == code


@pytest.mark.parametrize(("fault", "code"), [("memory", "memory"), ("killed", "memory"), ("exit", "process")])
def test_a_worker_that_dies_is_a_rejection_in_one_sentence(fault, code, caplog):
    failed = outcome(ProcessRun(VOLUME, command=command(fault)))
    assert isinstance(failed, Failed)
    assert failed.error.code == code
    assert str(failed.error).endswith(".")
    assert (fault == "exit") == ("the last words" in caplog.text)


def test_an_error_in_the_worker_is_one_here_with_its_traceback_in_the_log(caplog):
    failed = outcome(ProcessRun(VOLUME, command=command("bug")))
    assert isinstance(failed.error, RuntimeError)
    assert str(failed.error) == "KeyError: 'a bug'"
    assert "_bug" in caplog.text


def test_a_python_that_is_not_there_is_a_rejection():
    run = ProcessRun(VOLUME, command=["no-such-python"])
    assert run.wait(0)
    assert outcome(run).error.code == "process"
    run.cancel()


@posix
@pytest.mark.parametrize("moment", [0.0, 0.1, 0.3, None])
def test_cancel_ends_the_whole_tree_at_once(moment):
    run = ProcessRun(VOLUME, command=command("grandchild"))
    if moment is None:
        grandchild = grandchild_of(run)
        assert alive(grandchild)
    else:
        time.sleep(moment)
    started = time.monotonic()
    run.cancel()
    assert run.cancelling
    assert run.poll().outcome == Stopped()
    assert time.monotonic() - started < 1
    assert run.poll() is None
    assert run.wait(5)
    assert not alive(run.pid)
    if moment is None:
        until(lambda: not alive(grandchild), 2)


PARENT = """
import sys, time
import numpy as np
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.volume import CTVolume
from CoronaryCalciumScoringLib.process_run import ProcessRun
run = ProcessRun(CTVolume(np.zeros((60, 512, 512), np.int16), (3.0, 1.0, 1.0), (0, 0, 0)), command=sys.argv[1:])
print(run.pid, flush=True)
while not run.poll().text:
    time.sleep(0.01)
print(run.poll().text, flush=True)
time.sleep(600)
"""


@posix
@pytest.mark.parametrize("moment", [0.0, 0.2, None])
def test_when_the_application_is_killed_the_worker_ends_with_all_it_has_started(moment):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *command("grandchild")], stdout=subprocess.PIPE, text=True)
    pids = [int(parent.stdout.readline())]
    if moment is None:
        pids.append(int(parent.stdout.readline()))
        assert all(map(alive, pids))
    else:
        time.sleep(moment)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not any(map(alive, pids)), 10)


MEMORY = """
import resource, sys, time
import numpy as np
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.volume import CTVolume
from CoronaryCalciumScoringLib.process_run import ProcessRun
volume = CTVolume(np.ones((100, 512, 512), np.int16), (3.0, 1.0, 1.0), (0, 0, 0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run = ProcessRun(volume, command=sys.argv[1:])
while not run.poll().text:
    time.sleep(0.01)
run.cancel()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, "torch" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel counts memory in another way")
def test_handing_the_ct_over_takes_no_memory_of_the_application_and_no_torch():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *command("grandchild")], capture_output=True, text=True, check=True
    )
    grown_kb, torch = done.stdout.split()
    assert int(grown_kb) < 5_000  # the voxels are 52 MB
    assert torch == "False"
