"""Volume by voxels and interpolated, and mass: shapes whose volume and mass are known by hand."""

import dataclasses

import numpy as np
import pytest
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import LITERATURE, RULE_SETS
from coronary_calcium.scoring.volume_mass import calibration_from_inserts, calibration_of, measure
from coronary_calcium.volume import Acquisition, CTVolume
from random_volumes import random_case

FACTOR = calibration_of(Acquisition(), 0.8)


def block(spacing, slices=(4, 7), shape=(12, 20, 20), hu=390, label=2):
    """A CT with a block of 8 x 8 pixels of calcium in water, and its labels."""
    array = np.zeros(shape, dtype=np.int16)
    array[slice(*slices), 4:12, 4:12] = hu
    return CTVolume(array, spacing, (0.0, 0.0, 0.0)), np.where(array > 0, label, 0).astype(np.uint8)


# Volume


def test_a_block_reaches_as_far_as_its_intensity_falls_to_the_threshold():
    """390 HU falls to 130 two thirds on the way to the next slice: 2 x 3 + 2 x 2 = 10 mm between, in steps of 0.5."""
    volume, labels = block((3.0, 0.5, 0.5))
    quantities = measure(volume, labels, LITERATURE, FACTOR)
    assert quantities.volume_mm3.total == 3 * 64 * 0.75
    # Samples lie at 0, 0.5, ... mm; the block covers 10.0 to 20.0 mm, 21 of them.
    assert quantities.interpolated_mm3.total == pytest.approx(21 * 64 * 0.125)
    assert quantities.interpolated_mm3.by_artery["LAD"] == quantities.interpolated_mm3.total


def test_the_interpolated_volume_of_a_slab_nears_the_true_one_with_finer_pixels():
    """Two thirds of 3 mm on either side of the outer slices' centers: 10 mm of 16 mm2 each, to one sample."""
    for pixel in (0.5, 0.25, 0.1):
        size = round(4 / pixel)
        array = np.zeros((12, size + 4, size + 4), dtype=np.int16)
        array[4:7, 2:-2, 2:-2] = 390
        volume = CTVolume(array, (3.0, pixel, pixel), (0.0, 0.0, 0.0))
        found = measure(volume, (array > 0).astype(np.uint8), LITERATURE, FACTOR).interpolated_mm3.total
        assert found == pytest.approx(10 * 16, abs=1.01 * pixel * 16)


def test_slices_as_thin_as_a_pixel_are_not_resampled():
    for seed in range(6):
        volume, labels = random_case(seed, sparse=0.2)
        thin = dataclasses.replace(volume, spacing=(0.5, 0.5, 0.5))
        quantities = measure(thin, labels, LITERATURE, FACTOR)
        assert quantities.interpolated_mm3 == quantities.volume_mm3


def test_calcium_in_the_first_and_the_last_slice_ends_with_the_scan():
    for slices in ((0, 2), (10, 12)):
        volume, labels = block((3.0, 0.5, 0.5), slices)
        # From the center of the outer slice to that of the inner one, and 2 mm on: 5 mm, 11 samples.
        assert measure(volume, labels, LITERATURE, FACTOR).interpolated_mm3.total == pytest.approx(11 * 64 * 0.125)


def test_between_two_arteries_the_nearer_slice_decides():
    volume, labels = block((3.0, 0.5, 0.5), (4, 6))
    labels[5][labels[5] > 0] = 3
    found = measure(volume, labels, LITERATURE, FACTOR).interpolated_mm3.by_artery
    # From 10.0 to 17.0 mm, the border at 13.5 mm, where the upper slice decides.
    assert found["LAD"] == pytest.approx(7 * 64 * 0.125)
    assert found["LCX"] == pytest.approx(8 * 64 * 0.125)


def test_the_minimum_area_holds_in_every_interpolated_slice():
    array = np.zeros((5, 12, 12), dtype=np.int16)
    array[2, 5, 5:8] = 300
    volume = CTVolume(array, (3.0, 0.5, 0.5), (0.0, 0.0, 0.0))
    labels = (array > 0).astype(np.uint8)
    assert measure(volume, labels, LITERATURE, FACTOR).interpolated_mm3.total == 0
    assert measure(volume, labels, RULE_SETS["canon"], FACTOR).interpolated_mm3.total > 0


