"""Calcium at an ostium: the part in the wall lies there, the artery's in the artery; motion keeps what it smears."""

from collections import Counter

import numpy as np
import pytest
from coronary_calcium.simulation.heart_anatomy import BRANCH_LABEL
from coronary_calcium.simulation.ostial_calcium import ostial_calcium, proximal_disease
from coronary_calcium.simulation.painting import MOTION_FORMS, Motion

# An aorta of 15 mm radius along z, and an artery that leaves it at (15, 0, 20) to the left.
RADIUS = 15.0
AORTA = np.stack([np.zeros(20), np.zeros(20), np.arange(0, 40, 2.0)], axis=1)
ARTERY = np.stack([np.arange(RADIUS, 60.0), np.zeros(45), np.full(45, 20.0)], axis=1)
VESSEL = 1.8


def made(count):
    random = np.random.default_rng(0)
    return [ostial_calcium(random, ARTERY, VESSEL, AORTA, 1, n) for n in range(count)]


def test_the_walls_part_lies_in_the_wall_and_the_arterys_in_the_artery():
    for deposits in made(30):
        for deposit in deposits:
            points = deposit.shape.points
            if deposit.label:
                assert deposit.label == 1 and deposit.form == "ostial"
                # From the ostium on, within the artery's wall.
                assert points[:, 0].min() > RADIUS - 1.5
                assert np.hypot(points[:, 1], points[:, 2] - 20).max() < VESSEL + 1.5
            else:
                assert np.hypot(points[:, 0], points[:, 1]) == pytest.approx(RADIUS, abs=2.0)
                assert np.abs(points[:, 2] - 20).max() < 35


def test_wall_alone_artery_alone_and_both_occur():
    kinds = Counter(frozenset(deposit.label > 0 for deposit in deposits) for deposits in made(60))
    assert set(kinds) == {frozenset({True}), frozenset({False}), frozenset({True, False})}
    assert min(kinds.values()) >= 8


def test_heavy_disease_keeps_each_branchs_artery_and_own_numbers():
    arteries = {"LM": ARTERY, "LAD": ARTERY + [20, 0, 5], "RCA": ARTERY * [-1, 1, 1]}
    found = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        found += proximal_disease(random, arteries, dict.fromkeys(arteries, VESSEL), AORTA, BRANCH_LABEL)
    assert {deposit.label for deposit in found} == {0, 1, 2, 4}
    assert {deposit.form for deposit in found if deposit.label} == {"ostial", "heavy"}
    for deposit in found:
        if deposit.label == 4:
            assert deposit.shape.points[:, 0].max() < -RADIUS + 3
    assert min(deposit.plaque for deposit in found if deposit.label) >= 1000


@pytest.mark.parametrize("form", MOTION_FORMS)
def test_motion_moves_calcium_and_loses_none(form):
    for seed in range(20):
        motion = Motion.draw(np.random.default_rng(seed), 4.0, form)
        assert motion.shifts.shape == (len(motion.weights), 2)
        assert motion.weights.sum() == pytest.approx(1)
        assert 0.1 < np.abs(motion.shifts).max() < 12
    assert len(Motion.draw(np.random.default_rng(0), 0.3, form).weights) == 1


def test_a_double_contour_has_two_places_and_an_arc_bends():
    double = Motion.draw(np.random.default_rng(1), 4.0, "double")
    order = np.argsort(double.weights)[::-1]
    apart = np.linalg.norm(double.shifts[order[0]] - double.shifts[order[1]])
    assert apart > 2.5 and double.weights[order[:2]].sum() > 0.6
    arc = Motion.draw(np.random.default_rng(1), 4.0, "arc").shifts[:9]
    length, chord = np.linalg.norm(np.diff(arc, axis=0), axis=1).sum(), np.linalg.norm(arc[-1] - arc[0])
    assert length > 1.05 * chord
