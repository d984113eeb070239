"""Scores of an edited label map, computed for the changed slices alone, are those of the whole to the last digit."""

import dataclasses

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.agatston import SlicewiseScore
from coronary_calcium.scoring.components import labeled_voxels
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume

SHAPE = (14, 30, 34)
FOUR_NEIGHBORS = dataclasses.replace(LITERATURE, connectivity=4, minimum_area_mm2=0.5)


def random_ct(rng, dtype=np.int16):
    hu = rng.integers(60, 500, SHAPE).astype(dtype)
    if dtype == np.float32:
        hu += rng.random(SHAPE, dtype=np.float32)
    return CTVolume(hu, (2.5, 0.6, 0.7), (1.0, -2.0, 3.0))


def updated(live, labels):
    voxels = labeled_voxels(labels)
    return live.update(voxels, labels.reshape(-1)[voxels])


def edit(rng, labels):
    """Change labels in a box of one to three slices, or in slices far apart, or nothing."""
    for _ in range(rng.integers(3)):
        k, j, i = (int(rng.integers(size)) for size in SHAPE)
        box = (slice(k, k + int(rng.integers(1, 4))), slice(j, j + 8), slice(i, i + 8))
        part = labels[box]
        part[rng.random(part.shape) < 0.7] = rng.integers(6)


def assert_same(score, expected):
    assert score == expected
    for one, other in zip(score.lesions, expected.lesions, strict=True):
        np.testing.assert_array_equal(one.voxels, other.voxels)


@pytest.mark.parametrize("rules", [LITERATURE, FOUR_NEIGHBORS])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_after_every_edit_the_score_is_that_of_all_slices(rules, dtype):
    rng = np.random.default_rng(5)
    volume, labels = random_ct(rng, dtype), np.zeros(SHAPE, dtype=np.uint8)
    probability = rng.random(SHAPE, dtype=np.float32)
    live = SlicewiseScore(volume, rules, probability=probability)
    for step in range(150):
        before = labels.copy()
        edit(rng, labels)
        if step % 40 == 39:
            labels[:] = 0
        assert_same(updated(live, labels), score_labels(volume, labels, rules, probability))
        np.testing.assert_array_equal(live.changed, (labels != before).any(axis=(1, 2)))


def test_the_same_labels_give_the_same_object():
    rng = np.random.default_rng(1)
    volume, labels = random_ct(rng), np.zeros(SHAPE, dtype=np.uint8)
    edit(rng, labels)
    live = SlicewiseScore(volume)
    assert updated(live, labels) is updated(live, labels)


def test_only_the_changed_slices_are_looked_at(monkeypatch):
    rng = np.random.default_rng(2)
    volume, labels = random_ct(rng), rng.integers(0, 6, SHAPE).astype(np.uint8)
    live = SlicewiseScore(volume)
    updated(live, labels)
    looked_at = []

    def recorded(volume, voxels, values, rules):
        looked_at.append(np.unique(voxels // (SHAPE[1] * SHAPE[2])).tolist())
        return find(volume, voxels, values, rules)

    from coronary_calcium.scoring import agatston

    find = agatston.components_of_voxels
    monkeypatch.setattr(agatston, "components_of_voxels", recorded)
    labels[3, 4, 5], labels[9, 1, 1] = (labels[3, 4, 5] + 1) % 5 + 1, (labels[9, 1, 1] + 1) % 5 + 1
    assert_same(updated(live, labels), score_labels(volume, labels))
    assert looked_at == [[3, 9]]


def test_after_a_rejection_the_labels_before_and_after_are_scored_rightly():
    rng = np.random.default_rng(3)
    volume, labels = random_ct(rng, np.float32), rng.integers(0, 6, SHAPE).astype(np.uint8)
    labels[6] = 0
    volume.hu[6, 2, 2] = np.nan
    live = SlicewiseScore(volume)
    updated(live, labels)
    bad = labels.copy()
    bad[5], bad[6, 2, 2] = 3, 3
    with pytest.raises(InputError) as rejected:
        updated(live, bad)
    assert rejected.value.code == "not-finite"
    bad[6, 2, 2] = 0
    assert_same(updated(live, bad), score_labels(volume, bad))
    assert_same(updated(live, labels), score_labels(volume, labels))


def test_a_probability_of_another_shape_is_an_error():
    volume = random_ct(np.random.default_rng(4))
    with pytest.raises(ValueError, match="shape"):
        SlicewiseScore(volume, probability=np.zeros((1, 2, 3)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
@pytest.mark.parametrize("shape", [(3, 4, 5), (5, 64, 64), (7, 50, 61)])
def test_labeled_voxels_are_found_in_arrays_of_any_size_type_and_order(shape, dtype):
    rng = np.random.default_rng(6)
    labels = np.where(rng.random(shape) < 0.01, rng.integers(1, 6, shape), 0).astype(dtype)
    labels.reshape(-1)[-1] = 256 if dtype != np.uint8 else 4
    for array in (labels, labels[::-1, ::-1, ::-1], labels.transpose(2, 0, 1), np.asfortranarray(labels)):
        np.testing.assert_array_equal(labeled_voxels(array), np.flatnonzero(array))
