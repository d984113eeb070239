"""scores.json against its schema and against the scores, and lesions.csv."""

import csv
import json
import math
from dataclasses import asdict

import jsonschema
import pytest
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS
from coronary_calcium.reports import write_case
from coronary_calcium.reports.lesions_csv import COLUMNS
from coronary_calcium.reports.scores_json import scores, write_scores
from coronary_calcium.resources import resource
from example_results import CARD, WARNING, empty_case, scored_case

CASES = {
    "with lesions": scored_case,
    "mask": lambda: scored_case(mask_given=True),
    "nothing found": empty_case,
    "empty mask": lambda: empty_case(mask_given=True),
    "heart not found": lambda: scored_case(found=False),
}


@pytest.fixture(scope="module")
def schema():
    content = json.loads(resource("Schemas", "scores.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content, format_checker=jsonschema.FormatChecker())


def objects_in(schema_part):
    """Every schema of an object below this one."""
    if isinstance(schema_part, dict):
        if schema_part.get("type") == "object":
            yield schema_part
        for value in schema_part.values():
            yield from objects_in(value)
    elif isinstance(schema_part, list):
        for value in schema_part:
            yield from objects_in(value)


@pytest.mark.parametrize("name", CASES)
def test_scores_json_follows_its_schema(schema, name, tmp_path):
    write_scores(scores(CASES[name]()), tmp_path / "scores.json")
    schema.validate(json.loads((tmp_path / "scores.json").read_text(encoding="utf-8")))


def test_the_schema_describes_every_field_and_allows_no_others(schema):
    for part in objects_in(schema.schema):
        assert part["description"]
        if "properties" in part:
            assert part["additionalProperties"] is False
            assert sorted(part["required"]) == sorted(part["properties"])
            assert all("description" in field for field in part["properties"].values())


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"agatston": {"total": -1, "by_artery": {}}},
        {"risk_category": "high"},
        {"warnings": [{"code": "No Code"}]},
    ],
)
def test_the_schema_rejects_what_is_not_scores(schema, change):
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(scores(scored_case()) | change)


def test_scores_json_holds_the_scores_to_the_last_digit(tmp_path):
    result = scored_case()
    write_case(result, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    score = result.score
    assert content["agatston"]["total"] == score.total.agatston
    assert content["volume_mm3"]["total"] == score.total.volume_mm3
    for name, tally in score.by_artery.items():
        assert content["agatston"]["by_artery"][name] == tally.agatston
        assert content["volume_mm3"]["by_artery"][name] == tally.volume_mm3
    assert content["risk_category"] == score.risk_category
    for written, lesion in zip(content["lesions"], score.lesions, strict=True):
        assert (written["id"], written["artery"], written["agatston"]) == (lesion.id, lesion.artery, lesion.agatston)
        assert written["centroid_lps_mm"] == list(lesion.centroid_lps)
        assert written["slices"] == {"first": lesion.first_slice, "last": lesion.last_slice, "main": lesion.main_slice}
        assert written["probability"] == 0.75


def test_scores_json_says_what_the_scores_depend_on():
    content = scores(scored_case())
    assert content["intended_use"] == RESEARCH_USE
    assert content["warnings"] == [{"code": WARNING.code, "message": WARNING.message}]
    assert content["acquisition"]["kvp"] == 100.0
    assert content["acquisition"]["spacing_mm"] == {"slice": 2.5, "row": 0.7, "column": 0.8}
    assert content["rules"]["minimum_pixels"] == 2
    assert content["rules"]["spacing_factor"] == 2.5 / 3
    assert content["rules"]["high_threshold"] == 0.5
    assert content["rules"] | asdict(POSTPROCESSING_LIMITS) == content["rules"]
    assert content["coverage"]["windows"][0] == {
        "first_slice": 2,
        "last_slice": 13,
        "center_row": 30.5,
        "center_column": 25.25,
    }
    assert (content["coverage"]["slices_run"], content["coverage"]["slices_skipped"]) == (9, 4)
    assert (content["coverage"]["labeled_voxels"], content["coverage"]["counted_voxels"]) == (85, 84)
    weights = content["provenance"]["weights"]
    assert weights["sha256"] == CARD["sha256"]
    assert weights["statement"] == CARD["statement"]
    assert weights["training_data"] == "12 simulated patients"
    assert content["provenance"]["seconds"] == {"read": 0.25, "network": 1.5}


def test_with_a_given_mask_nothing_is_said_of_a_network():
    content = scores(scored_case(mask_given=True))
    assert content["provenance"]["weights"] is None
    assert content["rules"]["high_threshold"] is None
    for name in ("low_threshold", "lesion_probability", "seed_3d", "large_lesion_core_probability"):
        assert content["rules"][name] is None
    assert content["coverage"]["labels_from"] == "mask"
    assert content["coverage"]["heart_found"] is None
    assert {lesion["probability"] for lesion in content["lesions"]} == {None}


def test_a_number_that_json_cannot_hold_is_an_error(tmp_path):
    content = scores(scored_case())
    content["agatston"]["total"] = math.nan
    with pytest.raises(ValueError, match="JSON"):
        write_scores(content, tmp_path / "scores.json")


def test_lesions_csv_holds_every_lesion_to_the_last_digit(tmp_path):
    result = scored_case()
    write_case(result, tmp_path / "out")
    with (tmp_path / "out" / "lesions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["artery"] for row in rows] == ["LAD", "unassigned", "RCA"]
    for row, lesion in zip(rows, result.score.lesions, strict=True):
        assert float(row["agatston"]) == lesion.agatston
        assert float(row["centroid_z_lps_mm"]) == lesion.centroid_lps[2]
        assert int(row["voxels"]) == lesion.voxels.size
        assert float(row["probability"]) == 0.75


def test_no_cell_of_lesions_csv_can_be_a_formula(tmp_path):
    """Every cell is a number, an artery's name or empty, also where the header of the scan holds a formula."""
    for mask_given in (False, True):
        write_case(scored_case(mask_given=mask_given), tmp_path / "out")
        with (tmp_path / "out" / "lesions.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                assert row.pop("artery") in {"LM", "LAD", "LCX", "RCA", "unassigned"}
                assert all(math.isfinite(float(cell)) for cell in row.values() if cell)


def test_without_lesions_the_table_has_its_header_only(tmp_path):
    write_case(empty_case(), tmp_path / "out")
    assert (tmp_path / "out" / "lesions.csv").read_text(encoding="utf-8").strip() == ",".join(COLUMNS)
