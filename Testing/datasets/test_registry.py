"""Which data set a folder holds, and the cases of those that keep label maps."""

import json

import numpy as np
import pytest
from coronary_calcium.cli.prepare import LAYOUT_NAMES
from coronary_calcium.datasets.registry import AUTO, LAYOUTS, detect, open_data_set
from coronary_calcium.errors import InputError
from data_set_cases import (
    SHAPE,
    SPOT,
    chest,
    labeled,
    left_out,
    only_case,
    write_gated,
    write_image,
    write_nongated,
    write_scores,
    write_simulated,
)


def rejection(folder, layout=AUTO):
    with pytest.raises(InputError) as rejected:
        open_data_set(folder, layout)
    assert str(rejected.value).endswith(".")
    return rejected.value.code, str(rejected.value)


def write_orcascore(root, patient="TRV1P2", labels=None, ending="R", hu=None):
    folder = root / "Challenge_data" / "Training_set" / "Images"
    if hu is not False:
        write_image(folder / f"{patient}CTI.mhd", chest() if hu is None else hu)
    if labels is not False:
        write_image(folder / f"{patient}{ending}.mhd", labeled(v1=SPOT) if labels is None else labels)
    return folder


def write_nlst(root, name="1.2.840.7", labels=None, subset="training", kernel="B30F", **without):
    if not without.get("image"):
        write_image(root / "images" / f"{name}.mha", chest())
    if not without.get("annotation"):
        write_image(root / "annotations" / f"{name}.mha", labeled(v8=SPOT) if labels is None else labels)
    table = root / "dataset.csv"
    if not table.exists():
        table.write_text(
            "Patient ID,Series Instance UID,FBP Reconstruction Kernel,Original Slice Thickness,Original Slice Order,"
            "Observer,Subset\n"
        )
    with table.open("a") as stream:
        stream.write(f"1, {name} ,{kernel},2.0,head-to-feet,B,{subset}\n")


def write_reviewed(root, name="case-0123456789ab", **changes):
    write_image(root / name / "ct.nrrd", chest())
    write_image(root / name / "labels.nrrd", labeled(v3=SPOT).astype(np.uint8))
    facts = {
        "source": "reader",
        "agatston": {"total": 3.0, "LM": 0.0, "LAD": 0.0, "LCX": 3.0, "RCA": 0.0, "unassigned": 0.0},
        "statistics": {"moved": 1},
        "acquisition": {"modality": "CT", "kvp": 100.0, "kernel": "B70f", "slice_thickness_mm": 8.0, "later": 1},
        **changes,
    }
    (root / name / "case.json").write_text(json.dumps(facts))


