"""The panel drawn in its states, to be looked at: pytest --basetemp=FOLDER keeps the pictures."""

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct
from panel_pictures import WIDTH, cut_off, draw
from slicer_cases import WaitingEngine, synthetic_labels_engine


def test_no_text_is_cut_off_in_any_state(application, scene, tmp_path):
    ui = application.widget.ui
    pictures = {"empty": draw(application, tmp_path / "empty.png")}

    add_synthetic_ct(scene.mrml)
    application.widget.enter()
    pictures["ready"] = draw(application, tmp_path / "ready.png")

    engine = application.widget.logic.engine = WaitingEngine()
    ui.applyButton.click()
    application.until(lambda: ui.progressBar.value == 42)
    pictures["running"] = draw(application, tmp_path / "running.png")
    engine.let_go.set()
    application.until(lambda: ui.applyButton.text == "Run")
    pictures["scored"] = draw(application, tmp_path / "scored.png")
    assert not any(cut_off(label) for label in (ui.totalLabel, ui.warningsLabel, ui.statusLabel, ui.intendedUseLabel))

    ui.nextButton.click()
    ui.lcxButton.click()
    (place,) = [row.ras for row in application.widget.reviewPanel.review.lesion_rows() if row.artery == "LAD"]
    application.app.layoutManager().sliceWidget("Red").click(place)
    pictures["reviewing"] = draw(application, tmp_path / "reviewing.png")
    assert not cut_off(ui.editLabel)

    application.widget.logic.engine = synthetic_labels_engine
    ui.inputSelector.currentNode().GetImageData().GetPointData().GetScalars().Fill(1)
    ui.applyButton.click()
    application.until(lambda: ui.applyButton.text == "Run")
    pictures["error"] = draw(application, tmp_path / "error.png")
    assert not cut_off(ui.statusLabel)

    for name, picture in pictures.items():
        assert picture.width() == WIDTH, name
    drawn = list(pictures.values())
    assert all(first != second for index, first in enumerate(drawn) for second in drawn[:index])
