"""Where pericardial calcium may be inserted: found in a heart of known shape, never at an artery."""

import numpy as np
import pytest
from coronary_calcium.simulation.backgrounds import background_of
from coronary_calcium.simulation.inserted_lesions import InsertionStyle, insert_lesions
from coronary_calcium.simulation.pericardial_runs import pericardial_runs
from coronary_calcium.volume import Acquisition, CTVolume

SPACING = (3.0, 1.0, 1.0)
RADIUS_MM = 50.0
CENTER = np.array([100.0, 110.0])
ARTERY = [[2, 100, 156], [10, 100, 158], [20, 104, 158]]
DRAWING = {
    "held_out": False,
    "published": "nowhere",
    "heart": [2, 20, 50, 150, 60, 160],
    "psf_mm": 1.4,
    "LAD": ARTERY,
    "aorta": [[n, 100 - n, 110, 15] for n in range(2, 22)],
    "aortic_valve": [10, 95, 105],
    "valve_radius": 12,
    "mitral": [[8, 110, 100 + n] for n in range(0, 30, 5)],
}


@pytest.fixture(scope="module")
def chest():
    """A heart of 40 HU, a cylinder of 50 mm radius in lung, with a LAD at 3 o'clock."""
    j, i = np.indices((200, 220))
    inside = np.hypot(j - CENTER[0], i - CENTER[1]) < RADIUS_MM
    hu = np.broadcast_to(np.where(inside, 40, -850), (26, 200, 220)).astype(np.int16)
    return CTVolume(np.array(hu), SPACING, (0.0, 0.0, 0.0), acquisition=Acquisition("CT", slice_thickness_mm=3.0))


def test_the_runs_lie_up_to_six_mm_under_the_lung(chest):
    runs = pericardial_runs(chest.hu, SPACING, DRAWING)
    radii = np.linalg.norm(np.concatenate(runs)[:, 1:] - CENTER, axis=1)
    assert len(runs) >= 6
    assert (radii < RADIUS_MM).all() and (radii > RADIUS_MM - 8).all()
    assert {run[0][0] for run in runs} <= set(range(3, 16))


def test_no_run_comes_near_an_artery_and_all_are_long_enough_for_a_plate(chest):
    for run in pericardial_runs(chest.hu, SPACING, DRAWING):
        points = np.array(run) * SPACING
        near = np.linalg.norm(points[:, None] - (np.array(ARTERY) * SPACING)[None], axis=2)
        assert near.min() > 9.0
        assert np.linalg.norm(np.diff(points, axis=0), axis=1).sum() >= 13.0


def test_without_lung_around_there_are_no_runs(chest):
    assert pericardial_runs(np.full_like(chest.hu, 40), SPACING, DRAWING) == []


def test_a_heart_without_drawn_runs_gets_pericardial_calcium_that_carries_label_0(chest):
    scan = background_of("heart", chest, DRAWING, contrast=False)
    cases = [insert_lesions(scan.volume, scan.drawing, seed, InsertionStyle(pericardium=1.0)) for seed in range(4)]
    plates = [deposit for case in cases for deposit in case.deposits if deposit.kind == "pericardium"]
    assert plates and not any(plate.label for plate in plates)
    without = insert_lesions(scan.volume, scan.drawing, 0, InsertionStyle(pericardium=0.0))
    assert not any(deposit.kind == "pericardium" for deposit in without.deposits)


def test_drawn_runs_stay_as_they_were_drawn(chest):
    drawn = [[[5, 60, 110], [5, 62, 120], [5, 66, 130]]]
    scan = background_of("heart", chest, {**DRAWING, "pericardium": drawn}, contrast=False)
    assert len(scan.drawing["pericardium"]) == 1