WRITERS = {
    "simulated": write_simulated,
    "reviewed": write_reviewed,
    "coca-gated": lambda root: write_gated(root, images={}),
    "coca-nongated": lambda root: (
        write_nongated(root),
        write_scores(root / "deidentified_nongated" / "scores.xlsx", [("3A", 0, 0, 0, 0, 0)]),
    ),
    "orcascore": write_orcascore,
    "nlst": write_nlst,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_told_from_the_others(tmp_path, name):
    WRITERS[name](tmp_path)
    assert detect(tmp_path) == name
    for other in LAYOUTS.keys() - {name}:
        assert rejection(tmp_path, other)[0] == "other-layout"
    assert len(open_data_set(tmp_path, name).entries) == 1


def test_the_command_offers_every_layout():
    assert (AUTO, *LAYOUTS) == LAYOUT_NAMES


@pytest.mark.parametrize("name", ["coca-gated", "coca-nongated"])
def test_coca_is_found_in_its_own_folder_and_in_the_one_that_holds_the_download(tmp_path, name):
    WRITERS[name](tmp_path / "cocacoronarycalciumandchestcts-2")
    inner = next((tmp_path / "cocacoronarycalciumandchestcts-2").iterdir())
    for folder in (tmp_path, inner.parent, inner):
        assert open_data_set(folder).folder == inner


def test_two_data_sets_in_a_folder_are_both_named(tmp_path):
    WRITERS["coca-gated"](tmp_path)
    WRITERS["coca-nongated"](tmp_path)
    code, text = rejection(tmp_path)
    assert code == "several-layouts"
    assert "--layout coca-gated or --layout coca-nongated" in text
    assert open_data_set(tmp_path, "coca-gated").layout == "coca-gated"


def test_a_folder_of_something_else_and_one_that_is_not_there_are_rejected(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    assert rejection(tmp_path)[0] == "unknown-layout"
    assert rejection(tmp_path / "none")[0] == "no-data-set"
    assert rejection(tmp_path / "none", "nlst")[0] == "no-data-set"
    assert rejection(tmp_path / "notes.txt")[0] == "no-data-set"


# Simulated patients


def test_a_simulated_patient_comes_with_its_labels_and_scores(tmp_path):
    write_simulated(tmp_path)
    for folder in (tmp_path, tmp_path / "patient-cardiac-000007"):
        case, others = only_case(folder)
        np.testing.assert_array_equal(case.labels, labeled(v2=SPOT))
        np.testing.assert_array_equal(case.volume.hu, chest())
        assert case.reference == {"total": 12.5, "LM": 0.0, "LAD": 12.5, "LCX": 0.0, "RCA": 0.0}
        assert (case.facts["gated"], case.facts["seed"], others) == (True, 7, [])


def test_a_patient_that_is_not_complete_is_left_out_and_its_lack_named(tmp_path):
    write_simulated(tmp_path)
    (tmp_path / "patient-chest-000001").mkdir()
    other = write_simulated(tmp_path, "patient-chest-000002")
    (other / "labels.nrrd").unlink()
    (tmp_path / ".partial-x").mkdir()
    _, others = only_case(tmp_path)
    assert [(left.name, left.reason.split(":")[0]) for left in others] == [
        ("patient-chest-000001", "It lacks dicom/ and labels.nrrd and truth.json"),
        ("patient-chest-000002", "It lacks labels.nrrd"),
    ]
    (tmp_path / "patient-cardiac-000007" / "labels.nrrd").unlink()
    assert rejection(tmp_path)[0] == "partial-data-set"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"agatston_as_imaged": {"total": NaN, "by_artery": {}}}', "[" * 9999]
)
def test_a_damaged_truth_is_rejected(tmp_path, content):
    folder = write_simulated(tmp_path)
    (folder / "truth.json").write_text(content)
    assert "truth.json" in left_out(tmp_path)


def test_labels_of_another_grid_are_rejected(tmp_path):
    folder = write_simulated(tmp_path)
    write_image(folder / "labels.nrrd", labeled()[1:].astype(np.uint8))
    assert "grid" in left_out(tmp_path)


# Cases saved from Slicer


def test_a_case_saved_from_slicer_comes_with_what_was_known_of_its_scan(tmp_path):
    write_reviewed(tmp_path)
    case, _ = only_case(tmp_path)
    np.testing.assert_array_equal(case.labels, labeled(v3=SPOT))
    assert case.reference["LCX"] == case.reference["total"] == 3.0
    assert case.volume.acquisition.kvp == 100.0
    codes = [warning.code for warning in case.volume.warnings]
    assert {"kvp", "sharp-kernel", "thick-slices"} <= set(codes)
    assert "missing-tags" not in codes
    assert case.facts["statistics"] == {"moved": 1}
    assert case.facts["gated"] is None


@pytest.mark.parametrize(
    "changes", [{"agatston": {"total": "many"}}, {"acquisition": {"modality": "CT", "kvp": "120"}}]
)
def test_facts_of_the_wrong_kind_are_rejected(tmp_path, changes):
    write_reviewed(tmp_path, **changes)
    assert "case.json does not contain what it should" in left_out(tmp_path)


def test_a_case_without_its_ct_is_left_out(tmp_path):
    write_reviewed(tmp_path)
    write_reviewed(tmp_path, "case-2")
    (tmp_path / "case-2" / "ct.nrrd").unlink()
    _, others = only_case(tmp_path)
    assert [left.reason.split(":")[0] for left in others] == ["It lacks ct.nrrd"]
    (tmp_path / "case-0123456789ab" / "labels.nrrd").unlink()
    assert rejection(tmp_path)[0] == "partial-data-set"


# orCaScore


