"""One loop of five commands on simulated patients in miniature: run, read, agreement, train, evaluate."""

import json
import sys

import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from command_cases import run, write_weights
from coronary_calcium.cohort.readings import (
    AI,
    NOT_GRADABLE,
    SECOND_LOOK,
    ReadingStatus,
    cases_read,
    mark_reading,
    read_reading,
    reading_folder,
    reading_of,
    write_reading,
)
from coronary_calcium.cohort.state import CohortState
from coronary_calcium.io import open_ct
from coronary_calcium.network.model_card import read_card
from coronary_calcium.scoring import score_labels
from coronary_calcium.simulation.dicom_series import write_patient
from coronary_calcium.simulation.patient import simulate_patient

distributed = pytest.importorskip("distributed", reason="pip install 'coronary-calcium-scoring[cohort]'")
pytestmark = [
    pytest.mark.usefixtures("small_network"),
    pytest.mark.skipif(sys.platform == "win32", reason="runs the command's lock and Dask as on POSIX"),
]

# 20 patients take a minute of one core, half of it the tiny network and a third their simulation.
TRAINING, TEST = 16, 4
COARSE = {"pixels": 104, "field_of_view": 250.0, "spacing": 10.0, "thickness": 2.0, "z_range": (-35.0, 35.0)}
RECIPE = """
threads = 1
iterations = 3
batch = 2
[samples]
patch = 64
"""


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Simulated patients, most of them to train on and some to test on."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(TRAINING + TEST):
        part = "training" if number < TRAINING else "test"
        patient = simulate_patient(number + 1, "chest", **COARSE)
        write_patient(patient, folder / part / f"patient-chest-{number + 1:06d}")
    return folder


@pytest.fixture(scope="module")
def scheduler():
    """Dask in this process, where the network is a tiny one."""
    with distributed.LocalCluster(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as made:
        yield made.scheduler_address


def run_cohort(scans, output, scheduler, weights):
    outcome = run(
        *("cohort", "run", scans, "--output", output, "--scheduler", scheduler),
        *("--weights", weights, "--device", "cpu"),
    )
    assert outcome.code == 0, outcome.err
    with CohortState(output) as state:
        assert state.counts()["done"] == sum(state.counts().values())
        return {case_id: place for case_id, place, _ in state.ids()}


def read(cohort, places, reader, left_out=0):
    """Read every case as the review does: A marks the truth; B misses as many lesions as are left out of it."""
    for case_id, place in places.items():
        volume = open_ct(place).volume
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(place) + "/../labels.nrrd"))
        for lesion in score_labels(volume, labels).lesions[:left_out]:
            labels.reshape(-1)[lesion.voxels] = 0
        score = score_labels(volume, labels)
        status = ReadingStatus("done", seconds=20.0, clicks=3, saw_ai=True)
        reading = reading_of(score, labels, score.risk_category, status)
        write_reading(reading_folder(cohort, reader, case_id), reading)


def test_the_loop_of_five_commands_goes_round(scans, scheduler, tmp_path):
    weights = write_weights(tmp_path)
    cohort, test = tmp_path / "cohort", tmp_path / "test"
    places = run_cohort(scans / "training", cohort, scheduler, weights)
    assert len(places) == TRAINING == len(cases_read(cohort, AI))

    read(cohort, places, "A")
    read(cohort, places, "B", left_out=1)
    second, hopeless, gone, *_ = sorted(places)
    mark_reading(reading_folder(cohort, "A", second), ReadingStatus(SECOND_LOOK))
    mark_reading(reading_folder(cohort, "A", hopeless), ReadingStatus(NOT_GRADABLE, "motion"))

    outcome = run("agreement", cohort, "--readers", "A", "B", AI)
    assert outcome.code == 0 and f"{TRAINING - 2} cases" in outcome.out
    pairs = json.loads((cohort / "agreement" / "agreement.json").read_text())["pairs"]
    with_calcium = sum(bool(read_reading(reading_folder(cohort, "A", one)).lesions) for one in places)
    lesions = pairs[0]["lesions"]
    assert with_calcium >= 5 and 0 < lesions["only_first"] <= with_calcium and lesions["only_second"] == 0

    for file in (scans / "training").glob(f"*{places[gone].rsplit('patient', 1)[1][:13]}*/dicom"):
        file.rename(file.with_name("moved"))
    (tmp_path / "tiny.toml").write_text(RECIPE)
    outcome = run(
        *("train", tmp_path / "tiny.toml", "--data", cohort, "--reader", "A"),
        *("--output", tmp_path / "run", "--device", "cpu"),
    )
    assert outcome.code == 0, outcome.err
    assert (
        f"A has {TRAINING - 2} cases done; 1 for a second look, 1 not gradable, which do not take part." in outcome.err
    )
    assert f"Left out {gone}: Its CT is not where the cohort found it" in outcome.err
    assert f"Training cases of A: {TRAINING - 3}." in outcome.err
    trained = tmp_path / "run" / "denseraunet.safetensors"
    assert read_card(trained)["training"]["iterations"] == 3

    read(test, run_cohort(scans / "test", test, scheduler, weights), "A")
    outcome = run(
        *("evaluate", "--data", test, "--reader", "A", "--weights", trained),
        *("--output", tmp_path / "evaluation", "--device", "cpu"),
    )
    assert outcome.code == 0, outcome.err
    content = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert (content["figures"]["patients"], content["figures"]["rejected"]) == (TEST, 0)
    true = sum(patient["measured"]["true_agatston"]["total"] for patient in content["patients"])
    assert true == pytest.approx(
        sum(read_reading(reading_folder(test, "A", one)).agatston["total"] for one in cases_read(test, "A"))
    )
