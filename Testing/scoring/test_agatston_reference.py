"""Random volumes against a plain reference, and scores that must be equal to the last digit."""

import dataclasses

import numpy as np
import pytest
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.agatston import score_components
from coronary_calcium.scoring.components import find_components
from coronary_calcium.scoring.rules import LITERATURE
from random_volumes import random_case
from scipy import ndimage


def reference(volume, labels, rules=LITERATURE):
    """Scores in the plainest way, slice by slice and part by part.

    Agatston and volume per label; the label of every voxel that counts; and each voxel's share of the score.
    """
    area = volume.spacing[1] * volume.spacing[2]
    agatston, size = np.zeros(6), np.zeros(6)
    counted = np.zeros(volume.shape, dtype=np.uint8)
    share = np.zeros(volume.shape)
    for k in range(volume.shape[0]):
        for label in range(1, 6):
            numbered, number = ndimage.label((labels[k] == label) & (volume.hu[k] >= 130), np.ones((3, 3)))
            for part in (numbered == n for n in range(1, number + 1)):
                if part.sum() * area < 1 - 1e-5:
                    continue
                maximum = volume.hu[k][part].max()
                weight = 1 + (maximum >= 200) + (maximum >= 300) + (maximum >= 400)
                agatston[label] += part.sum() * area * weight * volume.spacing[0] / 3
                size[label] += part.sum() * area * volume.spacing[0]
                counted[k][part] = label
                share[k][part] = area * weight * volume.spacing[0] / 3
    return agatston, size, counted, share


@pytest.mark.parametrize("seed", range(60))
def test_random_volumes_score_as_in_the_reference(seed):
    volume, labels = random_case(seed)
    agatston, size, counted, share = reference(volume, labels)
    score = score_labels(volume, labels)
    tallies = list(score.by_artery.values())
    np.testing.assert_allclose([tally.agatston for tally in tallies], agatston[1:], rtol=1e-12)
    np.testing.assert_allclose([tally.volume_mm3 for tally in tallies], size[1:], rtol=1e-12)
    assert score.total.agatston == pytest.approx(agatston.sum(), rel=1e-12)

    lesions = [ndimage.label(counted == label, np.ones((3, 3, 3))) for label in range(1, 6)]
    assert [tally.lesions for tally in tallies] == [number for _, number in lesions]
    assert sum(lesion.agatston for lesion in score.lesions) == pytest.approx(score.total.agatston, rel=1e-12)
    for lesion in score.lesions:
        numbered = lesions[list(score.by_artery).index(lesion.artery)][0]
        own = numbered == numbered.flat[lesion.voxels[0]]
        np.testing.assert_array_equal(np.flatnonzero(own), lesion.voxels)
        k, j, i = np.nonzero(own)
        assert (lesion.first_slice, lesion.last_slice) == (k.min(), k.max())
        assert lesion.centroid_lps == pytest.approx(volume.position((k.mean(), j.mean(), i.mean())))
        assert lesion.maximum_hu == volume.hu[own].max()
        assert lesion.mean_hu == pytest.approx(volume.hu[own].mean(dtype=float))
        assert lesion.area_mm2 == pytest.approx(own.sum() * volume.spacing[1] * volume.spacing[2])
        by_slice = np.where(own, share, 0.0).sum(axis=(1, 2))
        assert lesion.agatston == pytest.approx(by_slice.sum())
        assert by_slice[lesion.main_slice] == pytest.approx(max(by_slice))


@pytest.mark.parametrize("seed", range(20))
def test_parts_found_slice_by_slice_give_the_same_score_to_the_last_digit(seed):
    """What a live update relies on: parts depend on their own slice alone, and sums do not depend on the order."""
    volume, labels = random_case(seed, sparse=0.2)
    rng = np.random.default_rng(seed)
    found = []
    for k in rng.permutation(volume.shape[0]):
        one_slice = np.zeros_like(labels)
        one_slice[k] = labels[k]
        found.append(find_components(volume, one_slice, LITERATURE))
    joined = type(found[0])(
        **{
            field.name: sum(parts.labeled_voxels for parts in found)
            if field.name == "labeled_voxels"
            else np.concatenate([getattr(parts, field.name) for parts in found])
            for field in dataclasses.fields(found[0])
        }
    )
    probability = rng.random(volume.shape).astype(np.float32)
    assert score_components(volume, joined, LITERATURE, probability) == score_labels(
        volume, labels, LITERATURE, probability
    )


@pytest.mark.parametrize("seed", range(10))
def test_scores_do_not_depend_on_where_the_volume_lies_or_how_it_is_mirrored(seed):
    volume, labels = random_case(seed)
    flipped = dataclasses.replace(volume, hu=volume.hu[::-1, :, ::-1], origin=(1.0, 2.0, 3.0))
    one, other = score_labels(volume, labels), score_labels(flipped, labels[::-1, :, ::-1])
    assert one.by_artery == other.by_artery
    assert one.total == other.total


def test_renaming_the_arteries_moves_scores_and_changes_no_total():
    volume, labels = random_case(4, sparse=0.2)
    score = score_labels(volume, labels)
    renamed = score_labels(volume, np.array([0, 4, 3, 2, 1, 5])[labels])
    assert renamed.total == score.total
    assert renamed.by_artery["RCA"] == score.by_artery["LM"]
    assert score.total.agatston > 0