def test_volume_by_voxels_is_the_one_of_the_score():
    for seed in range(8):
        volume, labels = random_case(seed, sparse=0.2)
        score = score_labels(volume, labels)
        quantities = measure(volume, labels, LITERATURE, FACTOR)
        assert quantities.volume_mm3.total == score.total.volume_mm3
        assert quantities.volume_mm3.by_artery == {name: tally.volume_mm3 for name, tally in score.by_artery.items()}


# Mass


def test_a_block_weighs_its_volume_times_its_intensity_times_the_factor():
    volume, labels = block((3.0, 0.5, 0.5), hu=250)
    mass = measure(volume, labels, LITERATURE, FACTOR).mass_mg
    assert mass.total == pytest.approx(144 * 250 * 0.0008, rel=1e-12)  # 200 mg/cm3 in 0.144 cm3
    assert mass.by_artery == {"LM": 0, "LAD": mass.total, "LCX": 0, "RCA": 0, "unassigned": 0}


def test_the_lesions_masses_add_up_to_the_mass():
    for seed in range(8):
        volume, labels = random_case(seed, sparse=0.2)
        score, mass = score_labels(volume, labels), measure(volume, labels, LITERATURE, FACTOR).mass_mg
        assert sum(FACTOR.mass_of(lesion) for lesion in score.lesions) == pytest.approx(mass.total, rel=1e-9)
        assert sum(mass.by_artery.values()) == pytest.approx(mass.total, rel=1e-12)


def test_the_mass_does_not_depend_on_how_the_slices_are_cut_when_intensities_are_means():
    """The same calcium at half the density in slices of twice the thickness: partial volume keeps the mass."""
    thin, thin_labels = block((1.5, 0.5, 0.5), (4, 6), hu=600)
    thick, thick_labels = block((3.0, 0.5, 0.5), (2, 4), hu=300)
    masses = [measure(*case, LITERATURE, FACTOR).mass_mg.total for case in ((thin, thin_labels), (thick, thick_labels))]
    assert masses[0] == pytest.approx(masses[1], rel=1e-12)


def test_the_calibration_comes_from_the_user_then_the_patient_then_the_device_then_what_is_typical():
    both = Acquisition(mass_factor_patient=0.75, mass_factor_device=0.78)
    assert calibration_of(both, 0.9).mg_per_cm3_hu == 0.9
    assert calibration_of(both).mg_per_cm3_hu == 0.75
    assert "(0018,9352)" in calibration_of(Acquisition(mass_factor_device=0.78)).source
    assert all(calibration_of(*given).calibrated for given in ((both, 0.9), (both,)))
    typical = calibration_of(Acquisition())
    assert not typical.calibrated
    assert 130 * typical.mg_per_mm3_hu == pytest.approx(0.1)


@pytest.mark.parametrize(("kvp", "hu"), [(100.0, 145), (110.0, 137.5), (120.0, 130), (140.0, 130), (None, 130)])
def test_the_typical_factor_is_that_of_the_voltage_where_it_is_published(kvp, hu):
    calibration = calibration_of(Acquisition(kvp=kvp))
    assert hu * calibration.mg_per_mm3_hu == pytest.approx(0.1)
    assert not calibration.calibrated


@pytest.mark.parametrize("factor", [0.00078, 780.0, -0.8])
def test_a_header_with_another_unit_is_not_taken_for_a_calibration(factor):
    assert not calibration_of(Acquisition(mass_factor_patient=factor, mass_factor_device=factor)).calibrated


def test_a_rod_and_water_give_the_factor():
    calibration = calibration_from_inserts(rod_hu=270.0, water_hu=10.0)
    assert calibration.mg_per_mm3_hu == pytest.approx(0.2 / 260)
    with pytest.raises(ValueError, match="brighter"):
        calibration_from_inserts(rod_hu=10.0, water_hu=10.0)
