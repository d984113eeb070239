"""The real scan of the QRM phantom: the published score of every insert."""

import numpy as np
import pytest
from coronary_calcium.io import open_ct
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rule_comparison import compare_rules
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.scoring.volume_mass import calibration_of
from phantom import TOTAL, insert_mask, inserts, phantom_mask
from shared_data import real_series


@pytest.fixture(scope="module")
def volume():
    return open_ct(real_series("qrm-phantom")).volume


def test_every_insert_of_the_phantom_has_its_published_score(volume):
    scores = {
        insert.name: round(score_labels(volume, insert_mask(volume, insert)).total.agatston, 2) for insert in inserts()
    }
    assert scores == {insert.name: insert.agatston for insert in inserts()}


def test_the_inserts_together_score_966_63(volume):
    score = score_labels(volume, phantom_mask(volume))
    assert round(score.total.agatston, 2) == TOTAL
    assert score.risk_category == ">400"
    by_density = {name: round(tally.agatston, 2) for name, tally in score.by_artery.items()}
    # The inserts of high density as LAD, medium as LCX, low as RCA (phantom.LABEL_OF_DENSITY).
    assert by_density == {"LM": 0.0, "LAD": 497.24, "LCX": 307.92, "RCA": 161.46, "unassigned": 0.0}


def test_each_insert_is_one_lesion_at_its_published_position(volume):
    """Within 1.5 mm, which is 3 pixels or half a slice; the phantom did not lie quite straight."""
    for insert in inserts():
        (lesion,) = score_labels(volume, insert_mask(volume, insert)).lesions
        distance = np.linalg.norm(np.subtract(lesion.centroid_lps, volume.position(insert.center)))
        assert distance < 1.5, insert.name


def test_every_rule_set_scores_the_phantom_and_they_differ_where_their_rules_do(volume):
    """The boxes around the inserts hold grains of noise, which only rule sets without 1 mm2 of minimum area count."""
    compared = compare_rules(volume, phantom_mask(volume), LITERATURE, calibration_of(volume.acquisition))
    assert {scored.rules.name: round(scored.score.total.agatston, 2) for scored in compared} == {
        "literature": TOTAL,
        "ge": 962.82,
        "siemens": 986.15,
        "philips": 969.96,
        "canon": 969.96,
    }
    volumes = {scored.rules.name: round(scored.quantities.volume_mm3.total, 1) for scored in compared}
    assert volumes == {"literature": 870.2, "ge": 865.9, "siemens": 967.4, "philips": 1385.3, "canon": 887.3}
