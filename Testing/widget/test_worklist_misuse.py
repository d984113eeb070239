"""The worklist in hands that are fast or wrong: nothing that was done is lost, and what is hidden stays hidden."""

import json
import shutil
import sys
from dataclasses import replace

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import coronary_calcium.cohort.readings as readings_on_disk
from coronary_calcium.cohort import worklist_folder
from coronary_calcium.cohort.readings import AI, DONE, NOT_GRADABLE, read_reading, reading_folder, write_reading
from coronary_calcium.cohort.worklist import IN_PROGRESS, UNREAD
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, synthetic_ct
from CoronaryCalciumScoringLib.volume_node import add_volume_node
from review_cases import IN_LAD, IN_RCA, agatston, click
from slicer_scene import slicer
from worklist_cases import synthetic_worklist
from worklist_panel import Reading


@pytest.fixture
def reading(application, tmp_path):
    return Reading(application, synthetic_worklist(tmp_path / "cohort", 3))


def names(kind):
    return sorted(node.GetName() for node in slicer.util.getNodesByClass(kind, slicer.mrmlScene))


def another_reader(reading, name):
    reading.form.readerEdit.text = name
    reading.form.readerEdit.editingFinished.emit()
    reading.settle()


def test_an_edit_is_kept_when_another_ct_is_chosen_at_once(reading):
    reading.open("case-1")
    other = add_volume_node(slicer.mrmlScene, synthetic_ct()[0], "other")
    click(reading.panel, IN_RCA, shift=True)
    reading.panel.ui.inputSelector.setCurrentNode(other)
    assert reading.statuses()[0] == IN_PROGRESS and reading.status("case-1").clicks == 1


def test_a_ct_that_is_taken_away_by_hand_takes_its_case_with_it_and_no_edit(reading):
    reading.open("case-1")
    click(reading.panel, IN_RCA, shift=True)
    slicer.mrmlScene.RemoveNode(reading.panel.volume)
    assert reading.statuses()[0] == IN_PROGRESS
    reading.press("Shift+N")
    assert names("vtkMRMLSegmentationNode") == ["case-2 AI prediction", "case-2 anna"]
    assert names("vtkMRMLTableNode") == ["case-2 calcium scores"]


def test_a_segmentation_that_is_taken_away_by_hand_takes_no_edit_with_it(reading):
    reading.open("case-1")
    click(reading.panel, IN_RCA, shift=True)
    slicer.mrmlScene.RemoveNode(reading.section.reading.case.segmentationNode)
    reading.open("case-1")
    assert agatston(reading.panel, "Total") == 225.0


def test_nothing_is_written_where_the_folder_was(reading):
    reading.open("case-1")
    away = reading.folder.rename(reading.folder.with_name("away"))
    click(reading.panel, IN_RCA, shift=True)
    reading.press("Shift+N")
    assert "not there any more" in reading.says() and reading.section.reading.id == "case-1"
    assert not reading.folder.exists()
    away.rename(reading.folder)
    reading.press("Shift+N")
    assert reading.statuses()[0] == IN_PROGRESS and reading.section.reading.id == "case-2"


def test_a_case_without_edits_can_be_left_when_its_folder_is_gone(reading, tmp_path):
    reading.open("case-1")
    shutil.rmtree(reading.folder)
    reading.section.openFolder(str(synthetic_worklist(tmp_path / "other" / "cohort", 2)))
    reading.settle()
    assert len(reading.section.reading.worklist.rows) == 2 and reading.section.reading.case is None


@pytest.mark.parametrize("name", ["a/b", "..", "anna b", "Jürgen", "x" * 65, "AI", "ai", ".anna", "a\\b"])
def test_a_name_that_cannot_be_one_leaves_the_case_open_under_the_one_before(reading, name):
    reading.open("case-1")
    another_reader(reading, name)
    assert "name" in reading.says() and reading.form.readerEdit.text == "anna"
    assert reading.section.reading.case is not None


