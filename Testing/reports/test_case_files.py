"""The four files are written together or not at all."""

import os
import socket
import subprocess

import pytest
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.reports import case_files, write_case
from example_results import empty_case, scored_case

FILES = {"scores.json", "lesions.csv", "segmentation.seg.nrrd", "report.html"}


def content(folder):
    """Every file below a folder, hidden ones too, with what it holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def stop_at(error, text):
    """Progress that raises at the first report that starts with ``text``."""

    def progress(fraction, message):
        if message.startswith(text):
            raise error

    return progress


def test_the_four_files_appear_in_a_new_folder(tmp_path):
    report = write_case(scored_case(), tmp_path / "a" / "b" / "out")
    assert report == tmp_path / "a" / "b" / "out" / "report.html"
    assert report.is_file()
    assert everything_in(tmp_path) == {"a", "a/b", "a/b/out"} | {f"a/b/out/{name}" for name in FILES}


def test_a_relative_folder_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_case(empty_case(), "out").is_file()
    assert everything_in(tmp_path) == {"out"} | {f"out/{name}" for name in FILES}


def test_a_second_run_replaces_the_four_files_and_leaves_others_alone(tmp_path):
    write_case(scored_case(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = content(tmp_path)
    write_case(empty_case(), tmp_path)
    after = content(tmp_path)
    assert set(after) == FILES | {"notes.txt"}
    assert after["notes.txt"] == b"mine"
    assert all(after[name] != before[name] for name in FILES)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled(), RuntimeError("bug")])
@pytest.mark.parametrize("at", ["Writing scores", "Writing segmentation", "Drawing", "Results written"])
def test_a_run_that_is_stopped_leaves_no_trace(error, at, tmp_path):
    with pytest.raises(type(error)):
        write_case(scored_case(), tmp_path / "new" / "out", stop_at(error, at))
    assert everything_in(tmp_path) == set()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled()])
def test_a_run_that_is_stopped_leaves_earlier_results_as_they_were(error, tmp_path):
    write_case(scored_case(), tmp_path)
    before = content(tmp_path)
    with pytest.raises(type(error)):
        write_case(empty_case(), tmp_path, stop_at(error, "Results written"))
    assert content(tmp_path) == before
    assert everything_in(tmp_path) == FILES


@pytest.mark.parametrize("moves", range(8))
@pytest.mark.parametrize("earlier", [True, False])
def test_a_run_that_is_stopped_while_files_are_moved_brings_earlier_ones_back(moves, earlier, tmp_path, monkeypatch):
    """Each file takes two moves, the earlier one out and the new one in; Ctrl-C may come after any of them."""
    (tmp_path / "notes.txt").write_text("mine")
    if earlier:
        write_case(scored_case(), tmp_path)
    before = content(tmp_path)
    replace, calls = os.replace, []

    def replace_and_stop(source, target):
        replace(source, target)
        calls.append(target)
        if len(calls) == moves + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_and_stop)
    if not earlier and moves >= 4:
        write_case(empty_case(), tmp_path)  # with nothing to move out, four moves are all there are
        assert set(content(tmp_path)) == FILES | {"notes.txt"}
        return
    with pytest.raises(KeyboardInterrupt):
        write_case(empty_case(), tmp_path)
    assert content(tmp_path) == before
    assert not [name for name in everything_in(tmp_path) if ".partial" in name]


def test_an_output_that_is_a_file_is_rejected(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file") as rejection:
        write_case(scored_case(), tmp_path / "out")
    assert rejection.value.code == "output"
    assert (tmp_path / "out").read_text() == "mine"
    with pytest.raises(InputError):
        write_case(scored_case(), tmp_path / "out" / "below")


def test_a_full_disk_is_rejected_in_one_sentence_and_leaves_no_trace(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(case_files, "write_lesions", full)
    with pytest.raises(InputError, match="No space left on device") as rejection:
        write_case(scored_case(), tmp_path / "out")
    assert rejection.value.code == "output"
    assert str(rejection.value).count(".") <= 2
    assert everything_in(tmp_path) == set()


def test_progress_rises_to_1(tmp_path):
    seen = []
    write_case(scored_case(), tmp_path, lambda fraction, text: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) >= 5


def left_behind(folder, process):
    """What a run with this process number leaves when it is killed."""
    path = folder / f".partial-{socket.gethostname()}-{process}-0123"
    path.mkdir(parents=True)
    (path / "scores.json").write_text("{}")
    return path


@pytest.mark.parametrize("exists", [True, False])
def test_what_a_killed_run_left_is_removed_by_a_later_one_into_the_same_place(tmp_path, exists):
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = tmp_path / "out"
    if exists:
        folder.mkdir()
    stale, running = (left_behind(folder if exists else tmp_path, number) for number in (ended.pid, os.getpid()))
    write_case(empty_case(), folder)
    assert not stale.exists() and running.exists()


def test_computers_whose_long_names_begin_alike_do_not_take_each_other_s_runs_for_dead(tmp_path, monkeypatch):
    """As nodes of a cluster are named; the number of a process says nothing about another computer's."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    common = "coronary-calcium-scoring-worker-of-the-cluster-"
    left = []
    for number in (2, 1):
        monkeypatch.setattr(socket, "gethostname", lambda number=number: f"{common}{number}")
        left.append(left_behind(tmp_path, ended.pid))
    of_another, own = left
    write_case(empty_case(), tmp_path)
    assert of_another.exists() and not own.exists()


