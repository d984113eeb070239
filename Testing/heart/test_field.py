"""Square windows over a box."""

from itertools import pairwise

import pytest
from coronary_calcium.heart.field import FIELD_SIZE_MM, OVERLAP_MM, cover_box

SPACING = (3.0, 0.5, 0.5)
SHAPE = (40, 800, 800)
SIDE = FIELD_SIZE_MM / 0.5


def test_a_box_that_fits_gets_one_window_around_its_middle():
    (window,) = cover_box((3, 20), (300, 500), (310, 490), SPACING, SHAPE)
    assert (window.k0, window.k1) == (3, 20)
    assert window.center_j == pytest.approx(399.5)
    assert window.center_i == pytest.approx(399.5)


def test_a_window_near_the_image_s_border_is_moved_inside():
    (window,) = cover_box((0, 40), (0, 100), (700, 800), SPACING, SHAPE)
    assert window.center_j + 0.5 == pytest.approx(SIDE / 2)
    assert window.center_i + 0.5 == pytest.approx(800 - SIDE / 2)


def test_an_image_smaller_than_the_window_is_seen_from_its_middle():
    (window,) = cover_box((0, 40), (0, 50), (150, 300), SPACING, (40, 300, 300))
    assert (window.center_j, window.center_i) == (149.5, 149.5)


def test_a_larger_box_gets_overlapping_windows_up_to_its_edges():
    windows = cover_box((0, 40), (0, 800), (300, 500), SPACING, SHAPE)
    centers = sorted(window.center_j + 0.5 for window in windows)
    assert centers[0] == pytest.approx(SIDE / 2)
    assert centers[-1] == pytest.approx(800 - SIDE / 2)
    assert all(b - a <= SIDE - OVERLAP_MM / 0.5 + 1e-6 for a, b in pairwise(centers))
    assert len({window.center_i for window in windows}) == 1
