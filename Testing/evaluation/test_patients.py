"""Which patients a folder holds, and how they are opened and rejected."""

import json

import numpy as np
import pytest
from command_cases import AGATSTON, marked, patient_hu, write_image
from coronary_calcium.errors import InputError
from coronary_calcium.evaluation.patients import find_patients, open_patient, stated_metadata
from coronary_calcium.evaluation.scan_metadata import FACTS, GROUPINGS, NOT_STATED, groups_of, unknown_metadata
from coronary_calcium.simulation.patient import CARDIAC_SEEDS, CHEST_SEEDS, TEST_SET
from dicom_factory import write_series
from evaluation_cases import CENTER, SHAPE, SPACING, arrays, write_cases

CT_SPACING, CT_ORIGIN = (3.0, 2.0, 2.0), (-64.0, -70.0, -300.0)
PROTOCOL = {"kind": "chest", "kernel": "soft", "thickness_mm": 3, "noise_hu": 21.5, "motion_mm": 1.25, "kvp": 120}


def write_simulated(folder, truth=None):
    """A patient as the simulator writes one."""
    hu = patient_hu()
    write_series(folder / "dicom", hu, spacing=CT_SPACING, origin=CT_ORIGIN)
    write_image(folder / "labels.nrrd", marked(hu), CT_SPACING, CT_ORIGIN)
    truth = {"seed": 7, "agatston_as_imaged": {"total": AGATSTON}} if truth is None else truth
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    return folder


def opened(folder):
    (patient,) = find_patients(folder)
    return open_patient(patient)


def rejected(folder):
    with pytest.raises(InputError) as rejection:
        opened(folder)
    return rejection.value.code


def test_patients_of_every_layout_are_found_once_each(tmp_path):
    for name in ("patient-chest-000001/dicom", "patient-chest-000002", "deep/er/reader-1", "case-9", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "patient-chest-000002/truth.json").write_text("{}")  # interrupted: it is a patient all the same
    for name in ("deep/er/reader-1", "case-9", ".hidden"):
        (tmp_path / name / "ct.nrrd").touch()
    for name in ("case-9.npz", "insert_lesions.npz", "notes.txt"):  # the first is the folder of that name again
        (tmp_path / name).touch()
    assert [patient.name for patient in find_patients(tmp_path)] == [
        "case-9",
        "deep/er/reader-1",
        "insert_lesions.npz",
        "patient-chest-000001",
        "patient-chest-000002",
    ]


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_folder_without_patients_is_rejected(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="patients") as rejection:
        find_patients(tmp_path / name)
    assert rejection.value.code == "no-patients"


def test_a_simulated_patient_is_opened_with_its_protocol(tmp_path):
    folder = write_simulated(
        tmp_path / "patient-chest-000007", {"agatston_as_imaged": {"total": AGATSTON}, "protocol": PROTOCOL}
    )
    patient = opened(folder)
    assert np.array_equal(patient.labels, marked(patient_hu()))
    assert patient.field.region.shape == patient.volume.shape
    assert patient.facts == PROTOCOL | {"spacing_mm": 3.0, "field_of_view_mm": 2.0 * patient.volume.shape[2]}


def test_what_the_truth_does_not_state_comes_from_the_ct_or_is_unknown(tmp_path):
    facts = opened(write_simulated(tmp_path / "patient-cardiac-000007")).facts
    assert (facts["kind"], facts["noise_hu"], facts["motion_mm"]) == ("cardiac", None, None)
    assert set(facts) == set(FACTS)


@pytest.mark.parametrize("protocol", [None, [1], {"kernel": 5, "noise_hu": "loud", "kvp": True}, {"kernel": "x" * 500}])
def test_nonsense_in_the_protocol_is_taken_for_nothing(tmp_path, protocol):
    facts = opened(write_simulated(tmp_path / "patient", {"protocol": protocol})).facts
    assert facts["noise_hu"] is None and facts["kernel"] != "x" * 500 and facts["kvp"] is not True


def test_labels_that_do_not_have_the_written_score_are_rejected(tmp_path):
    folder = write_simulated(tmp_path / "patient", {"agatston_as_imaged": {"total": AGATSTON * 1.01}})
    assert rejected(folder) == "truth-mismatch"


@pytest.mark.parametrize(("missing", "code"), [("labels.nrrd", "no-truth"), ("dicom", "no-ct")])
def test_an_unfinished_patient_is_rejected(tmp_path, missing, code):
    folder = write_simulated(tmp_path / "patient")
    (folder / missing).rename(tmp_path / "elsewhere")
    assert rejected(folder) == code


def test_a_broken_truth_is_rejected(tmp_path):
    folder = write_simulated(tmp_path / "patient")
    (folder / "truth.json").write_text("{")
    assert rejected(folder) == "truth-unreadable"


def test_a_rejected_patient_has_the_facts_beside_its_ct(tmp_path):
    folder = write_simulated(tmp_path / "patient-cardiac-000007", {"protocol": {"kernel": "soft", "kvp": 100}})
    (folder / "dicom").rename(tmp_path / "elsewhere")
    (patient,) = find_patients(tmp_path)
    facts = stated_metadata(patient)
    assert (facts["kind"], facts["kernel"], facts["kvp"], facts["spacing_mm"]) == ("cardiac", "soft", 100, None)
    (folder / "truth.json").write_text("{")
    assert stated_metadata(patient) == unknown_metadata()


def test_a_training_case_is_opened_with_its_window(tmp_path):
    write_cases(tmp_path, 1)
    patient = opened(tmp_path)
    (window,) = patient.field.windows
    assert (window.k0, window.k1, window.center_j, window.center_i) == (0, SHAPE[0], *CENTER)
    assert np.array_equal(patient.volume.hu, arrays()[0]) and patient.volume.spacing == SPACING
    assert (patient.facts["kind"], patient.facts["noise_hu"], patient.facts["kvp"]) == ("chest", 10.0, None)


def test_groups_are_in_ascending_order_and_the_unknown_comes_last():
    (noise,) = [grouping for grouping in GROUPINGS if grouping.fact == "noise_hu"]
    patients = [unknown_metadata() | {"noise_hu": value} for value in (41.0, None, 15.0, 15.1, 3.0, 40.0)]
    assert groups_of(noise, patients) == {
        "up to 15 HU": [4, 2],
        "above 15 to 25 HU": [3],
        "above 25 to 40 HU": [5],
        "above 40 HU": [0],
        NOT_STATED: [1],
    }


def test_the_test_set_is_a_hundred_chest_and_44_cardiac_scans_of_different_seeds():
    assert (len(CHEST_SEEDS), len(CARDIAC_SEEDS), len(TEST_SET)) == (100, 44, 144)
    assert len({seed for seed, _ in TEST_SET}) == 144
