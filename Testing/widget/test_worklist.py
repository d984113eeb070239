"""The worklist in the panel: cases opened, kept and marked one after another, for readers who may be blinded."""

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from command_cases import write_image
from coronary_calcium.arteries import LCX, LM
from coronary_calcium.cohort.readings import DONE, NOT_GRADABLE, SECOND_LOOK, read_reading, read_status, reading_folder
from coronary_calcium.cohort.worklist import IN_PROGRESS, UNREAD
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, synthetic_ct
from review_cases import IN_RCA, agatston, click
from slicer_scene import slicer
from worklist_cases import large_worklist, synthetic_worklist
from worklist_panel import CASES, Reading


@pytest.fixture
def reading(application, tmp_path):
    return Reading(application, synthetic_worklist(tmp_path / "cohort", 3))


def test_a_name_is_needed_and_the_folder_is_asked_for_with_the_last_one(application, tmp_path):
    section = application.widget.worklist
    section.form.openButton.click()
    assert "Type your name" in section.form.answer.statusLabel.text and application.folder_starts == []
    section.form.readerEdit.text = "anna"
    application.folder = str(synthetic_worklist(tmp_path / "cohort", 3))
    section.form.openButton.click()
    application.until(lambda: not section.run.running)
    assert section.form.table.rowCount == 3
    section.form.openButton.click()
    assert application.folder_starts == ["", application.folder]


def test_a_case_opens_with_its_lesions_and_the_next_one_is_read_ahead(reading):
    reading.press("Shift+U")
    assert reading.panel.volume.GetName() == "case-1"
    assert agatston(reading.panel, "Total") == SYNTHETIC_AGATSTON
    ahead = reading.section.reading._ahead
    reading.panel.until(lambda: not ahead.reading)
    assert ahead._id == "case-2"
    start = time.perf_counter()
    reading.section.openNextToRead()
    assert not reading.section.run.running  # it was there
    assert time.perf_counter() - start < 3.0
    reading.settle()
    assert reading.panel.volume.GetName() == "case-2"
    assert reading.statuses() == [UNREAD] * 3


def test_an_edit_is_kept_soon_and_leaving_asks_nothing(reading):
    reading.open("case-1")
    click(reading.panel, IN_RCA, shift=True)
    reading.panel.until(lambda: reading.statuses()[0] == IN_PROGRESS)
    assert reading.status("case-1").clicks == 1
    reading.panel.widget.reviewPanel.choose(LCX)
    click(reading.panel, IN_RCA)
    reading.press("Shift+N")  # before it was kept
    assert read_reading(reading_folder(reading.folder, "anna", "case-1")).agatston["LCX"] == 300.0
    assert reading.panel.confirmations == [] and reading.panel.volume.GetName() == "case-2"
    reading.press("Shift+P")
    assert agatston(reading.panel, "LCX") == 300.0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_strokes_without_a_pause_are_kept_all_the_same(reading):
    reading.open("case-1")
    arteries = itertools.cycle((LCX, LM))
    # A computer at full load gives the panel a turn now and then.
    end = time.monotonic() + 5.0
    while time.monotonic() < end and reading.statuses()[0] == UNREAD:
        reading.panel.widget.reviewPanel.choose(next(arteries))
        click(reading.panel, IN_RCA)
        reading.panel.process_events()
        time.sleep(0.02)
    assert reading.statuses()[0] == IN_PROGRESS


def test_marks_lead_to_the_next_unread_case(reading):
    reading.open("case-1")
    reading.press("Shift+D")
    assert reading.panel.volume.GetName() == "case-2"
    reading.press("Shift+L")
    assert reading.panel.volume.GetName() == "case-3"
    reading.press("Shift+G")
    assert "why" in reading.says() and reading.statuses()[2] == UNREAD
    reading.form.reasonComboBox.setEditText("Motion")
    reading.form.notGradableButton.click()
    reading.settle()
    assert reading.statuses() == [DONE, SECOND_LOOK, NOT_GRADABLE]
    assert reading.status("case-3").reason == "Motion" and reading.form.reasonComboBox.currentText == ""
    assert "no other unread" in reading.says()
    assert reading.status("case-1").seconds >= 0 and reading.status("case-1").saw_ai