@pytest.mark.parametrize("ending", ["R", "CTR", "CTIR"])
def test_orcascore_labels_are_lad_lcx_and_rca(tmp_path, ending):
    labels = labeled(v1=(3, 30, 30), v2=(3, 30, 31), v3=(3, 30, 32), v4=(3, 30, 33))
    write_orcascore(tmp_path, labels=labels, ending=ending)
    case, _ = only_case(tmp_path)
    assert case.labels[3, 30, 29:35].tolist() == [0, 2, 3, 4, 5, 0]
    assert (case.name, case.facts["gated"], case.facts["left_main_in_lad"]) == ("TRV1P2", True, True)


def test_ct_with_contrast_beside_orcascore_s_is_not_read(tmp_path):
    folder = write_orcascore(tmp_path)
    write_image(folder / "TRV1P2CTAI.mhd", chest())
    case, others = only_case(tmp_path)
    assert (case.name, others) == ("TRV1P2", [])


def test_orcascore_patients_that_are_not_complete_are_left_out(tmp_path):
    write_orcascore(tmp_path)
    write_orcascore(tmp_path, "TRV2P1", labels=False)
    write_orcascore(tmp_path, "TRV3P1", hu=False)
    write_image(tmp_path / "TRV4P1CTI.mhd", chest())
    write_orcascore(tmp_path, "TRV4P1")
    data = open_data_set(tmp_path)
    assert [entry.name for entry in data.entries] == ["TRV1P2"]
    assert {left.name: left.reason.split(" ")[-1] for left in data.left_out} == {
        "TRV2P1": "missing.",
        "TRV3P1": "missing.",
        "TRV4P1": "copy.",
    }


def test_half_of_orcascore_is_rejected(tmp_path):
    write_orcascore(tmp_path, labels=False)
    assert rejection(tmp_path)[0] == "partial-data-set"


def test_values_that_orcascore_does_not_have_are_rejected(tmp_path):
    write_orcascore(tmp_path, labels=labeled(v8=(3, 30, 30)))
    assert "other values (8)" in left_out(tmp_path)


# NLST annotations


def test_nlst_annotations_of_aorta_and_valves_are_background(tmp_path):
    values = [8, 9, 10, 15, 52, 53, 54, 55, 56, 57, 58]
    labels = labeled(**{f"v{value}": (4, 30, 20 + n) for n, value in enumerate(values)})
    write_nlst(tmp_path, labels=labels, kernel="B80f", subset="validation")
    case, _ = only_case(tmp_path)
    assert case.labels[4, 30, 19:32].tolist() == [0, 2, 3, 4] + [0] * 9
    assert case.facts == {
        "source": "NLST annotations",
        "gated": False,
        "left_main_in_lad": True,
        "subset": "validation",
    }
    assert "sharp-kernel" in [warning.code for warning in case.volume.warnings]


def test_scans_that_are_excluded_or_not_complete_are_left_out(tmp_path):
    write_nlst(tmp_path)
    write_nlst(tmp_path, "a", subset="excluded")
    write_nlst(tmp_path, "b", image=True)
    write_nlst(tmp_path, "c", annotation=True)
    write_image(tmp_path / "images" / "d.mha", chest())
    write_image(tmp_path / "annotations" / "d.mha", labeled())
    _, others = only_case(tmp_path)
    assert {left.name: left.reason for left in others} == {
        "a": "It is marked as excluded in dataset.csv.",
        "b": "Its image is missing in images/.",
        "c": "Its annotation is missing in annotations/.",
        "d": "It has no row in dataset.csv.",
    }


@pytest.mark.parametrize("absent", ["images", "annotations", "dataset.csv"])
def test_a_part_that_is_missing_altogether_is_named(tmp_path, absent):
    write_nlst(tmp_path)
    (tmp_path / absent).rename(tmp_path / "elsewhere")
    code, text = rejection(tmp_path)
    assert code == "partial-data-set"
    assert f"lacks {absent}:" in text


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\0"])
def test_a_table_of_something_else_is_rejected(tmp_path, content):
    write_nlst(tmp_path)
    (tmp_path / "dataset.csv").write_text(content)
    assert rejection(tmp_path)[0] == "data-set-file"


def test_values_that_the_annotations_do_not_have_leave_the_scan_out(tmp_path):
    labels = np.zeros(SHAPE, np.int16)
    labels[SPOT] = 7
    write_nlst(tmp_path, labels=labels)
    assert "other values (7)" in left_out(tmp_path)
