"""The script that runs the module's test in Slicer, with a small program in Slicer's place."""

import sys
import time
from pathlib import Path

import pytest
import run_in_slicer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the program in Slicer's place is a shell script")


@pytest.fixture
def slicer_that_ends_with(tmp_path, monkeypatch):
    """Makes a program that writes its arguments to a file and ends with a status."""
    monkeypatch.setenv("DISPLAY", ":0")

    def make(status):
        program = tmp_path / "Slicer"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nexit {status}\n')
        program.chmod(0o755)
        return program

    return make


@pytest.mark.parametrize("status", [0, 1])
def test_the_result_in_slicer_is_the_scripts_result(slicer_that_ends_with, status):
    assert run_in_slicer.main([str(slicer_that_ends_with(status))]) == status


def test_slicer_finds_the_module_and_keeps_to_testing(slicer_that_ends_with, tmp_path):
    run_in_slicer.main([str(slicer_that_ends_with(0))])
    arguments = (tmp_path / "arguments").read_text().splitlines()
    folder = arguments[arguments.index("--additional-module-paths") + 1]
    assert (run_in_slicer.MODULE_FOLDER / "CoronaryCalciumScoring.py").is_file()
    assert folder == str(run_in_slicer.MODULE_FOLDER)
    assert "--testing" in arguments


def test_the_modules_test_is_told_where_pictures_go(tmp_path, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    program = tmp_path / "Slicer"
    program.write_text('#!/bin/sh\n: > "$CORONARY_CALCIUM_SCREENSHOTS/seen"\n')
    program.chmod(0o755)
    run_in_slicer.main([str(program), "--screenshots", str(tmp_path / "pictures")])
    assert (tmp_path / "pictures" / "seen").is_file()


def test_slicer_gets_the_code_as_a_file_that_is_there_while_it_runs(slicer_that_ends_with, tmp_path):
    program = slicer_that_ends_with(0)
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\nprintf "%s\\n" "$@" > {tmp_path}/arguments\ncp "$last" {tmp_path}/code\n'
    )
    assert run_in_slicer.main([str(program)]) == 0
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert "--python-code" not in arguments  # Slicer 5.12 takes no value with a line break
    assert arguments[-2] == "--python-script"
    assert not Path(arguments[-1]).exists()
    code = (tmp_path / "code").read_text()
    assert "CoronaryCalciumScoring" in code
    compile(code, "code", "exec")


def test_without_a_display_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(run_in_slicer.sys, "platform", "linux")
    monkeypatch.setattr(run_in_slicer.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="xvfb"):
        run_in_slicer.command(tmp_path / "Slicer", {}, tmp_path / "code.py")


def test_a_wrong_path_is_said(tmp_path):
    with pytest.raises(SystemExit, match="is not a file"):
        run_in_slicer.main([str(tmp_path / "nothing")])


def test_a_slicer_that_hangs_is_ended_and_said(slicer_that_ends_with, tmp_path, monkeypatch):
    program = slicer_that_ends_with(0)
    program.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n")
    monkeypatch.setattr(run_in_slicer, "TIMEOUT_SECONDS", 1.0)
    with pytest.raises(SystemExit, match="did not end within"):
        run_in_slicer.main([str(program)])
    child = int((tmp_path / "child").read_text())
    # A killed process goes when it is next given the CPU, which on a busy machine is not at once.
    until = time.monotonic() + 30
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _runs(child)


def _runs(process: int) -> bool:
    """Whether the process is there, and no zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