def test_filter_order_and_words_choose_the_rows_and_next_follows_them(reading):
    reading.open("case-2")
    reading.press("Shift+D")
    reading.choose(reading.form.filterComboBox, "To read")
    assert reading.shown() == ["case-1", "case-3"]
    reading.form.findEdit.text = "case-1"
    reading.panel.until(lambda: "case-1" in reading.shown())
    reading.form.findEdit.text = ""
    reading.choose(reading.form.filterComboBox, "All")
    reading.form.table.horizontalHeader().sectionClicked.emit(1)  # by status
    assert reading.shown() == ["case-1", "case-3", "case-2"]
    reading.open("case-1")
    reading.press("Shift+N")
    assert reading.panel.volume.GetName() == "case-3"
    reading.choose(reading.form.orderComboBox, "Most uncertain first")
    assert reading.shown() == list(CASES)
    assert reading.shown(7)[0] == "1 uncertain lesion, 40 % of the score"


def test_a_blinded_reader_sees_no_ai_and_cannot_run_it_on_the_case(reading):
    reading.open("case-1")
    reading.press("Shift+D")
    reading.form.readerEdit.text = "ben"
    reading.form.hideAICheckBox.checked = True
    reading.settle()
    assert reading.statuses() == [UNREAD] * 3
    assert reading.shown(2) == ["–"] * 3 and reading.form.orderComboBox.count == 2
    reading.open("case-1")
    assert agatston(reading.panel, "Total") == 0.0
    assert not reading.panel.ui.applyButton.enabled and "without the AI" in reading.panel.ui.applyButton.toolTip
    reading.press("Shift+D")
    status = reading.status("case-1", "ben")
    assert (status.saw_ai, status.saw_readers) == (False, ("anna",))
    assert reading.panel.settings["CoronaryCalciumScoring/Reader"] == "ben"


def test_another_reader_has_their_own_state_of_a_case(reading):
    reading.open("case-1")
    click(reading.panel, IN_RCA, shift=True)
    reading.form.readerEdit.text = "ben"
    reading.form.readerEdit.editingFinished.emit()
    reading.settle()
    reading.open("case-1")
    assert agatston(reading.panel, "Total") == SYNTHETIC_AGATSTON
    assert reading.status("case-1", "anna").clicks == 1


def test_a_case_that_cannot_be_opened_says_why_and_can_be_called_not_gradable(reading):
    (reading.folder.parent / "ct.nrrd").unlink()
    reading.open("case-1")
    assert "cannot be opened" in reading.says() and not reading.form.doneButton.enabled
    reading.form.reasonComboBox.setEditText("not on this disk")
    reading.press("Shift+G")
    assert reading.statuses()[0] == NOT_GRADABLE and reading.section.reading.id == "case-2"


def test_what_cannot_be_kept_stays_open(reading):
    reading.open("case-1")
    (reading.folder / "readers").write_text("in the way")
    click(reading.panel, IN_RCA, shift=True)
    reading.press("Shift+N")
    assert "Not kept" in reading.says() and reading.panel.volume.GetName() == "case-1"
    (reading.folder / "readers").unlink()
    reading.press("Shift+N")
    assert reading.panel.volume.GetName() == "case-2" and reading.statuses()[0] == IN_PROGRESS


def test_closing_the_scene_and_leaving_the_module_keep_what_was_done(reading):
    reading.open("case-1")
    click(reading.panel, IN_RCA, shift=True)
    slicer.mrmlScene.Clear(False)
    assert reading.status("case-1").clicks == 1
    reading.panel.widget.enter()
    reading.open("case-2")
    click(reading.panel, IN_RCA, shift=True)
    reading.panel.widget.exit()
    assert reading.status("case-2").clicks == 1
    assert not any(shortcut.enabled for shortcut in reading.section.shortcuts.values())


def test_no_other_case_is_opened_while_a_run_is_on(reading):
    from slicer_cases import WaitingEngine

    reading.open("case-1")
    engine = reading.panel.widget.logic.engine = WaitingEngine()
    reading.panel.ui.applyButton.click()
    reading.panel.until(engine.started.is_set)
    reading.press("Shift+N")
    assert "Wait for the work" in reading.says() and reading.panel.volume.GetName() == "case-1"
    reading.panel.ui.applyButton.click()
    reading.panel.until(lambda: not reading.panel.running())


