"""The calibration factors of calcium mass in the header."""

import pytest
from coronary_calcium.io import open_ct
from coronary_calcium.io.slice_header import acquisition_of
from coronary_calcium.scoring.volume_mass import calibration_of
from dicom_factory import write_series
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian


def facts_of(**entries):
    dataset = Dataset()
    for keyword, value in entries.items():
        setattr(dataset, keyword, value)
    return acquisition_of(dataset, ExplicitVRLittleEndian)


def test_the_factor_of_the_patient_calibrates_the_mass():
    facts = facts_of(CalciumScoringMassFactorPatient=0.75, CalciumScoringMassFactorDevice=[0.7, 0.78, 0.85])
    assert facts.mass_factor_patient == pytest.approx(0.75)
    calibration = calibration_of(facts)
    assert calibration.calibrated
    assert calibration.mg_per_cm3_hu == pytest.approx(0.75)


def test_of_the_device_s_three_factors_the_one_for_a_medium_sized_patient_is_taken():
    calibration = calibration_of(facts_of(CalciumScoringMassFactorDevice=[0.7, 0.78, 0.85]))
    assert calibration.calibrated
    assert calibration.mg_per_cm3_hu == pytest.approx(0.78)


def test_a_device_that_states_one_factor_is_believed():
    assert calibration_of(facts_of(CalciumScoringMassFactorDevice=0.78)).mg_per_cm3_hu == pytest.approx(0.78)


@pytest.mark.parametrize("factors", [[0.7, 0.78], [0.0, 0.0, 0.0], []])
def test_other_numbers_of_factors_and_zeros_are_no_calibration(factors):
    facts = facts_of(CalciumScoringMassFactorDevice=factors)
    assert facts.mass_factor_device is None
    assert not calibration_of(facts).calibrated


def test_the_factors_of_a_series_arrive_with_its_volume(tmp_path):
    write_series(tmp_path, CalciumScoringMassFactorPatient=0.75, CalciumScoringMassFactorDevice=[0.7, 0.78, 0.85])
    facts = open_ct(tmp_path).volume.acquisition
    assert (facts.mass_factor_patient, facts.mass_factor_device) == pytest.approx((0.75, 0.78))
