"""A file appears whole or not at all, whatever ends the process that writes it."""

import signal
import subprocess
import sys

import pytest
from coronary_calcium.atomic_write import hidden_folder, move_into, whole_file, write_whole

KILLED = """
import os, signal, sys
from pathlib import Path
from coronary_calcium.atomic_write import hidden_folder, whole_file
kind, place = sys.argv[1], Path(sys.argv[2])
with (whole_file if kind == "file" else hidden_folder)(place) as partial:
    (partial if kind == "file" else partial / "scores.json").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_it_writes(kind, place):
    ended = subprocess.run([sys.executable, "-c", KILLED, kind, str(place)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("content", "bytes_"), [("Łódź\n", "Łódź\n".encode()), (b"\x00\r\n", b"\x00\r\n")])
def test_a_file_is_replaced_by_its_whole_content(tmp_path, content, bytes_):
    path = tmp_path / "scores.json"
    path.write_text("earlier")
    write_whole(path, content)
    assert path.read_bytes() == bytes_
    assert names(tmp_path) == ["scores.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_file_whose_writing_fails_leaves_the_earlier_one_and_no_trace(tmp_path, error):
    path = tmp_path / "scores.json"
    path.write_text("earlier")
    with pytest.raises(type(error)), whole_file(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["scores.json"]


def test_a_killed_process_leaves_the_earlier_file_and_the_next_one_cleans_up(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("earlier")
    kill_while_it_writes("file", path)
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["scores.json", "scores.json.partial"]
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["scores.json"]


def test_a_killed_process_leaves_a_hidden_folder_that_the_next_one_removes(tmp_path):
    kill_while_it_writes("folder", tmp_path)
    (left,) = names(tmp_path)
    assert left.startswith(".partial-")
    with hidden_folder(tmp_path) as partial:
        (partial / "scores.json").write_text("new")
        move_into(partial, tmp_path)
    assert names(tmp_path) == ["scores.json"]
