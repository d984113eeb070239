"""The panel at the widths that readers have: nothing lies over anything else, and no text is cut off.

To be looked at: pytest --basetemp=FOLDER keeps the pictures.
"""

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct
from panel_pictures import NARROW, WIDE, WIDTH, draw, faults, show
from qt_stand_in import ctkCollapsibleButton
from review_cases import IN_LAD, click
from slicer_cases import WaitingEngine
from worklist_cases import large_worklist, synthetic_worklist

WIDTHS = (NARROW, WIDTH, WIDE)


def sections(application):
    return application.parent.findChildren(ctkCollapsibleButton)


def unfold(application, opened):
    for section in sections(application):
        section.collapsed = not opened


def check(application, folder, state):
    """The panel has no fault at any width."""
    for width in WIDTHS:
        draw(application, folder / f"{state}-{width}.png", width)
        assert application.parent.width == width, f"{state}: the panel asks for {application.parent.width}"
        assert faults(application) == [], f"{state} at {width} pixels"


def score(application, scene):
    application.volume, _ = add_synthetic_ct(scene.mrml)
    application.ui = application.widget.ui
    application.widget.enter()
    from slicer_cases import synthetic_labels_engine

    application.widget.logic.engine = synthetic_labels_engine
    application.press_run()


def test_every_state_can_be_read_at_every_width(application, scene, tmp_path):
    check(application, tmp_path, "empty")
    add_synthetic_ct(scene.mrml)
    application.widget.enter()
    check(application, tmp_path, "ready")
    engine = application.widget.logic.engine = WaitingEngine()
    application.widget.ui.applyButton.click()
    application.until(engine.started.is_set)
    check(application, tmp_path, "running")
    engine.let_go.set()
    application.until(lambda: not application.running())
    check(application, tmp_path, "scored")
    application.volume = application.widget.ui.inputSelector.currentNode()
    application.widget.ui.nextButton.click()
    application.widget.ui.lcxButton.click()
    click(application, IN_LAD)
    check(application, tmp_path, "reviewing")
    application.volume.GetImageData().GetPointData().GetScalars().Fill(1)
    application.press_run()
    check(application, tmp_path, "rejected")


@pytest.mark.parametrize("opened", [True, False])
def test_every_section_open_or_closed_can_be_read_at_every_width(application, scene, tmp_path, opened):
    score(application, scene)
    form = application.widget.rulesAndOutputs.form
    form.mesaBox.checked = True
    application.widget.quantities.checkBox.click()
    form.compareButton.click()
    application.until(lambda: not application.running())
    form.thicknessSpinBox.value = 5.0
    form.selfTestButton.click()
    application.until(lambda: not application.running(), 60)
    unfold(application, opened)
    check(application, tmp_path, f"all-{'open' if opened else 'closed'}")


def test_any_one_section_open_can_be_read(application, scene, tmp_path):
    score(application, scene)
    for number, section in enumerate(sections(application)):
        unfold(application, False)
        section.collapsed = False
        if section.property("objectName") == "editorCollapsibleButton":
            application.ui.reviewCollapsibleButton.collapsed = False
        draw(application, tmp_path / f"section-{number}.png", NARROW)
        assert faults(application) == [], section.property("objectName")


def test_the_worklist_can_be_read_at_every_width(application, scene, tmp_path):
    worklist = application.widget.worklist
    form = worklist.form

    def settled():
        application.until(lambda: not worklist.run.running)

    def only_worklist(state):
        unfold(application, False)
        application.widget.ui.worklistCollapsibleButton.collapsed = False
        check(application, tmp_path, state)

    only_worklist("worklist-empty")
    form.readerEdit.text = "anna"
    worklist.openFolder(str(synthetic_worklist(tmp_path / "small" / "cohort", 3)))
    settled()
    only_worklist("worklist-three")
    worklist.openNextToRead()
    settled()
    worklist.mark("done")
    settled()
    only_worklist("worklist-marked")
    worklist.openFolder(str(large_worklist(tmp_path / "large" / "cohort", 2000)))
    settled()
    form.orderComboBox.currentIndex = 1
    only_worklist("worklist-2000")
    form.findEdit.text = ">400 kvp"
    application.until(lambda: form.table.rowCount < 1000)
    only_worklist("worklist-filtered")
    form.hideAICheckBox.checked = True
    settled()
    only_worklist("worklist-blinded")


def test_every_case_shows_its_id_status_and_score_at_every_width(application, scene, tmp_path):
    worklist = application.widget.worklist
    worklist.form.readerEdit.text = "anna"
    worklist.openFolder(str(large_worklist(tmp_path / "cohort", 20)))
    application.until(lambda: not worklist.run.running)
    unfold(application, False)
    application.widget.ui.worklistCollapsibleButton.collapsed = False
    worklist.form.orderComboBox.currentIndex = 1
    table, shown = worklist.form.table, {}
    for width in WIDTHS:
        show(application, width)
        shown[width] = [column for column in range(table.columnCount) if not table.isColumnHidden(column)]
        assert faults(application) == []
    assert shown[NARROW][:3] == shown[WIDTH][:3] == shown[WIDE][:3] == [0, 1, 2]
    assert shown[WIDTH][-1] == shown[WIDE][-1] == table.columnCount - 1  # and why it is here


def test_large_numbers_are_shown_in_full_in_fewer_columns(application, scene):
    score(application, scene)
    table = application.ui.scoreTable
    shown = {}
    for width in WIDTHS:
        show(application, width)
        shown[width] = [column for column in range(table.columnCount) if not table.isColumnHidden(column)]
    assert shown[NARROW] == [0, 2, 6]
    assert shown[WIDE] == [0, 1, 2, 3, 4, 5]
    table.item(5, 2).setText("12345.6")
    table.item(5, 6).setText("12345.6 (-10000.0)")
    application.widget.reviewPanel._scoreColumns.fit()
    show(application, NARROW)
    assert faults(application) == []


def test_a_tool_of_the_editor_that_is_wide_does_not_widen_the_panel(application, scene):
    score(application, scene)
    unfold(application, True)
    show(application, NARROW)
    application.ui.segmentEditorWidget.setMinimumSize(540, 300)
    show(application, NARROW)
    assert application.parent.width == NARROW
    assert application.parent.layout().totalMinimumSize().width() <= NARROW
    assert application.ui.editorScrollArea.height >= 300
    assert faults(application) == []


def test_a_longer_text_makes_room_for_itself(application, scene):
    score(application, scene)
    show(application, NARROW)
    before = application.parent.height
    application.ui.statusLabel.text = "A long sentence about why this cannot be scored, and what to do about it. " * 8
    show(application, NARROW)
    assert application.parent.height > before + 100
    assert faults(application) == []
    application.ui.statusLabel.text = "Short."
    show(application, NARROW)
    assert application.parent.height < before + 40
