"""Simulated patients: repeatable, with a truth that agrees with the image."""

import csv
import json

import numpy as np
import pytest
from coronary_calcium.arteries import BY_NAME
from coronary_calcium.errors import Cancelled
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.simulation.dicom_series import write_patient
from coronary_calcium.simulation.heart_anatomy import BRANCH_LABEL, build_heart
from coronary_calcium.simulation.inserted_lesions import load_drawings
from coronary_calcium.simulation.painting import Body, Grid, cover_of
from coronary_calcium.simulation.patient import simulate_patient
from coronary_calcium.simulation.protocol import Protocol
from coronary_calcium.simulation.scanner import expose
from coronary_calcium.simulation.shapes import Ellipsoid, Tube, resample_path
from coronary_calcium.simulation.tissue import CALCIUM_FACTOR, MUSCLE, Deposit, Layer

# A coarse, quick scan of the heart: 96 pixels of 2.4 mm, 12 slices.
QUICK = {"pixels": 96, "field_of_view": 230.0, "spacing": 10.0, "thickness": 5.0, "z_range": (-60.0, 50.0)}


HEAVY = 7


@pytest.fixture(scope="module")
def patient():
    return simulate_patient(3, "chest", **QUICK)


def protocol(**changes) -> Protocol:
    values = {
        "gated": True,
        "field_of_view": 64.0,
        "pixels": 64,
        "thickness": 3.0,
        "spacing": 3.0,
        "kernel": "standard",
        "noise": 1e-6,
        "kvp": 120,
        "motion": 0.0,
        "center": (0.0, 0.0),
        "z_range": (0.0, 0.0),
    }
    return Protocol(**{**values, **changes})


def test_a_seed_gives_the_same_patient_again_and_another_seed_another(patient):
    again, other = simulate_patient(3, "chest", **QUICK), simulate_patient(4, "chest", **QUICK)
    assert np.array_equal(patient.volume.hu, again.volume.hu)
    assert np.array_equal(patient.labels, again.labels)
    assert not np.array_equal(patient.volume.hu, other.volume.hu)


def test_every_labeled_voxel_reaches_the_threshold():
    # This patient is one of the most diseased of the first seeds.
    patient = simulate_patient(HEAVY, "chest", **{**QUICK, "pixels": 160, "z_range": (-10.0, 50.0), "spacing": 5.0})
    calcium = patient.labels > 0
    assert (patient.volume.hu[calcium] >= LITERATURE.threshold_hu).all()
    assert calcium.sum() > 20


def test_the_chest_has_lung_heart_and_bone_where_they_belong(patient):
    hu, (k, j, i) = patient.volume.hu, (round(value) for value in patient.heart_center)
    assert -20 < np.median(hu[k, j - 2 : j + 3, i - 2 : i + 3]) < 100
    lateral = round(85 / patient.volume.spacing[2])
    assert np.median(hu[k, j - 4 : j + 5, i - lateral - 2 : i - lateral + 3]) < -600
    assert hu.max() > 500


def test_a_sphere_of_calcium_keeps_its_volume_whatever_the_grid():
    radius, volume = 2.5, 4 / 3 * np.pi * 2.5**3
    sphere = Ellipsoid(np.array([0.3, -0.4, 0.2]), np.full(3, radius))
    for pixel in (0.4, 0.7, 1.1):
        steps = np.arange(-20, 21) * pixel
        heights = np.arange(-4, 4, 0.1) + 0.05
        grid = Grid(steps, steps, heights, pixel)
        found = [cover_of(sphere, grid, z) for z in heights]
        filled = sum(float(cover.sum()) for cover, _ in (item for item in found if item)) * pixel**2 * 0.1
        assert filled == pytest.approx(volume, rel=0.02)


def test_partial_volume_over_a_thick_slice_dilutes_calcium():
    plaque = Deposit(Ellipsoid(np.zeros(3), np.array([4.0, 4.0, 0.75])), 800.0, 2, "plaque")
    body = [Layer(Ellipsoid(np.zeros(3), np.full(3, 40.0)), MUSCLE)]
    steps = np.arange(-16, 16) + 0.5
    peaks = []
    for thickness in (1.0, 3.0, 8.0):
        grid = Grid(steps, steps, np.array([0.0]), 1.0)
        image, added = expose(np.random.default_rng(0), Body(body, grid), [plaque], protocol(thickness=thickness), grid)
        peaks.append(int(image.max()))
        assert added[1].max() > 0 and not added[[0, 2, 3, 4]].any()
    assert peaks[0] > peaks[1] > peaks[2]
    assert peaks[2] == pytest.approx(MUSCLE + (800 - MUSCLE) * 1.5 / 8, abs=45)


