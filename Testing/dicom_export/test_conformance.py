"""Whatever a header holds, the scores are written; its values are corrected, emptied, or keep the objects away."""

import json

import pydicom
import pytest
from coronary_calcium.cli.main import main
from coronary_calcium.dicom_export import export
from coronary_calcium.dicom_export.export import write_dicom
from coronary_calcium.reports import Extras
from coronary_calcium.reports.case_files import write_results
from dicom_factory import write_enhanced
from dicom_tools import calcified_chest, scored_series

NAMES = {
    "ISO_IR 144": "Иванов^Пётр",
    "ISO_IR 126": "Παπαδόπουλος^Γιώργος",
    "ISO_IR 138": "כהן^דוד",
    "ISO_IR 127": "محمد^علي",
    "ISO_IR 166": "สมชาย^ใจดี",
    "ISO_IR 101": "Dvořák^Jiří",
    "ISO_IR 192": "Nguyễn^Văn^An",
    "GB18030": "Wang^XiaoDong=王^小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
}


def objects_of(tmp_path, **tags):
    """The two objects made of a series with these values, and the codes of the warnings."""
    result = scored_series(tmp_path / "ct", **tags)
    warnings = write_dicom(result, tmp_path / "seg.dcm", tmp_path / "sr.dcm")
    return [pydicom.dcmread(tmp_path / name) for name in ("seg.dcm", "sr.dcm")], [warning.code for warning in warnings]


@pytest.mark.parametrize("charset", NAMES)
def test_a_name_in_any_character_set_reaches_both_objects(tmp_path, charset):
    stated = charset.split("\\")
    made, codes = objects_of(tmp_path, SpecificCharacterSet=stated, PatientName=NAMES[charset])
    assert [str(one.PatientName) for one in made] == [NAMES[charset]] * 2
    assert codes == []


@pytest.mark.parametrize("charset", ["", "ISO_IR 999", "utf-8", ["", ""]])
def test_a_character_set_that_is_none_does_not_stop_the_objects(tmp_path, charset):
    made, _ = objects_of(tmp_path, SpecificCharacterSet=charset)
    assert [str(one.PatientName) for one in made] == ["Synthetic^Person"] * 2


@pytest.mark.parametrize(
    ("keyword", "value", "becomes"),
    [
        ("PatientSex", "U", ""),
        ("PatientSex", "female", "F"),
        ("PatientSex", ["M", "F"], ""),
        ("StudyTime", "10:10:10", "101010"),
        ("StudyTime", "10:10", "101000"),
        ("StudyTime", "noon", ""),
        ("PatientBirthDate", "1950-01-01", "19500101"),
        ("PatientBirthDate", "1950/1/2", "19500102"),
        ("PatientBirthDate", "01.02.1950", ""),
        ("StudyDate", "20261399", ""),
        ("StudyDate", "2026-01-31 10:15", "20260131"),
        ("AccessionNumber", "A" * 40, "A" * 16),
        ("PatientAge", "65", None),
        ("StudyDescription", "long " * 30, ("long " * 30)[:64].strip()),
    ],
)
def test_a_value_that_is_not_conformant_is_corrected_or_emptied_and_said(tmp_path, keyword, value, becomes):
    made, codes = objects_of(tmp_path, **{keyword: value})
    assert {str(one.get(keyword) or "") for one in made} <= {becomes or "", ""}
    assert str(made[0].get(keyword) or "") == (becomes or "")
    assert codes == ["source-values"]


def test_the_names_of_changed_values_are_said_and_never_the_values(tmp_path):
    result = scored_series(tmp_path / "ct", PatientSex="secret", PatientBirthDate="unknown")
    written = write_results(result, tmp_path / "out", extras=Extras(dicom_seg=True, dicom_sr=True))
    message = written.result.warnings[-1].message
    assert "PatientBirthDate, PatientSex" in message and "secret" not in message
    assert message in [
        warning["message"] for warning in json.loads((tmp_path / "out/scores.json").read_text())["warnings"]
    ]


def test_a_thickness_of_0_is_not_copied(tmp_path):
    made, _ = objects_of(tmp_path, SliceThickness="0")
    assert made[0].SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == 3


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, RuntimeError])
def test_whatever_the_libraries_raise_the_scores_are_written(tmp_path, monkeypatch, error):
    def fails(*_):
        raise error("Synthetic^Person")

    monkeypatch.setattr(export, "_write", fails)
    result = scored_series(tmp_path / "ct")
    written = write_results(result, tmp_path / "out", extras=Extras(dicom_seg=True, pdf=True))
    assert "segmentation.dcm" not in {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out" / "scores.json").is_file() and (tmp_path / "out" / "report.pdf").is_file()
    warning = written.result.warnings[-1]
    assert warning.code == "dicom-not-written" and "Synthetic" not in warning.message


def test_bare_headers_make_objects_where_full_ones_do_not(tmp_path, monkeypatch):
    write, tries = export._write, []

    def fails_at_first(result, sources, *files):
        tries.append(sources)
        if len(tries) == 1:
            raise ValueError
        write(result, sources, *files)

    monkeypatch.setattr(export, "_write", fails_at_first)
    made, _ = objects_of(tmp_path, StudyDescription="Chest")
    assert "StudyDescription" not in made[0] and made[0].PatientID == "SYN-4711"


def own_orientations(path):
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
    del shared.PlaneOrientationSequence
    dataset.save_as(path)


def two_files(path):
    dataset = pydicom.dcmread(path)
    frames, pixels = dataset.PerFrameFunctionalGroupsSequence, dataset.PixelData
    half, size = len(frames) // 2, len(pixels) // 2
    for number, part in enumerate((slice(0, half), slice(half, None))):
        dataset.PerFrameFunctionalGroupsSequence = frames[part]
        dataset.NumberOfFrames = half
        dataset.PixelData = pixels[number * size : (number + 1) * size]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset.save_as(path.with_name(f"{number}.dcm"))
    path.unlink()


@pytest.mark.parametrize("change", [own_orientations, two_files])
def test_an_enhanced_ct_that_no_object_can_refer_to_is_scored_without_and_told_so_first(tmp_path, capsys, change):
    change(write_enhanced(tmp_path / "ct" / "multi.dcm", calcified_chest()))
    result = scored_series(tmp_path / "plain")
    write_dicom(result, tmp_path / "mask.dcm")
    mask = tmp_path / "mask.nrrd"
    write_results(result, tmp_path / "labels")
    (tmp_path / "labels" / "segmentation.seg.nrrd").rename(tmp_path / "mask.seg.nrrd")
    mask = tmp_path / "mask.seg.nrrd"
    arguments = ["score", str(tmp_path / "ct"), "--mask", str(mask), "--dicom-seg", "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err.startswith("The DICOM objects cannot be written: ")
    assert "Warning: The DICOM objects cannot be written" in said.out
    assert (tmp_path / "out" / "scores.json").is_file()
