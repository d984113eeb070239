"""From CT slices to the network's input and back."""

import numpy as np
import pytest
import torch
from coronary_calcium.network.preprocessing import (
    INPUT_SIZE,
    OUTSIDE_HU,
    neighbor_indices,
    normalize,
    sample_planes,
    window_coordinates,
    window_to_slice,
)

SIZE_MM = 192.0


def _ramp(shape, spacing_ji):
    """HU that grow by 1 a millimeter along i and by 2 along j: bilinear sampling reproduces them exactly."""
    j, i = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    return (2.0 * j * spacing_ji[0] + 1.0 * i * spacing_ji[1]).astype(np.float32)


def test_hu_are_clipped_and_scaled():
    values = normalize(torch.tensor([-1000, -300, 0, 130, 1000, 3071], dtype=torch.int16))
    assert torch.allclose(values, torch.tensor([-1.5, -1.5, 0.0, 0.65, 5.0, 5.0]))


@pytest.mark.parametrize(
    ("k", "expected"), [(0, [0, 0, 0, 0, 0, 1, 2, 3, 4]), (5, range(1, 10)), (11, [7, 8, 9, 10, 11, 11, 11, 11, 11])]
)
def test_the_end_slices_are_repeated_beyond_the_ends(k, expected):
    assert list(neighbor_indices(k, 12)) == list(expected)


def test_a_window_reproduces_a_ramp_at_its_own_pixel_centers():
    spacing = (3.0, 0.7, 0.6)
    plane = _ramp((400, 420), spacing[1:])
    volume = np.stack([plane + 100 * k for k in range(12)])
    center = (201.3, 199.8)
    window = sample_planes(volume[neighbor_indices(6, 12)], *window_coordinates(spacing[1:], center, SIZE_MM))
    assert window.shape == (9, INPUT_SIZE, INPUT_SIZE)
    assert window.dtype == np.float32
    offset = (np.arange(INPUT_SIZE) + 0.5) * SIZE_MM / INPUT_SIZE - SIZE_MM / 2
    expected = 2 * (center[0] * 0.7 + offset[:, None]) + (center[1] * 0.6 + offset[None, :])
    for n, k in enumerate(range(2, 11)):
        assert np.abs(window[n] - expected - 100 * k).max() < 0.02


def test_what_lies_outside_the_image_is_air():
    window = sample_planes(
        np.full((3, 100, 100), 40, np.int16), *window_coordinates((1.0, 1.0), (49.5, 49.5), SIZE_MM, 192)
    )
    # The image's 100 mm are the middle 100 of 192 one-millimeter pixels.
    assert (window[:, 46:146, 46:146] == 40).all()
    assert (window[:, :46] == OUTSIDE_HU).all()
    assert (window[:, 146:] == OUTSIDE_HU).all()
    assert (window[:, :, :46] == OUTSIDE_HU).all()
    assert (window[:, :, 146:] == OUTSIDE_HU).all()


def test_a_window_beside_the_image_is_all_air():
    window = sample_planes(
        np.full((3, 50, 50), 40, np.int16), *window_coordinates((1.0, 1.0), (500.0, 25.0), SIZE_MM, 64)
    )
    assert (window == OUTSIDE_HU).all()


def test_a_part_of_the_window_is_the_same_as_the_part_cut_out():
    generator = np.random.default_rng(1)
    planes = generator.normal(0, 100, (2, 300, 300)).astype(np.float32)
    whole = sample_planes(planes, *window_coordinates((0.7, 0.7), (150.0, 151.0), SIZE_MM))
    part = sample_planes(planes, *window_coordinates((0.7, 0.7), (150.0, 151.0), SIZE_MM, patch=(64, 200, 128)))
    assert np.allclose(part, whole[:, 64:192, 200:328], atol=1e-2)


def test_a_quarter_turn_exchanges_the_axes():
    plane = _ramp((201, 201), (1.0, 1.0))[None]
    straight = sample_planes(plane, *window_coordinates((1.0, 1.0), (100.0, 100.0), 100.0, 100))[0]
    turned = sample_planes(plane, *window_coordinates((1.0, 1.0), (100.0, 100.0), 100.0, 100, angle=np.pi / 2))[0]
    assert np.allclose(np.rot90(straight), turned, atol=0.01)
    assert not np.allclose(straight, turned, atol=1)


def test_labels_are_sampled_without_mixing_their_values():
    labels = np.zeros((1, 50, 50), np.uint8)
    labels[0, 20:30, 20:30] = 4
    sampled = sample_planes(labels, *window_coordinates((1.0, 1.0), (25.0, 25.0), 50.0, 200), 0.0, nearest=True)
    assert set(np.unique(sampled)) == {0.0, 4.0}
    assert (sampled == 4).sum() == 40 * 40


def test_a_window_comes_back_to_the_ct_s_own_pixels():
    spacing, shape, center = (0.71, 0.66), (350, 380), (170.2, 190.7)
    j, i = window_coordinates(spacing, center, SIZE_MM)
    values = np.stack([2 * j * spacing[0] + i * spacing[1], j])
    rows, columns, back = window_to_slice(values, spacing, center, SIZE_MM, shape)
    expected = _ramp(shape, spacing)[rows, columns]
    inner = (slice(2, -2), slice(2, -2))
    assert back.shape == (2, *expected.shape)
    assert np.abs(back[0] - expected)[inner].max() < 0.02
    assert np.abs(back[1] - np.arange(rows.start, rows.stop)[:, None])[inner].max() < 0.02
    # All the CT's pixels whose centers are in the window, and no others.
    covered = np.flatnonzero(np.abs((np.arange(shape[0]) - center[0]) * spacing[0]) <= SIZE_MM / 2)
    assert (rows.start, rows.stop - 1) == (covered[0], covered[-1])


def test_a_window_that_reaches_beyond_the_image_comes_back_inside_it():
    rows, columns, back = window_to_slice(np.ones((1, 64, 64), np.float32), (1.0, 1.0), (5.0, 95.0), 64.0, (100, 100))
    assert (rows.start, rows.stop, columns.start, columns.stop) == (0, 38, 63, 100)
    assert (back == 1).all()


def test_a_window_beside_the_image_brings_nothing_back():
    rows, columns, back = window_to_slice(np.ones((1, 64, 64), np.float32), (1.0, 1.0), (900.0, 5.0), 64.0, (100, 100))
    assert back.shape[1] == 0
    assert rows == slice(0, 0)
    assert columns.stop > columns.start
