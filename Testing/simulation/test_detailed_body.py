"""Detailed bodies: fat around arteries, the heart in its sac, lungs with vessels; and simple bodies as they were."""

import numpy as np
import pytest
from coronary_calcium.simulation.anatomy import draw_anatomy
from coronary_calcium.simulation.detailed_body import DetailedBody, with_details
from coronary_calcium.simulation.lung_vessels import grow_tree
from coronary_calcium.simulation.painting import Grid
from coronary_calcium.simulation.patient import simulate_patient
from coronary_calcium.simulation.smooth_fields import Noise, Plane, smooth_max, smooth_min
from coronary_calcium.simulation.training_cases import BodyStyle, draw_patients
from coronary_calcium.simulation.tube_cover import Segments, segments_cover, segments_distance

QUICK = {"pixels": 96, "field_of_view": 230.0, "spacing": 10.0, "thickness": 5.0, "z_range": (-60.0, 50.0)}
# 1 mm pixels over the heart.
STEPS = np.arange(-120.0, 121.0)
LEVELS = (-20.0, 0.0, 20.0)


@pytest.fixture(scope="module")
def anatomy():
    return with_details(draw_anatomy(np.random.default_rng(12)))


@pytest.fixture(scope="module")
def slices(anatomy):
    """Tissue of three slices through the heart, HU."""
    body = DetailedBody(np.random.default_rng(1), anatomy, Grid(STEPS, STEPS, np.array(LEVELS), 1.0))
    return {z: body.tissue(z, 1.0, 1.0) for z in LEVELS}


def around(image, x, y, reach):
    """The square of ``reach`` mm around a point of a slice."""
    i, j = round(x - STEPS[0]), round(y - STEPS[0])
    return image[j - reach : j + reach + 1, i - reach : i + reach + 1]


@pytest.mark.parametrize(
    ("seed", "kind", "total", "calcium"),
    [(3, "chest", -37526714, 36), (900_105, "cardiac", -38572551, 3)],
)
def test_patients_without_details_are_those_on_which_weights_were_trained_and_measured(seed, kind, total, calcium):
    patient = simulate_patient(seed, kind, **QUICK)
    # Another processor may round a few voxels differently by 1 HU.
    assert int(patient.volume.hu.astype(int).sum()) == pytest.approx(total, abs=50)
    assert int((patient.labels > 0).sum()) == calcium


def test_details_change_neither_arteries_nor_calcium_nor_protocol():
    simple, detailed = (simulate_patient(3, "chest", detailed=detailed, **QUICK) for detailed in (False, True))
    assert detailed.protocol == simple.protocol
    assert [(one.kind, one.hu, one.label) for one in detailed.deposits if one.label] == [
        (one.kind, one.hu, one.label) for one in simple.deposits if one.label
    ]
    for name, path in simple.anatomy.heart.arteries.items():
        assert np.array_equal(path, detailed.anatomy.heart.arteries[name])
    assert not np.array_equal(detailed.volume.hu, simple.volume.hu)
    again = simulate_patient(3, "chest", detailed=True, **QUICK)
    assert np.array_equal(again.volume.hu, detailed.volume.hu)


def test_the_arteries_run_in_fat(anatomy, slices):
    shares = []
    for name in ("LAD", "LCX", "RCA"):
        path = anatomy.pose.points(anatomy.heart.arteries[name])
        for z, image in slices.items():
            x, y, height = path[np.argmin(np.abs(path[:, 2] - z))]
            if abs(height - z) < 1:
                nearby = around(image, x, y, 5)
                assert (nearby > 0).any(), (name, z)
                shares.append((nearby < -60).mean())
    assert len(shares) > 4
    assert min(shares) > 0.05 and np.mean(shares) > 0.4


def test_blood_and_muscle_of_the_heart_are_alike_and_lung_lies_beside_it(anatomy, slices):
    middle = around(slices[0.0], 0, 0, 15)
    assert np.std(middle) < 8 and 30 < middle.mean() < 60
    lung = slices[0.0][(slices[0.0] < -750) & (slices[0.0] > -930)]
    assert lung.size > 5000
    # Vessels in the lungs: small bright spots on its ground.
    left = around(slices[0.0], anatomy.build.midline + 95 * anatomy.build.size, 20, 14)
    assert np.percentile(left, 99) > -600


