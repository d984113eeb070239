"""What a reader changed in a prediction: lesions added, removed, given away, made larger, and left as they were."""

import dataclasses
import json

import jsonschema
import numpy as np
import pytest
from command_cases import marked, patient_hu, run, scores_in, write_case, write_image
from coronary_calcium.dicom_export.structured_report import statements
from coronary_calcium.pipeline import score_case
from coronary_calcium.reports.scores_json import scores
from coronary_calcium.resources import resource
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.scoring.reader_vs_ai import (
    ADDED,
    MOST_CHANGES,
    REASSIGNED,
    REMOVED,
    RESIZED,
    listed_changes,
    reader_vs_ai,
)
from coronary_calcium.volume import CTVolume
from example_results import example_labels, example_volume
from report_page import page_of

CARD = {"name": "network", "sha256": "ab" * 32, "training": {}}
# A block of 4 x 4 pixels of 0.25 mm2 at 150 HU in one slice of 3 mm scores 4.
BLOCK = 4.0


def blocks(reader, proposed):
    """A CT with a block of calcium for each pair of labels, and what of it reader and network marked, 0 for nothing."""
    hu = np.zeros((3, 8, 8 * len(reader)), dtype=np.int16)
    labels = np.zeros((2, *hu.shape), dtype=np.uint8)
    for n, pair in enumerate(zip(reader, proposed)):
        place = np.s_[1, 2:6, 8 * n + 2 : 8 * n + 6]
        hu[place] = 150
        labels[(0, *place)], labels[(1, *place)] = pair
    volume = CTVolume(hu, (3.0, 0.5, 0.5), (0.0, 0.0, 0.0))
    return volume, labels


def compared(reader, proposed):
    volume, labels = blocks(reader, proposed)
    return reader_vs_ai(*(score_labels(volume, own) for own in labels), CARD)


def test_each_kind_of_change_is_told_apart():
    difference = compared([2, 3, 0, 4, 1], [2, 2, 3, 0, 1])
    assert [(change.kind, change.artery, change.ai_artery) for change in difference.changes] == [
        (ADDED, "RCA", None),
        (REMOVED, None, "LCX"),
        (REASSIGNED, "LCX", "LAD"),
    ]
    assert {change.agatston for change in difference.changes} == {BLOCK}
    assert difference.unchanged == 2
    assert difference.model == {"name": "network", "sha256": "ab" * 32}
    assert difference.of_artery("LAD") == (2 * BLOCK, -BLOCK)
    assert difference.of_artery("RCA") == (0.0, BLOCK)
    assert difference.of_total == (4 * BLOCK, 0.0)
    assert difference.summary == (
        "The reader added 1 lesion (4.0 Agatston), removed 1 lesion (4.0 Agatston) and reassigned 1 lesion to "
        "another artery; 2 are as the AI found them."
    )


def test_a_lesion_of_other_voxels_is_resized_and_not_new():
    volume, labels = blocks([2], [2])
    labels[0, 1, 5] = 0
    difference = reader_vs_ai(*(score_labels(volume, own) for own in labels))
    assert [change.kind for change in difference.changes] == [RESIZED]
    assert difference.of_total == (BLOCK, -1.0)
    assert difference.summary.endswith("changed the extent of 1 lesion; none is as the AI found it.")


def test_a_proposed_lesion_that_was_split_between_arteries_is_not_removed():
    volume, labels = blocks([2], [2])
    labels[0, 1, 2:4, 2:6] = 1
    difference = reader_vs_ai(*(score_labels(volume, own) for own in labels))
    assert sorted(change.kind for change in difference.changes) == [REASSIGNED, RESIZED]


def test_nothing_changed_and_nothing_there_are_said_so():
    assert compared([2, 4], [2, 4]).summary == "The reader changed no lesions; 2 are as the AI found them."
    nothing = compared([0], [0])
    assert (nothing.changes, nothing.unchanged, nothing.of_total) == ((), 0, (0.0, 0.0))
    assert [change.kind for change in compared([2], [0]).changes] == [ADDED]
    assert [change.kind for change in compared([0], [2]).changes] == [REMOVED]


