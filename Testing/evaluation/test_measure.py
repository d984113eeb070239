"""One patient measured, with a stand-in for the network whose every answer is known."""

import numpy as np
import pytest
from coronary_calcium.evaluation.figures import figures_of
from coronary_calcium.evaluation.measure import measure
from coronary_calcium.evaluation.picture import draw_comparison, worst_slice
from coronary_calcium.evaluation.results import PatientResult
from coronary_calcium.evaluation.run import with_precision
from coronary_calcium.evaluation.statistics import Counts
from coronary_calcium.inference.postprocess import label_lesions
from coronary_calcium.inference.predict import predict
from evaluation_cases import BONE_BOX, FAINT_BOX, LAD_BOX, MISSED_BOX, RCA_BOX, arrays, model, opened


def size(box):
    return arrays()[0][box].size


LAD, RCA, BONE, MISSED = size(LAD_BOX), size(RCA_BOX), size(BONE_BOX), size(MISSED_BOX)


@pytest.fixture(scope="module")
def measured():
    return measure(opened(), model(), every_slice=False)


def test_pixels_are_counted_against_the_truth(measured):
    result, labels = measured
    assert result.marked == Counts(LAD + RCA, BONE, MISSED)
    assert result.counted == result.network == result.marked
    assert result.marked == Counts(
        int(((labels > 0) & (arrays()[1] > 0)).sum()),
        int(((labels > 0) & (arrays()[1] == 0)).sum()),
        int(((labels == 0) & (arrays()[1] > 0)).sum()),
    )


def test_the_label_map_is_the_one_that_scoring_gives(measured):
    patient = opened()
    assert np.array_equal(measured[1], label_lesions(patient.volume, predict(patient.volume, patient.field, model())))


def test_scores_are_area_times_weight_and_given_by_artery(measured):
    result = measured[0]
    # Slices of 3 mm, pixels of 1 mm2: pixels x weight; 350 HU weighs 3, 250 HU 2, 300 HU 3 and 900 HU 4.
    assert result.true_agatston["total"] == pytest.approx(3 * LAD + 2 * RCA + 4 * MISSED)
    assert result.true_agatston["RCA"] == pytest.approx(2 * RCA)
    assert result.found_agatston["total"] == result.found_agatston["LAD"] == pytest.approx(3 * LAD + 2 * RCA + 3 * BONE)
    assert (result.true_category, result.found_category) == ("101-400", "101-400")


def test_without_post_processing_pixels_below_130_hu_score_too(measured):
    result = measured[0]
    # 9 faint pixels of 120 HU weigh 1. The borders of the network's finer mask may add some pixels beside the boxes.
    least = 3 * LAD + 2 * RCA + 3 * BONE + size(FAINT_BOX)
    assert least <= result.unfiltered_agatston < least * 1.5


def test_lesions_are_matched_when_they_share_a_voxel(measured):
    result = measured[0]
    assert {lesion.artery: lesion.other_artery for lesion in result.true_lesions} == {
        "LAD": "LAD",
        "RCA": "LAD",
        "LCX": None,
    }
    assert [lesion.matched for lesion in result.true_lesions if lesion.artery == "LCX"] == [False]
    assert sorted(lesion.voxels for lesion in result.found_lesions if not lesion.matched) == [BONE]


def test_uncertainty_that_would_change_the_category_is_counted_by_whether_it_is_wrong(measured):
    uncertain = measure(opened(), model(logit=0.5), every_slice=False)[0]
    assert uncertain.found_category == "0" and "uncertain-lesions" in uncertain.warnings
    assert "uncertain-lesions" not in measured[0].warnings
    results = [PatientResult("a", {}, uncertain), PatientResult("b", {}, measured[0])]
    assert figures_of(results, intervals=False)["uncertainty"] == {
        "wrong": 1,
        "wrong_warned": 1,
        "right": 1,
        "right_warned": 0,
    }


def test_calcium_outside_the_heart_region_is_outside_the_field_of_view():
    patient = opened()
    patient.field.region[RCA_BOX] = False
    # That slice holds nothing else, so it would not be run.
    result, _ = measure(patient, model(), every_slice=True)
    assert result.outside_field_of_view == RCA
    assert result.marked == Counts(LAD, BONE, MISSED + RCA)
    # The network itself saw it: what it marks in its windows does not know the region.
    assert result.network.true_positive == LAD + RCA


def test_every_slice_is_run_only_on_demand():
    network = model()
    some, _ = measure(opened(), network, every_slice=False)
    assert (network.network.calls, some.slices_run, some.slices_skipped) == (5, 5, 3)
    every, _ = measure(opened(), network, every_slice=True)
    assert network.network.calls == 5 + 8 and every.slices_skipped == 0
    assert every.marked == some.marked and every.found_agatston == some.found_agatston


def test_a_speck_below_the_minimum_area_is_missed_when_marked_but_not_when_counted():
    patient = opened()
    patient.volume.hu[:] = 40
    patient.labels[:] = 0
    patient.volume.hu[3, 20, 20:22] = 300
    patient.labels[3, 20, 20:22] = 2
    small = type(patient)(
        type(patient.volume)(patient.volume.hu, (3.0, 0.6, 0.6), (0.0, 0.0, 0.0)),
        patient.labels,
        patient.field,
        {},
    )
    result, _ = measure(small, model(), every_slice=True)
    assert result.marked == Counts(0, 0, 2)
    assert result.counted == Counts()
    assert result.network.false_negative == 0


def test_bfloat16_gives_float32_answers():
    exact, _ = measure(opened(), model(), every_slice=False)
    fast, _ = measure(opened(), with_precision(model(), "bfloat16"), every_slice=False)
    assert fast.marked == exact.marked


def test_the_picture_is_of_the_slice_with_most_mistakes():
    truth = arrays()[1]
    found = truth.copy()
    assert worst_slice(truth, found) == 2
    found[MISSED_BOX] = 0
    assert worst_slice(truth, found) == 6
    assert worst_slice(np.zeros_like(truth), np.zeros_like(truth)) is None
    patient = opened()
    assert draw_comparison(patient.volume, truth, found).startswith(b"\x89PNG")
    assert draw_comparison(patient.volume, truth * 0, truth * 0) is None
