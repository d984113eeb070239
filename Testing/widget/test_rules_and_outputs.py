"""The section for rules and outputs: other rules, tube voltage, mass, the MESA risk, the self-test and the files."""

import shutil
import sys
import types
from pathlib import Path

import pydicom
import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.io import open_ct, open_mask
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.risk import RISK_SCHEMES
from coronary_calcium.scoring.rules import RULE_SETS
from CoronaryCalciumScoringLib.rules_and_outputs import OPTIONS_ATTRIBUTE
from CoronaryCalciumScoringLib.score_table import score_rows
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, synthetic_ct
from dicom_factory import write_series
from dicom_tools import PATIENT, run_tool
from panel_pictures import cut_off, draw
from qt_stand_in import QtCore, QtGui, QtWidgets
from slicer_cases import ras_of
from slicer_scene import slicer

IN_LAD, IN_TISSUE, IN_LUNG = (20, 48, 69), (20, 60, 64), (20, 64, 36)


@pytest.fixture
def form(panel):
    """The section's controls after a run; the database does not know the CT."""
    panel.press_run()
    return panel.widget.rulesAndOutputs.form


@pytest.fixture
def known(panel, monkeypatch, tmp_path):
    """The same with the CT's images in the DICOM database, scanned at 100 kVp."""
    volume, _ = synthetic_ct()
    paths = write_series(tmp_path / "ct", volume.hu, spacing=volume.spacing, origin=volume.origin, KVP=100, **PATIENT)
    files = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): str(path) for path in paths}
    monkeypatch.setattr(slicer, "dicomDatabase", types.SimpleNamespace(fileForInstance=files.get), raising=False)
    # In another order than that of the slices, as a database may have them.
    panel.volume.SetAttribute("DICOM.instanceUIDs", " ".join(sorted(files)))
    panel.press_run()
    panel.folder = str(tmp_path / "out")
    (tmp_path / "out").mkdir()
    panel.imported = []

    def take(folder, dicomDatabase=None, copyFiles=False):
        assert copyFiles  # the folder is gone afterwards
        panel.imported += [pydicom.dcmread(path) for path in Path(folder).iterdir()]
        return True

    utils = types.SimpleNamespace(importDicom=take)
    monkeypatch.setitem(sys.modules, "DICOMLib", types.SimpleNamespace(DICOMUtils=utils))
    return panel.widget.rulesAndOutputs.form


def total(panel):
    return score_rows(panel.widget.logic.getParameterNode().scoreTable)[-1]


def choose(combo, text):
    combo.setCurrentIndex(combo.findText(text))


def choose_rules(form, name):
    choose(form.rulesComboBox, RULE_SETS[name].title)


def done(panel):
    """Wait for what the section runs."""
    panel.until(lambda: not panel.widget.rulesAndOutputs.running, 60)


def column(table, number):
    return [table.item(row, number).text() for row in range(table.rowCount)]


def test_before_a_run_everything_but_the_self_test_is_disabled_and_says_why(panel):
    form = panel.widget.rulesAndOutputs.form
    for control in (form.reportButton, form.segButton, form.srButton, form.identityCheckBox):
        assert not control.enabled
        assert control.toolTip == "Press Run or Start without AI first."
    assert not form.rulesBox.enabled
    assert form.selfTestButton.enabled


def test_every_control_has_a_tooltip(form):
    kinds = (QtWidgets.QPushButton, QtWidgets.QCheckBox, QtWidgets.QComboBox, QtWidgets.QDoubleSpinBox)
    controls = [control for control in vars(form).values() if isinstance(control, kinds)]
    assert len(controls) > 12
    assert all(control.toolTip for control in [*controls, *form.mesaNumbers.values(), *form.mesaFlags.values()])