def test_a_name_that_differs_by_a_capital_letter_is_another_on_no_disk(reading):
    reading.open("case-1")
    reading.press("Shift+D")
    another_reader(reading, "Anna")
    assert "a reader anna" in reading.says() and reading.section.reading.worklist is None
    another_reader(reading, "anna")  # the folder is opened again by itself
    assert reading.statuses()[0] == DONE


def test_a_reading_of_the_same_name_from_another_program_is_set_aside(reading):
    reading.open("case-1")
    kept = reading_folder(reading.folder, "anna", "case-1")
    theirs = read_reading(reading_folder(reading.folder, AI, "case-1"))
    write_reading(kept, theirs)
    click(reading.panel, IN_RCA, shift=True)
    reading.panel.until(lambda: reading.statuses()[0] == IN_PROGRESS)
    assert read_reading(kept).agatston["total"] == 225.0
    assert "Another Slicer" in reading.says()
    (aside,) = kept.parent.glob(".case-1-*")
    assert read_reading(aside).agatston["total"] == SYNTHETIC_AGATSTON
    click(reading.panel, IN_LAD, shift=True)
    reading.press("Shift+N")
    assert len(list(kept.parent.glob(".case-1-*"))) == 1


def test_a_case_that_was_read_ahead_is_opened_as_it_is_now(reading):
    reading.open("case-1")
    ahead = reading.section.reading._ahead
    reading.panel.until(lambda: not ahead.reading)
    theirs = read_reading(reading_folder(reading.folder, AI, "case-2"))
    write_reading(reading_folder(reading.folder, "anna", "case-2"), replace(theirs, labels=theirs.labels * 0 + 3))
    reading.press("Shift+N")
    assert agatston(reading.panel, "LCX") == SYNTHETIC_AGATSTON


