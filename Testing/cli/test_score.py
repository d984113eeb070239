"""`coronary-calcium score`: the files that it writes and what it says."""

import gzip
import json
import os
import zipfile

import numpy as np
import pytest
from command_cases import (
    AGATSTON,
    ORIGIN,
    RESULTS,
    SPACING,
    finished,
    marked,
    patient_hu,
    run,
    scores_in,
    start,
    validate,
    write_case,
    write_image,
    write_weights,
)
from coronary_calcium.io import open_ct
from coronary_calcium.reports.html_report import KEY_PICTURES
from coronary_calcium.reports.pictures import MOST_PICTURES
from dicom_factory import write_series

IDENTITY = {
    "PatientName": "Xylophonsson^Quirina",
    "PatientID": "QX-90210-77",
    "PatientBirthDate": "19311224",
    "StudyDate": "20190317",
    "SeriesDate": "20190317",
    "AcquisitionDate": "20190317",
    "AccessionNumber": "ACC5550123",
    "InstitutionName": "Zwiebelturm Klinikum",
    "ReferringPhysicianName": "Overbeck^Ludmilla",
    "StudyDescription": "Xylophonsson thorax",
    "SeriesDescription": "Xylophonsson native",
    "StationName": "STATION-4242",
    "PatientComments": "Quirina prefers mornings",
}
SECRETS = ("Xylophon", "Quirina", "90210", "19311224", "20190317", "5550123", "Zwiebel", "Overbeck", "4242", "mornings")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A series and its mask."""
    return write_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a network that was never trained."""
    return write_weights(tmp_path_factory.mktemp("weights"))


def test_a_mask_is_scored_and_the_four_files_are_written(case, tmp_path):
    outcome = finished(start("score", case[0], "--mask", case[1], "--output", tmp_path / "new" / "result"))
    assert outcome.code == 0 and outcome.err == ""
    assert {path.name for path in (tmp_path / "new" / "result").iterdir()} == RESULTS
    scores = scores_in(tmp_path / "new" / "result")
    validate(scores)
    assert scores["agatston"]["total"] == scores["agatston"]["by_artery"]["LAD"] == AGATSTON
    # The coarse chest ends above its diaphragm, which is no less true when somebody else marks the calcium.
    assert "heart-cut" in [warning["code"] for warning in scores["warnings"]]
    assert f"{AGATSTON:.2f}" in outcome.out and "report.html" in outcome.out and "Research use only" in outcome.out
    assert "The calcium was marked in a given label map; the network was not run." in outcome.out


def test_the_network_is_run_when_no_mask_is_given(case, weights, tmp_path):
    outcome = run("score", case[0], "--weights", weights, "--device", "cpu", "--output", tmp_path)
    assert outcome.code == 0, outcome
    scores = scores_in(tmp_path)
    validate(scores)
    assert scores["coverage"]["labels_from"] == "network" and 1 <= scores["coverage"]["slices_run"] <= 3
    assert scores["provenance"]["weights"]["name"] == "untrained" and scores["provenance"]["device"] == "cpu"


def test_the_segmentation_that_was_written_scores_the_same_as_a_mask(case, tmp_path):
    run("score", case[0], "--mask", case[1], "--output", tmp_path / "first")
    run("score", case[0], "--mask", tmp_path / "first" / "segmentation.seg.nrrd", "--output", tmp_path / "second")
    assert scores_in(tmp_path / "first")["lesions"] == scores_in(tmp_path / "second")["lesions"]


def test_two_runs_differ_in_date_and_seconds_only(case, tmp_path):
    contents = []
    for name in ("first", "second"):
        assert run("score", case[0], "--mask", case[1], "--output", tmp_path / name).code == 0
        scores = scores_in(tmp_path / name)
        del scores["provenance"]["created"], scores["provenance"]["seconds"]
        segmentation = (tmp_path / name / "segmentation.seg.nrrd").read_bytes()
        contents.append((json.dumps(scores), segmentation, (tmp_path / name / "lesions.csv").read_bytes()))
    assert contents[0] == contents[1]


def test_a_mask_that_marks_nothing_scores_0_and_says_so(case, tmp_path):
    empty = write_image(tmp_path / "empty.nrrd", np.zeros(patient_hu().shape, np.uint8))
    outcome = run("score", case[0], "--mask", empty, "--output", tmp_path / "result")
    assert outcome.code == 0
    assert "The score is 0" in outcome.out and "No voxel is marked as calcium" in outcome.out
    scores = scores_in(tmp_path / "result")
    assert scores["agatston"]["total"] == 0 and "mask-empty" in [warning["code"] for warning in scores["warnings"]]
    assert "The label map marks no voxel" in (tmp_path / "result" / "report.html").read_text(encoding="utf-8")


