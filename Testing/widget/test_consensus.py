"""The consensus in the panel: two readers compared, differences decided one by one, and kept as a reading."""

import shutil

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD, LCX, RCA
from coronary_calcium.cohort.readings import (
    DONE,
    ReadingStatus,
    has_reading,
    read_reading,
    read_status,
    reading_folder,
    reading_of,
    write_reading,
)
from coronary_calcium.scoring import score_labels
from CoronaryCalciumScoringLib.synthetic_ct import synthetic_ct
from panel_pictures import NARROW, WIDE, WIDTH, draw, faults
from review_cases import IN_RCA, click
from slicer_scene import slicer
from worklist_cases import synthetic_worklist


def keep(folder, reader, case_id, moved):
    """Keep a reading of the synthetic CT, on which arteries are other ones or none (0)."""
    volume, truth = synthetic_ct()
    labels = truth.copy()
    for before, after in moved.items():
        labels[truth == before] = after
    score = score_labels(volume, labels)
    status = ReadingStatus(DONE)
    write_reading(reading_folder(folder, reader, case_id), reading_of(score, labels, score.risk_category, status))


def two_readers(folder):
    """Three cases; Anna has both plaques, Ben lacks that of the RCA and calls the other one LCX, in the first two."""
    synthetic_worklist(folder, 3)
    for case_id in ("case-1", "case-2"):
        keep(folder, "anna", case_id, {})
        keep(folder, "ben", case_id, {RCA.label: 0, LAD.label: LCX.label})
    return folder


class Agreeing:
    """The panel with a worklist open, in which anna and ben are compared."""

    def __init__(self, application, folder, reader="carol"):
        self.panel, self.folder = application, folder
        application.ui = application.widget.ui
        self.worklist, self.section = application.widget.worklist, application.widget.consensus
        self.form = self.section.form
        self.worklist.form.readerEdit.text = reader
        self.worklist.openFolder(str(folder))
        self.settle()

    def settle(self):
        self.panel.until(lambda: not self.worklist.run.running and not self.section.run.running)
        self.panel.volume = self.panel.ui.inputSelector.currentNode()

    def compare(self, case_id="case-1"):
        self.worklist.open(case_id)
        self.settle()
        self.form.compareButton.click()
        self.settle()

    def press(self, button):
        assert button.enabled, button.toolTip
        button.click()
        self.settle()

    def table(self):
        table = self.form.table
        return [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]

    def kept(self, case_id="case-1"):
        return read_reading(reading_folder(self.folder, "consensus", case_id))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return two_readers(tmp_path_factory.mktemp("consensus") / "cohort")


@pytest.fixture
def agreeing(application, cohort, tmp_path):
    shutil.rmtree(cohort / "readers" / "consensus", ignore_errors=True)
    shutil.rmtree(cohort / "readers" / "carol", ignore_errors=True)
    return Agreeing(application, cohort)


def test_the_readers_of_the_cohort_are_offered_and_the_reason_is_said_while_there_are_none(application, agreeing):
    combo = agreeing.form.firstComboBox
    assert [combo.itemText(place) for place in range(combo.count)] == ["anna", "ben", "AI"]
    assert agreeing.section.readers == ("anna", "ben")
    assert not agreeing.form.compareButton.enabled and "Open a case" in agreeing.form.compareButton.toolTip
    agreeing.form.secondComboBox.currentIndex = 0
    assert "two different readers" in agreeing.form.nextCaseButton.toolTip
    agreeing.worklist.form.hideReadersCheckBox.checked = True
    agreeing.settle()
    assert not agreeing.form.nextCaseButton.enabled and "hidden" in agreeing.form.nextCaseButton.toolTip


