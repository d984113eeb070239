"""DICOM objects through the command line: asked for, beside the four files, and scored again; or rejected."""

import gzip
import json
import shutil
import tempfile
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from coronary_calcium.cli.main import main
from coronary_calcium.dicom_export import export
from coronary_calcium.dicom_export.sources import read_sources
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct
from coronary_calcium.reports import Extras, write_case
from coronary_calcium.reports.case_files import write_results
from dicom_factory import write_series
from dicom_tools import PATIENT, calcified_chest, scored_series, some_labels

FOUR = {"scores.json", "lesions.csv", "segmentation.seg.nrrd", "report.html"}
BOTH = Extras(dicom_seg=True, dicom_sr=True)


@pytest.fixture
def series(tmp_path):
    """A DICOM folder and a label map for it."""
    write_series(tmp_path / "ct", calcified_chest(), **PATIENT)
    volume = open_ct(tmp_path / "ct").volume
    image = sitk.GetImageFromArray(some_labels(volume))
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    sitk.WriteImage(image, str(tmp_path / "mask.nrrd"))
    return tmp_path / "ct", tmp_path / "mask.nrrd"


def scores(folder):
    content = json.loads((folder / "scores.json").read_text())
    return {name: content[name] for name in ("agatston", "volume_mm3", "lesions")}


def test_the_segmentation_put_back_in_gives_the_same_score_to_the_last_digit(series, tmp_path):
    ct, mask = series
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["score", str(ct), "--mask", str(mask), "--dicom-seg", "--dicom-sr", "--output", str(first)]) == 0
    assert {path.name for path in first.iterdir()} == FOUR | {"segmentation.dcm", "report-sr.dcm"}
    assert main(["score", str(ct), "--mask", str(first / "segmentation.dcm"), "--output", str(second)]) == 0
    assert {path.name for path in second.iterdir()} == FOUR
    assert scores(first) == scores(second)
    assert scores(first)["agatston"]["by_artery"]["LAD"] > 0


def test_the_patient_is_in_the_dicom_objects_and_nowhere_else(series, tmp_path, capsys):
    ct, mask = series
    main(["score", str(ct), "--mask", str(mask), "--dicom-seg", "--dicom-sr", "--output", str(tmp_path / "out")])
    said = capsys.readouterr()
    for path in (tmp_path / "out").iterdir():
        holds = b"Synthetic^Person" in path.read_bytes()
        assert holds == (path.suffix == ".dcm"), path.name
        assert "Synthetic" not in path.name
    assert "Synthetic" not in said.out + said.err


