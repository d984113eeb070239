"""The real scan of the QRM insert: found, and measured as in the published workbook."""

import pytest
from coronary_calcium.io import open_ct
from coronary_calcium.phantom.insert_search import find_insert
from coronary_calcium.phantom.measurement import calibrate, measure_insert
from coronary_calcium.phantom.qrm_insert import CYLINDERS
from coronary_calcium.scoring.volume_mass import MassCalibration
from phantom import TOTAL, inserts
from shared_data import real_series

# From the workbook beside the scan, python/output/canon/Results_CCI_2021-11-01_default.xlsx of
# github.com/MolloiLab/CAC-stanford-data: calibration factor in mg/cm3/HU, masses in mg, volumes in mm3.
FACTOR = 0.7220477104
MASSES = {
    "large_high": 94.77115,
    "medium_high": 20.90344,
    "small_high": 1.13952,
    "large_medium": 47.79026,
    "medium_medium": 10.88246,
    "small_medium": 0.0,
    "large_low": 25.37331,
    "medium_low": 4.75308,
    "small_low": 0.0,
}
VOLUMES = {
    "large_high": 302.20474,
    "medium_high": 82.15968,
    "small_high": 9.28762,
    "large_medium": 216.4729,
    "medium_medium": 58.58342,
    "small_medium": 0.0,
    "large_low": 167.17709,
    "medium_low": 34.29274,
    "small_low": 0.0,
}


@pytest.fixture(scope="module")
def volume():
    return open_ct(real_series("qrm-phantom")).volume


@pytest.fixture(scope="module")
def placement(volume):
    return find_insert(volume)


def test_the_cylinders_are_found_at_their_published_positions(volume, placement):
    """Within a slice and a half and 2 pixels; the insert is tilted by half a degree."""
    cylinders = {cylinder.name: cylinder for cylinder in CYLINDERS}
    for insert in inserts():
        offset = placement.position(cylinders[insert.name]) - volume.position(insert.center)
        assert abs(offset[:2]).max() < 1.0, insert.name
        assert abs(offset[2]) < 1.5


def test_every_cylinder_has_its_published_score_without_being_told_where_it_is(volume, placement):
    measured = {item.cylinder.name: item for item in measure_insert(volume, placement).cylinders}
    for insert in inserts():
        assert round(measured[insert.name].agatston, 2) == insert.agatston
    assert measured["small_medium"].agatston == measured["small_low"].agatston == 0.0
    assert round(sum(item.agatston for item in measured.values()), 2) == TOTAL


def test_rod_and_water_give_the_published_calibration_factor(volume, placement):
    assert calibrate(volume, placement).mg_per_cm3_hu == pytest.approx(FACTOR, rel=0.001)


def test_with_the_published_factor_masses_and_volumes_are_the_published_ones(volume, placement):
    measurement = measure_insert(volume, placement, calibration=MassCalibration(FACTOR, True, "workbook"))
    for item in measurement.cylinders:
        assert item.mass_mg == pytest.approx(MASSES[item.cylinder.name], rel=0.001), item.cylinder.name
        assert item.volume_mm3 == pytest.approx(VOLUMES[item.cylinder.name], rel=0.001), item.cylinder.name


def test_masses_lie_above_the_truth_because_the_plastic_around_has_75_hu(volume, placement):
    for item in measure_insert(volume, placement).cylinders:
        if item.cylinder.diameter_mm > 1:
            assert 1.1 < item.mass_mg / item.cylinder.mass_mg < 1.35
