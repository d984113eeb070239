"""`coronary-calcium score` stopped in the middle, by Ctrl-C or otherwise, leaves nothing behind."""

import os
import signal
import sys
import time
import zipfile

import pytest
from command_cases import RESULTS, finished, scores_in, start, write_case, write_weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

# Runs the command with one of its functions replaced by one that says so and waits, as a long computation would.
REPLACED = """
import importlib, sys, time
from coronary_calcium.cli.main import main

setattr(importlib.import_module(sys.argv[1]), sys.argv[2], wait)
sys.exit(main(sys.argv[3:]))
"""
WAITING = """
def wait(*arguments, **options):
    print("waiting", flush=True)
    time.sleep(60)
"""
# Waits in a finalizer first, where Python prints what is raised and goes on.
DEAF = """
class Finalized:
    def __del__(self):
        print("waiting", flush=True)
        time.sleep(60)

def wait(*arguments, **options):
    Finalized()
    while True:
        time.sleep(0.01)
"""
# Waits while a class is made, where Python turns what is raised into a RuntimeError.
TURNED = """
class Attribute:
    def __set_name__(self, owner, name):
        print("waiting", flush=True)
        time.sleep(60)

def wait(*arguments, **options):
    type("Class", (), {"attribute": Attribute()})
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A ZIP of a series, and its mask."""
    folder = tmp_path_factory.mktemp("case")
    series, mask = write_case(folder)
    with zipfile.ZipFile(folder / "ct.zip", "w") as archive:
        for path in series.iterdir():
            archive.write(path, path.name)
    return folder / "ct.zip", mask


def stopped(case, tmp_path, place, number, labels_from=None, wait=WAITING):
    """The outcome of a run that gets a signal while it is at ``place``."""
    (tmp_path / "scratch").mkdir()
    labels_from = labels_from or ("--mask", case[1])
    arguments = ["score", case[0], *labels_from, "--output", tmp_path / "new" / "result"]
    process = start(*place, *arguments, program=wait + REPLACED, TMPDIR=str(tmp_path / "scratch"))
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    return finished(process)


@pytest.mark.parametrize(
    "place",
    [
        ("coronary_calcium.io.ct_reader", "read_pixels"),
        ("coronary_calcium.pipeline", "find_heart"),
        ("coronary_calcium.reports.case_files", "write_segmentation"),
    ],
)
def test_ctrl_c_leaves_no_output_and_no_temporary_folder(case, tmp_path, place):
    outcome = stopped(case, tmp_path, place, signal.SIGINT)
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == "Interrupted; nothing unfinished was left behind.\n"
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["network.weights load_model", "inference.predict _run_network"])
def test_ctrl_c_while_the_network_works_leaves_nothing(case, tmp_path, place):
    module, name = place.split()
    labels_from = ("--weights", write_weights(tmp_path), "--device", "cpu")
    outcome = stopped(case, tmp_path, (f"coronary_calcium.{module}", name), signal.SIGINT, labels_from)
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == "Interrupted; nothing unfinished was left behind.\n"
    assert list((tmp_path / "scratch").iterdir()) == [] and not (tmp_path / "new").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wait", [DEAF, TURNED])
def test_a_request_to_end_is_heard_where_python_forgets_or_changes_what_is_raised(case, tmp_path, wait, number):
    """As in a callback of a weak reference, of which every import calls one, and while a class is made."""
    outcome = stopped(case, tmp_path, ("coronary_calcium.io.ct_reader", "read_pixels"), number, wait=wait)
    assert (outcome.code, outcome.err) == (130, "Interrupted; nothing unfinished was left behind.\n")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_being_terminated_leaves_no_unpacked_images(case, tmp_path):
    outcome = stopped(case, tmp_path, ("coronary_calcium.io.ct_reader", "read_pixels"), signal.SIGTERM)
    assert outcome.code == 130 and "Traceback" not in outcome.err
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_run_that_is_stopped_keeps_earlier_results(case, tmp_path):
    result = tmp_path / "new" / "result"
    assert finished(start("score", case[0], "--mask", case[1], "--output", result)).code == 0
    earlier = scores_in(result)
    stopped(case, tmp_path, ("coronary_calcium.reports.case_files", "write_segmentation"), signal.SIGINT)
    assert scores_in(result) == earlier and {path.name for path in result.iterdir()} == RESULTS


def test_ctrl_c_at_any_moment_gives_no_traceback(case, tmp_path):
    """Wherever it comes after the start: while modules are imported, in a toolkit, while files are moved."""
    for number, seconds in enumerate((0.2, 0.5, 0.8, 1.2)):
        result = tmp_path / f"result-{number}"
        program = "from coronary_calcium.cli.main import main; print('started', flush=True); sys.exit(main())"
        process = start("score", case[0], "--mask", case[1], "--output", result, program=program)
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        outcome = finished(process)
        # Whoever is faster wins: the run had ended, or it was stopped and wrote nothing.
        assert outcome.code in (0, 130) or outcome.code == -signal.SIGINT, outcome
        assert "Traceback" not in outcome.err
        assert not result.exists() or {path.name for path in result.iterdir()} == RESULTS


def test_a_reader_of_the_terminal_that_leaves_early_is_no_error(case, tmp_path):
    process = start("score", case[0], "--mask", case[1], "--output", tmp_path)
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(60) == 0
    assert {path.name for path in tmp_path.iterdir()} == RESULTS


def test_a_path_that_the_terminal_cannot_show_is_no_error(case, tmp_path):
    output = tmp_path / "Ergebnis für Ω"
    outcome = finished(
        start("score", case[0], "--mask", case[1], "--output", output, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    )
    assert outcome.code == 0 and "Traceback" not in outcome.err and "report.html" in outcome.out
    assert {os.fsdecode(path.name) for path in output.iterdir()} == RESULTS
