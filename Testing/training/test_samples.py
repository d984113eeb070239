"""Training cases on disk and the samples drawn from them."""

import numpy as np
import pytest
from coronary_calcium.datasets.case_format import TrainingCase, load_case, save_case
from coronary_calcium.errors import InputError
from coronary_calcium.training.cases import CaseFolder
from coronary_calcium.training.samples import SampleOptions, draw_batch, draw_sample, whole_window
from training_blobs import SPACING, blobs, write_blobs

PLAIN = SampleOptions(shift_mm=0.0, window_mm=(192.0, 192.0), rotation_degrees=0.0, gain=0.0, offset_hu=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp("cases"), range(3))


def _options(**changes):
    from dataclasses import replace

    return replace(PLAIN, noise_hu=0.0, blur=0.0, **changes)


def test_a_case_comes_back_as_it_was_written(folder):
    case = load_case(folder / "blobs-001.npz")
    hu, labels = blobs(1)
    assert np.array_equal(case.hu, hu)
    assert np.array_equal(case.labels, labels)
    assert case.spacing == SPACING
    assert case.field_center == (48.0, 48.0)
    assert case.facts == {"source": "blobs", "seed": 1}
    assert list(case.calcium_slices) == [k for k in range(len(labels)) if labels[k].any()]


def test_bright_pixels_are_neither_calcium_nor_far_from_the_heart(folder):
    case = load_case(folder / "blobs-001.npz")
    k = int(case.bright_slices[0])
    bright = case.bright_pixels(k)
    assert len(bright)
    assert (case.hu[k][tuple(bright.T)] >= 130).all()
    assert (case.labels[k][tuple(bright.T)] == 0).all()
    far = np.zeros((1, 300, 300), np.int16)
    far[0, 0, 0] = 500
    save_case(folder / "far.npz", TrainingCase(far, np.zeros_like(far, np.uint8), (3.0, 1.0, 1.0), (150.0, 150.0), {}))
    assert load_case(folder / "far.npz").bright_slices.size == 0
    (folder / "far.npz").unlink()


def test_what_is_large_or_far_from_the_heart_is_taken_for_bone(tmp_path):
    hu = np.zeros((2, 300, 300), np.int16)
    hu[0, 130:150, 120:130] = 500
    hu[1, 130:150, 120:136] = 500
    save_case(
        tmp_path / "large.npz", TrainingCase(hu, np.zeros_like(hu, np.uint8), (3.0, 1.0, 1.0), (150.0, 150.0), {})
    )
    case = load_case(tmp_path / "large.npz")
    assert list(case.bright_slices) == [0]
    assert len(case.bright_pixels(0)) == 200
    assert len(case.bright_pixels(1)) == 0


def test_a_case_that_knows_its_other_calcium_names_no_other_bright_pixels(tmp_path):
    hu = np.full((3, 60, 60), 300, np.int16)
    other = np.array([[1, 2, 3], [1, 40, 50], [2, 5, 6]])
    save_case(
        tmp_path / "known.npz", TrainingCase(hu, np.zeros_like(hu, np.uint8), (3.0, 1.0, 1.0), (30.0, 30.0), {}, other)
    )
    case = load_case(tmp_path / "known.npz")
    assert list(case.bright_slices) == [1, 2]
    assert case.bright_pixels(1).tolist() == [[2, 3], [40, 50]]
    assert len(case.bright_pixels(0)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": np.full((2, 4, 4), 6, np.uint8)},
        {"labels": np.zeros((2, 4, 5), np.uint8)},
        {"hu": np.zeros((2, 4, 4), np.float32)},
        {"spacing": np.array([3.0, 0.0, 1.0])},
        {"spacing": np.array([3.0, 1.0])},
        {"facts": np.array("{")},
        {"other": np.array([[0, 1, 4]], np.uint16)},
        {"other": np.array([0, 1, 2], np.uint16)},
    ],
)
def test_a_file_that_breaks_the_format_is_rejected(tmp_path, changes):
    arrays = {
        "hu": np.zeros((2, 4, 4), np.int16),
        "labels": np.zeros((2, 4, 4), np.uint8),
        "spacing": np.array([3.0, 1.0, 1.0]),
        "field_center": np.array([2.0, 2.0]),
        "facts": np.array("{}"),
    }
    np.savez(tmp_path / "good.npz", **arrays)
    assert load_case(tmp_path / "good.npz").hu.shape == (2, 4, 4)
    np.savez(tmp_path / "bad.npz", **{**arrays, **changes})
    with pytest.raises(InputError) as rejection:
        load_case(tmp_path / "bad.npz")
    assert rejection.value.code == "training-case"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text"])