def test_calcium_is_brighter_at_low_tube_voltage():
    plaque = Deposit(Tube(np.array([[-6.0, 0, 0], [6.0, 0, 0]]), np.full(2, 4.0)), 400.0, 1, "plaque")
    body = [Layer(Ellipsoid(np.zeros(3), np.full(3, 40.0)), MUSCLE)]
    steps = np.arange(-16, 16) + 0.5
    grid = Grid(steps, steps, np.array([0.0]), 1.0)
    peak = {
        kvp: int(expose(np.random.default_rng(0), Body(body, grid), [plaque], protocol(kvp=kvp), grid)[0].max())
        for kvp in (80, 120)
    }
    assert peak[80] > 1.2 * peak[120]
    assert CALCIUM_FACTOR[120] == 1.0


def test_noise_has_the_standard_deviation_that_the_protocol_names():
    body = [Layer(Ellipsoid(np.zeros(3), np.full(3, 400.0)), MUSCLE)]
    steps = (np.arange(128) - 63.5) * 0.7
    for noise, kernel in ((15.0, "soft"), (40.0, "sharp")):
        grid = Grid(steps, steps, np.array([0.0]), 0.7)
        image, _ = expose(np.random.default_rng(1), Body(body, grid), [], protocol(noise=noise, kernel=kernel), grid)
        # Streaks add 3 % and the texture of tissue about 5 HU.
        assert image[0, 20:-20, 20:-20].std() == pytest.approx(noise, rel=0.2)


def test_the_coronary_arteries_run_where_they_should():
    for seed in range(5):
        heart = build_heart(np.random.default_rng(seed), 1.0)
        assert set(heart.arteries) <= set(BRANCH_LABEL)
        middle = {name: path.mean(axis=0) for name, path in heart.arteries.items()}
        # Patient coordinates: x to the left, y to the back, z to the head.
        assert middle["RCA"][0] < middle["LAD"][0] and middle["RCA"][0] < middle["LCX"][0]
        assert middle["LAD"][1] < middle["LCX"][1]
        assert heart.arteries["LAD"][0] == pytest.approx(heart.arteries["LM"][-1], abs=3)
        assert heart.arteries["LCX"][0] == pytest.approx(heart.arteries["LM"][-1], abs=3)
        steps = np.linalg.norm(np.diff(heart.arteries["LAD"], axis=0), axis=1)
        assert steps == pytest.approx(np.full(len(steps), steps.mean()), rel=0.35)


def test_a_resampled_path_keeps_its_ends_and_its_step():
    path = resample_path(np.array([[0.0, 0, 0], [10.0, 0, 0], [10.0, 10, 0]]), 2.0)
    assert path[0] == pytest.approx([0, 0, 0])
    assert path[-1] == pytest.approx([10, 10, 0])
    assert len(path) == 11


def test_the_written_series_reads_back_as_the_same_volume_and_score(tmp_path, patient):
    from coronary_calcium.io import open_ct, open_mask

    write_patient(patient, tmp_path)
    volume = open_ct(tmp_path / "dicom").volume
    assert np.array_equal(volume.hu, patient.volume.hu)
    assert volume.spacing == patient.volume.spacing
    assert volume.origin == pytest.approx(patient.volume.origin, abs=1e-6)
    assert volume.acquisition.kvp == patient.protocol.kvp
    labels = open_mask(tmp_path / "labels.nrrd", volume)
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert score_labels(volume, labels).total.agatston == truth["agatston_as_imaged"]["total"]


def test_a_series_that_is_not_finished_does_not_pass_for_a_shorter_scan(tmp_path, patient):
    def stop(fraction, text):
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_patient(patient, tmp_path, stop)
    assert list(tmp_path.iterdir()) == []
    write_patient(patient, tmp_path)
    before = sorted(path.name for path in (tmp_path / "dicom").iterdir())
    with pytest.raises(Cancelled):
        write_patient(patient, tmp_path, stop)
    assert sorted(path.name for path in (tmp_path / "dicom").iterdir()) == before


def test_a_patient_s_folder_names_every_plaque_with_its_truth(tmp_path, patient):
    write_patient(patient, tmp_path)
    with (tmp_path / "plaques.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    coronary = [row for row in table if row["kind"] == "plaque"]
    assert len(coronary) == len({deposit.plaque for deposit in patient.deposits if deposit.label})
    assert all(row["artery"] in BY_NAME and float(row["volume_mm3"]) > 0 for row in coronary)
    assert {row["kind"] for row in table} == {deposit.kind for deposit in patient.deposits}
    truth = json.loads((tmp_path / "truth.json").read_text())
    exact = truth["agatston_exact"]
    assert exact["total"] == pytest.approx(sum(exact["by_artery"].values()))
    assert truth["patient"]["sex"] in ("F", "M") and truth["protocol"]["kvp"] == patient.protocol.kvp


def test_the_hand_drawn_arteries_lie_in_their_hearts():
    for drawing in load_drawings().values():
        k0, k1, j0, j1, i0, i1 = drawing["heart"]
        for name in ("LM", "LAD", "LCX", "RCA"):
            k, j, i = np.transpose(drawing[name])
            assert ((k0 <= k) & (k < k1) & (j0 <= j) & (j < j1) & (i0 <= i) & (i < i1)).all()