def test_the_live_scores_follow_the_rule_set_and_name_it(panel, form):
    reader = panel.widget.reviewPanel.review
    for name in ("canon", "siemens"):
        choose_rules(form, name)
        assert reader.score.rules is RULE_SETS[name]
        assert reader.score == score_labels(reader.ct.volume, reader.labels(), RULE_SETS[name])
        assert f"Rules: {RULE_SETS[name].title}" in panel.ui.totalLabel.text
        assert f"Rules: {RULE_SETS[name].title}, from 130 HU" in form.standingLabel.text
    panel.app.layoutManager().sliceWidget("Red").click(ras_of(panel.volume, IN_LAD), shift=True)
    assert total(panel).agatston == reader.score.total.agatston < SYNTHETIC_AGATSTON
    assert reader.score.rules.name == "siemens"
    assert reader.statistics.other == 0
    choose_rules(form, "literature")
    assert "Rules" not in panel.ui.totalLabel.text


def test_the_risk_scheme_names_the_category(panel, form):
    assert total(panel).risk_category == ">400"
    choose(form.schemeComboBox, RISK_SCHEMES["four-300"].title)
    assert total(panel).risk_category == ">300"
    assert "Risk category >300 (of 0, 1-100, 101-300, >300), CAC-DRS A3/N2" in form.standingLabel.text


def test_choices_are_kept_with_the_scene(panel, form, scene, tmp_path):
    choose_rules(form, "siemens")
    choose(form.schemeComboBox, RISK_SCHEMES["four-400"].title)
    form.factorSpinBox.value = 0.78
    path = scene.save_bundle(tmp_path / "case.mrb")
    scene.load_bundle(path)
    panel.process_events()
    review = panel.widget.reviewPanel.review
    assert (review.rules_name, review.options.risk_scheme.name, review.options.mass_factor) == (
        "siemens",
        "four-400",
        0.78,
    )
    assert form.rulesComboBox.currentText == "Siemens (as published)"
    assert form.factorSpinBox.value == 0.78


def test_without_a_known_header_the_voltage_and_the_dicom_objects_say_what_is_missing(panel, form):
    assert not form.kvpCheckBox.enabled
    assert "does not state its tube voltage" in form.kvpCheckBox.toolTip
    for button in (form.segButton, form.srButton, form.identityCheckBox):
        assert not button.enabled
        assert "not loaded from Slicer's DICOM database" in button.toolTip
    assert form.reportButton.enabled


def test_images_that_left_the_database_are_said_to_be_missing(panel, monkeypatch):
    monkeypatch.setattr(slicer, "dicomDatabase", types.SimpleNamespace(fileForInstance=lambda uid: ""), raising=False)
    panel.volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    panel.press_run()
    assert "not in Slicer's DICOM database any more" in panel.widget.rulesAndOutputs.form.segButton.toolTip


def test_thresholds_are_adapted_to_100_kvp_on_request_only(panel, known):
    review = panel.widget.reviewPanel.review
    assert known.kvpCheckBox.enabled
    assert "100 kVp" in known.kvpCheckBox.toolTip
    assert review.score.rules.threshold_hu == 130.0
    known.kvpCheckBox.click()
    assert review.score.rules.threshold_hu == 145.0
    assert "Rules: Agatston 1990, 100 kVp" in panel.ui.totalLabel.text
    assert "thresholds were adapted to it" in panel.ui.warningsLabel.text
    panel.widget.onSceneEndImport(None, None)
    node = panel.widget.logic.getParameterNode()
    panel.widget.reviewPanel.close()
    panel.widget.reviewPanel.follow(node.segmentation, panel.volume, node.scoreTable)
    panel.widget.rulesAndOutputs.update()
    review = panel.widget.reviewPanel.review
    assert review.score.rules.threshold_hu == 145.0
    assert [warning.code for warning in review.warnings].count("kvp-adapted") == 1
    choose_rules(known, "philips")
    assert known.rulesComboBox.currentText == "Agatston 1990"
    assert "no table by tube voltage" in known.rulesAnswer.statusLabel.text


def test_compare_rules_shows_every_rule_set(panel, form):
    form.compareButton.click()
    done(panel)
    assert column(form.rulesTable, 0) == [rules.title for rules in RULE_SETS.values()]
    assert set(column(form.rulesTable, 3)) == {f"{SYNTHETIC_AGATSTON:.1f}"}
    assert not form.rulesTable.isHidden()