def test_a_mark_that_cannot_be_kept_is_none(reading, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    reading.open("case-1")
    with monkeypatch.context() as patch:
        patch.setattr(readings_on_disk, "write_whole", full)
        reading.press("Shift+D")
        assert "No space left" in reading.says() and reading.section.reading.id == "case-1"
        reading.form.reasonComboBox.setEditText("Motion")
        reading.press("Shift+G")
        assert reading.form.reasonComboBox.currentText == "Motion"  # to try again
    click(reading.panel, IN_RCA, shift=True)
    reading.panel.until(lambda: reading.statuses()[0] != UNREAD)
    assert reading.statuses()[0] == IN_PROGRESS


def test_a_damaged_reading_says_what_to_do_and_that_helps(reading):
    reading.open("case-1")
    reading.press("Shift+D")
    kept = reading_folder(reading.folder, "anna", "case-1")
    (kept / "reading.json").write_text("{")
    reading.open("case-1")
    assert f"move the folder {kept} away" in reading.says()
    shutil.move(kept, reading.folder / "damaged")
    reading.open("case-1")
    assert agatston(reading.panel, "Total") == SYNTHETIC_AGATSTON


def test_a_case_whose_ct_went_away_keeps_what_its_reader_has_seen(reading):
    reading.open("case-1")
    reading.press("Shift+D")
    (reading.folder.parent / "ct.nrrd").unlink()
    reading.open("case-1")
    reading.form.reasonComboBox.setEditText("not on this disk")
    reading.press("Shift+G")
    status = reading.status("case-1")
    assert (status.mark, status.saw_ai) == (NOT_GRADABLE, True) and status.seconds is not None


def test_no_case_is_opened_while_a_consensus_is(reading):
    reading.open("case-1")
    reading.press("Shift+D")
    reading.open("case-1")
    other = add_volume_node(slicer.mrmlScene, synthetic_ct()[0], "other")
    consensus = reading.panel.widget.consensus
    assert consensus.readers == ("anna", AI)  # who has read a case since the folder was opened
    consensus.form.compareButton.click()
    reading.section.step(1)
    assert "Wait for the work" in reading.says() and not reading.section.run.running
    reading.panel.ui.inputSelector.setCurrentNode(other)
    reading.panel.ui.startButton.click()
    assert not reading.panel.widget.run.running and "Wait until" in reading.panel.ui.statusLabel.text
    reading.panel.until(lambda: not consensus.run.running)
    assert consensus.reading.case is not None and reading.section.reading.case is None
    assert names("vtkMRMLScalarVolumeNode") == ["case-1", "other"]


def test_what_is_chosen_while_the_list_is_read_holds_for_it(reading):
    reading.section.openFolder(str(reading.folder))
    reading.form.hideAICheckBox.checked = True
    reading.form.readerEdit.text = "ben"
    reading.settle()
    assert reading.section.reading.worklist.reader == "ben"
    assert reading.shown(2) == ["–"] * 3 and reading.form.orderComboBox.count == 2


def test_a_double_click_on_done_marks_one_case(reading):
    reading.open("case-1")
    ahead = reading.section.reading._ahead
    reading.panel.until(lambda: not ahead.reading)
    for _ in range(2):
        reading.form.doneButton.click()
    reading.settle()
    assert reading.statuses() == [DONE, UNREAD, UNREAD] and reading.section.reading.id == "case-2"


def test_a_key_that_is_held_down_is_heard_once(reading):
    kept = [*reading.section.shortcuts.values(), *reading.panel.widget.consensus.shortcuts.values()]
    assert not any(shortcut.autoRepeat for shortcut in kept)
    assert reading.panel.widget.reviewPanel.shortcuts["N"].autoRepeat


def test_a_cohort_that_cannot_be_written_is_not_read(reading, monkeypatch):
    monkeypatch.setattr(worklist_folder.os, "access", lambda _path, _mode: False)
    reading.open_folder()
    assert "copy it to where you may write" in reading.says() and reading.section.reading.worklist is None


AI_SAYS = "2 lesions are uncertain."


def test_a_consensus_without_the_ai_says_nothing_of_it_and_cannot_run_it(reading):
    for scores in reading.folder.glob("cases/*/scores.json"):
        content = json.loads(scores.read_text())
        content["warnings"].append({"code": "uncertain-lesions", "message": AI_SAYS})
        scores.write_text(json.dumps(content))
    reading.form.hideAICheckBox.checked = True
    reading.settle()
    for name in ("anna", "ben"):
        another_reader(reading, name)
        reading.open("case-1")
        reading.press("Shift+D")
    reading.open("case-1")
    consensus, panel = reading.panel.widget.consensus, reading.panel
    assert consensus.readers == ("anna", "ben")
    consensus.form.compareButton.click()
    panel.until(lambda: not consensus.run.running)
    assert consensus.reading.case is not None
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode", slicer.mrmlScene)
    texts = [table.GetAttribute(name) or "" for table in tables for name in table.GetAttributeNames()]
    assert texts and not any(AI_SAYS in text for text in texts)
    assert not panel.ui.applyButton.enabled and "without the AI" in panel.ui.applyButton.toolTip


def test_hiding_the_ai_ends_a_consensus_with_it(reading):
    reading.open("case-1")
    reading.press("Shift+D")
    reading.open("case-1")
    consensus = reading.panel.widget.consensus
    consensus.form.compareButton.click()
    reading.panel.until(lambda: not consensus.run.running)
    assert "AI's outlines" in names("vtkMRMLSegmentationNode")
    reading.form.hideAICheckBox.checked = True
    reading.settle()
    assert names("vtkMRMLSegmentationNode") == [] and consensus.reading.case is None


def test_a_python_without_sqlite_says_so(reading, monkeypatch):
    monkeypatch.setitem(sys.modules, "_sqlite3", None)
    reading.open_folder()
    assert "has no sqlite3" in reading.says()
