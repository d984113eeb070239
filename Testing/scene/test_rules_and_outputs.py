"""The rules that a review counts by are those of the command line, whatever the scan."""

import pytest

pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.errors import InputError
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.volume import Acquisition
from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic
from CoronaryCalciumScoringLib.review import Review
from CoronaryCalciumScoringLib.rules_and_outputs import rules_for
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, add_synthetic_ct
from editor_history import editor_history
from slicer_cases import synthetic_labels_engine

ADAPTED = ScoringOptions(kvp_adapted=True)


@pytest.mark.parametrize("kvp", [100.0, 120.0])
def test_behind_a_tin_filter_thresholds_are_not_adapted(kvp):
    assert rules_for("literature", ADAPTED, Acquisition(kvp=kvp)).kvp == kvp
    with pytest.raises(InputError) as rejected:
        rules_for("literature", ADAPTED, Acquisition(kvp=kvp, tin_filter=True))
    assert rejected.value.code == "kvp-tin-filter"


def test_a_scene_opens_with_the_adapted_score_that_it_was_saved_with_also_without_the_header(scene):
    volume, _ = add_synthetic_ct(scene.mrml)
    made = CoronaryCalciumScoringLogic(synthetic_labels_engine).score(volume)
    scans = (Acquisition(kvp=80.0), None)
    scores = []
    for acquisition in scans:
        history = editor_history(made.segmentationNode, volume)
        review = Review(made.segmentationNode, volume, history, tableNode=made.tableNode, acquisition=acquisition)
        if acquisition is not None:
            review.use("literature", ADAPTED)
        scores.append((review.rules.name, review.score.total.agatston, "kvp-adapted" in codes(review)))
        review.close()
    assert scores[0] == scores[1] and scores[0][0] == "literature, 80 kVp"
    assert scores[0][1] < SYNTHETIC_AGATSTON


def codes(review):
    return {warning.code for warning in review.warnings}
