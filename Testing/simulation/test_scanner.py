"""Streaks of dense bone in the simulator."""

import numpy as np
import pytest
from coronary_calcium.simulation.scanner import bone_streaks


def _slice(columns=(60, 180), radius=9.0, hu=900.0, shape=(240, 240)):
    """Two rods of bone in water, on one row."""
    j, i = np.indices(shape)
    image = np.zeros(shape, np.float32)
    for column in columns:
        image[np.hypot(j - 120, i - column) < radius] = hu
    return image


def test_soft_tissue_alone_has_no_streaks():
    assert bone_streaks(_slice(hu=140.0), 1.0) == 0.0


def test_the_band_between_two_bones_is_dark_and_beside_it_hardly_anything_changes():
    streaks = bone_streaks(_slice(), 1.0)
    between, beside = streaks[118:122, 100:140].mean(), streaks[30:60, 100:140].mean()
    assert between < -2
    assert abs(beside) < 0.25 * abs(between)


def test_one_round_bone_casts_no_band():
    streaks = bone_streaks(_slice(columns=(120,)), 1.0)
    ring = np.hypot(*(np.indices(streaks.shape) - 120))
    outside = streaks[(ring > 25) & (ring < 100)]
    pair = bone_streaks(_slice(), 1.0)[118:122, 100:140].mean()
    assert np.abs(outside).max() < 0.5 * abs(pair)


def test_bone_loses_and_the_more_the_denser_it_is():
    light, dense = (bone_streaks(_slice(hu=hu), 1.0)[118:122, 58:62].mean() for hu in (450.0, 1050.0))
    assert dense < light < 0
    # Mineral of 300 and 900 HU: three times the mineral, nine times the error.
    assert dense == pytest.approx(9 * light, rel=1e-4)


def test_the_streaks_do_not_depend_on_the_pixel_size():
    fine = bone_streaks(np.kron(_slice(shape=(240, 240)), np.ones((2, 2), np.float32)), 0.5)
    coarse = bone_streaks(_slice(), 1.0)
    assert np.abs(fine[::2, ::2] - coarse).max() < 0.1 * np.abs(coarse).max()


def test_a_slice_of_any_shape_keeps_it():
    streaks = bone_streaks(_slice(shape=(241, 203)), 0.7)
    assert streaks.shape == (241, 203)
    assert np.isfinite(streaks).all()
