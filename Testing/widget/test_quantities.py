"""The table of more quantities in the panel: on demand, following edits, and in the saved results."""

import json

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from panel_pictures import cut_off, draw
from review_cases import IN_LAD, click, press


def shown(panel):
    """The table's cells by the row's title and the column's."""
    table = panel.widget.quantities.table
    titles = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
    return {
        (table.item(row, 0).text(), title): table.item(row, column).text()
        for row in range(table.rowCount)
        for column, title in enumerate(titles)
    }


def test_before_a_run_the_box_is_disabled_and_says_why(panel):
    section = panel.widget.quantities
    assert not section.checkBox.enabled
    assert section.checkBox.toolTip == "Press Run or Start without AI first."
    assert section.table.isHidden()


def test_nothing_is_measured_until_it_is_asked_for(reviewing):
    section = reviewing.widget.quantities
    assert section.checkBox.enabled
    assert section.table.isHidden()
    assert not reviewing.widget.reviewPanel.review.options.all_quantities


def test_the_table_follows_every_edit(reviewing):
    section = reviewing.widget.quantities
    section.checkBox.click()
    assert not section.table.isHidden()
    before = shown(reviewing)
    assert before["Agatston", "LAD"] == "225.0"
    assert before["Agatston", "Total"] == "525.0"
    assert before["Mass (mg)", "LAD"] not in ("–", "0")
    reviewing.ui.lcxButton.click()
    click(reviewing, IN_LAD)
    after = shown(reviewing)
    assert (after["Agatston", "LAD"], after["Agatston", "LCX"]) == ("–", "225.0")
    assert after["Mass (mg)", "LCX"] == before["Mass (mg)", "LAD"]
    press(reviewing, "Ctrl+Z")
    assert shown(reviewing) == before
    section.checkBox.click()
    assert section.table.isHidden()


def test_lesions_without_a_usable_background_say_so(reviewing):
    """Pixels of 2.5 mm leave no ring around a plaque."""
    section = reviewing.widget.quantities
    section.checkBox.click()
    assert shown(reviewing)["Integrated mass (mg)", "Total"] == "–"
    assert "2 of 2 lesions have no usable background" in section.notes.text


def test_saved_results_hold_the_quantities_while_the_box_is_checked(reviewing):
    from coronary_calcium.reports.scores_json import scores

    review = reviewing.widget.reviewPanel.review
    assert scores(review.case_result())["all_quantities"] is None
    reviewing.widget.quantities.checkBox.click()
    saved = json.loads(json.dumps(scores(review.case_result())))["all_quantities"]
    assert f"{saved['total']['mass_mg']['value']:.1f}" == shown(reviewing)["Mass (mg)", "Total"]


@pytest.mark.parametrize("width", [320, 400, 600])
def test_a_narrow_panel_shows_the_total_and_a_wide_one_every_artery(reviewing, tmp_path, width):
    section = reviewing.widget.quantities
    section.checkBox.click()
    draw(reviewing, tmp_path / "quantities.png", width)
    table = section.table
    titles = [
        table.horizontalHeaderItem(column).text()
        for column in range(table.columnCount)
        if not table.isColumnHidden(column)
    ]
    assert titles == ["Quantity", "Total", *(["LM", "LAD", "LCX", "RCA"] if width == 600 else [])]


def test_no_text_is_cut_off_and_the_review_s_end_lets_go_of_it(reviewing, tmp_path):
    section = reviewing.widget.quantities
    section.checkBox.click()
    draw(reviewing, tmp_path / "quantities.png")
    assert not cut_off(section.notes)
    reviewing.widget.reviewPanel.close()
    section.update()
    assert section._review is None
    assert section.table.isHidden()
