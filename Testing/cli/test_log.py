"""The log says what is done, and nothing of whom it is done to."""

import logging

import pytest
from command_cases import ORIGIN, SPACING, marked, patient_hu, run, write_image, write_weights
from dicom_factory import write_series

SECRET = "Zzyzx"
UID = "1.2.826.0.1.3680043.8.498.777777"
IDENTITY = {
    "PatientName": f"{SECRET}^Quillon",
    "PatientID": f"{SECRET}-4711",
    "PatientBirthDate": "19331224",
    "AccessionNumber": f"{SECRET}-A",
    "StudyID": f"{SECRET}-S",
    "SeriesDescription": f"CaSc of {SECRET}",
    "StudyDescription": f"Chest of {SECRET}",
    "InstitutionName": f"{SECRET} Hospital",
    "ReferringPhysicianName": f"{SECRET}^Doctor",
    "ProtocolName": f"{SECRET} protocol",
    "StationName": f"{SECRET}-CT",
    "StudyDate": "20331225",
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A series whose header, files and folder are full of identity, the mask of its plaque, and weights."""
    folder = tmp_path_factory.mktemp(SECRET)
    hu = patient_hu()
    paths = write_series(folder / f"ct-{SECRET}", hu, spacing=SPACING, origin=ORIGIN, series_uid=UID, **IDENTITY)
    for number, path in enumerate(paths):
        path.rename(path.with_name(f"{SECRET}-{number}.dcm"))
    (folder / f"ct-{SECRET}" / f"{SECRET}-damaged.dcm").write_bytes(paths[0].name.encode())
    return folder / f"ct-{SECRET}", write_image(folder / f"{SECRET}.nrrd", marked(hu)), write_weights(folder)


def test_no_identity_and_no_path_is_logged(case, caplog, tmp_path):
    caplog.set_level(logging.DEBUG, "coronary_calcium")
    series, mask, weights = case
    result = tmp_path / SECRET
    done = run(
        "score", series, "--mask", mask, "--weights", weights, "--compare-ai", "--device", "cpu", "--output", result
    )
    assert done.code == 0, done
    said = caplog.text
    for stage in ("series", "find heart", "load network", "weights", "windows", "score"):
        assert stage in said
    for identity in (SECRET, UID, "19331224", "20331225", str(tmp_path)):
        assert identity not in said


def test_verbose_shows_the_log_on_stderr_and_nothing_of_it_without(case, tmp_path):
    series, mask, _ = case
    quiet = run("score", series, "--mask", mask, "--output", tmp_path / "quiet")
    verbose = run("-v", "score", series, "--mask", mask, "--output", tmp_path / "verbose")
    assert "find heart" in verbose.err
    assert "find heart" not in quiet.err
    assert SECRET not in "".join(line for line in verbose.err.splitlines() if line not in quiet.err.splitlines())
    assert logging.getLogger("coronary_calcium").handlers == []
