"""Scores of shapes whose score is known by hand."""

import dataclasses

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.components import minimum_pixels
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume


def case(boxes, shape=(12, 40, 40), spacing=(3.0, 0.5, 0.5), background=0, **geometry):
    """A CT and its labels; each box is ((k0, k1), (j0, j1), (i0, i1), hu, label), upper ends exclusive."""
    hu = np.full(shape, background, dtype=np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    for k, j, i, value, label in boxes:
        hu[slice(*k), slice(*j), slice(*i)] = value
        labels[slice(*k), slice(*j), slice(*i)] = label
    return CTVolume(hu, spacing, geometry.pop("origin", (0.0, 0.0, 0.0)), **geometry), labels


def agatston(boxes, **kwargs):
    return score_labels(*case(boxes, **kwargs)).total.agatston


# Weights


@pytest.mark.parametrize(
    ("hu", "weight"), [(129, 0), (130, 1), (199, 1), (200, 2), (299, 2), (300, 3), (399, 3), (400, 4), (3071, 4)]
)
def test_the_weight_follows_the_maximum(hu, weight):
    # 4 x 5 pixels of 0.25 mm2 in one slice of 3 mm.
    assert agatston([((2, 3), (5, 9), (5, 10), hu, 1)]) == 5.0 * weight


def test_one_dense_pixel_sets_the_weight_of_its_whole_part():
    assert agatston([((2, 3), (5, 9), (5, 10), 150, 1), ((2, 3), (6, 7), (6, 7), 400, 1)]) == 20.0


def test_fractional_hu_are_not_rounded_up_to_the_next_weight():
    volume, labels = case([((2, 3), (5, 9), (5, 10), 0, 1)])
    hu = volume.hu.astype(np.float32)
    for value, weight in ((129.9, 0), (199.9, 1), (200.0, 2)):
        hu[labels > 0] = value
        assert score_labels(dataclasses.replace(volume, hu=hu), labels).total.agatston == 5.0 * weight


def test_each_slice_of_a_lesion_has_its_own_weight():
    boxes = [((3 + n, 4 + n), (5, 9), (5, 10), hu, 1) for n, hu in enumerate((150, 450, 250))]
    volume, labels = case(boxes)
    score = score_labels(volume, labels)
    assert score.total.agatston == 5.0 * (1 + 4 + 2)
    (lesion,) = score.lesions
    assert (lesion.first_slice, lesion.last_slice, lesion.main_slice) == (3, 5, 4)
    assert lesion.maximum_hu == 450
    assert lesion.mean_hu == pytest.approx((150 + 450 + 250) / 3)


# Geometry


@pytest.mark.parametrize("spacing_k", [0.5, 1.5, 2.5, 3.0, 5.0])
def test_a_cube_scores_the_same_calcium_whatever_the_slice_spacing(spacing_k):
    """15 mm of 5 mm2 at weight 2: slices of any spacing, overlapping ones too, add up to 5 x 2 x 15 / 3."""
    slices = round(15 / spacing_k)
    volume, labels = case(
        [((1, 1 + slices), (5, 9), (5, 10), 250, 2)], shape=(40, 20, 20), spacing=(spacing_k, 0.5, 0.5)
    )
    score = score_labels(volume, labels)
    assert score.total.agatston == pytest.approx(50.0, rel=1e-12)
    assert score.total.volume_mm3 == pytest.approx(75.0, rel=1e-12)


def test_the_slice_thickness_does_not_matter_only_the_distance_between_slices():
    """Slices 3 mm thick every 1.5 mm hold the same calcium twice; thickness is what the scanner says, not a factor."""
    volume, labels = case([((2, 6), (5, 9), (5, 10), 250, 1)], spacing=(1.5, 0.5, 0.5))
    thick = dataclasses.replace(volume, acquisition=dataclasses.replace(volume.acquisition, slice_thickness_mm=3.0))
    assert score_labels(thick, labels).total.agatston == 4 * 5.0 * 2 * 1.5 / 3


def test_anisotropic_pixels_have_the_area_of_both_sides():
    volume, labels = case([((2, 3), (5, 9), (5, 10), 350, 3)], spacing=(3.0, 0.4, 0.9))
    score = score_labels(volume, labels)
    assert score.total.agatston == pytest.approx(20 * 0.4 * 0.9 * 3, rel=1e-12)
    assert score.lesions[0].area_mm2 == pytest.approx(20 * 0.4 * 0.9, rel=1e-12)


@pytest.mark.parametrize("diameter_mm", [3.0, 5.0, 8.0])
def test_a_cylinder_scores_the_area_of_its_disc(diameter_mm):
    """To 2 %: what is left of drawing a disc with pixels of 0.1 mm. In whole pixels the score is exact."""
    spacing = (3.0, 0.1, 0.1)
    j, i = np.mgrid[:120, :120]
    disc = np.hypot(j - 60, i - 60) * 0.1 <= diameter_mm / 2
    hu = np.zeros((6, 120, 120), dtype=np.int16)
    hu[1:4, disc] = 350
    labels = (hu > 0).astype(np.uint8)
    score = score_labels(CTVolume(hu, spacing, (0, 0, 0)), labels)
    assert score.total.agatston == pytest.approx(disc.sum() * 0.01 * 3 * 3, rel=1e-12)
    assert score.total.agatston == pytest.approx(np.pi * diameter_mm**2 / 4 * 3 * 3, rel=0.02)


def test_the_centroid_is_in_patient_coordinates():
    direction = np.diag([-1.0, 1.0, 1.0])
    volume, labels = case(
        [((2, 5), (10, 14), (20, 24), 300, 1)], origin=(100.0, -50.0, 7.0), direction=direction, spacing=(2.0, 0.5, 0.6)
    )
    (lesion,) = score_labels(volume, labels).lesions
    assert lesion.centroid_lps == pytest.approx((100 - 21.5 * 0.6, -50 + 11.5 * 0.5, 7 + 3 * 2.0))


# Minimum area


@pytest.mark.parametrize(("pixels", "counts"), [(99, False), (100, True), (101, True)])
def test_a_part_of_0_99_mm2_does_not_count_and_one_of_1_00_mm2_does(pixels, counts):
    """Pixels of 0.1 mm: 0.1 x 0.1 x 100 is 1.0000000000000002 or 0.99... by the order of multiplication."""
    assert (
        agatston([((2, 3), (5, 6), (5, 5 + pixels), 200, 1)], shape=(5, 10, 120), spacing=(3, 0.1, 0.1)) > 0
    ) == counts


@pytest.mark.parametrize(
    ("side_mm", "smallest"),
    [(1.0, 1), (0.5, 4), (0.25, 16), (0.2, 25), (0.1, 100), (1 / 3, 9), (0.333333, 9), (0.488, 5), (0.3, 12), (1.5, 1)],
)
def test_the_smallest_part_that_counts(side_mm, smallest):
    volume, _ = case([], spacing=(3, side_mm, side_mm))
    assert minimum_pixels(volume.spacing, LITERATURE) == smallest


def test_the_minimum_area_holds_in_every_slice_and_not_for_the_lesion():
    """Three pixels of 0.25 mm2 in each of ten slices: 7.5 mm2 in all, and nothing counts."""
    volume, labels = case([((1, 11), (5, 6), (5, 8), 500, 1)])
    score = score_labels(volume, labels)
    assert score.total.agatston == 0
    assert score.lesions == ()
    assert (score.labeled_voxels, score.counted_voxels) == (30, 0)


def test_the_tail_of_a_lesion_below_the_minimum_area_adds_neither_score_nor_volume():
    volume, labels = case([((3, 4), (5, 9), (5, 9), 300, 1), ((4, 5), (5, 6), (5, 8), 300, 1)])
    score = score_labels(volume, labels)
    assert score.total.agatston == 4.0 * 3
    assert score.total.volume_mm3 == 16 * 0.75
    assert score.lesions[0].last_slice == 3


# Connectivity


def test_parts_that_touch_at_a_corner_are_one_part():
    """Two squares of 0.75 mm2 in a line over a corner: one part of 1.5 mm2, at the weight of the denser one."""
    boxes = [((2, 3), (5, 6), (5, 8), 150, 1), ((2, 3), (6, 7), (8, 11), 450, 1)]
    assert agatston(boxes) == 6 * 0.25 * 4


def test_with_four_neighbors_a_corner_does_not_connect():
    rules = dataclasses.replace(LITERATURE, connectivity=4)
    volume, labels = case([((2, 3), (5, 9), (5, 9), 150, 1), ((2, 3), (9, 13), (9, 13), 450, 1)])
    assert score_labels(volume, labels, rules).total.agatston == 4.0 * 1 + 4.0 * 4


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next():
    boxes = [((2, 3), (5, 6), (38, 40), 200, 1), ((2, 3), (6, 7), (0, 2), 200, 1)]
    assert agatston(boxes) == 0


def test_the_last_row_of_a_slice_does_not_touch_the_first_of_the_next_slice():
    volume, labels = case([((2, 3), (38, 40), (5, 9), 200, 1), ((3, 4), (0, 2), (5, 9), 200, 1)])
    assert len(score_labels(volume, labels).lesions) == 2


def test_touching_arteries_are_scored_separately():
    """2 mm2 of LM at weight 1 beside 2 mm2 of LAD at weight 4, and 0.75 mm2 of LCX that does not count."""
    volume, labels = case(
        [
            ((2, 3), (5, 7), (5, 9), 150, 1),
            ((2, 3), (5, 7), (9, 13), 450, 2),
            ((2, 3), (7, 8), (5, 8), 450, 3),
        ]
    )
    score = score_labels(volume, labels)
    assert {name: tally.agatston for name, tally in score.by_artery.items()} == {
        "LM": 2.0,
        "LAD": 8.0,
        "LCX": 0.0,
        "RCA": 0.0,
        "unassigned": 0.0,
    }
    assert [lesion.artery for lesion in score.lesions] == ["LAD", "LM"]


def test_parts_that_touch_across_slices_are_one_lesion_even_at_a_corner():
    volume, labels = case([((2, 3), (5, 9), (5, 9), 150, 1), ((3, 4), (9, 13), (9, 13), 150, 1)])
    assert len(score_labels(volume, labels).lesions) == 1
    volume, labels = case([((2, 3), (5, 9), (5, 9), 150, 1), ((4, 5), (5, 9), (5, 9), 150, 1)])
    assert len(score_labels(volume, labels).lesions) == 2


# The case as a whole


def test_lesions_come_in_descending_order_of_score_and_the_total_is_theirs():
    volume, labels = case(
        [
            ((2, 3), (5, 9), (5, 9), 150, 1),
            ((5, 7), (5, 9), (5, 9), 450, 4),
            ((8, 9), (25, 29), (25, 29), 250, 5),
            ((9, 10), (5, 9), (5, 9), 150, 2),
        ]
    )
    score = score_labels(volume, labels)
    assert [(lesion.id, lesion.artery, lesion.agatston) for lesion in score.lesions] == [
        (1, "RCA", 32.0),
        (2, "unassigned", 8.0),
        (3, "LM", 4.0),
        (4, "LAD", 4.0),
    ]
    assert score.total.agatston == sum(tally.agatston for tally in score.by_artery.values()) == 48.0
    assert score.total.volume_mm3 == sum(lesion.volume_mm3 for lesion in score.lesions)
    assert score.total.lesions == 4
    assert score.by_artery["LCX"].lesions == 0
    assert score.risk_category == "11-100"


def test_calcium_without_a_label_and_labels_without_calcium_do_not_count():
    volume, labels = case([((2, 3), (5, 9), (5, 9), 500, 0), ((5, 6), (5, 9), (5, 9), 100, 1)])
    score = score_labels(volume, labels)
    assert score.total.agatston == 0
    assert (score.labeled_voxels, score.counted_voxels) == (16, 0)


def test_an_empty_label_map_scores_0():
    score = score_labels(*case([]))
    assert score.total == type(score.total)(0, 0.0, 0.0)
    assert list(score.by_artery) == ["LM", "LAD", "LCX", "RCA", "unassigned"]
    assert score.risk_category == "0"


def test_the_probability_of_a_lesion_is_the_mean_over_its_counted_voxels():
    volume, labels = case([((2, 3), (5, 9), (5, 9), 200, 1), ((3, 4), (5, 6), (5, 6), 200, 1)])
    probability = np.zeros(volume.shape, dtype=np.float16)
    probability[2, 5:9, 5:7] = 0.5
    probability[2, 5:9, 7:9] = 1.0
    assert score_labels(volume, labels, probability=probability).lesions[0].probability == 0.75
    assert score_labels(volume, labels).lesions[0].probability is None


# What is rejected


def test_labels_that_do_not_fit_are_an_error():
    volume, labels = case([((2, 3), (5, 9), (5, 9), 200, 1)])
    with pytest.raises(ValueError, match="shape"):
        score_labels(volume, labels[1:])
    with pytest.raises(ValueError, match="integers"):
        score_labels(volume, labels.astype(np.float32))
    with pytest.raises(ValueError, match=r"0\.\.5"):
        score_labels(volume, labels * 6)
    with pytest.raises(ValueError, match=r"0\.\.5"):
        score_labels(volume, -labels.astype(np.int16))
    with pytest.raises(ValueError, match="probability"):
        score_labels(volume, labels, probability=np.zeros(labels.shape[1:]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_ct_without_an_intensity_where_calcium_is_marked_is_rejected(bad):
    volume, labels = case([((2, 3), (5, 9), (5, 9), 200, 1)])
    hu = volume.hu.astype(np.float32)
    hu[0, 0, 0] = bad
    assert score_labels(dataclasses.replace(volume, hu=hu), labels).total.agatston == 8.0
    hu[2, 6, 6] = bad
    with pytest.raises(InputError, match="NaN") as rejection:
        score_labels(dataclasses.replace(volume, hu=hu), labels)
    assert rejection.value.code == "not-finite"


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_labels_of_any_whole_number_type_score_the_same(kind):
    volume, labels = case([((2, 4), (5, 9), (5, 9), 200, 4)])
    score = score_labels(volume, labels.astype(kind))
    assert score.by_artery["RCA"].agatston == 16.0
    fortran = score_labels(dataclasses.replace(volume, hu=np.asfortranarray(volume.hu)), np.asfortranarray(labels))
    assert fortran == score
