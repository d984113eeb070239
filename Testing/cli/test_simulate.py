"""`coronary-calcium simulate`: what it writes, the test set, and how an interrupted run goes on."""

import json
from functools import cache

import pytest
from command_cases import run
from coronary_calcium.errors import Cancelled
from coronary_calcium.evaluation.patients import find_patients, open_patient
from coronary_calcium.evaluation.scan_metadata import FACTS
from coronary_calcium.simulation import dicom_series, patient

# 96 pixels of 2.4 mm, 12 slices; still all of the heart.
COARSE = {"pixels": 96, "field_of_view": 230.0, "spacing": 10.0, "thickness": 5.0, "z_range": (-60.0, 50.0)}
SET = ((900_002, "chest"), (900_105, "cardiac"))
FOLDERS = ["patient-cardiac-900105", "patient-chest-900002"]


@pytest.fixture(scope="module")
def coarse_patient():
    """Simulates a patient coarsely, each of them once for all tests."""
    simulate = patient.simulate_patient
    return cache(lambda seed, kind: simulate(seed, kind, **COARSE))


@pytest.fixture
def made(coarse_patient, monkeypatch):
    """Makes patients coarse and the test set small; the seeds that are simulated, in order."""
    seeds = []

    def coarse(seed, kind, **options):
        seeds.append(seed)
        return coarse_patient(seed, kind)

    monkeypatch.setattr(patient, "simulate_patient", coarse)
    monkeypatch.setattr(patient, "TEST_SET", SET)
    return seeds


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_test_set_is_made_and_a_second_run_makes_only_what_is_not_complete(made, tmp_path):
    outcome = run("simulate", "--test-set", "--output", tmp_path / "set")
    assert outcome.code == 0 and made == [900_002, 900_105] and names_in(tmp_path / "set") == FOLDERS
    assert "Wrote 2 simulated patient(s)" in outcome.err and "1 of 2: patient-chest-900002" in outcome.err
    (tmp_path / "set" / FOLDERS[0] / "truth.json").unlink()
    kept = (tmp_path / "set" / FOLDERS[1] / "truth.json").stat().st_mtime_ns
    outcome = run("simulate", "--test-set", "--output", tmp_path / "set")
    assert outcome.code == 0 and made[2:] == [900_105]
    assert outcome.err.endswith(f"Wrote 1 simulated patient(s) to {tmp_path / 'set'} (1 were already there)\n")
    assert (tmp_path / "set" / FOLDERS[1] / "truth.json").stat().st_mtime_ns == kept
    assert (tmp_path / "set" / FOLDERS[0] / "truth.json").exists()


def test_an_evaluation_finds_everything_that_it_groups_by_in_the_truth(made, tmp_path):
    run("simulate", "--test-set", "--output", tmp_path)
    for folder, kind in zip(FOLDERS, ("cardiac", "chest")):
        protocol = json.loads((tmp_path / folder / "truth.json").read_text())["protocol"]
        assert protocol["kind"] == kind and set(FACTS) <= set(protocol)
    facts = [open_patient(one).facts for one in find_patients(tmp_path)]
    assert [one["kind"] for one in facts] == ["cardiac", "chest"]
    assert all(one["noise_hu"] > 0 and one["motion_mm"] is not None for one in facts)


def test_a_patient_that_is_broken_off_leaves_nothing(made, monkeypatch, tmp_path):
    def stop(patient, path):
        raise Cancelled

    monkeypatch.setattr(dicom_series, "_write_plaques", stop)
    assert run("simulate", "--test-set", "--output", tmp_path / "set").code == 130
    assert names_in(tmp_path / "set") == []


def test_patients_outside_the_test_set_are_made_again(made, monkeypatch, tmp_path):
    monkeypatch.setattr(dicom_series, "write_patient", lambda patient, folder, progress: folder.mkdir(exist_ok=True))
    (tmp_path / FOLDERS[1]).mkdir()
    (tmp_path / FOLDERS[1] / "truth.json").write_text("{}")
    assert run("simulate", "--n", "2", "--seed", "900002", "--output", tmp_path).code == 0
    assert made == [900_002, 900_003] and names_in(tmp_path) == [FOLDERS[1], "patient-chest-900003"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--test-set", "--n", "3"),
        ("--test-set", "--seed", "7"),
        ("--test-set", "--protocol", "chest"),
        ("--test-set", "--thickness", "3"),
        ("--jobs", "0"),
        ("--n", "0"),
        ("--seed", "-1"),
        ("--spacing", "0.1"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_or_make_no_patient_are_wrong_usage(made, tmp_path, wrong):
    outcome = run("simulate", *wrong, "--output", tmp_path / "new")
    assert outcome.code == 2 and wrong[-2] in outcome.err
    assert not (tmp_path / "new").exists() and made == []
