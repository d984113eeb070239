"""The warning of lesions that the AI was uncertain of, when they decide what the score means."""

from dataclasses import replace

import numpy as np
import pytest
from coronary_calcium import pipeline
from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField, Window
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS as LIMITS
from coronary_calcium.inference.postprocess import label_lesions, uncertainty_of
from coronary_calcium.inference.predict import Prediction
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.lesion_warnings import UNCERTAINTY_CODES, lesion_warnings
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume

SURE, BARELY, UNSURE = LIMITS.confident_probability, LIMITS.lesion_probability + 0.01, 0.95 * LIMITS.lesion_probability
# Of a pixel a slice of 3 mm: 1 mm2 of 400 HU and more counts 4.
PIXEL = 4.0


def _case(*lesions):
    """A CT and what a network says of it: lesions as (slice, number of pixels, probability), one row each."""
    hu = np.full((20, 30, 200), 40, np.int16)
    probability = np.zeros(hu.shape, np.float16)
    for row, (k, pixels, certainty) in enumerate(lesions):
        hu[k, 2 * row, 2 : 2 + pixels] = 500
        probability[k, 2 * row, 2 : 2 + pixels] = certainty
    volume = CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    field = HeartField((Window(0, len(hu), 15.0, 100.0),), FIELD_SIZE_MM, True, np.ones(hu.shape, bool))
    return volume, Prediction(probability, (hu > 130).astype(np.uint8), 20, 0, 20, field, "cpu", 0.0)


def _warned(*lesions):
    volume, prediction = _case(*lesions)
    score = score_labels(volume, label_lesions(volume, prediction))
    assert score.total.agatston == sum(PIXEL * pixels for _, pixels, certainty in lesions if certainty != UNSURE)
    return _messages(volume, prediction, score)


def _messages(volume, prediction, score):
    uncertainty = uncertainty_of(volume, prediction, score, LITERATURE)
    left_out = uncertainty.left_out_lesions(volume, LITERATURE)
    given = lesion_warnings(score, FIVE_CATEGORIES, uncertainty, left_out)
    return [warning.message for warning in given if warning.code in UNCERTAINTY_CODES]


def test_an_uncertain_lesion_that_changes_the_risk_category_is_told_with_slice_and_score():
    (message,) = _warned((3, 20, SURE), (7, 10, UNSURE))
    assert "uncertain of 1 lesion, in slice 7, and left it out; with it the score" in message
    assert "with it the score would be 120.0 (risk category 101-400)" in message


def test_a_score_of_0_is_never_silent_about_what_was_uncertain():
    (message,) = _warned((7, 1, UNSURE))
    assert "the score would be 4.0 (risk category 1-10)" in message


def test_within_a_category_only_more_than_another_scan_would_change_is_told():
    # Of 120 another scan differs by up to 75.
    assert _warned((3, 30, SURE), (7, 18, UNSURE)) == []
    (message,) = _warned((3, 30, SURE), (7, 19, UNSURE))
    assert "the score would be 196.0 (risk category 101-400)" in message


def test_of_many_uncertain_lesions_the_largest_are_named():
    (message,) = _warned((2, 5, UNSURE), (9, 20, UNSURE), (4, 10, UNSURE), (6, 12, UNSURE))
    assert "uncertain of 4 lesions, the largest in slices 4, 6 and 9, and left them out; with them" in message


def test_an_uncertain_lesion_that_counts_is_told_when_the_category_rests_on_it():
    (message,) = _warned((3, 20, SURE), (7, 10, BARELY))
    assert "uncertain of 1 lesion, in slice 7, and counted it; without it the score" in message
    assert "without it the score would be 80.0 (risk category 11-100)" in message
    (message,) = _warned((7, 1, BARELY), (9, 2, BARELY))
    assert "uncertain of 2 lesions, in slices 7 and 9, and counted them; without them the score" in message
    assert "would be 0.0 (risk category 0)" in message


def test_an_uncertain_lesion_that_counts_but_decides_nothing_is_no_reason_to_warn():
    assert _warned((3, 20, SURE), (7, 3, BARELY)) == []


def test_uncertain_lesions_on_both_sides_make_two_warnings():
    left_out, taken_in = _warned((3, 20, SURE), (5, 10, BARELY), (7, 80, UNSURE))
    assert "in slice 7, and left it out; with it the score would be 440.0 (risk category >400)" in left_out
    assert "in slice 5, and counted it; without it the score would be 80.0 (risk category 11-100)" in taken_in


def test_of_a_lesion_that_is_taken_in_part_the_rest_is_told():
    # A plaque that touches a large bright sheet of which the network is uncertain: only the plaque counts.
    volume, prediction = _case((3, 20, 0.99))
    volume.hu[4, 0:8, 2:42] = 700
    prediction.probability[4, 0:8, 2:42] = 0.03
    score = score_labels(volume, label_lesions(volume, prediction))
    assert score.total.agatston == 20 * PIXEL
    (message,) = _messages(volume, prediction, score)
    assert "uncertain of 1 lesion, in slice 4, and left it out; with it the score would be 1360.0" in message


def test_sure_lesions_alone_are_no_reason_to_warn():
    assert _warned((3, 20, SURE)) == [] == _warned()


@pytest.mark.parametrize(("certainty", "code"), [(UNSURE, "uncertain-lesions"), (0.3, "nothing-marked")])
def test_a_scored_case_warns_of_a_zero_once(monkeypatch, certainty, code):
    volume, prediction = _case((7, 2, certainty))
    predicted = pipeline.PredictedLesions(prediction, label_lesions(volume, prediction), {"sha256": "0" * 64})
    monkeypatch.setattr(pipeline, "find_heart", lambda volume, progress: prediction.covered)
    monkeypatch.setattr(pipeline, "load_network", lambda *arguments: None)
    monkeypatch.setattr(pipeline, "predict_lesions", lambda *arguments: predicted)
    result = pipeline.score_case(volume)
    codes = [warning.code for warning in result.warnings]
    assert result.score.total.agatston == 0
    assert [found for found in codes if found in ("uncertain-lesions", "nothing-marked")] == [code]


def test_lesions_of_which_the_rules_count_nothing_are_no_silent_zero():
    volume, prediction = _case((7, 2, SURE))
    labels = label_lesions(volume, prediction)
    uncertainty = uncertainty_of(volume, prediction, score_labels(volume, labels), LITERATURE)
    strict = replace(LITERATURE, threshold_hu=600.0)
    (warning,) = lesion_warnings(score_labels(volume, labels, strict), FIVE_CATEGORIES, uncertainty)
    assert warning.code == "mask-not-counted" and "below 600 HU" in warning.message
