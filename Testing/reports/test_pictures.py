"""Pictures show the right place, the right way up, at equal scales, and do not hide the calcium."""

import io

import numpy as np
import pytest
from coronary_calcium.arteries import LAD, RCA
from coronary_calcium.imaging import IntensityWindow, draw_outline, gray, sample
from coronary_calcium.reports import pictures
from coronary_calcium.reports.pictures import lesion_pictures, overview_pictures
from coronary_calcium.scoring import score_labels
from coronary_calcium.volume import CTVolume
from example_results import example_labels, example_volume
from PIL import Image


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png))).astype(int)


def rgb(artery):
    return np.round(np.multiply(artery.color, 255)).astype(int)


def colored(image, artery):
    return (image == rgb(artery)).all(axis=2)


@pytest.fixture
def lesion():
    volume = example_volume()
    return volume, score_labels(volume, example_labels(volume)).lesions[0]


def test_the_lesion_is_in_the_middle_with_its_artery_s_outline_around_it(lesion):
    volume, lad = lesion
    image = pixels(lesion_pictures(volume, lad)[0])
    assert image.shape == (pictures.SIDE_PIXELS, pictures.SIDE_PIXELS, 3)
    rows, columns = np.nonzero(colored(image, LAD))
    scale = pictures.SIDE_PIXELS / pictures.SURROUNDINGS_MM
    # 4 rows of 0.7 mm and 5 columns of 0.8 mm, and the line around them.
    assert np.ptp(rows) + 1 == pytest.approx(4 * 0.7 * scale + 4, abs=1.5)
    assert np.ptp(columns) + 1 == pytest.approx(5 * 0.8 * scale + 4, abs=1.5)
    middle = pictures.SIDE_PIXELS / 2
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(middle, abs=1)
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(middle, abs=1)


def test_the_outline_hides_no_calcium(lesion):
    volume, lad = lesion
    image = pixels(lesion_pictures(volume, lad)[0])
    middle = pictures.SIDE_PIXELS // 2
    assert (image[middle - 2 : middle + 2, middle - 2 : middle + 2] == 255).all()


def test_the_slice_shown_is_the_one_that_scores_most(lesion):
    volume, lad = lesion
    assert lad.main_slice == 5
    near = pixels(lesion_pictures(volume, lad)[1])
    assert near.ndim == 2
    assert near.max() == 255  # the 700 HU of slice 5; the other slices' 350 HU are gray
    assert "slice 5" in lesion_pictures(volume, lad)[1].caption


def test_a_lesion_at_the_edge_is_drawn_beside_black():
    hu = np.full((3, 20, 20), 50, dtype=np.int16)
    hu[1, :3, :3] = 300
    volume = CTVolume(hu, (3.0, 0.5, 0.5), (0, 0, 0))
    (corner,) = score_labels(volume, (hu == 300).astype(np.uint8)).lesions
    near = pixels(lesion_pictures(volume, corner)[1])
    assert near[0, 0] == 0
    assert near[pictures.SIDE_PIXELS // 2, pictures.SIDE_PIXELS // 2] > 150


def test_a_sample_keeps_distances_on_unequal_spacings():
    plane = np.zeros((40, 80))
    plane[10, 20] = plane[30, 20] = plane[10, 60] = 1
    square = sample(plane, (1.0, 0.5), (20, 40), 40.0, 400, nearest=True)
    spots = {(round(r.mean() / 10), round(c.mean() / 10)) for r, c in [np.nonzero(square[:200, :200])]}
    assert spots == {(10, 10)}
    assert square[300:, :200].any()  # 20 mm below
    assert square[:200, 300:].any()  # and 20 mm to the right
    assert not square[300:, 300:].any()


def test_a_window_maps_its_limits_to_black_and_white():
    window = IntensityWindow(40, 400)
    assert gray(np.array([-2000.0, -160.0, 40.0, 240.0, 3000.0, np.nan]), window).tolist() == [0, 0, 128, 255, 255, 0]


def test_an_outline_lies_around_the_mask_and_leaves_the_picture_given_alone():
    picture = np.zeros((20, 20, 3), dtype=np.uint8)
    mask = np.zeros((20, 20), dtype=bool)
    mask[8:12, 8:12] = True
    drawn = draw_outline(picture, mask, (1.0, 0.5, 0.0))
    assert not picture.any()
    assert not drawn[mask].any()
    assert (drawn[6:14, 6:14].any(axis=2) == ~mask[6:14, 6:14]).all()
    assert drawn.any(axis=2).sum() == 64 - 16


def test_from_the_front_the_head_is_up_and_from_below_the_back_is_down():
    """LAD: high, in front, at the patient's right (left in the picture); RCA: low, at the back, on the other side."""
    hu = np.full((60, 200, 200), 0, dtype=np.int16)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    labels[50:54, 80:84, 60:64] = LAD.label
    labels[6:10, 120:124, 140:144] = RCA.label
    volume = CTVolume(hu, (2.0, 0.8, 0.8), (0, 0, 0))
    front, below = (pixels(picture) for picture in overview_pictures(volume, labels, (29.5, 100, 100), (0, 59)))
    lad, rca = (np.argwhere(colored(front, artery)).mean(axis=0) for artery in (LAD, RCA))
    assert lad[0] < rca[0]
    assert lad[1] < rca[1]
    scale = pictures.OVERVIEW_PIXELS / pictures.OVERVIEW_MM
    assert rca[0] - lad[0] == pytest.approx(44 * 2.0 * scale, abs=2)
    lad, rca = (np.argwhere(colored(below, artery)).mean(axis=0) for artery in (LAD, RCA))
    assert lad[0] < rca[0]
    assert lad[1] < rca[1]
    assert rca[0] - lad[0] == pytest.approx(40 * 0.8 * scale, abs=2)


def test_the_overview_colors_calcium_that_lies_outside_the_slab_too():
    hu = np.zeros((20, 300, 200), dtype=np.int16)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    labels[10, 240:244, 100:104] = LAD.label  # 92 mm behind the center
    volume = CTVolume(hu, (3.0, 1.0, 1.0), (0, 0, 0))
    front, _ = overview_pictures(volume, labels, (9.5, 150, 100), (0, 19))
    assert colored(pixels(front), LAD).any()


@pytest.mark.parametrize("side", [pictures.DETAIL_MM, pictures.SURROUNDINGS_MM, pictures.OVERVIEW_MM])
def test_the_scale_bar_is_long_enough_for_its_label_and_fits(side):
    assert 0.1 < pictures.Picture(b"", side, "").scale_mm / side <= 1 / 3
