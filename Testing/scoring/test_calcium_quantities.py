"""Integrated mass and the other quantities on calcium of known mass."""

import numpy as np
import pytest
from calcium_shapes import (
    CALIBRATION,
    HU_PER_MG_PER_CM3,
    SHAPE,
    SPACING_MM,
    TISSUE_HU,
    blurred,
    marked,
    scan,
    sphere,
)
from coronary_calcium.scoring import lesion_region
from coronary_calcium.scoring.calcium_quantities import QUANTITIES, QuantityMeter, case_quantities
from coronary_calcium.scoring.lesion_region import NO_RING, near_lesions
from coronary_calcium.scoring.quantity_table import quantity_notes

THICK = (3.0, 0.5, 0.5)


def integrated(volume, labels=None):
    """The integrated masses in mg of the marked lesions, by descending score."""
    quantities = case_quantities(volume, marked(volume, labels), CALIBRATION)
    return [one.values["integrated_mass_mg"].number for one in quantities.lesions]


@pytest.mark.parametrize("spacing", [SPACING_MM, THICK])
@pytest.mark.parametrize("sigma", [0.4, 0.8, 1.2, 1.6])
@pytest.mark.parametrize("radius, density", [(2.5, 200.0), (2.5, 800.0), (1.5, 800.0)])
def test_a_blurred_sphere_keeps_its_integrated_mass_to_one_percent(radius, density, sigma, spacing):
    added, mass = sphere(radius, density, spacing=spacing)
    volume = scan(TISSUE_HU + blurred(added, sigma, spacing), spacing)
    assert integrated(volume) == [pytest.approx(mass, rel=0.01)]


@pytest.mark.parametrize("tissue", [-20.0, 0.0, 75.0, 100.0])
def test_the_integrated_mass_does_not_depend_on_the_tissue_around(tissue):
    added, mass = sphere(2.5, 400.0)
    assert integrated(scan(tissue + blurred(added, 0.8))) == [pytest.approx(mass, rel=0.01)]


