"""Named rule sets: lesions that tell them apart, and the real phantom by each of them."""

import dataclasses

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.inference.postprocess import label_lesions
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rule_comparison import compare_rules
from coronary_calcium.scoring.rules import (
    KVP_THRESHOLDS_HU,
    LITERATURE,
    RULE_SETS,
    adapted_to,
    adapted_warnings,
    thresholds_at,
)
from coronary_calcium.scoring.volume_mass import MassCalibration
from coronary_calcium.volume import CaseWarning, CTVolume
from example_results import scored_case

CALIBRATION = MassCalibration(0.8, True, "test")


def lesion(pixels, hu=150, spacing=(3.0, 0.5, 0.5)):
    """A CT with one slice of calcium, at these (row, column) pixels, and its labels."""
    array = np.zeros((3, 12, 12), dtype=np.int16)
    for j, i in pixels:
        array[1, 4 + j, 4 + i] = hu
    return CTVolume(array, spacing, (0.0, 0.0, 0.0)), (array > 0).astype(np.uint8)


def counting(pixels, **case):
    """Names of the rule sets by which the lesion scores at all; those that do agree on its score."""
    volume, labels = lesion(pixels, **case)
    scores = {name: score_labels(volume, labels, rules).total.agatston for name, rules in RULE_SETS.items()}
    assert len({score for score in scores.values() if score}) <= 1
    return {name for name, score in scores.items() if score}


@pytest.mark.parametrize(
    ("pixels", "names"),
    [
        ([(0, 0)], {"siemens"}),
        ([(0, 0), (0, 1)], {"siemens", "philips"}),
        ([(0, 0), (0, 1), (0, 2)], {"siemens", "philips", "canon"}),
        ([(0, 0), (0, 1), (1, 0), (1, 1)], set(RULE_SETS)),
    ],
)
def test_pixels_of_a_quarter_mm2_count_from_one_two_three_or_four_on(pixels, names):
    assert counting(pixels) == names


def test_four_pixels_that_touch_at_a_corner_are_one_part_only_for_eight_neighbors():
    """Two pairs of 0.5 mm2: 1 mm2 together by the literature; nothing for GE, too few for Canon."""
    assert counting([(0, 0), (0, 1), (1, 2), (1, 3)]) == {"literature", "siemens", "philips"}


def test_one_wide_pixel_is_enough_area_but_not_enough_pixels():
    assert counting([(0, 0)], spacing=(3.0, 1.1, 1.1)) == set(RULE_SETS) - {"canon"}


def test_weights_of_parts_parted_by_four_neighbors_follow_their_own_maximum():
    """Two blocks of 1 mm2 that touch at a corner, one of them dense: together 2 x 4, apart 1 + 4."""
    volume, labels = lesion([(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3)])
    volume.hu[1, 6:8, 6:8] = 450
    assert score_labels(volume, labels, LITERATURE).total.agatston == 8.0
    assert score_labels(volume, labels, RULE_SETS["ge"]).total.agatston == 5.0


def test_only_philips_counts_calcium_below_130_hu_and_only_in_volume_and_mass():
    volume, labels = lesion([(j, i) for j in range(3) for i in range(3)], hu=113)
    by_name = {scored.rules.name: scored for scored in compare_rules(volume, labels, LITERATURE, CALIBRATION)}
    assert {scored.score.total.agatston for scored in by_name.values()} == {0.0}
    volumes = {name: scored.quantities.volume_mm3.total for name, scored in by_name.items()}
    assert volumes == {"literature": 0, "ge": 0, "siemens": 0, "philips": 9 * 0.75, "canon": 0}
    assert by_name["philips"].quantities.mass_mg.total == pytest.approx(9 * 0.75 * 113 * 0.0008)
    volume.hu[volume.hu == 113] = 112
    assert compare_rules(volume, labels, LITERATURE, CALIBRATION)[3].quantities.volume_mm3.total == 0


def test_the_network_s_lesions_reach_down_to_the_threshold_of_philips_volume():
    """What is proposed at 113 to 129 HU is marked for Philips alone, and a lesion of nothing else too."""
    result = scored_case()
    artery = np.where(result.labels <= 4, result.labels, 0)
    probability = np.where(result.labels > 0, 0.9, 0.0).astype(np.float16)
    prediction = dataclasses.replace(result.prediction, artery=artery, probability=probability)
    volume = result.volume
    volume.hu[9, 30:34, 30:33] = 115
    assert not (label_lesions(volume, prediction, LITERATURE) == 4).any()
    assert (label_lesions(volume, prediction, RULE_SETS["philips"]) == 4).sum() == 12


