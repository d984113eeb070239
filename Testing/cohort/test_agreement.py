"""Readings of a cohort and how well their readers agree, on cases whose agreement is known."""

import json

import numpy as np
import pytest
from cohort_work import make_cohort
from command_cases import marked, patient_hu, run, write_image
from coronary_calcium.cohort.agreement import agreement, shared_cases
from coronary_calcium.cohort.cases import FoundCase
from coronary_calcium.cohort.readings import (
    AI,
    DONE,
    NOT_GRADABLE,
    SECOND_LOOK,
    ReadingStatus,
    read_reading,
    reading_folder,
    reading_of,
    write_reading,
)
from coronary_calcium.cohort.state import CohortState
from coronary_calcium.errors import InputError
from coronary_calcium.evaluation.statistics import weighted_kappa
from coronary_calcium.scoring import score_labels
from coronary_calcium.volume import CTVolume
from rejections import rejection

# Four lesions in as many slices, each of one artery; a pixel of 1 mm2 and 350 HU scores 3.
BOXES = [np.s_[1:2, 2:6, 2:6], np.s_[3:4, 10:12, 10:12], np.s_[5:6, 2:12, 2:12], np.s_[7:8, 14:16, 2:4]]


def volume():
    hu = np.full((9, 20, 20), 40, np.int16)
    for box in BOXES:
        hu[box] = 350
    return CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def read(folder, reader, case_id, lesions, mark=DONE, **status):
    """Keep a reading that marks these of the lesions, of LM, LAD, LCX and RCA."""
    labels = np.zeros((9, 20, 20), np.uint8)
    for lesion, artery in lesions.items():
        labels[BOXES[lesion]] = artery
    score = score_labels(volume(), labels)
    reading = reading_of(score, labels, score.risk_category, ReadingStatus(mark, **status))
    write_reading(reading_folder(folder, reader, case_id), reading)
    return reading


@pytest.fixture
def cohort(tmp_path):
    """Four cases: A and B agree on the first two, B lacks a lesion in the third and names another artery."""
    folder = make_cohort(tmp_path / "cohort", 4)
    for reader, third in (("A", {0: 1, 2: 3}), ("B", {2: 2}), (AI, {0: 1, 1: 2, 2: 3})):
        for number, lesions in enumerate(({}, {1: 2}, third, {0: 1, 1: 2, 2: 3, 3: 4})):
            read(folder, reader, f"c{number:05d}", lesions, seconds=10.0 * number, clicks=number)
    return folder


def test_a_reading_is_read_back_as_it_was_written_and_an_earlier_one_is_gone(tmp_path):
    read(tmp_path, "A", "c", {0: 1})
    written = read(tmp_path, "A", "c", {0: 1, 2: 3}, seconds=3.5, saw_ai=True)
    folder = reading_folder(tmp_path, "A", "c")
    found = read_reading(folder)
    assert len(list(folder.iterdir())) == 2
    assert np.array_equal(found.label_map(), written.label_map()) and found.status == written.status
    assert [(one.artery, one.agatston, one.voxels.tolist()) for one in found.lesions] == [
        (one.artery, one.agatston, one.voxels.tolist()) for one in written.lesions
    ]


def test_a_damaged_reading_is_rejected(tmp_path):
    read(tmp_path, "A", "c", {0: 1})
    (voxels,) = reading_folder(tmp_path, "A", "c").glob("*.npz")
    voxels.write_bytes(voxels.read_bytes()[:100])
    assert rejection(lambda: read_reading(reading_folder(tmp_path, "A", "c"))).code == "reading"


def test_a_case_that_is_not_gradable_needs_a_reason():
    with pytest.raises(InputError):
        ReadingStatus(NOT_GRADABLE)


def test_agreement_is_that_of_the_readings(cohort):
    content = agreement(shared_cases(cohort, ["A", "B"]))
    (pair,) = content["pairs"]
    # A has 0 + 1 + 2 + 4 lesions; B lacks the first of the third case and calls its other one LAD.
    assert {name: pair["lesions"][name] for name in ("both", "only_first", "only_second", "cases_without")} == {
        "both": 6,
        "only_first": 1,
        "only_second": 0,
        "cases_without": 1,
    }
    assert pair["lesions"]["same_artery"] == 5
    # Third case: 16 + 100 pixels of weight 3 by A, 100 by B.
    assert pair["agatston"]["total"]["bias"] == pytest.approx(-16 * 3 / 4)
    assert pair["agatston"]["LM"]["bias"] == pytest.approx(-16 * 3 / 4)
    assert pair["same_category"]["count"] == 4 and pair["kappa"]["quadratic"]["value"] == 1
    assert content["time"]["A"] == {"cases": 4, "median_seconds": 15.0, "median_clicks": 1.5}


def test_only_cases_that_all_have_done_count(cohort):
    read(cohort, "B", "c00003", {}, mark=SECOND_LOOK)
    assert shared_cases(cohort, ["A", "B"]).ids == ["c00000", "c00001", "c00002"]
    assert len(shared_cases(cohort, ["A", AI]).ids) == 4
    assert rejection(lambda: shared_cases(cohort, ["A", "nobody"])).code == "agreement-cases"
    assert rejection(lambda: shared_cases(cohort, ["A", "A"])).code == "agreement-readers"


def test_quadratic_kappa_is_that_of_a_table_computed_by_hand():
    # Observed disagreement: 1. Expected by the margins (2, 1, 1) and (1, 2, 1) of 4 cases:
    table = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    expected = (2 * 2 * 1 + 2 * 1 * 4 + 1 * 1 * 1 + 1 * 1 * 1 + 1 * 1 * 4 + 1 * 2 * 1) / 4
    assert weighted_kappa(table, 2) == pytest.approx(1 - 1 / expected)


def test_the_command_writes_the_page_the_table_and_the_numbers(cohort):
    outcome = run("agreement", cohort, "--readers", "A", "B", AI)
    assert outcome.code == 0, outcome.err
    assert "A and B: kappa 1.00 linear" in outcome.out and "6 both, 1 only A" in outcome.out
    page = (cohort / "agreement" / "agreement.html").read_text(encoding="utf-8")
    assert page.count("linear kappa") == 3 and "http" not in page
    assert len((cohort / "agreement" / "agreement.csv").read_text().splitlines()) == 5
    assert len(json.loads((cohort / "agreement" / "agreement.json").read_text())["pairs"]) == 3


def test_label_maps_of_another_program_become_readings(tmp_path):
    ct = write_image(tmp_path / "ct.nrrd", patient_hu())
    (tmp_path / "masks").mkdir()
    write_image(tmp_path / "masks" / "one.nrrd", marked(patient_hu()))
    write_image(tmp_path / "masks" / "other.nrrd", marked(patient_hu()))
    with CohortState(tmp_path / "cohort") as state:
        state.add_cases([FoundCase("key", str(ct), id="one")])
    outcome = run("cohort", "add-readings", tmp_path / "cohort", tmp_path / "masks", "--reader", "A")
    assert outcome.code == 0 and "1 readings of A" in outcome.err and "Rejected: other" in outcome.err
    reading = read_reading(reading_folder(tmp_path / "cohort", "A", "one"))
    assert reading.agatston["LAD"] == 432 and reading.status.mark == DONE