def test_a_comparison_of_scores_that_have_changed_is_not_shown(panel, form):
    form.compareButton.click()
    done(panel)
    panel.app.layoutManager().sliceWidget("Red").click(ras_of(panel.volume, IN_LAD), shift=True)
    assert form.rulesTable.isHidden()
    form.compareButton.click()
    panel.app.layoutManager().sliceWidget("Red").click(ras_of(panel.volume, (15, 52, 57)), shift=True)
    done(panel)
    assert form.rulesTable.isHidden()
    assert form.rulesAnswer.statusLabel.text == "The scores have changed in the meantime: compare again."


def test_rods_that_are_marked_calibrate_the_mass(panel, form, scene):
    points = scene.mrml.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "rods")
    assert not form.calibrateButton.enabled
    form.rodsSelector.setCurrentNode(points)
    form.calibrateButton.click()
    assert "two points of a point list" in form.massAnswer.statusLabel.text
    for index in (IN_TISSUE, IN_LUNG):
        points.AddControlPoint(*ras_of(panel.volume, index))
    form.calibrateButton.click()
    # Tissue of 40 HU is no rod of 200 mg/cm3 beside lung of -850 HU.
    assert "check both marks" in form.massAnswer.statusLabel.text
    scalars = slicer.util.arrayFromVolume(panel.volume)
    scalars[18:23, 54:67, 58:71] = 260
    scalars[18:23, 58:71, 30:43] = 0
    panel.volume.GetImageData().Modified()
    form.calibrateButton.click()
    assert form.massAnswer.statusLabel.text == ""
    assert "0.769 mg/cm³/HU (rod of 200 mg/cm3 (260.0 HU) and water (0.0 HU)" in form.massLabel.text
    form.factorSpinBox.value = 0.1
    assert form.massLabel.text.startswith("A factor is 0.3 to 1.2")
    form.factorSpinBox.value = 0.8
    assert form.massLabel.text == "0.800 mg/cm³/HU (factor given by the user)"


def test_the_mesa_risk_follows_what_is_entered_and_is_kept_nowhere(panel, form):
    assert form.mesaLabel.text == ""
    form.mesaBox.checked = True
    first = form.mesaLabel.text
    assert "% with this score" in first
    form.mesaNumbers["age"].value = 75
    form.mesaFlags["smoker"].click()
    assert form.mesaLabel.text != first
    factors = panel.widget.reviewPanel.review.options.risk_factors
    assert (factors.age, factors.smoker, factors.male) == (75, True, False)
    assert "75" not in panel.widget.reviewPanel.review.segmentationNode.GetAttribute(OPTIONS_ATTRIBUTE)
    form.mesaBox.checked = False
    assert form.mesaLabel.text == ""


def test_segmentation_and_report_are_written_and_read_back_with_the_same_score(panel, known, tmp_path):
    panel.app.layoutManager().sliceWidget("Red").click(ras_of(panel.volume, (15, 52, 57)), shift=True)
    for button in (known.segButton, known.srButton):
        button.click()
        done(panel)
        assert known.outputsAnswer.statusLabel.text.startswith("Saved: "), known.outputsAnswer.statusLabel.text
    volume = open_ct(tmp_path / "ct").volume
    labels = open_mask(tmp_path / "out" / "segmentation.dcm", volume)
    assert score_labels(volume, labels).total.agatston == total(panel).agatston > 0
    report = pydicom.dcmread(tmp_path / "out" / "report-sr.dcm")
    assert report.PatientID == "SYN-4711"
    said, _code = run_tool("dsrdump", "+Pl", tmp_path / "out" / "report-sr.dcm")
    assert f"{total(panel).agatston:.0f}" in said
    assert "The reader removed 1 lesion (300.0 Agatston)" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report-sr.dcm", "segmentation.dcm"]