def test_a_file_that_is_no_archive_is_rejected(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npz is not a training case"):
        load_case(tmp_path / "bad.npz")


def test_calcium_in_an_artery_that_is_not_known_is_calcium(tmp_path):
    hu, labels = np.full((2, 4, 4), 40, np.int16), np.zeros((2, 4, 4), np.uint8)
    hu[1, 2, 2], labels[1, 2, 2] = 300, 5
    save_case(tmp_path / "unknown.npz", TrainingCase(hu, labels, (3.0, 1.0, 1.0), (2.0, 2.0), {}))
    case = load_case(tmp_path / "unknown.npz")
    assert case.calcium_slices.tolist() == [1]
    assert case.bright_slices.size == 0
    assert case.calcium_pixels(1).tolist() == [[2, 2]]


def test_an_archive_without_all_arrays_is_rejected_by_their_names(tmp_path):
    np.savez(tmp_path / "bad.npz", hu=np.zeros((2, 4, 4), np.int16))
    with pytest.raises(InputError, match="lacks labels, spacing, field_center, facts"):
        load_case(tmp_path / "bad.npz")


def test_a_folder_that_is_absent_or_empty_is_rejected(tmp_path):
    with pytest.raises(InputError) as rejection:
        CaseFolder(tmp_path / "none")
    assert rejection.value.code == "no-training-data"
    with pytest.raises(InputError) as rejection:
        CaseFolder(tmp_path).require()
    assert rejection.value.code == "no-training-data"


def test_cases_that_appear_later_are_found(tmp_path):
    folder = CaseFolder(write_blobs(tmp_path, [0]))
    write_blobs(tmp_path, [1, 2])
    assert folder.names == ["blobs-000.npz"]
    assert folder.rescan() == 3
    drawn = {folder.draw(np.random.default_rng(seed)).name for seed in range(20)}
    assert drawn == {"blobs-000.npz", "blobs-001.npz", "blobs-002.npz"}


def test_a_broken_case_among_others_is_left_out(tmp_path, caplog):
    write_blobs(tmp_path, [0])
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    folder = CaseFolder(tmp_path)
    assert {folder.draw(np.random.default_rng(seed)).name for seed in range(10)} == {"blobs-000.npz"}
    assert "broken.npz" in caplog.text
    assert folder.rescan() == 1


def test_no_more_cases_are_kept_than_there_is_room_for(tmp_path):
    folder = CaseFolder(write_blobs(tmp_path, range(3)), in_memory=2)
    first = folder.case("blobs-000.npz")
    assert folder.case("blobs-000.npz") is first
    folder.case("blobs-001.npz"), folder.case("blobs-002.npz")
    assert folder.case("blobs-000.npz") is not first


def test_a_sample_has_nine_slices_and_labels_only_where_it_could_score(folder):
    case = load_case(folder / "blobs-000.npz")
    for seed in range(8):
        hu, labels = draw_sample(case, SampleOptions(patch=128), np.random.default_rng(seed))
        assert hu.shape == (9, 128, 128) and hu.dtype == np.float32
        assert labels.shape == (128, 128) and labels.dtype == np.uint8
        assert (hu[4][labels > 0] >= 130).all()


def test_the_same_generator_draws_the_same_batch(folder):
    cases = CaseFolder(folder)
    one, again, other = (draw_batch(cases, 2, SampleOptions(), np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one.hu, again.hu) and np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.hu, other.hu)
    assert np.array_equal(one.center_hu[:, 0], one.hu[:, 4])


def test_an_undisturbed_sample_of_the_whole_window_is_what_inference_sees(folder):
    case = load_case(folder / "blobs-000.npz")
    options = _options(patch=512, calcium_slices=1.0, bright_slices=0.0)
    hu, labels = draw_sample(case, options, np.random.default_rng(0))
    windows = {k: whole_window(case, k) for k in case.calcium_slices}
    matches = [k for k, (window, _) in windows.items() if np.allclose(window, hu, atol=1e-3)]
    assert len(matches) == 1
    assert np.array_equal(windows[matches[0]][1], labels)


def test_slices_with_calcium_are_drawn_as_often_as_asked(folder):
    case = load_case(folder / "blobs-000.npz")
    options = _options(patch=512, calcium_slices=1.0, bright_slices=0.0)
    assert all(draw_sample(case, options, np.random.default_rng(seed))[1].any() for seed in range(5))


@pytest.mark.parametrize("seed", range(6))
def test_a_focussed_patch_of_a_turned_window_holds_what_it_was_centered_on(folder, seed):
    # A small patch around a target holds it only if the target's place in the turned window is right.
    case = load_case(folder / "blobs-000.npz")
    options = _options(patch=96, focus=1.0, calcium_slices=1.0, bright_slices=0.0)
    options = SampleOptions(**{**options.__dict__, "rotation_degrees": 40.0, "shift_mm": 20.0})
    hu, _ = draw_sample(case, options, np.random.default_rng(seed))
    assert hu[4].max() > 250


def test_a_case_without_calcium_or_anything_bright_still_gives_samples(tmp_path):
    hu = np.full((5, 64, 64), 40, np.int16)
    save_case(tmp_path / "empty.npz", TrainingCase(hu, np.zeros_like(hu, np.uint8), SPACING, (32.0, 32.0), {}))
    case = load_case(tmp_path / "empty.npz")
    for seed in range(5):
        assert not draw_sample(case, SampleOptions(patch=64), np.random.default_rng(seed))[1].any()
