"""A review saved as a training case: what training reads, and nothing of the patient."""

import json

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import SimpleITK  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.arteries import LAD, LCX, RCA  # noqa: E402
from coronary_calcium.datasets.case_format import load_case  # noqa: E402
from coronary_calcium.datasets.prepare import ensure_cases, prepare  # noqa: E402
from coronary_calcium.datasets.registry import open_data_set  # noqa: E402
from coronary_calcium.errors import InputError  # noqa: E402
from coronary_calcium.training.cases import CaseFolder  # noqa: E402
from coronary_calcium.volume import Acquisition  # noqa: E402
from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic  # noqa: E402
from CoronaryCalciumScoringLib.review import Review  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, add_synthetic_ct  # noqa: E402
from CoronaryCalciumScoringLib.training_case import save_training_case  # noqa: E402
from editor_history import editor_history  # noqa: E402
from slicer_cases import ras_of, scoring_engine, synthetic_labels_engine  # noqa: E402

IN_LAD = (20, 48, 69)


def open_review(scene, engine, labels=None):
    volume, _ = add_synthetic_ct(scene.mrml)
    volume.SetName("MILLER^ANN")
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3.4")
    scored = CoronaryCalciumScoringLogic(engine).score(volume, labels=labels)
    history = editor_history(scored.segmentationNode, volume)
    return Review(
        scored.segmentationNode, volume, history, tableNode=scored.tableNode, acquisition=Acquisition(kvp=120.0)
    )


@pytest.fixture
def review(scene):
    made = open_review(scene, synthetic_labels_engine)
    yield made
    made.close()


def image(path):
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


def test_training_reads_what_the_reader_marked(review, tmp_path):
    review.assign(ras_of(review.volumeNode, IN_LAD), LCX)
    path = save_training_case(review, tmp_path)
    case = load_case(path)
    truth = review.labels()
    assert CaseFolder(tmp_path).names == [path.name]
    assert case.spacing == (3.0, 2.5, 2.5)
    assert sorted(np.unique(case.labels)) == [0, LCX.label, RCA.label]
    assert np.count_nonzero(case.labels) == np.count_nonzero(truth)
    assert case.hu[case.labels == LCX.label].tolist() == [350] * 12
    assert case.hu.shape[1] <= 102  # 250 mm of 2.5 mm pixels, where the CT has 128
    assert all(0 <= place < size for place, size in zip(case.field_center, case.hu.shape[1:]))
    assert case.facts["statistics"]["moved"] == 1
    assert case.facts["ai_agatston"]["LAD"] == 225.0
    assert case.facts["agatston"]["LCX"] == 225.0


def test_the_folder_beside_it_holds_ct_labels_prediction_and_facts(review, tmp_path):
    review.assign(ras_of(review.volumeNode, IN_LAD), LCX)
    path = save_training_case(review, tmp_path)
    folder = path.with_suffix("")
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "case.json",
        "ct.nrrd",
        "labels.nrrd",
        "prediction.nrrd",
    ]
    assert np.array_equal(image(folder / "ct.nrrd"), review.ct.volume.hu)
    assert np.array_equal(image(folder / "labels.nrrd"), review.labels())
    assert np.array_equal(image(folder / "prediction.nrrd") == LAD.label, review.labels() == LCX.label)
    assert SimpleITK.ReadImage(str(folder / "ct.nrrd")).GetOrigin() == review.ct.volume.origin
    facts = json.loads((folder / "case.json").read_text())
    assert facts["agatston"]["total"] == SYNTHETIC_AGATSTON
    assert facts["acquisition"]["kvp"] == 120.0


def test_the_folder_beside_it_is_a_data_set_of_which_the_same_training_case_is_made(review, tmp_path):
    review.assign(ras_of(review.volumeNode, IN_LAD), LCX)
    path = save_training_case(review, tmp_path / "saved")
    data = open_data_set(tmp_path / "saved")
    assert (data.layout, data.left_out) == ("reviewed", ())
    (case,) = data.cases()
    assert np.array_equal(case.labels, review.labels())
    assert case.reference["LCX"] == 225.0
    assert case.volume.acquisition == review.ct.volume.acquisition
    (made,) = prepare(data, tmp_path / "cases").made
    saved, again = load_case(path), load_case(tmp_path / "cases" / made)
    assert np.array_equal(saved.hu, again.hu)
    assert np.array_equal(saved.labels, again.labels)
    assert (saved.spacing, saved.field_center) == (again.spacing, again.field_center)
    assert again.facts["statistics"] == saved.facts["statistics"]


def test_training_is_given_every_saved_case_even_one_that_lost_its_npz(review, tmp_path):
    first = save_training_case(review, tmp_path / "saved")
    assert ensure_cases(tmp_path / "saved", tmp_path / "cache") == tmp_path / "saved"
    save_training_case(review, tmp_path / "saved")
    first.unlink()
    assert len(CaseFolder(ensure_cases(tmp_path / "saved", tmp_path / "cache")).names) == 2


def test_nothing_that_is_written_names_the_patient(review, tmp_path):
    save_training_case(review, tmp_path)
    for path in tmp_path.rglob("*"):
        assert "miller" not in path.name.lower()
        if path.is_file():
            content = path.read_bytes()
            assert b"MILLER" not in content
            assert b"1.2.3.4" not in content


def test_without_a_prediction_none_is_written(scene, tmp_path):
    _, labels = add_synthetic_ct(scene.mrml)
    review = open_review(scene, scoring_engine, labels)
    path = save_training_case(review, tmp_path)
    review.close()
    assert not (path.with_suffix("") / "prediction.nrrd").exists()
    assert load_case(path).facts["ai_agatston"] is None


def test_voxels_below_the_threshold_are_not_ground_truth(scene, tmp_path):
    _, labels = add_synthetic_ct(scene.mrml)
    labels[30, 60, 60:64] = LAD.label
    review = open_review(scene, scoring_engine, labels)
    assert np.count_nonzero(load_case(save_training_case(review, tmp_path)).labels) == 24
    review.close()


def test_lesions_without_an_artery_are_rejected_in_words(scene, tmp_path):
    _, labels = add_synthetic_ct(scene.mrml)
    review = open_review(scene, scoring_engine, np.where(labels > 0, 5, 0).astype(np.uint8))
    with pytest.raises(InputError, match="2 lesions are given to no artery") as rejected:
        save_training_case(review, tmp_path)
    assert rejected.value.code == "unassigned-lesions"
    assert list(tmp_path.iterdir()) == []
    review.close()


def test_a_file_in_the_place_of_the_folder_is_rejected(review, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError) as rejected:
        save_training_case(review, tmp_path / "file")
    assert rejected.value.code == "output"


def test_when_writing_fails_nothing_is_left(review, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("coronary_calcium.datasets.case_format.np.lib.format.write_array", fail)
    with pytest.raises(InputError, match="No space left"):
        save_training_case(review, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_review_whose_ct_is_gone_has_nothing_to_save(review, scene, tmp_path):
    scene.mrml.RemoveNode(review.volumeNode)
    with pytest.raises(InputError) as rejected:
        save_training_case(review, tmp_path)
    assert rejected.value.code == "no-scores"