def test_dicom_objects_go_into_the_database_under_the_cts_patient_and_study_unless_that_is_switched_off(
    panel, known, tmp_path
):
    (ct, *_) = (pydicom.dcmread(path, stop_before_pixels=True) for path in (tmp_path / "ct").iterdir())
    for button in (known.segButton, known.srButton):
        button.click()
        done(panel)
        assert known.outputsAnswer.statusLabel.text.endswith("and added to Slicer's DICOM database.")
    assert [dataset.Modality for dataset in panel.imported] == ["SEG", "SR"]
    for dataset in panel.imported:
        assert (dataset.PatientID, dataset.StudyInstanceUID) == (ct.PatientID, ct.StudyInstanceUID)
    known.databaseCheckBox.click()
    known.segButton.click()
    done(panel)
    assert len(panel.imported) == 2
    assert panel.confirmations == [f"{tmp_path / 'out'} already holds segmentation.dcm. Replace them?"]


def test_the_report_names_the_patient_only_when_asked(panel, known, tmp_path):
    for identity in (False, True):
        known.identityCheckBox.checked = identity
        known.reportButton.click()
        done(panel)
        assert known.outputsAnswer.statusLabel.text.endswith("report.pdf"), known.outputsAnswer.statusLabel.text
        page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert ("SYN-4711" in page) is identity
        assert "The reader changed no lesion" in page
    assert "reportlab>=4.2" in panel.required


def test_images_that_are_not_this_ct_s_get_no_dicom_object(panel, known, tmp_path):
    uids = panel.volume.GetAttribute("DICOM.instanceUIDs").split()
    panel.volume.SetAttribute("DICOM.instanceUIDs", " ".join(uids[1:]))
    known.segButton.click()
    done(panel)
    assert "are not the slices of this CT" in known.outputsAnswer.statusLabel.text
    assert list((tmp_path / "out").iterdir()) == []


def test_a_ct_that_cannot_be_scored_any_more_is_said_so(panel, known):
    panel.volume.SetOrigin(*(value + 1.3 for value in panel.volume.GetOrigin()))
    known.segButton.click()
    assert "not on the CT's voxels" in known.outputsAnswer.statusLabel.text


def test_nothing_is_written_when_no_folder_is_chosen_or_when_it_cannot_be_written(panel, known, tmp_path):
    panel.folder = ""
    known.segButton.click()
    assert known.outputsAnswer.statusLabel.text == ""
    shutil.rmtree(tmp_path / "out")
    panel.folder = str(tmp_path / "out")
    known.srButton.click()
    done(panel)
    assert known.outputsAnswer.statusLabel.text.startswith("The files cannot be written")


def test_the_self_test_shows_truth_and_measurement_without_a_ct(application, monkeypatch):
    form = application.widget.rulesAndOutputs.form
    form.thicknessSpinBox.value = 5.0
    form.selfTestButton.click()
    assert not form.selfTestButton.enabled
    done(application)
    assert column(form.insertTable, 0)[-1] == "Total"
    assert form.insertTable.rowCount == 10
    assert column(form.insertTable, 2)[-1] == "397.9"
    assert column(form.insertTable, 4)[-1] == "168.2"
    assert float(column(form.insertTable, 3)[-1]) == pytest.approx(168.2, rel=0.15)
    assert form.selfTestButton.enabled
    assert not form.insertTable.isHidden()
    form.selfTestButton.click()
    assert form.insertTable.isHidden()  # a cancelled test leaves no values of the one before
    form.selfTestAnswer.cancelButton.click()
    done(application)
    assert form.insertTable.isHidden()


def test_cancel_stops_the_self_test_and_closing_the_scene_does_too(application, scene):
    form = application.widget.rulesAndOutputs.form
    form.thicknessSpinBox.value = 0.5
    for stop in (form.selfTestAnswer.cancelButton.click, lambda: scene.mrml.Clear(False)):
        form.selfTestButton.click()
        assert not form.selfTestButton.enabled
        stop()
        done(application)
        assert form.selfTestButton.enabled
        assert form.insertTable.rowCount == 0