def test_siemens_measures_the_interpolated_volume_and_the_others_voxels():
    volume, labels = lesion([(j, i) for j in range(3) for i in range(3)], hu=260)
    compared = compare_rules(volume, labels, LITERATURE, CALIBRATION)
    for scored in compared:
        if scored.rules.name == "siemens":
            # 260 HU falls to 130 halfway to either neighbor: 3 mm of 0.5 mm slices and the one at the far end.
            assert scored.quantities.volume_mm3.total == pytest.approx(7 * 0.5 * 9 * 0.25)
        else:
            assert scored.quantities.volume_mm3.total == 9 * 0.75


def test_every_rule_set_names_its_sources_and_is_known_by_its_own_name():
    for name, rules in RULE_SETS.items():
        assert rules.name == name
        assert rules.sources
        assert rules.for_volume.threshold_hu <= rules.threshold_hu


def test_rules_that_are_not_named_come_first_in_the_comparison():
    volume, labels = lesion([(0, 0)])
    own = dataclasses.replace(LITERATURE, name="own")
    assert [scored.rules.name for scored in compare_rules(volume, labels, own, CALIBRATION)] == ["own", *RULE_SETS]


# Tube voltage


@pytest.mark.parametrize("kvp", KVP_THRESHOLDS_HU)
def test_the_tables_voltages_have_the_tables_thresholds(kvp):
    rules = adapted_to(LITERATURE, kvp)
    assert (rules.threshold_hu, *rules.weight_limits_hu) == KVP_THRESHOLDS_HU[kvp]
    assert rules.name == f"literature, {kvp:g} kVp"
    assert rules.kvp == kvp


def test_between_two_voltages_thresholds_lie_on_a_straight_line():
    assert thresholds_at(110.0) == (137.5, 211.0, 317.0, 423.0)
    assert thresholds_at(75.0) == pytest.approx((192.0, 294.5, 442.5, 590.0))


def test_at_120_kvp_adapted_thresholds_are_agatstons():
    volume, labels = lesion([(j, i) for j in range(4) for i in range(4)], hu=250)
    adapted = score_labels(volume, labels, adapted_to(LITERATURE, 120.0))
    assert adapted.total == score_labels(volume, labels, LITERATURE).total


def test_brighter_calcium_at_80_kvp_scores_as_at_120():
    """A disc of 250 HU at 120 kVp is brighter by 177 / 130 at 80; the weight stays 2 only by adapted thresholds."""
    pixels = [(j, i) for j in range(4) for i in range(4)]
    volume, labels = lesion(pixels, hu=round(250 * 177 / 130))
    assert score_labels(volume, labels, LITERATURE).total.agatston == 4.0 * 3
    assert score_labels(volume, labels, adapted_to(LITERATURE, 80.0)).total.agatston == 4.0 * 2


@pytest.mark.parametrize(("kvp", "code"), [(None, "kvp-unknown"), (140.0, "kvp-range"), (69.9, "kvp-range")])
def test_a_voltage_beyond_the_table_is_rejected(kvp, code):
    with pytest.raises(InputError) as rejection:
        adapted_to(LITERATURE, kvp)
    assert rejection.value.code == code


def test_rules_with_a_threshold_of_their_own_are_not_adapted():
    with pytest.raises(InputError) as rejection:
        adapted_to(RULE_SETS["philips"], 100.0)
    assert rejection.value.code == "kvp-rules"
    assert adapted_to(RULE_SETS["siemens"], 100.0).minimum_area_mm2 == 0.0


def test_the_warning_of_the_voltage_says_that_thresholds_were_adapted():
    warnings = (CaseWarning("other", "stays"), CaseWarning("kvp", "goes"))
    assert adapted_warnings(warnings, LITERATURE) == warnings
    first, second = adapted_warnings(warnings, adapted_to(LITERATURE, 100.0))
    assert first == warnings[0]
    assert second.code == "kvp-adapted"
    assert "145/222/334/446 HU" in second.message
