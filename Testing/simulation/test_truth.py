"""The truth of simulated plaques against shapes whose volume, mass and score are known."""

import numpy as np
import pytest
from coronary_calcium.scoring.risk import risk_category
from coronary_calcium.simulation.anatomy import draw_anatomy
from coronary_calcium.simulation.patient import draw_deposits, label_voxels, other_voxels
from coronary_calcium.simulation.shapes import Column, Ellipsoid, Inside, Pose, Rod, Tube
from coronary_calcium.simulation.tissue import HU_PER_MG_PER_CM3, Deposit
from coronary_calcium.simulation.truth import exact_agatston, plaques_of


def ball(center, radius, hu, label, plaque=1):
    return Deposit(Ellipsoid(np.array(center, dtype=float), np.full(3, float(radius))), hu, label, "plaque", plaque)


def test_a_plaque_has_the_volume_and_mass_of_its_shape():
    rod = Deposit(Rod(np.array([3.0, -2.0, 1.0]), 2.0, 10.0), 520.0, 2, "plaque", 1)
    sphere = ball((30, 0, 0), 1.0, 260.0, 4, plaque=2)
    first, second = plaques_of([rod, sphere])
    assert first.volume_mm3 == pytest.approx(np.pi * 4 * 10, rel=0.01)
    # 520 HU are 400 mg/cm3 at the simulator's 1.3 HU a mg/cm3.
    assert first.mass_mg == pytest.approx(first.volume_mm3 * 520 / HU_PER_MG_PER_CM3 / 1000)
    assert first.middle == pytest.approx((3.0, -2.0, 1.0), abs=0.01)
    assert second.volume_mm3 == pytest.approx(4 / 3 * np.pi, rel=0.01)
    assert (first.label, second.label) == (2, 4)


def test_parts_of_a_plaque_that_overlap_count_once():
    parts = [ball((0, 0, 0), 2.0, 400.0, 2), ball((0, 0, 0), 2.0, 600.0, 2), ball((50, 0, 0), 2.0, 400.0, 0)]
    (plaque,) = plaques_of(parts)
    assert plaque.volume_mm3 == pytest.approx(4 / 3 * np.pi * 8, rel=0.01)
    # Of two materials at one place, the one painted last is there.
    assert plaque.mass_mg == pytest.approx(plaque.volume_mm3 * 600 / HU_PER_MG_PER_CM3 / 1000, rel=0.001)


def test_the_exact_score_is_area_times_weight_times_length_over_3_mm():
    rod = Deposit(Rod(np.array([0.0, 0.0, 0.0]), 2.05, 12.0), 350.0, 3, "plaque", 1)
    score = exact_agatston([rod])
    assert score["LCX"] == pytest.approx(np.pi * 2.05**2 * 3 * 12 / 3, rel=0.03)
    assert score["total"] == score["LCX"]
    assert exact_agatston([Deposit(rod.shape, 129.0, 3, "plaque", 1)])["total"] == 0.0
    assert exact_agatston([Deposit(rod.shape, 350.0, 0, "aortic wall")])["total"] == 0.0
    assert exact_agatston([])["total"] == 0.0


def test_plaques_apart_score_as_much_together_as_alone():
    plaques = [ball((0, 0, 0), 2.0, 450.0, 1, 1), ball((40, 0, 5), 2.5, 250.0, 4, 2)]
    together = exact_agatston(plaques)
    alone = [exact_agatston([plaque])["total"] for plaque in plaques]
    assert together["total"] == pytest.approx(sum(alone))
    assert (together["LM"], together["RCA"]) == pytest.approx(tuple(alone))


def test_a_voxel_that_other_calcium_brightens_more_is_not_the_artery_s():
    hu = np.full((1, 1, 4), 300, dtype=np.int16)
    hu[0, 0, 3] = 120
    added = np.zeros((5, 1, 1, 4), dtype=np.float32)
    added[2, 0, 0] = [200, 100, 30, 100]
    added[4, 0, 0] = [50, 200, 0, 0]
    # More of the LCX; more of the annulus; too little of the LCX; below the threshold.
    labels = label_voxels(hu, added)
    assert labels.tolist() == [[[3, 0, 0, 0]]]
    added[4, 0, 0, 3] = 80
    # The annulus' own voxel; not the one below the threshold.
    assert other_voxels(hu, added, labels).tolist() == [[0, 0, 1]]


def test_a_pose_moves_all_shapes_alike():
    pose = Pose(np.radians(10), (0.05, -0.08))
    z = 20.0
    tube = Tube(np.array([[10.0, 5.0, 10.0], [12.0, 8.0, 30.0]]), np.full(2, 3.0))
    ellipsoid = Ellipsoid(np.array([10.0, 5.0, 20.0]), np.array([6.0, 4.0, 5.0]))
    column = Column((4.0, 2.0), np.array([0.0, 40.0]), np.full(2, 9.0), np.full(2, 5.0))
    for shape in (tube, ellipsoid, column, Inside(ellipsoid, column)):
        moved = pose.shape(shape)
        for inside in ([10.9, 6.4], [12.0, 5.5], [4.0, 2.0], [30.0, 30.0]):
            x, y, _ = pose.points(np.array([*inside, z]))
            before = shape.distance(np.array([[inside[0]]]), np.array([[inside[1]]]), np.full((1, 1), z)) < 0
            after = moved.distance(np.array([[x]]), np.array([[y]]), np.full((1, 1), z)) < 0
            assert bool(before[0, 0]) == bool(after[0, 0])
            if after[0, 0]:
                (x0, x1), (y0, y1), _ = moved.bounds
                assert x0 <= x <= x1 and y0 <= y <= y1


def test_over_the_seeds_every_kind_and_both_dominances_occur():
    kinds, dominance = set(), set()
    for seed in range(30):
        r = np.random.default_rng([seed, 5])
        anatomy = draw_anatomy(r)
        for _ in range(3):
            deposits = draw_deposits(r, anatomy)
            kinds |= {deposit.kind for deposit in deposits}
            assert all((deposit.label > 0) == (deposit.kind == "plaque") for deposit in deposits)
        dominance.add("LPDA" in anatomy.heart.arteries)
    assert kinds >= {
        "plaque", "aortic wall", "aortic root", "aortic valve", "mitral annulus", "tricuspid annulus",
        "papillary muscle", "pericardium", "lymph node", "lung granuloma", "bronchus", "sternal wire", "clip",
        "pacemaker lead", "catheter", "electrode", "stent",
    }  # fmt: skip
    assert dominance == {True, False}


def test_the_first_patients_fill_all_five_risk_categories():
    categories = []
    for seed in (10, 5, 23, 0, 7):
        anatomy = draw_anatomy(np.random.default_rng([seed, 0, 0]))
        deposits = draw_deposits(np.random.default_rng([seed, 0, 4]), anatomy)
        categories.append(risk_category(exact_agatston(deposits)["total"]))
    assert categories == ["0", "1-10", "11-100", "101-400", ">400"]
