"""Work in several processes: all of it is done, errors come through, and breaking it off leaves nothing."""

import multiprocessing
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from coronary_calcium.parallel import outcomes


def waiting_in(folder):
    """Holds a temporary folder for a minute, unless ended."""
    with tempfile.TemporaryDirectory(dir=folder):
        time.sleep(60)


def waiting_beside(folder):
    """Done at once for "quick", as ``waiting_in`` for a folder."""
    return None if folder == "quick" else waiting_in(folder)


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_every_thing_comes_with_its_outcome(jobs):
    assert dict(outcomes(abs, [-1, -2, -3], jobs)) == {-1: 1, -2: 2, -3: 3}


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_the_work_raises_is_raised(jobs):
    with pytest.raises(ValueError, match="invalid literal"):
        list(outcomes(int, ["1", "one", "2"], jobs))


def test_closing_ends_the_processes_at_once_and_their_temporary_folders_go(tmp_path):
    before = set(multiprocessing.active_children())
    started = time.monotonic()
    with closing(outcomes(waiting_beside, ["quick", str(tmp_path), str(tmp_path)], 2)) as done:
        assert next(done)[0] == "quick"
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() - started < 30:
            time.sleep(0.05)
        assert len(list(Path(tmp_path).iterdir())) == 2
    # A process that the pool's own thread is just reaping passes for alive for a moment.
    while set(multiprocessing.active_children()) - before and time.monotonic() - started < 30:
        time.sleep(0.05)
    assert not set(multiprocessing.active_children()) - before
    assert time.monotonic() - started < 30 and list(tmp_path.iterdir()) == []