def test_what_a_run_on_another_computer_left_stays_for_a_day(tmp_path):
    young, old = tmp_path / ".partial-elsewhere-1-abc", tmp_path / ".partial-abc"
    young.mkdir()
    old.mkdir()
    os.utime(old, (0, 0))
    write_case(empty_case(), tmp_path)
    assert young.exists() and not old.exists()


EXTRAS = ("segmentation.dcm", "report-sr.dcm", "report.pdf", "overview.png")


def with_extras(folder):
    """Results of a patient with all that can stand beside them; the PDF was signed later."""
    write_case(scored_case(), folder)
    for name in EXTRAS:
        (folder / name).write_bytes(b"of an earlier patient")
        os.utime(folder / name, (0, 0))
    os.utime(folder / "report.pdf")


def test_what_was_asked_for_and_cannot_be_made_is_not_that_of_an_earlier_patient(tmp_path):
    with_extras(tmp_path)
    # The example has no DICOM images, so neither object can be made; the PDF was not asked for.
    written = case_files.write_results(scored_case(), tmp_path, extras=case_files.Extras(dicom_seg=True, dicom_sr=True))
    assert written.removed == ("segmentation.dcm", "report-sr.dcm")
    assert set(content(tmp_path)) == FILES | {"report.pdf", "overview.png"}


def test_what_was_not_asked_for_stays_beside_the_same_scores_and_goes_beside_those_of_another_patient(tmp_path):
    with_extras(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert case_files.write_results(scored_case(), tmp_path).removed == ()
    assert set(content(tmp_path)) == {*FILES, *EXTRAS, "notes.txt"}
    assert case_files.write_results(empty_case(), tmp_path).removed == EXTRAS
    assert set(content(tmp_path)) == FILES | {"notes.txt"}


def test_a_dicom_object_that_was_written_by_itself_after_the_scores_stays(tmp_path):
    with_extras(tmp_path)
    os.utime(tmp_path / "scores.json", (1, 1))
    (tmp_path / "segmentation.dcm").write_bytes(b"of the corrected lesions")
    write_case(empty_case(), tmp_path)
    assert set(content(tmp_path)) == FILES | {"segmentation.dcm"}


def test_a_stopped_run_brings_the_earlier_patient_s_files_back(tmp_path, monkeypatch):
    with_extras(tmp_path)
    before = content(tmp_path)
    replace = os.replace

    def replace_and_stop(source, target):
        replace(source, target)
        if str(target).endswith("earlier/report.pdf"):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_and_stop)
    with pytest.raises(KeyboardInterrupt):
        write_case(empty_case(), tmp_path)
    assert content(tmp_path) == before