def test_nor_on_a_gradient_of_the_tissue():
    """8 HU a mm across the lesion, which is what the edge of a muscle in fat has at its steepest after blur."""
    added, mass = sphere(2.5, 400.0)
    gradient = (np.arange(SHAPE[2]) - SHAPE[2] // 2) * SPACING_MM[2] * 8.0
    hu = TISSUE_HU + np.clip(gradient, -60, 60) + blurred(added, 0.8)
    labels = np.where((hu >= 130) & (added > 0), 2, 0)
    assert integrated(scan(hu), labels) == [pytest.approx(mass, rel=0.03)]


def test_two_neighbors_keep_their_masses():
    near, near_mass = sphere(1.5, 800.0, center=(0.0, 0.0, -4.0))
    far, far_mass = sphere(2.0, 400.0, center=(0.0, 0.0, 4.0))
    measured = integrated(scan(TISSUE_HU + blurred(near + far, 0.7)))
    assert sorted(measured) == [pytest.approx(near_mass, rel=0.02), pytest.approx(far_mass, rel=0.02)]


def test_neighbors_whose_regions_meet_share_what_lies_between_them():
    left, left_mass = sphere(1.5, 600.0, center=(0.0, 0.0, -2.4))
    right, right_mass = sphere(1.5, 600.0, center=(0.0, 0.0, 2.4))
    hu = TISSUE_HU + blurred(left + right, 0.7)
    x = (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING_MM[2]
    measured = integrated(scan(hu), np.where(hu >= 130, np.where(x < 0, 2, 4), 0))
    assert measured == [pytest.approx(left_mass, rel=0.03), pytest.approx(right_mass, rel=0.03)]


def test_unmarked_bright_bone_nearby_is_neither_background_nor_calcium():
    added, mass = sphere(1.5, 600.0, center=(0.0, 0.0, -4.0))
    bone, _ = sphere(3.0, 500.0, center=(0.0, 0.0, 4.0))
    hu = TISSUE_HU + blurred(added + bone, 0.7)
    x = (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING_MM[2]
    assert integrated(scan(hu), np.where((hu >= 130) & (x < 0), 2, 0)) == [pytest.approx(mass, rel=0.03)]


def test_a_lesion_beside_the_lung_keeps_its_mass():
    """The lung begins 3.5 mm from a lesion's middle, so that two of eight directions have no background."""
    added, mass = sphere(1.5, 600.0)
    y = (np.arange(SHAPE[1]) - (SHAPE[1] - 1) / 2) * SPACING_MM[1]
    tissue = np.where(y < -3.5, -850.0, TISSUE_HU)[None, :, None] * np.ones(SHAPE)
    measured = integrated(scan(blurred(tissue + added, 0.6)))
    assert measured == [pytest.approx(mass, rel=0.05)]


def test_a_lesion_surrounded_by_lung_has_no_background_and_gets_no_integrated_mass():
    added, _ = sphere(2.0, 800.0)
    volume = scan(blurred(np.where(added > 0, 0.0, -850.0) + added, 0.5))
    one = case_quantities(volume, marked(volume), CALIBRATION).lesions[0]
    assert one.region is None
    assert one.reason == NO_RING
    assert one.values["integrated_mass_mg"] is None
    assert one.values["spatially_weighted_mm3"] is None
    assert one.values["mass_mg"].number > 0


def test_voxels_without_an_intensity_beside_a_lesion_are_left_out():
    added, mass = sphere(1.5, 600.0)
    hu = TISSUE_HU + blurred(added, 0.6)
    hu[:, :, :20] = np.nan
    hu[15, 40, 44] = np.nan
    assert integrated(scan(hu), np.where(np.nan_to_num(hu) >= 130, 2, 0)) == [pytest.approx(mass, rel=0.02)]


def test_what_is_as_large_as_a_heart_is_no_lesion(monkeypatch):
    added, _ = sphere(2.0, 600.0)
    volume = scan(TISSUE_HU + blurred(added, 0.6))
    monkeypatch.setattr(lesion_region, "MOST_VOXELS", 1000)
    one = case_quantities(volume, marked(volume), CALIBRATION).lesions[0]
    assert (one.region, one.reason) == (None, lesion_region.TOO_LARGE)


def test_a_group_says_how_many_of_its_lesions_are_not_in_its_sums():
    lone, mass = sphere(1.5, 800.0, center=(0.0, 0.0, -10.0))
    hidden, _ = sphere(1.5, 800.0, center=(0.0, 0.0, 10.0))
    x = (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING_MM[2]
    hu = np.where((x > 2) & (hidden == 0), -850.0, TISSUE_HU) + lone + hidden
    volume = scan(blurred(hu, 0.4))
    total = case_quantities(volume, marked(volume), CALIBRATION).total
    assert (total.lesions, total.not_measured) == (2, 1)
    assert total.values["integrated_mass_mg"].number == pytest.approx(mass, rel=0.02)
    assert total.values["agatston"].number == marked(volume).total.agatston


def test_noise_moves_the_integrated_mass_by_what_its_sd_says():
    """The SD of 60 scans and the mean of the SDs that they state agree within a third."""
    added, mass = sphere(1.5, 400.0)
    clean = TISSUE_HU + blurred(added, 0.7)
    labels = np.where(clean >= 130, 2, 0)
    rng = np.random.default_rng(5)
    values = []
    for _ in range(60):
        noise = blurred(rng.normal(0, 1, SHAPE), 0.5)
        volume = scan(clean + noise * (20.0 / noise.std()))
        score = marked(volume, np.where(volume.hu >= 130, labels, 0))
        values.append(case_quantities(volume, score, CALIBRATION).lesions[0].values["integrated_mass_mg"])
    numbers, sds = np.array([[value.number, value.sd] for value in values]).T
    assert numbers.mean() == pytest.approx(mass, rel=0.03)
    assert sds.mean() == pytest.approx(numbers.std(), rel=0.35)


def test_the_volume_fraction_is_exact_for_calcium_of_the_rod_s_density_in_tissue_without_calcium():
    """200 mg/cm3 in water: each voxel's share is the true one, and so is the mass."""
    added, mass = sphere(2.5, 200.0)
    volume = scan(blurred(added, 0.6))
    values = case_quantities(volume, marked(volume), CALIBRATION).lesions[0].values
    assert values["volume_fraction_mass_mg"].number == pytest.approx(mass, rel=0.01)


def test_the_integrated_volume_is_the_true_one_where_counted_voxels_make_it_twice_as_large():
    added, mass = sphere(3.0, 800.0)
    volume = scan(TISSUE_HU + blurred(added, 0.7))
    values = case_quantities(volume, marked(volume), CALIBRATION).lesions[0].values
    true = mass / 0.8
    assert values["volume_mm3"].number > 1.5 * true
    assert values["integrated_volume_mm3"].number == pytest.approx(true, rel=0.05)


def test_the_spatially_weighted_score_counts_voxels_half_at_the_hu_of_100_mg_per_cm3():
    """A large even block at that HU, with noise: within 5 mm of it lie its voxels, each counting half."""
    rng = np.random.default_rng(2)
    hu = np.full(SHAPE, TISSUE_HU)
    block = (slice(12, 19), slice(26, 45), slice(26, 45))
    hu[block] = 100 * HU_PER_MG_PER_CM3 + 0.01
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[block] = 2
    volume = scan(hu + rng.normal(0, 8.0, SHAPE) * (labels == 0))
    value = case_quantities(volume, marked(volume, labels), CALIBRATION).total.values["spatially_weighted_mm3"]
    assert value.number == pytest.approx(0.5 * (labels > 0).sum() * volume.voxel_volume_mm3, rel=0.02)


def two_arteries():
    """A lesion of the LAD in noise, and a map that calls what lies on one side of it the LCX's."""
    added, _ = sphere(1.5, 800.0)
    noise = np.random.default_rng(4).normal(0, 20.0, SHAPE)
    volume = scan(TISSUE_HU + blurred(added, 0.5) + noise)
    labels = np.where((volume.hu >= 130) & (added > 0), 2, 0)
    arteries = np.full(SHAPE, 2, np.uint8)
    x = (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING_MM[2]
    arteries[:, :, x > 2.4] = 3
    return volume, labels, arteries


def weighted(volume, labels, arteries):
    quantities = case_quantities(volume, marked(volume, labels), CALIBRATION, arteries)
    (lesion,) = quantities.lesions
    assert (
        quantities.by_artery[lesion.lesion.artery].values["spatially_weighted_mm3"]
        == quantities.total.values["spatially_weighted_mm3"]
    )
    return lesion.values["spatially_weighted_mm3"].number, lesion.region.artery_named


def test_the_spatially_weighted_score_leaves_out_what_a_map_calls_another_artery_s():
    volume, labels, arteries = two_arteries()
    within_reach, _ = weighted(volume, labels, None)
    narrowed, named = weighted(volume, labels, arteries)
    assert named and narrowed < within_reach
    assert weighted(volume, labels, np.where(arteries == 3, 0, arteries)) == (within_reach, True)  # not named: allowed
    plain = case_quantities(volume, marked(volume, labels), CALIBRATION).lesions[0].values
    with_map = case_quantities(volume, marked(volume, labels), CALIBRATION, arteries).lesions[0].values
    assert {name: value for name, value in plain.items() if name != "spatially_weighted_mm3"} == {
        name: value for name, value in with_map.items() if name != "spatially_weighted_mm3"
    }


@pytest.mark.parametrize("label", [3, 5])
def test_a_lesion_that_the_reader_gives_to_another_artery_has_the_region_without_the_map(label):
    volume, labels, arteries = two_arteries()
    given = np.where(labels > 0, label, 0)
    assert weighted(volume, given, arteries) == weighted(volume, given, None)


def test_a_meter_with_a_map_follows_a_lesion_to_another_artery():
    volume, labels, arteries = two_arteries()
    meter = QuantityMeter(volume, CALIBRATION, arteries)
    for label in (2, 3, 2):
        score = marked(volume, np.where(labels > 0, label, 0))
        assert meter.measure(score) == case_quantities(volume, score, CALIBRATION, arteries)


def test_what_lies_near_lesions_is_all_that_a_map_must_cover():
    volume, labels, arteries = two_arteries()
    kept = np.where(near_lesions(volume, labels), arteries, 0)
    assert 0 < np.count_nonzero(kept) < arteries.size / 4
    assert weighted(volume, labels, kept) == weighted(volume, labels, arteries)
    assert not near_lesions(volume, np.zeros_like(labels)).any()


def test_the_table_says_where_a_map_has_narrowed_the_score():
    volume, labels, arteries = two_arteries()
    notes = quantity_notes(case_quantities(volume, marked(volume, labels), CALIBRATION, arteries))
    assert "Spatially weighted: without what the AI takes for another artery." in notes
    notes = quantity_notes(case_quantities(volume, marked(volume, labels), CALIBRATION))
    assert not any(note.startswith("Spatially") for note in notes)


def test_without_lesions_there_is_no_quantity_and_no_artery_is_made_up():
    volume = scan(np.full(SHAPE, TISSUE_HU))
    quantities = case_quantities(volume, marked(volume), CALIBRATION)
    assert all(value is None for value in quantities.total.values.values())
    assert quantities.diffusivity is None
    assert quantities.total.density_score is None


def test_diffusivity_density_and_number_of_arteries_follow_their_definitions():
    one, _ = sphere(2.0, 800.0, center=(0.0, 0.0, -9.0))
    other, _ = sphere(2.0, 800.0, center=(0.0, 0.0, 9.0))
    hu = TISSUE_HU + blurred(one + other, 0.6)
    x = np.arange(SHAPE[2])[None, None, :] * np.ones(SHAPE)
    volume = scan(hu)
    score = marked(volume, np.where(hu >= 130, np.where(x < SHAPE[2] // 2, 2, 4), 0))
    quantities = case_quantities(volume, score, CALIBRATION)
    assert quantities.arteries_with_calcium == 2
    share = max(score.by_artery["LAD"].agatston, score.by_artery["RCA"].agatston) / score.total.agatston
    assert quantities.diffusivity == pytest.approx(1 - share)
    area = sum(lesion.area_mm2 for lesion in score.lesions)
    assert quantities.total.density_score == pytest.approx(score.total.agatston * 3 / area)
    assert 1 <= quantities.total.density_score <= 4
    unnamed = marked(volume, np.where(hu >= 130, 5, 0))
    assert case_quantities(volume, unnamed, CALIBRATION).diffusivity is None


def test_a_meter_that_has_measured_before_finds_what_a_new_one_finds():
    """One of two lesions that touch goes away: voxels near the other are the other's then; a third's region stays."""
    parts = [sphere(1.5, 600.0, center=(0.0, 0.0, x))[0] for x in (-12.0, 2.0, 6.0)]
    hu = TISSUE_HU + blurred(sum(parts), 0.7)
    x = (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING_MM[2]
    both = np.where(hu >= 130, np.where(x < 4.0, 2, 4), 0)
    volume = scan(hu)
    meter = QuantityMeter(volume, CALIBRATION)
    before, after = meter.measure(marked(volume, both)), meter.measure(marked(volume, np.where(both == 2, 2, 0)))
    assert (len(before.lesions), len(after.lesions)) == (3, 2)
    assert after == case_quantities(volume, marked(volume, np.where(both == 2, 2, 0)), CALIBRATION)
    known = {one.lesion.voxels[0]: one.region for one in before.lesions}
    far, near = sorted(after.lesions, key=lambda one: one.lesion.centroid_lps[0])
    assert known[far.lesion.voxels[0]] is far.region
    assert known[near.lesion.voxels[0]] != near.region


def test_every_quantity_has_a_name_a_definition_and_a_source():
    assert len({quantity.name for quantity in QUANTITIES}) == len(QUANTITIES)
    for quantity in QUANTITIES:
        assert quantity.definition and quantity.source and quantity.title