def test_differences_are_listed_and_decided_one_after_another(agreeing):
    agreeing.compare()
    (_, first_score, second_score, _, _), _other = agreeing.table()
    assert {row[0] for row in agreeing.table()} == {"RCA: only anna", "LAD or LCX"}
    assert [row[4] for row in agreeing.table()] == ["undecided"] * 2 and first_score != second_score
    assert "2 of 2 differences undecided" in agreeing.form.scoreLabel.text
    assert not agreeing.form.finishButton.enabled and "undecided" in agreeing.form.finishButton.toolTip
    agreeing.section.table.select(0)
    agreeing.press(agreeing.form.secondButton)
    assert [row[4] for row in agreeing.table()] == ["ben", "undecided"]
    assert agreeing.form.table.currentRow() == 1  # the next undecided one
    agreeing.section.shortcuts["Shift+A"].activated.emit()
    assert [row[4] for row in agreeing.table()] == ["ben", "anna"]
    agreeing.press(agreeing.form.finishButton)
    assert agreeing.kept().status.mark == DONE and "case-1 is done" in agreeing.form.answer.statusLabel.text
    agreeing.press(agreeing.form.nextCaseButton)
    assert agreeing.panel.volume.GetName() == "case-2" and [row[4] for row in agreeing.table()] == ["undecided"] * 2
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_an_edit_decides_too_and_is_kept_without_a_button(agreeing):
    agreeing.compare()
    place = [row[0] for row in agreeing.table()].index("RCA: only anna")
    agreeing.section.table.select(place)
    agreeing.panel.ui.reviewCollapsibleButton.collapsed = True
    agreeing.press(agreeing.form.editButton)
    assert not agreeing.panel.ui.reviewCollapsibleButton.collapsed
    agreeing.panel.widget.reviewPanel.choose(LCX)
    click(agreeing.panel, IN_RCA)
    assert agreeing.table()[place][4] == "edited"
    agreeing.panel.until(lambda: has_reading(reading_folder(agreeing.folder, "consensus", "case-1")))
    assert agreeing.kept().agatston["LCX"] > 0 and agreeing.kept().status.saw_readers == ("anna", "ben")
    agreeing.panel.widget.reviewPanel.undo()
    assert agreeing.table()[place][4] == "undecided"


def test_a_case_of_the_worklist_and_a_consensus_leave_each_other_kept_and_closed(agreeing):
    agreeing.compare()
    agreeing.section.table.select(0)
    agreeing.press(agreeing.form.secondButton)
    agreeing.worklist.open("case-3")
    agreeing.settle()
    assert agreeing.panel.volume.GetName() == "case-3" and agreeing.section.consensus is None
    assert agreeing.table() == [] and has_reading(reading_folder(agreeing.folder, "consensus", "case-1"))
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    agreeing.compare("case-1")
    assert [row[4] for row in agreeing.table()].count("ben") == 1
    # What the keys of the worklist say is said of no case: it is at none.
    agreeing.worklist.markNotGradable()
    assert not has_reading(reading_folder(agreeing.folder, "carol", "case-1"))


def test_what_cannot_be_compared_is_said(agreeing):
    agreeing.compare("case-3")
    assert "anna has not read case-3" in agreeing.form.answer.statusLabel.text
    assert agreeing.panel.volume.GetName() == "case-3"  # the worklist's case is not left for nothing
    agreeing.form.nameEdit.text = "ben"
    agreeing.compare("case-1")
    assert "give it a name of its own" in agreeing.form.answer.statusLabel.text
    assert read_status(reading_folder(agreeing.folder, "ben", "case-1"))[0].mark == DONE


def test_closing_the_scene_keeps_the_consensus(agreeing):
    agreeing.compare()
    click(agreeing.panel, IN_RCA, shift=True)
    slicer.mrmlScene.Clear(False)
    assert agreeing.section.consensus is None and agreeing.table() == []
    assert not agreeing.kept().agatston["RCA"]


def test_the_section_can_be_read_at_every_width(application, tmp_path):
    long = ("anna-of-the-first-hospital", "benjamin.from.the.second")
    folder = two_readers(tmp_path / "cohort")
    for before, after in zip(("anna", "ben"), long, strict=True):
        (folder / "readers" / before).rename(folder / "readers" / after)
    agreeing = Agreeing(application, folder)
    for section in (agreeing.panel.ui.worklistCollapsibleButton, agreeing.panel.ui.inputsCollapsibleButton):
        section.collapsed = True
    agreeing.panel.ui.consensusCollapsibleButton.collapsed = False
    for state in ("closed", "open"):
        for width in (NARROW, WIDTH, WIDE):
            draw(agreeing.panel, tmp_path / f"consensus-{state}-{width}.png", width)
            assert agreeing.panel.parent.width == width, f"{state}: the panel asks for {agreeing.panel.parent.width}"
            assert faults(agreeing.panel) == [], f"{state} at {width}"
        agreeing.compare()
        agreeing.section.table.select(0)
