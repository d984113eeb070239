"""What the reader takes away from the panel: table, results, training case; and the patient in Sample Data."""

import csv
import json
import sys
import types
from pathlib import Path

import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.datasets.case_format import load_case
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, synthetic_ct
from review_cases import IN_LAD, click


def test_copy_puts_the_table_on_the_clipboard(reviewing):
    reviewing.ui.copyButton.click()
    lines = reviewing.app.clipboard().text().splitlines()
    assert lines[0].startswith("Artery\tLesions\tAgatston")
    assert float(lines[-1].split("\t")[2]) == SYNTHETIC_AGATSTON
    assert reviewing.widget.rulesAndOutputs.form.outputsAnswer.statusLabel.text == "The table is on the clipboard."


def test_results_are_written_into_the_folder_that_is_chosen(reviewing, tmp_path):
    click(reviewing, IN_LAD, shift=True)
    reviewing.folder = str(tmp_path)
    reviewing.ui.resultsButton.click()
    reviewing.until(lambda: not reviewing.running())
    assert json.loads((tmp_path / "scores.json").read_text())["agatston"]["total"] == 300.0
    # The views of the layout: the stand-in's two.
    assert (tmp_path / "report.html").read_text().count("<figcaption>Axial, ") == 2
    table = list(csv.DictReader((tmp_path / "arteries.csv").open()))
    assert (table[1]["Artery"], float(table[1]["AI Agatston"]), float(table[1]["Difference"])) == ("LAD", 225.0, -225.0)
    assert reviewing.widget.rulesAndOutputs.form.outputsAnswer.statusLabel.text.startswith("Saved: ")


def test_files_are_replaced_only_when_the_user_agrees_and_the_folder_is_remembered(reviewing, tmp_path):
    reviewing.folder = str(tmp_path)
    reviewing.ui.resultsButton.click()
    reviewing.until(lambda: not reviewing.running())
    assert reviewing.confirmations == []
    (tmp_path / "report.html").write_text("mine")
    reviewing.confirmed = False
    reviewing.ui.resultsButton.click()
    reviewing.until(lambda: not reviewing.running())
    assert (tmp_path / "report.html").read_text() == "mine"
    assert len(reviewing.confirmations) == 1
    assert "report.html" in reviewing.confirmations[0]
    reviewing.confirmed = True
    reviewing.ui.resultsButton.click()
    reviewing.until(lambda: not reviewing.running())
    assert (tmp_path / "report.html").read_text() != "mine"
    assert reviewing.folder_starts == ["", str(tmp_path), str(tmp_path)]


def test_a_pdf_of_earlier_scores_that_goes_is_named(reviewing, tmp_path):
    (tmp_path / "scores.json").write_text("{}")
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    reviewing.folder = str(tmp_path)
    reviewing.confirmed = True
    reviewing.ui.resultsButton.click()
    reviewing.until(lambda: not reviewing.running())
    assert not (tmp_path / "report.pdf").exists()
    said = reviewing.widget.rulesAndOutputs.form.outputsAnswer.statusLabel.text
    assert said.endswith("report.html; removed from the folder, because of earlier scores: report.pdf")


def test_the_names_that_are_asked_for_are_those_that_are_written(application):
    from coronary_calcium.reports import case_files

    work = sys.modules["CoronaryCalciumScoringWidgets.rules_and_outputs_work"]
    written = {case_files.REPORT, case_files.LESIONS, case_files.SCORES, case_files.SEGMENTATION}
    assert set(work.RESULT_FILES) == written
    assert work.PDF_FILE == case_files.PDF


def test_a_training_case_is_written_into_the_folder_that_is_chosen(reviewing, tmp_path):
    reviewing.folder = str(tmp_path)
    reviewing.ui.trainingButton.click()
    reviewing.until(lambda: not reviewing.running())
    (path,) = tmp_path.glob("*.npz")
    assert load_case(path).facts["agatston"]["total"] == SYNTHETIC_AGATSTON


def test_nothing_is_written_when_no_folder_is_chosen(reviewing):
    before = reviewing.widget.rulesAndOutputs.form.outputsAnswer.statusLabel.text
    reviewing.ui.trainingButton.click()
    reviewing.until(lambda: not reviewing.running())
    assert reviewing.widget.rulesAndOutputs.form.outputsAnswer.statusLabel.text == before


def test_a_rejection_to_save_is_said_without_a_dialog(reviewing, tmp_path):
    (tmp_path / "file").write_text("x")
    reviewing.folder = str(tmp_path / "file")
    reviewing.ui.trainingButton.click()
    reviewing.until(lambda: not reviewing.running())
    assert reviewing.widget.rulesAndOutputs.form.outputsAnswer.statusLabel.text.startswith(
        "Not saved: The training case cannot be written"
    )
    assert reviewing.errors == []


def test_the_module_offers_a_simulated_patient_without_download(application, scene, monkeypatch):
    application.module.CoronaryCalciumScoring(types.SimpleNamespace())
    application.app.startupCompleted.emit()
    (source,) = application.sample_data
    assert not any(source["uris"])
    assert Path(source["thumbnailFileName"]).is_file()
    assert source["category"] == "Coronary Calcium Scoring"

    def simulate(seed, *, progress, **changes):
        progress(0.5, "Scanning")
        return types.SimpleNamespace(volume=synthetic_ct()[0])

    monkeypatch.setattr("coronary_calcium.simulation.patient.simulate_patient", simulate)
    (node,) = source["customDownloader"](None)
    assert node.GetName() == "Simulated chest CT"
    assert application.status_bar[-1] == ""  # nothing stays in the status bar
    application.widget.enter()
    assert application.widget.ui.inputSelector.currentNode() is node
    assert application.widget.ui.applyButton.enabled
