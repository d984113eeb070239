"""``--quantities all``: integrated mass and the rest in every output, and nothing of the scores moved."""

import csv
import dataclasses
import json

import jsonschema
import pytest
from coronary_calcium.arteries import ARTERIES
from coronary_calcium.cli import console
from coronary_calcium.reports import write_case
from coronary_calcium.reports.lesions_csv import COLUMNS, MORE_COLUMNS
from coronary_calcium.reports.scores_json import scores
from coronary_calcium.resources import resource
from coronary_calcium.scoring.calcium_quantities import QUANTITIES, case_quantities
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.scoring.quantity_table import TOTAL, quantity_table
from example_results import empty_case, scored_case
from report_page import page_of

ALL = ScoringOptions(all_quantities=True)


def measured(case=scored_case):
    return dataclasses.replace(case(mask_given=True), options=ALL)


@pytest.mark.parametrize("case", [scored_case, empty_case])
def test_scores_json_with_all_quantities_follows_its_schema(case):
    schema = json.loads(resource("Schemas", "scores.schema.json").read_text(encoding="utf-8"))
    content = json.loads(json.dumps(scores(measured(case)), allow_nan=False))
    jsonschema.Draft202012Validator(schema).validate(content)
    assert list(content["all_quantities"]["by_artery"]) == [artery.name for artery in ARTERIES]


def test_all_quantities_leave_every_other_value_as_it_was():
    plain, more = scores(scored_case(mask_given=True)), scores(measured())
    assert plain.pop("all_quantities") is None
    assert more.pop("all_quantities") is not None
    for content in (plain, more):
        content.pop("provenance")
    assert plain == more


def test_the_quantities_repeat_the_scores_they_stand_beside():
    content = scores(measured())
    quantities = content["all_quantities"]
    assert quantities["total"]["agatston"]["value"] == pytest.approx(content["agatston"]["total"])
    assert quantities["total"]["mass_mg"]["value"] == pytest.approx(content["mass_mg"]["total"])
    assert quantities["total"]["volume_mm3"]["value"] == pytest.approx(content["volume_mm3"]["total"])
    for lesion, one in zip(content["lesions"], quantities["lesions"], strict=True):
        assert one["id"] == lesion["id"]
        assert one["agatston"]["value"] == lesion["agatston"]
        assert one["mass_mg"]["value"] == lesion["mass_mg"]


def test_lesions_csv_has_the_quantities_behind_its_usual_columns(tmp_path):
    result = measured()
    write_case(result, tmp_path)
    with (tmp_path / "lesions.csv").open(newline="", encoding="utf-8") as file:
        titles, *rows = csv.reader(file)
    assert titles == [*COLUMNS, *MORE_COLUMNS]
    first = result.all_quantities.lesions[0]
    assert float(rows[0][titles.index("integrated_mass_mg")]) == first.values["integrated_mass_mg"].number
    assert float(rows[0][titles.index("integrated_mass_mg_sd")]) == first.values["integrated_mass_mg"].sd
    assert len(rows) == len(result.score.lesions)


def test_the_page_has_the_table_only_when_asked_for(tmp_path):
    page = page_of(measured(), tmp_path / "all").text
    assert "Quantities by method" in page
    for quantity in QUANTITIES:
        assert quantity.title in page
    assert "Quantities by method" not in page_of(scored_case(mask_given=True), tmp_path / "plain").text


def test_the_terminal_shows_a_line_for_every_quantity(capsys, tmp_path):
    console.print_result(measured(), tmp_path / "report.html")
    shown = capsys.readouterr().out
    for row in quantity_table(measured().all_quantities).rows:
        assert row.title in shown
    console.print_result(scored_case(mask_given=True), tmp_path / "report.html")
    assert "Integrated mass" not in capsys.readouterr().out


def test_the_table_has_a_column_for_calcium_without_an_artery_only_where_there_is_some():
    result = measured()
    table = quantity_table(result.all_quantities)
    assert table.columns == (TOTAL, "LM", "LAD", "LCX", "RCA", "unassigned")
    named = dataclasses.replace(
        result.score, lesions=tuple(one for one in result.score.lesions if one.artery != "unassigned")
    )
    assert quantity_table(case_quantities(result.volume, named, result.quantities.calibration)).columns[-1] == "RCA"
    assert all(len(row.cells) == len(table.columns) for row in table.rows)
    empty = next(row for row in table.rows if row.title.startswith("Integrated mass"))
    assert empty.cells[table.columns.index("LM")] == "–"
    assert any("not calibrated" in note for note in table.notes)
