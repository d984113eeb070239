"""Run in the panel starts the network in a process of its own, and Cancel ends that at once."""

import os
import sys
import time

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import tiny_worker


@pytest.mark.skipif(sys.platform == "win32", reason="asks for the process by POSIX's means")
def test_cancel_ends_the_networks_process_at_once_and_the_panel_can_run_again(panel, monkeypatch):
    from CoronaryCalciumScoringLib import logic, process_run

    command = [sys.executable, "-P", tiny_worker.__file__, "grandchild"]
    monkeypatch.setattr(process_run, "worker_command", lambda: command)
    panel.widget.logic.engine = logic.engine_score_case
    panel.ui.applyButton.click()
    assert panel.ui.applyButton.text == "Cancel"
    panel.until(lambda: panel.ui.progressBar.value == 50, 30)
    pid = panel.widget.run._run.pid
    started = time.monotonic()
    panel.ui.applyButton.click()
    panel.until(lambda: not panel.widget.run.running)
    assert time.monotonic() - started < 2
    assert "Cancelled" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.text == "Run"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
