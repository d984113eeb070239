"""What the panel asks of the application: packages, PyTorch, the DICOM database."""

import importlib.util
import sys
import types

import pydicom
import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from dicom_factory import chest_hu, write_enhanced
from slicer_application import slicer


def test_packages_are_asked_for_before_the_run_and_not_before(panel):
    assert panel.required == []
    panel.press_run()
    assert {"jinja2>=3.1", "safetensors>=0.4.3"} <= set(panel.required)


def test_an_older_slicer_is_told_so(panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    panel.press_run()
    assert panel.ui.statusLabel.text == "Not scored: This module needs 3D Slicer 5.12 or newer."


def test_the_dicom_database_tells_how_the_scan_was_made(panel, monkeypatch, tmp_path):
    dataset = pydicom.Dataset()
    dataset.Modality, dataset.KVP = "CT", "100"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = pydicom.uid.CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    database = types.SimpleNamespace(fileForInstance={"1.2.3": str(tmp_path / "1.dcm")}.get)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    panel.volume.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    panel.press_run()
    assert "100" in panel.ui.warningsLabel.text
    assert panel.widget.logic.getParameterNode().scoreTable is not None


def test_an_enhanced_ct_in_the_dicom_database_tells_its_voltage_and_kernel(panel, monkeypatch, tmp_path):
    """Both are in the functional groups of its frames, not at the top of its header."""
    path = write_enhanced(tmp_path / "enhanced.dcm", chest_hu((24, 32, 32)))
    database = types.SimpleNamespace(fileForInstance=lambda uid: str(path))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    panel.volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    known = sys.modules["CoronaryCalciumScoringWidgets.application"].acquisitionOf(panel.volume)
    assert (known.kvp, known.kernel, known.slice_thickness_mm) == (100.0, "Br36", 3.0)


@pytest.mark.parametrize("file", [None, "", "/nowhere/1.dcm", __file__])
def test_a_ct_that_the_dicom_database_lacks_is_scored_all_the_same(panel, monkeypatch, file):
    monkeypatch.setattr(slicer, "dicomDatabase", types.SimpleNamespace(fileForInstance=lambda uid: file), raising=False)
    panel.volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    panel.press_run()
    assert panel.ui.statusLabel.text.startswith("Scored")


@pytest.fixture
def no_torch(monkeypatch):
    """PyTorch is not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "torch" else real(name, *more))


def test_without_the_pytorch_extension_a_sentence_names_it(panel, no_torch, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    panel.press_run()
    assert "install the extension PyTorch" in panel.ui.statusLabel.text
    assert panel.errors == []
    assert panel.ui.applyButton.enabled


def test_a_declined_installation_is_one_sentence_with_what_to_do(panel, no_torch, monkeypatch):
    panel.press_run()
    assert panel.ui.statusLabel.text == (
        "Not scored: The network needs PyTorch, which was not installed. Press the button again and agree, or use "
        "Start without AI, which needs none."
    )

    def decline(requirements, requester):
        raise RuntimeError("User declined the installation")

    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", decline)
    panel.press_run()
    assert "Press the button again and agree" in panel.ui.statusLabel.text
    assert "User declined" not in panel.ui.statusLabel.text
    assert "No score yet." in panel.ui.totalLabel.text
    assert panel.errors == []


def test_a_declined_installation_leaves_the_score_on_view(panel, monkeypatch):
    panel.press_run()

    def decline(requirements, requester):
        raise RuntimeError("User declined the installation")

    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", decline)
    panel.press_run()
    assert "Press the button again and agree" in panel.ui.statusLabel.text
    assert "Agatston" in panel.ui.totalLabel.text


def test_the_window_never_imports_torch_nor_asks_a_module_that_does(panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)  # its question whether torch is installed imports it
    panel.press_run()
    assert panel.ui.statusLabel.text.startswith("Scored")
