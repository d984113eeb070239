"""What the user's options add to the results: other rules, calibrated mass, schemes, the MESA risk."""

import dataclasses
import json

import jsonschema
import pytest
from coronary_calcium.cli import console
from coronary_calcium.pipeline import score_case
from coronary_calcium.reports.scores_json import scores
from coronary_calcium.resources import resource
from coronary_calcium.scoring.interpretation import RiskFactors
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.scoring.risk import FOUR_300
from coronary_calcium.scoring.rules import LITERATURE, RULE_SETS
from example_results import empty_case, example_labels, example_volume, scored_case
from report_page import page_of

FACTORS = RiskFactors(63, True, "white", 210, 45, 140, smoker=True)
ALL = ScoringOptions(compare_rules=True, mass_factor=0.8, risk_scheme=FOUR_300, risk_factors=FACTORS)


@pytest.fixture(scope="module")
def schema():
    content = json.loads(resource("Schemas", "scores.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(content)


def chosen(options=ALL, case=scored_case):
    return dataclasses.replace(case(mask_given=True), options=options)


@pytest.mark.parametrize("case", [scored_case, empty_case])
def test_scores_json_with_every_choice_follows_its_schema(schema, case):
    schema.validate(scores(chosen(case=case)))


def test_scores_json_holds_what_was_chosen():
    content = scores(chosen())
    assert content["mass_mg"]["calibration"]["calibrated"] is True
    assert content["mass_mg"]["total"] == pytest.approx(sum(lesion["mass_mg"] for lesion in content["lesions"]))
    assert [compared["name"] for compared in content["rules_compared"]] == list(RULE_SETS)
    assert content["rules_compared"][0]["agatston"] == content["agatston"]["total"]
    assert content["risk_category"] in content["rules"]["risk_categories"] == list(FOUR_300.categories)
    risk = content["interpretation"]["mesa_10_year_chd_risk"]
    assert 0 < risk["without_calcium"] < 1
    assert 0 < risk["with_calcium"] < 1


def test_without_choices_nothing_is_compared_and_mass_is_labeled_uncalibrated(schema):
    content = scores(scored_case())
    schema.validate(content)
    assert content["rules_compared"] == []
    assert content["interpretation"]["mesa_10_year_chd_risk"] is None
    assert content["mass_mg"]["calibration"]["calibrated"] is False
    assert content["interpretation"]["cac_drs"] == "A2/N2"
    assert content["interpretation"]["vessels_known"] is False


def test_the_page_shows_other_rules_and_risks_only_when_asked_for(tmp_path):
    page, plain = page_of(chosen(), tmp_path / "a"), page_of(scored_case(), tmp_path / "b")
    for words in ("The same lesions by other rules", "10-year risk of coronary heart disease (MESA)", "101-300"):
        assert words in page.text
        assert words not in plain.text
    assert "(not calibrated)" in plain.text
    assert "(not calibrated)" not in page.text
    assert "CAC-DRS A2/N2: at least 2 vessels with calcium" in page.text


def test_the_terminal_prints_the_rule_sets_side_by_side(capsys, tmp_path):
    console.print_result(chosen(), tmp_path)
    printed = capsys.readouterr().out
    for rules in RULE_SETS.values():
        assert f"\n{rules.title} " in printed
    assert "(rules: Agatston 1990); CAC-DRS" in printed
    assert "MESA" in printed
    assert "not calibrated" not in printed
    console.print_result(scored_case(), tmp_path)
    printed = capsys.readouterr().out
    assert "Siemens" not in printed
    assert "Mass is not calibrated" in printed


def test_a_case_is_scored_by_thresholds_adapted_to_its_voltage_and_says_so():
    volume = example_volume(warnings=())
    labels = example_labels(volume)
    plain = score_case(volume, labels=labels)
    adapted = score_case(volume, labels=labels, options=ScoringOptions(kvp_adapted=True))
    assert adapted.rules.name == "literature, 100 kVp"
    assert adapted.score.rules == adapted.rules
    # The plaque of 350 HU keeps its weight of 3, and the one of 160 HU its 1; 250 HU stays at 2; 145 HU is the least.
    assert plain.rules == LITERATURE
    assert adapted.score.total.agatston == plain.score.total.agatston
    volume.hu[9, 30:34, 30:33] = 140
    assert score_case(volume, labels=labels).score.by_artery["RCA"].agatston > 0
    adapted = score_case(volume, labels=labels, options=ScoringOptions(kvp_adapted=True))
    assert adapted.score.by_artery["RCA"].agatston == 0
    content = scores(adapted)
    assert content["rules"]["adapted_to_kvp"] == 100.0
    assert content["rules"]["threshold_hu"] == 145.0
    assert any("Gräni" in source for source in content["rules"]["sources"])