def test_the_changes_of_any_two_results_explain_the_difference_of_their_scores():
    rng = np.random.default_rng(5)
    for _ in range(20):
        difference = compared(rng.integers(0, 6, 12), rng.integers(0, 6, 12))
        gained = sum(change.agatston for change in difference.of_kind(ADDED))
        lost = sum(change.agatston for change in difference.of_kind(REMOVED))
        assert difference.of_total[1] == pytest.approx(gained - lost)
        by_artery = [difference.of_artery(name)[1] for name in difference.reader.by_artery]
        assert sum(by_artery) == pytest.approx(difference.of_total[1])


def test_a_report_lists_the_first_changes_and_counts_the_others():
    listed = dict(listed_changes(compared([4] * 20, [0] * 20)))
    assert listed["Added"].count("RCA, slice 1 (4.0)") == MOST_CHANGES
    assert listed["Not listed here"] == "12 more, listed in scores.json"
    assert dict(listed_changes(compared([3, 5], [2, 2])))["Reassigned to another artery"] == (
        "LAD → LCX, slice 1 (4.0); LAD → not assigned, slice 1 (4.0)"
    )


@pytest.fixture
def result():
    """The example's reader gave the network's unassigned lesion to the LM, and found one that it had missed."""
    volume = example_volume()
    labels, proposed = example_labels(volume), example_labels(volume)
    labels[labels == 5] = 1
    proposed[proposed == 4] = 0
    scored = score_case(volume, labels=labels, ai_labels=proposed)
    return dataclasses.replace(scored, difference=dataclasses.replace(scored.difference, model=CARD))


def test_the_difference_is_in_every_report(result, tmp_path):
    content = scores(result)
    schema = json.loads(resource("Schemas", "scores.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(content, schema)
    told = content["reader_vs_ai"]
    assert told["model"] == {"name": "network", "sha256": "ab" * 32}
    assert [change["kind"] for change in told["lesions_changed"]] == ["added", "reassigned"]
    assert told["change_of_agatston"]["by_artery"]["RCA"] == content["agatston"]["by_artery"]["RCA"] > 0
    page = page_of(result, tmp_path)
    assert told["summary"] in page.text
    assert "AI Change" in page.text
    assert "Reassigned to another artery not assigned → LM, slice 12" in page.text
    assert any(told["summary"] in sentence for sentence in statements(result))


def test_a_prediction_scored_by_the_rules_of_the_reader_differs_by_what_was_changed_alone():
    volume = example_volume(warnings=())
    labels = example_labels(volume)
    result = score_case(volume, labels=labels, ai_labels=labels, options=ScoringOptions(kvp_adapted=True))
    assert result.difference.of_total[1] == 0.0
    assert result.difference.predicted.rules == result.rules


def test_the_command_compares_a_mask_with_a_saved_prediction(tmp_path):
    ct, mask = write_case(tmp_path)
    prediction = write_image(tmp_path / "prediction.nrrd", marked(patient_hu(), label=4))
    outcome = run("score", ct, "--mask", mask, "--prediction", prediction, "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    told = scores_in(tmp_path / "out")["reader_vs_ai"]
    assert [(change["ai_artery"], change["artery"]) for change in told["lesions_changed"]] == [("RCA", "LAD")]
    assert told["summary"] in outcome.out
    for option in (["--compare-ai"], ["--prediction", mask]):
        outcome = run("score", ct, *option, "--output", tmp_path / "no")
        assert outcome.code == 2
        assert f"{option[0]} compares a reader's mask with the AI: give the mask with --mask." in outcome.err
    assert run("score", ct, "--mask", mask, "--compare-ai", "--prediction", mask, "--output", tmp_path / "no").code == 2
