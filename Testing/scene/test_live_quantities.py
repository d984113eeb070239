"""The quantities of a review follow its edits, and equal those that the engine measures from the beginning."""

import dataclasses
import json
import types

import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import numpy as np  # noqa: E402 after the check that there is a Slicer
from calcium_shapes import HU_PER_MG_PER_CM3, TISSUE_HU, blurred, scan, sphere  # noqa: E402
from coronary_calcium.arteries import LAD, LCX, RCA  # noqa: E402
from coronary_calcium.scoring.calcium_quantities import case_quantities  # noqa: E402
from CoronaryCalciumScoringLib.live_quantities import LiveQuantities  # noqa: E402
from CoronaryCalciumScoringLib.review import Review  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import add_segmentation  # noqa: E402
from CoronaryCalciumScoringLib.stored_prediction import (  # noqa: E402
    FACTS_ATTRIBUTE,
    prediction_node,
    read_stored_prediction,
    store_prediction,
)
from CoronaryCalciumScoringLib.volume_node import add_volume_node  # noqa: E402
from editor_history import editor_history  # noqa: E402
from slicer_cases import ras_of  # noqa: E402

# As large as a CT must be to be one.
SHAPE, SPACING_MM = (62, 131, 131), (1.0, 0.8, 0.8)
IN_LAD, IN_RCA = (31, 65, 58), (31, 65, 72)


@pytest.fixture
def review(scene):
    """A review of two spheres of calcium, of 600 and 400 mg/cm3, in even tissue."""
    one, two = (
        sphere(2.0, density, (0.0, 0.0, x), SPACING_MM, SHAPE)[0] for density, x in ((600.0, -5.2), (400.0, 5.2))
    )
    hu = np.rint(TISSUE_HU + blurred(one + two, 0.6, SPACING_MM)).astype(np.int16)
    hu[:, :20] = -1000  # air, without which it would be no CT
    left = np.arange(hu.shape[2]) < hu.shape[2] // 2
    labels = np.where(hu >= 130, np.where(left, LAD.label, RCA.label), 0).astype(np.uint8)
    volume = dataclasses.replace(scan(hu, SPACING_MM), hu=hu)
    node = add_volume_node(scene.mrml, volume, "CT")
    segmentation = add_segmentation(node, labels, "Calcium")
    opened = Review(segmentation, node, editor_history(segmentation, node))
    opened.use(opened.rules_name, dataclasses.replace(opened.options, mass_factor=1 / HU_PER_MG_PER_CM3))
    yield opened
    opened.close()


def from_the_beginning(review):
    result = review.case_result()
    return case_quantities(result.volume, result.score, result.quantities.calibration)


class AsPredicted:
    """What ``store_prediction`` asks of a result of the network."""

    model_card, uncertainty = None, None

    def __init__(self, score, artery_map):
        self.score = score
        self.prediction = types.SimpleNamespace(artery_map=artery_map)


@pytest.fixture
def predicted(review):
    """The same review, of lesions that a network has marked: it calls the LAD's right half another artery's."""
    arteries = np.zeros(SHAPE, np.uint8)
    arteries[25:38, 50:80, 40:59], arteries[25:38, 50:80, 59:65], arteries[25:38, 50:80, 65:90] = 2, 3, 4
    labels = review.labels()
    store_prediction(review.segmentationNode, review.volumeNode, labels, AsPredicted(review.score, arteries))
    opened = Review(
        review.segmentationNode, review.volumeNode, editor_history(review.segmentationNode, review.volumeNode)
    )
    yield opened, arteries
    opened.close()


def test_a_scene_keeps_the_arteries_that_the_network_named_and_measures_as_the_command_line_does(predicted):
    review, arteries = predicted
    np.testing.assert_array_equal(review.prediction.artery_map, arteries)
    review.use(review.rules_name, dataclasses.replace(review.options, all_quantities=True))
    live = LiveQuantities(review)
    result = review.case_result()
    assert live.measure() == result.all_quantities
    assert live.measure() == case_quantities(result.volume, result.score, result.quantities.calibration, arteries)
    assert live.measure() != case_quantities(result.volume, result.score, result.quantities.calibration)
    review.assign(ras_of(review.volumeNode, IN_LAD), LCX)
    assert live.measure() == review.case_result().all_quantities


@pytest.mark.parametrize(
    "kept", [None, [], 3, [[0, 1]], [[0, 1, 7]], [[5, 0, 2]], [[-1, 3, 2]], [[0, 10**12, 2]], [[4, 3, 2], [5, 1, 2]]]
)
def test_arteries_that_cannot_be_those_of_the_ct_are_ignored(predicted, kept):
    review, _ = predicted
    node = prediction_node(review.segmentationNode)
    facts = json.loads(node.GetAttribute(FACTS_ATTRIBUTE))
    node.SetAttribute(FACTS_ATTRIBUTE, json.dumps({**facts, "arteries": kept}))
    assert read_stored_prediction(review.segmentationNode, review.volumeNode, review.ct).artery_map is None


def test_after_every_edit_the_quantities_are_those_of_the_whole(review):
    live = LiveQuantities(review)
    assert live.measure().total.not_measured == 0
    for edit in (
        lambda: None,
        lambda: review.assign(ras_of(review.volumeNode, IN_LAD), LCX),
        lambda: review.remove(ras_of(review.volumeNode, IN_RCA)),
        review.undo,
    ):
        edit()
        assert live.measure() == from_the_beginning(review)


def test_another_calibration_changes_masses_at_once(review):
    live = LiveQuantities(review)
    before = live.measure().total.values["integrated_mass_mg"].number
    review.use(review.rules_name, dataclasses.replace(review.options, mass_factor=0.5))
    after = live.measure()
    assert after.calibration.mg_per_cm3_hu == 0.5
    assert after.total.values["integrated_mass_mg"].number < before
    assert after == from_the_beginning(review)


def test_a_review_that_asks_for_the_quantities_has_them_in_its_result_and_when_it_is_opened_again(review):
    assert review.case_result().all_quantities is None
    review.use(review.rules_name, dataclasses.replace(review.options, all_quantities=True))
    assert review.case_result().all_quantities == LiveQuantities(review).measure()
    again = Review(
        review.segmentationNode, review.volumeNode, editor_history(review.segmentationNode, review.volumeNode)
    )
    assert again.options.all_quantities
    again.close()