@pytest.mark.parametrize("way", ["ZIP", "ZIP in a folder", "gzip"])
def test_of_packed_files_the_objects_and_the_identity_are_those_of_the_folder(series, tmp_path, monkeypatch, way):
    ct, mask = series
    packed = tmp_path / "packed"
    packed.mkdir()
    if way == "gzip":
        for path in ct.iterdir():
            (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    else:
        with zipfile.ZipFile(packed / "ct.zip", "w") as archive:
            for path in ct.iterdir():
                archive.write(path, path.name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    given = packed / "ct.zip" if way == "ZIP" else packed
    arguments = ["--mask", str(mask), "--dicom-seg", "--dicom-sr", "--with-identity"]
    for path, folder in ((ct, "of the folder"), (given, "out")):
        assert main(["score", str(path), *arguments, "--output", str(tmp_path / folder)]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FOUR | {"segmentation.dcm", "report-sr.dcm"}
    first, second = (pydicom.dcmread(tmp_path / folder / "segmentation.dcm") for folder in ("of the folder", "out"))
    assert first.PatientName == second.PatientName and first.PixelData == second.PixelData
    assert first.ReferencedSeriesSequence == second.ReferencedSeriesSequence
    assert PATIENT["PatientID"] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_zip_that_was_read_without_its_files_and_an_image_file_are_rejected_before_the_work(series, tmp_path, capsys):
    ct, mask = series
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for path in ct.iterdir():
            archive.write(path, path.name)
    with pytest.raises(InputError, match="unpack it") as rejection:
        read_sources(open_ct(tmp_path / "ct.zip").volume)
    assert rejection.value.code == "no-dicom-source"
    image = sitk.GetImageFromArray(calcified_chest())
    image.SetSpacing((2.0, 2.0, 3.0))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    with zipfile.ZipFile(tmp_path / "image.zip", "w") as archive:
        archive.write(tmp_path / "ct.nrrd", "ct.nrrd")
    for given in ("image.zip", "ct.nrrd"):
        for option in ("--dicom-seg", "--dicom-sr"):
            arguments = ["score", str(tmp_path / given), "--mask", str(mask), option, "--output", str(tmp_path / "out")]
            assert main(arguments) == 3
            said = capsys.readouterr().err
            assert said.startswith("Rejected: A DICOM object") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_ct_that_is_not_the_slices_of_a_series_is_rejected(tmp_path):
    """As after reading a coronal series, whose files are not the volume's slices."""
    result = scored_series(tmp_path / "ct")
    with pytest.raises(InputError) as rejection:
        read_sources(replace(result.volume, series=None))
    assert rejection.value.code == "no-dicom-source"


def test_files_that_were_moved_or_swapped_are_rejected(tmp_path):
    result = scored_series(tmp_path / "ct")
    first, second = result.volume.series.files[:2]
    kept = Path(first).read_bytes()
    shutil.copy(second, first)
    with pytest.raises(InputError) as rejection:
        export.write_dicom(result, tmp_path / "seg.dcm")
    assert rejection.value.code == "source-changed"
    Path(first).write_bytes(kept)
    shutil.rmtree(tmp_path / "ct")
    with pytest.raises(InputError) as rejection:
        export.write_dicom(result, tmp_path / "seg.dcm")
    assert rejection.value.code == "source-changed"
    written = write_results(result, tmp_path / "out", extras=BOTH)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FOUR
    assert written.result.warnings[-1].code == "dicom-not-written"
    assert "moved or changed" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_images_without_the_identifiers_that_objects_refer_to_are_rejected(tmp_path, keyword):
    result = scored_series(tmp_path / "ct", **{keyword: None})
    with pytest.raises(InputError, match=keyword) as rejection:
        read_sources(result.volume)
    assert rejection.value.code == "source-incomplete"


def test_a_thickness_that_is_text_takes_neither_the_objects_nor_the_scores_with_it(tmp_path):
    def as_text(k, dataset):
        dataset.add_new("SliceThickness", "SH", "3mm")

    result = scored_series(tmp_path / "ct", edit=as_text)
    export.write_dicom(result, tmp_path / "seg.dcm")
    measures = pydicom.dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SliceThickness == 3.0


@pytest.mark.parametrize("identifier", ["1.2.abc.4", "1.2." + "3" * 80])
def test_an_identifier_that_is_not_valid_brings_no_remark_of_the_library_to_the_terminal(tmp_path, identifier):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = scored_series(tmp_path / "ct", FrameOfReferenceUID=identifier)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        export.write_dicom(result, tmp_path / "seg.dcm")
    assert [str(remark.message) for remark in said] == []


def test_whatever_a_library_raises_on_a_header_is_said_before_the_work(series, tmp_path, monkeypatch, capsys):
    def raising(volume):
        raise TypeError("of the library")

    monkeypatch.setattr("coronary_calcium.dicom_export.sources.read_sources", raising)
    monkeypatch.setattr(export, "read_sources", raising)
    ct, mask = series
    assert main(["score", str(ct), "--mask", str(mask), "--dicom-seg", "--output", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FOUR
    assert "an unforeseen TypeError. The scores will be written." in capsys.readouterr().err


def test_a_disk_that_fills_up_leaves_earlier_results_as_they_were(tmp_path, monkeypatch):
    result = scored_series(tmp_path / "ct")
    write_case(result, tmp_path / "out", extras=BOTH)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(before) == FOUR | {"segmentation.dcm", "report-sr.dcm"}

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pydicom.Dataset, "save_as", full)
    with pytest.raises(InputError, match="No space left"):
        write_case(result, tmp_path / "out", extras=BOTH)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_the_source_files_are_not_changed(tmp_path):
    result = scored_series(tmp_path / "ct")
    before = [Path(path).read_bytes() for path in result.volume.series.files]
    export.write_dicom(result, tmp_path / "seg.dcm", tmp_path / "sr.dcm")
    assert [Path(path).read_bytes() for path in result.volume.series.files] == before
    assert np.count_nonzero(result.labels) == np.count_nonzero(some_labels(result.volume))