def test_the_name_stays_while_what_was_done_cannot_be_kept_under_it(reading):
    reading.open("case-1")
    (reading.folder / "readers").write_text("in the way")
    click(reading.panel, IN_RCA, shift=True)
    reading.form.readerEdit.text = "ben"
    reading.form.readerEdit.editingFinished.emit()
    assert "Not kept" in reading.says() and reading.form.readerEdit.text == "anna"
    reading.form.hideAICheckBox.checked = True
    assert not reading.form.hideAICheckBox.checked and reading.section.reading.case is not None
    (reading.folder / "readers").unlink()


def test_a_name_that_is_typed_counts_before_its_field_is_left(reading):
    reading.open("case-1")
    click(reading.panel, IN_RCA, shift=True)
    reading.form.readerEdit.text = "ben"
    reading.press("Shift+D")  # marks nothing: anna's list is left, ben's is read
    assert reading.status("case-1").mark == "open" and reading.section.reading.worklist.reader == "ben"
    reading.open("case-1")
    reading.press("Shift+D")
    assert reading.status("case-1", "ben").mark == DONE


def test_what_the_network_finds_in_a_case_without_ai_is_kept(application, tmp_path):
    from slicer_cases import synthetic_labels_engine

    volume, _labels = synthetic_ct()
    write_image(tmp_path / "one.nrrd", volume.hu, volume.spacing, volume.origin)
    reading = Reading(application, tmp_path)
    reading.press("Shift+U")
    application.widget.logic.engine = synthetic_labels_engine
    application.press_run()
    kept = reading_folder(tmp_path / "calcium-readings", "anna", "case-000001")
    application.until((kept / "reading.json").exists)
    assert read_reading(kept).agatston["total"] == SYNTHETIC_AGATSTON
    assert read_status(kept)[0].saw_ai and application.asked == []


def test_a_folder_of_cts_is_read_without_ai(application, tmp_path):
    volume, _labels = synthetic_ct()
    write_image(tmp_path / "one.nrrd", volume.hu, volume.spacing, volume.origin)
    reading = Reading(application, tmp_path)
    reading.press("Shift+U")
    assert agatston(reading.panel, "Total") == 0.0
    reading.panel.widget.reviewPanel.choose(LCX)
    click(reading.panel, IN_RCA)
    reading.press("Shift+D")
    kept = read_status(reading_folder(tmp_path / "calcium-readings", "anna", "case-000001"))[0]
    assert (kept.mark, kept.clicks, kept.saw_ai) == (DONE, 1, False)


def test_two_thousand_cases_have_cells_only_where_they_are_seen(application, tmp_path):
    reading = Reading(application, large_worklist(tmp_path / "cohort", 2000))
    application.parent.show()
    table = reading.form.table
    assert table.rowCount == 2000 and "2,000 unread" in reading.form.countLabel.text
    table.verticalScrollBar().setValue(1000)
    assert table.item(1003, 0).text() == "c01003"
    assert sum(table.item(row, 0) is not None for row in range(2000)) < 50
    start = time.perf_counter()
    reading.choose(reading.form.orderComboBox, "Most uncertain first")
    reading.form.findEdit.text = ">400"
    reading.section._list()
    assert time.perf_counter() - start < 2.0
    assert 0 < table.rowCount < 1000


CRASH = """
import os, signal, sys
from pathlib import Path
import pytest
sys.path[:0] = {paths!r}
from slicer_scene import Scene
from slicer_application import open_panel
from review_cases import IN_LAD, IN_RCA, click
with pytest.MonkeyPatch.context() as patch:
    scene = Scene()
    with open_panel(patch) as panel:
        section = panel.widget.worklist
        section.form.readerEdit.text = "anna"
        for what in (lambda: section.openFolder({folder!r}), section.openNextToRead):
            what()
            panel.until(lambda: not section.run.running)
        panel.volume = panel.widget.ui.inputSelector.currentNode()
        click(panel, IN_RCA, shift=True)
        panel.until(Path({kept!r}, "reading.json").exists)
        click(panel, IN_LAD, shift=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_application_loses_no_more_than_the_last_click(tmp_path):
    folder = synthetic_worklist(tmp_path / "cohort", 1)
    kept = reading_folder(folder, "anna", "case-1")
    helpers = str(Path(__file__).resolve().parents[1] / "helpers")
    program = CRASH.format(paths=[helpers], folder=str(folder), kept=str(kept))
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
    reading = read_reading(kept)
    assert (reading.agatston["total"], reading.status.clicks) == (225.0, 1)
