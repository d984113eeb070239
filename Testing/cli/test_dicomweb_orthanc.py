"""A series fetched from a real Orthanc, scored, and its DICOM objects stored there, through the command line."""

import json

import pydicom
import pytest

pytest.importorskip("dicomweb_client", reason="dicomweb-client is not installed (the extra dicomweb)")

from coronary_calcium import dicomweb
from coronary_calcium.cli.main import main
from coronary_calcium.dicom_export.export import write_dicom
from coronary_calcium.io import open_ct
from dicom_tools import scored_series
from orthanc_server import PASSWORD, USER, running_orthanc


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as url:
        yield url


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv(dicomweb.USER, USER)
    monkeypatch.setenv(dicomweb.PASSWORD, PASSWORD)
    monkeypatch.delenv(dicomweb.TOKEN, raising=False)


@pytest.fixture(scope="module")
def stored(server, tmp_path_factory):
    """A series on the server, with a segmentation of it beside: the case, the study's and the series' identifiers."""
    folder = tmp_path_factory.mktemp("stored")
    result = scored_series(folder / "ct")
    write_dicom(result, folder / "segmentation.dcm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(dicomweb.USER, USER)
        patch.setenv(dicomweb.PASSWORD, PASSWORD)
        dicomweb.store(server, [*result.volume.series.files])
    first = pydicom.dcmread(result.volume.series.files[0], stop_before_pixels=True)
    return result, folder / "segmentation.dcm", first.StudyInstanceUID, first.SeriesInstanceUID


def fetch_arguments(server, stored, output):
    _, mask, study, series = stored
    source = ["--from-dicomweb", server, "--study", study, "--series", series]
    return ["score", *source, "--mask", str(mask), "--output", str(output)]


def test_a_fetched_series_gives_the_score_of_the_files(server, stored, tmp_path):
    assert main(fetch_arguments(server, stored, tmp_path / "out")) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["agatston"]["total"] == stored[0].score.total.agatston > 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".csv", ".nrrd", ".html"}


def test_the_fetched_slices_are_those_that_were_stored(server, stored, tmp_path):
    paths = dicomweb.fetch_series(server, stored[2], stored[3], tmp_path)
    assert len(paths) == stored[0].volume.shape[0]
    fetched = open_ct(tmp_path).volume
    assert (fetched.hu == stored[0].volume.hu).all()
    assert fetched.series.instance_uids == stored[0].volume.series.instance_uids


def test_the_objects_are_stored_beside_the_series_and_come_back_whole(server, stored, tmp_path, capsys):
    assert main([*fetch_arguments(server, stored, tmp_path / "out"), "--to-dicomweb", server]) == 0
    assert "Stored segmentation.dcm and report-sr.dcm" in capsys.readouterr().err
    for name, modality in (("segmentation.dcm", "SEG"), ("report-sr.dcm", "SR")):
        sent = pydicom.dcmread(tmp_path / "out" / name)
        assert sent.StudyInstanceUID == stored[2]
        (tmp_path / modality).mkdir()
        (path,) = dicomweb.fetch_series(server, stored[2], sent.SeriesInstanceUID, tmp_path / modality)
        back = pydicom.dcmread(path)
        assert back.Modality == modality and back.SOPInstanceUID == sent.SOPInstanceUID
        if modality == "SEG":
            assert back.PixelData == sent.PixelData


def test_wrong_credentials_are_rejected_and_nothing_is_written(server, stored, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(dicomweb.PASSWORD, "wrong")
    assert main(fetch_arguments(server, stored, tmp_path / "out")) == 3
    said = capsys.readouterr().err
    assert "it asks for credentials" in said and "wrong" not in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_credentials_may_come_from_netrc(server, stored, tmp_path, monkeypatch):
    monkeypatch.delenv(dicomweb.USER)
    monkeypatch.delenv(dicomweb.PASSWORD)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    (tmp_path / "ct").mkdir()
    assert dicomweb.fetch_series(server, stored[2], stored[3], tmp_path / "ct")


def test_a_series_that_is_not_there_is_rejected(server, stored, tmp_path, capsys):
    arguments = fetch_arguments(server, stored, tmp_path / "out")
    arguments[arguments.index("--series") + 1] = "1.2.3.4"
    assert main(arguments) == 3
    assert "no such series" in capsys.readouterr().err


def test_objects_that_cannot_be_stored_stay_in_the_folder(server, stored, tmp_path, capsys):
    arguments = [*fetch_arguments(server, stored, tmp_path / "out"), "--to-dicomweb", f"{server}/nowhere"]
    assert main(arguments) == 3
    assert "Rejected: Nothing was stored on the DICOMweb server" in capsys.readouterr().err
    assert (tmp_path / "out" / "segmentation.dcm").is_file() and (tmp_path / "out" / "report.html").is_file()