def test_a_mask_beside_the_calcium_scores_0_and_says_so(case, tmp_path):
    labels = np.roll(marked(patient_hu()), 12, axis=2)
    outcome = run("score", case[0], "--mask", write_image(tmp_path / "m.nrrd", labels), "--output", tmp_path / "result")
    assert outcome.code == 0
    assert "The score is 0" in outcome.out and "None of the 36 marked voxels counts" in outcome.out
    assert "mask-not-counted" in [warning["code"] for warning in scores_in(tmp_path / "result")["warnings"]]


@pytest.mark.parametrize(
    ("shape", "step", "warned"),
    # 12 mm3 a voxel: 9.6 and 10.8 mL in one lesion; 196 and 210 lesions of one voxel, 4 mm2, each.
    [((8, 10, 10), 1, False), ((9, 10, 10), 1, True), ((7, 4, 7), 2, False), ((10, 3, 7), 2, True)],
)
def test_more_calcium_than_coronary_arteries_hold_is_warned_of(tmp_path, shape, step, warned):
    hu, labels = patient_hu(), np.zeros(patient_hu().shape, np.uint8)
    place = np.s_[2 : 2 + shape[0], 5 : 5 + shape[1] * step : step, 20 : 20 + shape[2] * step : step]
    if step == 2:
        place = np.s_[2 : 2 + 2 * shape[0] : 2, *place[1:]]
    hu[place], labels[place] = 150, 2
    write_series(tmp_path / "ct", hu, spacing=SPACING, origin=ORIGIN)
    outcome = run(
        "score", tmp_path / "ct", "--mask", write_image(tmp_path / "m.nrrd", labels), "--output", tmp_path / "result"
    )
    assert outcome.code == 0, outcome
    scores = scores_in(tmp_path / "result")
    assert len(scores["lesions"]) == (1 if step == 1 else np.prod(shape))
    assert ("implausible-amount" in [warning["code"] for warning in scores["warnings"]]) is warned
    assert ("more than coronary arteries can hold" in outcome.out) is warned
    report = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    # The overview, the key pictures beside it, and two pictures a lesion.
    assert report.count("data:image/png") <= 2 + KEY_PICTURES + 2 * MOST_PICTURES
    with (tmp_path / "result" / "lesions.csv").open() as file:
        assert len(file.readlines()) == 1 + len(scores["lesions"])


def test_a_case_in_which_the_network_finds_nothing_says_so(weights, tmp_path):
    write_series(tmp_path / "ct", np.minimum(patient_hu(), 100), spacing=SPACING, origin=ORIGIN)
    outcome = run("score", tmp_path / "ct", "--weights", weights, "--output", tmp_path / "result")
    assert outcome.code == 0
    assert "The score is 0: the network found no coronary calcium." in outcome.out
    report = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    assert "The network found no coronary calcium in slices" in report


@pytest.mark.parametrize("packed", [False, True])
def test_no_identity_is_in_any_output(tmp_path, packed):
    folder = tmp_path / "Xylophonsson Quirina" / "20190317"
    files = write_series(folder, patient_hu(), spacing=SPACING, origin=ORIGIN, **IDENTITY)
    mask = write_image(tmp_path / "Xylophonsson.nrrd", marked(patient_hu()))
    series = open_ct(folder).volume.series
    source = folder
    if packed:
        source = tmp_path / "Xylophonsson.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in files:
                archive.write(path, f"Xylophonsson/{path.name}")
    outcome = run("score", source, "--mask", mask, "--output", tmp_path / "result")
    assert outcome.code == 0, outcome
    paths = list((tmp_path / "result").iterdir())
    assert {path.name for path in paths} == RESULTS
    hidden = [*SECRETS, series.series_uid, series.instance_uids[0], os.fspath(tmp_path), files[0].name]
    for path in paths:
        content = path.read_bytes()
        header, _, data = content.partition(b"\n\n")
        text = (gzip.decompress(data) + header if path.suffix == ".nrrd" else content).decode("latin-1").lower()
        assert [word for word in hidden if word.lower() in text] == [], path.name


def test_the_other_series_of_a_folder_are_listed_and_can_be_named(tmp_path):
    uids = {"axial": "1.2.3.4.1", "thick": "1.2.3.4.2"}
    for name, uid in uids.items():
        write_series(
            tmp_path / "ct" / name, patient_hu(), spacing=SPACING, origin=ORIGIN, series_uid=uid,
            SliceThickness="3" if name == "axial" else "5", SeriesDescription=f"{name} \x1b[31mred",
        )  # fmt: skip
    mask = write_image(tmp_path / "mask.nrrd", marked(patient_hu()))
    outcome = run("score", tmp_path / "ct", "--mask", mask, "--output", tmp_path / "result")
    assert outcome.code == 0
    scored, other, remedy = outcome.err.splitlines()
    assert uids["axial"] in scored and uids["thick"] in other and "thickness" in other and "--series" in remedy
    assert "\x1b" not in outcome.err
    named = run("score", tmp_path / "ct", "--mask", mask, "--series", uids["thick"], "--output", tmp_path / "named")
    assert uids["thick"] in named.err.splitlines()[0]
    assert scores_in(tmp_path / "named")["acquisition"]["slice_thickness_mm"] == 5