def test_a_detailed_scan_has_bone_with_marrow_and_a_couch():
    patient = simulate_patient(3, "chest", detailed=True, **{**QUICK, "field_of_view": 420.0, "pixels": 160})
    hu = patient.volume.hu
    assert (hu > 300).sum() > 300
    # Down from the back: air, or foam, and then the couch's shell.
    column = hu[6, :, 80].astype(int)
    air = np.flatnonzero((column < -850) & (np.arange(len(column)) > 90))
    assert column[air[0] :].max() > -600


def test_training_cases_can_be_made_of_detailed_bodies():
    simple, detailed = (
        next(draw_patients(41_000, "chest", 1, BodyStyle(detailed=detailed))) for detailed in (False, True)
    )
    assert detailed.volume.shape == simple.volume.shape
    assert detailed.anatomy.detailed and not simple.anatomy.detailed
    assert not np.array_equal(detailed.volume.hu, simple.volume.hu)


def test_the_cover_of_a_tube_is_its_volume_in_any_direction():
    steps = np.arange(-20, 20.1, 0.5)
    for direction in ([0, 0, 1.0], [1.0, 0, 0], [0.6, 0, 0.8], [0.5, 0.7, 0.5]):
        way = np.array(direction) / np.linalg.norm(direction)
        tube = Segments(-10 * way[None], 10 * way[None], np.array([2.0]))
        filled = sum(float(segments_cover(tube, steps, steps, z, 1.0).sum()) * 0.25 for z in np.arange(-14, 14.1))
        # A cylinder of 20 mm with rounded ends or without.
        assert np.pi * 4 * 20 * 0.93 < filled < np.pi * 4 * 24 * 1.05, way


def test_the_distance_to_a_tube_is_that_to_its_surface():
    steps = np.arange(-10.0, 11.0)
    tube = Segments(np.array([[-4.0, 0, 0]]), np.array([[4.0, 0, 0]]), np.array([1.5]))
    distance = segments_distance(tube, steps, steps, 2.0, 9.0)
    assert distance[10, 10] == pytest.approx(2.0 - 1.5)
    assert distance[13, 10] == pytest.approx(np.hypot(3, 2) - 1.5)
    assert distance[10, 17] == pytest.approx(np.hypot(3, 2) - 1.5)


def test_a_smooth_union_is_at_most_the_smaller_distance_and_equal_to_it_far_from_the_crease():
    first, second = np.array([0.0, -8.0, 3.0]), np.array([0.0, 8.0, -9.0])
    union = smooth_min(first, second, 4.0)
    assert union == pytest.approx([-1.0, -8.0, -9.0])
    assert smooth_max(-first, -second, 4.0) == pytest.approx(-union)


def test_a_plane_gives_back_a_smooth_field_at_the_pixels():
    x, y = np.arange(-30, 30, 0.7), np.arange(-25, 20, 0.7)
    plane = Plane(x, y, 3.0)
    field = np.sin(plane.x[None] / 12) + np.cos(plane.y[:, None] / 15)
    assert plane.pixels(field) == pytest.approx(np.sin(x[None] / 12) + np.cos(y[:, None] / 15), abs=0.01)


def test_noise_has_its_standard_deviation_and_repeats():
    noise = Noise(np.random.default_rng(0), 3.0, count=40, layers=20)
    x = np.arange(0, 120, 1.0)
    values = np.stack([noise.at(x, x, z) for z in np.arange(0, 60, 2.0)])
    assert values.std() == pytest.approx(1.0, rel=0.1)
    assert noise.at(x, x, 5.0) == pytest.approx(noise.at(x + 120, x, 65.0), abs=1e-4)


def test_a_tree_reaches_all_its_targets_and_thickens_towards_its_root():
    r = np.random.default_rng(0)
    targets = r.uniform(-40, 40, (60, 3)) + [60, 0, 0]
    tree = grow_tree(r, np.zeros(3), targets, 9.0)
    for target in targets:
        assert np.linalg.norm(tree.stop - target, axis=1).min() < 1e-6
    at_root = np.linalg.norm(tree.start, axis=1) < 1e-9
    assert at_root.any() and tree.radius[at_root].max() == tree.radius.max() > 2 * tree.radius.min()
