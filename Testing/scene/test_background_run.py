"""Work beside the window: progress, outcome, cancelling."""

import ctypes
import sys
import threading
import time

import pytest
from coronary_calcium.errors import InputError
from CoronaryCalciumScoringLib.background_run import BackgroundRun, Failed, Finished, Stopped


def outcome(run):
    """Poll as the panel's timer does, until the outcome is there."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        status = run.poll()
        if status.outcome:
            return status.outcome
        time.sleep(0.002)
    raise AssertionError("no outcome")


def test_the_result_comes_back_once():
    run = BackgroundRun(lambda progress: 42)
    assert outcome(run) == Finished(42)
    assert run.poll() is None


def test_the_work_runs_in_another_thread():
    run = BackgroundRun(lambda progress: threading.current_thread())
    assert outcome(run).result is not threading.current_thread()


def test_the_last_progress_is_told_with_elapsed_seconds():
    gate = threading.Event()

    def work(progress):
        progress(0.25, "a quarter")
        progress(0.5, "half")
        gate.wait(10)

    run = BackgroundRun(work)
    while run.poll().fraction < 0.5:
        time.sleep(0.002)
    status = run.poll()
    assert (status.fraction, status.text, status.outcome) == (0.5, "half", None)
    time.sleep(0.02)
    assert run.poll().seconds >= status.seconds + 0.02
    gate.set()
    assert outcome(run) == Finished(None)


def test_what_the_work_raises_is_its_outcome():
    def work(progress):
        raise InputError("not-ct", "This is not a CT.")

    failed = outcome(BackgroundRun(work))
    assert isinstance(failed, Failed)
    assert str(failed.error) == "This is not a CT."


def test_cancel_stops_the_work_at_its_next_report():
    reports = []

    def work(progress):
        while True:
            progress(0.1, "working")
            reports.append(1)
            time.sleep(0.001)

    run = BackgroundRun(work)
    while not reports:
        time.sleep(0.001)
    assert not run.cancelling
    run.cancel()
    assert run.cancelling
    assert outcome(run) == Stopped()
    assert run.wait(10)


def test_whoever_cancelled_gets_no_result_even_if_it_was_done_in_that_moment():
    run = BackgroundRun(lambda progress: 42)
    assert run.wait(10)
    run.cancel()
    assert outcome(run) == Stopped()


def test_waiting_gives_up_in_time():
    gate = threading.Event()
    run = BackgroundRun(lambda progress: gate.wait(10))
    assert not run.wait(0.01)
    gate.set()
    assert run.wait(10)


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError()])
def test_any_error_ends_the_run(error):
    def work(progress):
        raise error

    assert outcome(BackgroundRun(work)) == Failed(error)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a C library's usleep")
def test_the_work_gets_on_where_the_event_loop_keeps_pythons_lock():
    """As in the application, whose event loop holds the lock while it waits and draws."""
    keep_lock = ctypes.PyDLL(None).usleep
    times = 100

    def work(progress):
        for _ in range(times):
            time.sleep(0.0001)  # gives the lock away and wants it back, as each layer of a network does

    run = BackgroundRun(work)
    polls = 0
    while run.poll().outcome is None:
        polls += 1
        assert polls < 10_000
        keep_lock(10_000)
    # Without a turn of its own, the thread gets the lock back once a poll.
    assert polls < times / 2
