"""Training cases made of data sets: what is kept of a CT, what is left out, and what is made again."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_cases import run
from coronary_calcium.datasets.case_format import (
    BOX_MM,
    TrainingCase,
    around_heart,
    load_case,
    save_case,
    write_training_case,
)
from coronary_calcium.datasets.prepare import ensure_cases, list_path, prepare
from coronary_calcium.datasets.registry import open_data_set
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.heart.field import Window
from coronary_calcium.heart.find import find_heart
from coronary_calcium.training.cases import CaseFolder
from coronary_calcium.volume import CTVolume
from data_set_cases import write_nongated, write_scores, write_simulated
from marked_patient import VOLUME, marked, write_patient


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """A folder with one simulated patient and one that lacks its labels; tests must leave it as it is."""
    root = tmp_path_factory.mktemp("patients")
    write_patient(root)
    (write_patient(root, "patient-chest-000002") / "labels.nrrd").unlink()
    return root


def age(folder, seconds=100):
    """Make all training cases of a folder that much older."""
    for path in folder.glob("*.npz"):
        stamp = path.stat().st_mtime - seconds
        os.utime(path, (stamp, stamp))


def test_a_training_case_is_the_part_around_the_heart(patients, tmp_path):
    prepared = prepare(open_data_set(patients), tmp_path)
    (name,) = prepared.made
    case = load_case(tmp_path / name)
    hu, labels = marked()
    window = find_heart(replace(VOLUME, hu=hu)).windows[0]
    half = BOX_MM / 2 / 2.5
    j0, j1 = max(0, int(np.floor(window.center_j - half))), int(np.ceil(window.center_j + half))
    i0, i1 = int(np.floor(window.center_i - half)), int(np.ceil(window.center_i + half))
    box = np.s_[window.k0 : window.k1, j0:j1, i0:i1]
    np.testing.assert_array_equal(case.hu, hu[box])
    np.testing.assert_array_equal(case.labels, np.where(hu >= 130, labels, 0)[box])
    assert np.count_nonzero(case.labels) == 8
    assert case.field_center == (window.center_j - j0, window.center_i - i0)
    assert case.spacing == VOLUME.spacing
    assert case.facts["source"] == "simulated patient"
    assert case.facts["kind"] == "chest"
    assert (case.facts["kernel"], case.facts["kvp"]) == ("B35f", 120.0)
    assert "thick-slices" in case.facts["warnings"]


def test_what_was_left_out_is_listed_with_its_reason(patients, tmp_path):
    data = open_data_set(patients)
    prepared = prepare(data, tmp_path)
    listed = json.loads(list_path(data, tmp_path).read_text())
    assert listed["made"] == list(prepared.made)
    assert [(left["name"], left["reason"].split(":")[0]) for left in listed["left_out"]] == [
        ("patient-chest-000002", "It lacks labels.nrrd")
    ]
    assert str(patients) not in json.dumps(listed)


def test_cases_that_are_there_are_kept_and_changed_ones_made_again(tmp_path):
    write_patient(tmp_path / "data")
    data = open_data_set(tmp_path / "data")
    (name,) = prepare(data, tmp_path / "cases").made
    (tmp_path / "cases" / f"{name}.partial").write_bytes(b"half")
    written = (tmp_path / "cases" / name).stat().st_mtime_ns
    assert prepare(data, tmp_path / "cases").kept == (name,)
    assert (tmp_path / "cases" / name).stat().st_mtime_ns == written
    assert not list((tmp_path / "cases").glob("*.partial"))
    age(tmp_path / "cases")
    assert prepare(data, tmp_path / "cases").made == (name,)


def test_cases_that_the_data_set_no_longer_has_are_removed_and_others_are_not(tmp_path):
    write_patient(tmp_path / "data")
    gone = write_patient(tmp_path / "data", "patient-chest-000003")
    cases = tmp_path / "cases"
    assert len(prepare(open_data_set(tmp_path / "data"), cases).made) == 2
    save_case(cases / "own.npz", TrainingCase(*(np.zeros((1, 2, 2)),) * 2, (1, 1, 1), (1, 1), {}))
    (gone / "labels.nrrd").unlink()
    prepare(open_data_set(tmp_path / "data"), cases)
    assert [name.split("-")[-1] for name in CaseFolder(cases).names] == ["own.npz", "000001.npz"]


def test_an_interrupted_run_leaves_whole_cases_and_goes_on(tmp_path):
    write_patient(tmp_path / "data")
    write_patient(tmp_path / "data", "patient-chest-000003")
    data = open_data_set(tmp_path / "data")

    def stop(fraction, text):
        if "000003" in text:
            raise Cancelled

    with pytest.raises(Cancelled):
        prepare(data, tmp_path / "cases", stop)
    assert len(CaseFolder(tmp_path / "cases").names) == 1
    prepared = prepare(data, tmp_path / "cases")
    assert (len(prepared.kept), len(prepared.made)) == (1, 1)


def test_a_run_that_is_stopped_while_it_writes_leaves_no_half_a_case(tmp_path, monkeypatch):
    write_patient(tmp_path / "data")

    def stop(stream, array, **options):
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("coronary_calcium.datasets.case_format.np.lib.format.write_array", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(open_data_set(tmp_path / "data"), tmp_path / "cases")
    assert list((tmp_path / "cases").iterdir()) == []


def test_data_sets_with_the_same_names_do_not_overwrite_each_other(patients, tmp_path):
    write_patient(tmp_path / "other")
    for folder in (patients, tmp_path / "other"):
        prepare(open_data_set(folder), tmp_path / "cases")
    assert len(CaseFolder(tmp_path / "cases").names) == 2


def test_a_data_set_of_which_nothing_can_be_used_is_rejected_with_the_first_reason(tmp_path):
    hu = np.full(VOLUME.shape, 40, np.int16)
    hu[:, ::2] = -1000  # air and tissue, but no lungs and no heart
    labels = np.zeros(hu.shape, np.uint8)
    write_simulated(tmp_path / "data", "patient-1", hu, labels, spacing=VOLUME.spacing, origin=VOLUME.origin)
    with pytest.raises(InputError, match="patient-1: The heart was not found") as rejected:
        prepare(open_data_set(tmp_path / "data"), tmp_path / "cases")
    assert rejected.value.code == "no-training-data"


def test_a_data_set_without_marked_calcium_is_rejected_before_anything_is_read(tmp_path):
    write_nongated(tmp_path / "data")
    write_scores(tmp_path / "data" / "deidentified_nongated" / "scores.xlsx", [("3A", 0, 0, 0, 0, 0)])
    with pytest.raises(InputError) as rejected:
        prepare(open_data_set(tmp_path / "data"), tmp_path / "cases")
    assert rejected.value.code == "not-marked"
    assert not (tmp_path / "cases").exists()


def test_the_box_holds_all_that_is_labeled_and_stays_in_the_ct():
    volume = CTVolume(np.zeros((10, 300, 300), np.int16), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    labels = np.zeros(volume.shape, np.uint8)
    center, box = around_heart(volume, (Window(2, 8, 100.0, 150.5),), labels)
    assert center == (100.0, 150.5)
    assert box == (slice(2, 8), slice(0, 225), slice(25, 276))
    labels[0, 290, 10] = labels[9, 0, 299] = 1
    _, box = around_heart(volume, (Window(2, 8, 100.0, 150.5),), labels)
    assert box == (slice(0, 10), slice(0, 291), slice(10, 300))
    two = (Window(0, 6, 100.0, 100.0), Window(4, 10, 100.0, 200.0))
    assert around_heart(volume, two, np.zeros_like(labels))[0] == (100.0, 150.0)


def test_hu_that_do_not_fit_into_a_training_case_are_rounded_and_kept_in_its_range(tmp_path):
    hu = np.full((2, 4, 4), 129.6, np.float32)
    hu[0, 0, :3] = 40000.0, 130.4, -40000.0
    volume = CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    write_training_case(tmp_path / "a.npz", volume, np.ones(hu.shape), (Window(0, 2, 2.0, 2.0),), {})
    case = load_case(tmp_path / "a.npz")
    assert case.hu[0, 0].tolist() == [32767, 130, -32768, 130]
    assert case.labels[0, 0].tolist() == [1, 1, 0, 0]


# What training is given


def test_a_folder_of_training_cases_is_used_as_it_is(tmp_path):
    save_case(tmp_path / "a.npz", TrainingCase(*(np.zeros((1, 2, 2)),) * 2, (1, 1, 1), (1, 1), {}))
    assert ensure_cases(tmp_path, tmp_path / "cache") == tmp_path
    assert not (tmp_path / "cache").exists()


def test_any_data_set_is_prepared_into_a_folder_of_its_own(patients, tmp_path):
    cases = ensure_cases(patients, tmp_path / "cache")
    assert cases.parent == tmp_path / "cache"
    assert len(CaseFolder(cases).names) == 1
    written = [path.stat().st_mtime_ns for path in cases.glob("*.npz")]
    assert ensure_cases(patients, tmp_path / "cache") == cases
    assert [path.stat().st_mtime_ns for path in cases.glob("*.npz")] == written


def test_a_folder_of_nothing_is_rejected(tmp_path):
    with pytest.raises(InputError) as rejected:
        ensure_cases(tmp_path / "none", tmp_path / "cache")
    assert rejected.value.code == "no-data-set"


def test_training_cases_are_found_without_what_reads_images(tmp_path):
    save_case(tmp_path / "a.npz", TrainingCase(*(np.zeros((1, 2, 2)),) * 2, (1, 1, 1), (1, 1), {}))
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['SimpleITK', 'pydicom', 'skimage', 'openpyxl', 'torch']));"
        "from coronary_calcium.datasets.prepare import ensure_cases; ensure_cases(sys.argv[1], sys.argv[1])"
    )
    path = Path(__file__).resolve().parents[2] / "CoronaryCalciumScoring"
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, env={**os.environ, "PYTHONPATH": str(path)})


# The command


def test_the_command_says_what_it_made_and_what_it_left_out(patients, tmp_path):
    outcome = run("prepare", "--data", patients, "--output", tmp_path / "cases")
    assert outcome.code == 0, outcome
    assert outcome.err.splitlines() == [
        "Left out patient-chest-000002: It lacks labels.nrrd: simulate the patient again.",
        f"1 training case(s) in {tmp_path / 'cases'}: 1 new, 0 already there. Left out: 1.",
    ]
    assert "1 already there" in run("prepare", "--data", patients, "--output", tmp_path / "cases").err


def test_the_command_rejects_in_one_sentence(patients, tmp_path):
    for arguments, words in (
        (("--data", tmp_path), "none of the data sets"),
        (("--data", patients, "--layout", "nlst"), "does not hold the NLST annotations"),
    ):
        outcome = run("prepare", *arguments, "--output", tmp_path / "cases")
        assert outcome.code == 3
        assert outcome.err.startswith("Rejected: ") and outcome.err.count("\n") == 1
        assert words in outcome.err
        assert not (tmp_path / "cases").exists()
    assert run("prepare", "--data", patients, "--output", patients).code == 2
