"""What new weights say of their training: nothing of clinical labels unless there were some."""

import pytest
from coronary_calcium.disclaimers import NO_CLINICAL_LABELS, RESEARCH_USE, trained_on
from coronary_calcium.training.trainer import in_all, training_statement

SIMULATED = f"{NO_CLINICAL_LABELS} {RESEARCH_USE}"
SOURCES = ["calcium inserted in a real scan (CC BY 4.0)", "simulated patient"]


@pytest.mark.parametrize("begun_with", [None, {"statement": SIMULATED}, {"name": "weights of before it was said"}])
def test_simulated_calcium_alone_is_no_clinical_label(begun_with):
    assert training_statement(SOURCES, begun_with) == SIMULATED


def test_cases_of_readers_are_named():
    said = training_statement(["COCA gated", "simulated patient"], None)
    assert said == f"The network was trained on cases of: COCA gated, simulated patient. {RESEARCH_USE}"
    assert trained_on({"statement": said}) == "The network was trained on cases of: COCA gated, simulated patient."


def test_what_the_weights_before_had_seen_stays_said():
    before = training_statement(["COCA gated"], None)
    after = training_statement(SOURCES, {"statement": before})
    assert "calcium inserted" in after and "COCA gated" in after and NO_CLINICAL_LABELS not in after
    shipped = training_statement(["reader"], {"statement": SIMULATED})
    assert "cases of: a reader who marked them" in shipped and NO_CLINICAL_LABELS in shipped


def test_a_card_that_says_nothing_is_not_made_to_say_something():
    assert trained_on({}) == ""


def test_the_training_of_all_earlier_weights_is_added_up():
    assert in_all(10, 2.0, None) == {"iterations_in_all": 10, "minutes_in_all": 2.0}
    older = {"iterations": 100, "minutes": 5.0, "initialized_from": {"iterations": 1000, "minutes": 50.0}}
    assert in_all(10, 2.0, older) == {"iterations_in_all": 1110, "minutes_in_all": 57.0}
    newer = {"iterations": 100, "minutes": 5.0, "iterations_in_all": 7000, "minutes_in_all": 600.0}
    assert in_all(10, 2.0, {**newer, "initialized_from": older}) == {"iterations_in_all": 7010, "minutes_in_all": 602.0}
