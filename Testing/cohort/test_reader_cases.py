"""A reader's done cases as a data set: which take part, what is said of the others, and what the commands ask for."""

import numpy as np
import pytest
from command_cases import AGATSTON, marked, patient_hu, run, write_image
from coronary_calcium.cohort.cases import FoundCase
from coronary_calcium.cohort.reader_cases import reader_cases
from coronary_calcium.cohort.readings import (
    AI,
    DONE,
    NOT_GRADABLE,
    OPEN,
    SECOND_LOOK,
    ReadingStatus,
    reading_folder,
    reading_of,
    write_reading,
)
from coronary_calcium.cohort.state import CohortState
from coronary_calcium.evaluation.patients import data_set_patients, open_patient
from coronary_calcium.progress import no_progress
from coronary_calcium.scoring import score_labels
from coronary_calcium.volume import CTVolume
from rejections import rejection

IDS = {"done": DONE, "again": SECOND_LOOK, "begun": OPEN, "hopeless": NOT_GRADABLE, "moved": DONE}


def keep(cohort, reader, case_id, hu, mark=DONE):
    labels = marked(hu)
    labels[0, 0, 0] = 3  # air, which is marked and does not count
    score = score_labels(CTVolume(hu, (3.0, 2.0, 2.0), (0.0, 0.0, 0.0)), labels)
    status = ReadingStatus(mark, "motion" if mark == NOT_GRADABLE else "")
    write_reading(reading_folder(cohort, reader, case_id), reading_of(score, labels, score.risk_category, status))


@pytest.fixture
def cohort(tmp_path):
    """A cohort that A has read: two cases done, of which the CT of one is there no more."""
    ct = write_image(tmp_path / "ct.nrrd", patient_hu())
    with CohortState(tmp_path / "cohort") as state:
        for case_id in IDS:
            place = tmp_path / "gone.nrrd" if case_id == "moved" else ct
            state.add_cases([FoundCase(f"key-{case_id}", str(place), id=case_id)])
    for case_id, mark in IDS.items():
        keep(tmp_path / "cohort", "A", case_id, patient_hu(), mark)
    return tmp_path / "cohort"


def test_only_done_cases_take_part_and_the_others_are_counted(cohort):
    cases = reader_cases(cohort, "A")
    assert [entry.name for entry in cases.data.entries] == ["done", "moved"]
    assert cases.counted("A") == (
        "A has 2 cases done; 1 open, 1 for a second look, 1 not gradable, which do not take part."
    )


def test_a_done_case_is_the_ct_with_the_readers_labels_and_score(cohort):
    entry = reader_cases(cohort, "A").data.entries[0]
    case = entry.open(no_progress)
    assert np.array_equal(
        case.labels > 0, (marked(patient_hu()) > 0) | (np.arange(case.labels.size) == 0).reshape(case.labels.shape)
    )
    assert case.reference["LAD"] == AGATSTON and case.facts["source"] == "reader"
    assert {path.name for path in entry.sources} == {"reading.json", "ct.nrrd"}
    (patient, _) = data_set_patients(reader_cases(cohort, "A").data)
    opened = open_patient(patient)
    assert np.array_equal(opened.labels, marked(patient_hu()))  # what lies below 130 HU is no truth
    before = patient.fingerprint()
    keep(cohort, "A", "done", np.maximum(patient_hu(), 40))
    assert patient.fingerprint() != before


def test_a_ct_that_is_there_no_more_is_said(cohort):
    entry = reader_cases(cohort, "A").data.entries[1]
    refused = rejection(lambda: entry.open(no_progress))
    assert refused.code == "no-file" and "bring it back" in str(refused)


def test_a_reading_of_another_ct_and_a_damaged_one_are_no_truth(cohort, tmp_path):
    write_image(tmp_path / "ct.nrrd", patient_hu()[:-1])
    data = reader_cases(cohort, "A").data
    assert rejection(lambda: data.entries[0].open(no_progress)).code == "reading"
    (reading_folder(cohort, "A", "again") / "reading.json").write_text("{")
    (left,) = reader_cases(cohort, "A").data.left_out
    assert left.name == "again" and "damaged" in left.reason


def test_who_has_done_no_case_and_the_network_are_rejected(cohort, tmp_path):
    for reader in ("B", AI):
        assert rejection(lambda name=reader: reader_cases(cohort, name)).code == "no-readings"
    assert rejection(lambda: reader_cases(tmp_path, "A")).code == "cohort-missing"


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_cohort_without_a_reader_is_asked_for_one(cohort, tmp_path, command):
    recipe = ("best",) if command == "train" else ()
    outcome = run(command, *recipe, "--data", cohort, "--output", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 3 and "--reader NAME" in outcome.err


def test_several_processes_are_told_to_prepare_the_cases_first(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = run("train", "best", "--data", cohort, "--reader", "A", "--output", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 3 and "coronary-calcium prepare --reader" in outcome.err


def test_prepare_makes_training_cases_of_a_reader_and_says_which_it_cannot_make(cohort, tmp_path):
    outcome = run("prepare", "--data", cohort, "--reader", "A", "--output", tmp_path / "cases")
    assert "A has 2 cases done" in outcome.err and "Left out moved: Its CT is not where" in outcome.err
    assert outcome.code == 0 and len(list((tmp_path / "cases").glob("cohort-*-done.npz"))) == 1, outcome.err