def test_the_open_section_is_drawn_with_its_texts_in_full(panel, known, tmp_path):
    """To be looked at: pytest --basetemp=FOLDER keeps the pictures."""
    panel.ui.rulesCollapsibleButton.collapsed = False
    choose_rules(known, "siemens")
    known.mesaBox.checked = True
    known.compareButton.click()
    done(panel)
    for name in ("rules", "selftest"):
        draw(panel, tmp_path / f"{name}.png")
        labels = (known.standingLabel, known.massLabel, known.mesaLabel)
        assert not any(cut_off(label) for label in labels if label.text)
        known.selfTestButton.click()
        done(panel)


def test_clicks_candidates_and_brush_follow_the_threshold_of_the_rules(panel, form):
    review, faint = panel.widget.reviewPanel.review, (24, 60, 60)
    scalars = slicer.util.arrayFromVolume(panel.volume)
    scalars[24, 60:62, 60:64] = 120
    panel.volume.GetImageData().Modified()
    panel.ui.candidatesCheckBox.click()
    panel.until(lambda: not panel.running())
    assert "Red: what reaches 130 HU" in panel.ui.editLabel.text
    node = slicer.mrmlScene.GetSingletonNode("CoronaryCalciumScoring", "vtkMRMLSegmentEditorNode")
    node.SetAttribute("BrushAbsoluteDiameter", "9")

    def click_on_faint():
        panel.app.layoutManager().sliceWidget("Red").click(ras_of(panel.volume, faint))
        return panel.ui.editLabel.text

    for name, threshold, candidates in (("literature", 130, 0), ("philips", 113, 8), ("canon", 130, 0)):
        choose_rules(form, name)
        assert node.GetSourceVolumeIntensityMaskRange()[0] == threshold
        assert review.candidates().voxels.size == 24 + candidates
        if not candidates:
            assert click_on_faint() == f"Nothing here reaches {threshold} HU within 2 mm of the click."
    choose_rules(form, "philips")
    assert "Volume and mass, clicks and brush from 113 HU" in form.standingLabel.text
    volume = total(panel).volume_mm3
    assert click_on_faint() == "150.0 mm³ assigned to LAD."
    assert total(panel).agatston == SYNTHETIC_AGATSTON
    assert review.case_result().quantities.volume_mm3.total == pytest.approx(volume + 150.0)
    assert node.GetAttribute("BrushAbsoluteDiameter") == "9"  # what the reader has set stays


def roll(control):
    """Roll the mouse wheel over a control; whether the control took it."""
    place = QtCore.QPointF(5, 5)
    no_button, no_key = QtCore.Qt.NoButton, QtCore.Qt.NoModifier
    event = QtGui.QWheelEvent(
        place, place, QtCore.QPoint(), QtCore.QPoint(0, -120), no_button, no_key, QtCore.Qt.NoScrollPhase, False
    )
    QtWidgets.QApplication.sendEvent(control, event)
    return event.isAccepted()


def test_the_mouse_wheel_scrolls_the_panel_and_changes_neither_ct_nor_device_nor_rule(panel, form):
    before, ct, device = total(panel), panel.ui.inputSelector.currentNode(), panel.ui.deviceComboBox.currentIndex
    assert panel.ui.deviceComboBox.count > 1
    combos = panel.ui.inputSelector.findChildren(QtWidgets.QComboBox)
    assert combos
    for control in (*combos, panel.ui.deviceComboBox, form.rulesComboBox, form.schemeComboBox, form.factorSpinBox):
        control.setFocus()
        value = control.currentIndex if isinstance(control, QtWidgets.QComboBox) else control.value
        assert not roll(control)
        assert value == (control.currentIndex if isinstance(control, QtWidgets.QComboBox) else control.value)
    assert not roll(form.mesaNumbers["age"])
    assert form.mesaNumbers["age"].value == 60
    assert total(panel) == before
    assert panel.ui.inputSelector.currentNode() is ct
    assert panel.ui.deviceComboBox.currentIndex == device
