"""The options of ``coronary-calcium score`` for rules, calibration and interpretation."""

import argparse

import pytest
from coronary_calcium.cli.score import add_choices, rules_of, scoring_options_of
from coronary_calcium.scoring.interpretation import RiskFactors
from coronary_calcium.scoring.options import DEFAULT_OPTIONS, ScoringOptions
from coronary_calcium.scoring.risk import FOUR_400
from coronary_calcium.scoring.rules import LITERATURE, RULE_SETS

MESA = "age=63,sex=female,ethnicity=chinese,cholesterol=210,hdl=45,pressure=140"


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_choices(parser)
    return parser.parse_args(arguments)


def test_without_options_everything_is_as_by_default():
    assert scoring_options_of(parsed()) == DEFAULT_OPTIONS == ScoringOptions()
    assert rules_of(parsed()) is LITERATURE


@pytest.mark.parametrize("name", RULE_SETS)
def test_a_rule_set_is_chosen_by_its_name(name):
    assert rules_of(parsed("--rules", name)) is RULE_SETS[name]


def test_every_choice_arrives():
    options = parsed(
        "--compare-rules",
        "--kvp-adapted",
        "--mass-calibration=0.78",
        "--quantities=all",
        "--risk-scheme=four-400",
        f"--mesa={MESA},diabetes,family-history",
    )
    factors = RiskFactors(63, False, "chinese", 210, 45, 140, diabetes=True, family_history=True)
    assert scoring_options_of(options) == ScoringOptions(
        kvp_adapted=True,
        compare_rules=True,
        mass_factor=0.78,
        risk_scheme=FOUR_400,
        risk_factors=factors,
        all_quantities=True,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rules=toshiba"], "invalid choice"),
        (["--mass-calibration=0.00078"], "mg/cm3/HU"),
        (["--mass-calibration=much"], "mg/cm3/HU"),
        (["--risk-scheme=six"], "choose from five"),
        (["--mesa=age=63"], "cholesterol="),
        ([f"--mesa={MESA},age=64"], "each once"),
        ([f"--mesa={MESA},old"], "lipid-medication"),
        ([f"--mesa={MESA.replace('female', 'other')}"], "sex must be"),
        ([f"--mesa={MESA.replace('63', '30')}"], "ages 45 to 85"),
        ([f"--mesa={MESA.replace('63', 'old')}"], "could not convert"),
    ],
)
def test_a_wrong_choice_is_wrong_usage_and_says_what_is_right(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed(*arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
