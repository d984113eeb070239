"""Permuted and flipped volumes become axial without touching a voxel; sheared and oblique ones are rejected."""

from itertools import permutations, product

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.io import to_axial

SPACING = (3.0, 0.7, 0.8)
ORIGIN = (-101.5, -88.25, 410.0)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_every_permutation_and_flip_leads_back_to_the_same_patient(axes, signs):
    hu = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    # Store the axial volume with permuted, reversed array axes, and describe that truthfully.
    stored = hu.transpose(axes)
    spacing = tuple(SPACING[axis] for axis in axes)
    direction = np.eye(3)[:, [2 - axis for axis in axes[::-1]]]
    origin = np.array(ORIGIN)
    for axis, sign in enumerate(signs):
        if sign < 0:
            stored = np.flip(stored, axis)
            origin = origin + direction[:, 2 - axis] * spacing[axis] * (stored.shape[axis] - 1)
            direction[:, 2 - axis] *= -1
    axial = to_axial(stored, spacing, origin, direction)
    np.testing.assert_array_equal(axial.array, hu)
    assert axial.spacing == SPACING
    np.testing.assert_allclose(axial.origin, ORIGIN, atol=1e-9)
    np.testing.assert_array_equal(axial.direction, np.eye(3))
    np.testing.assert_array_equal(axial.order.undo(axial.array), stored)
    assert axial.array.flags.c_contiguous


def test_an_axial_volume_is_not_copied():
    hu = np.zeros((4, 5, 6), np.int16)
    assert np.shares_memory(to_axial(hu, SPACING, ORIGIN, np.eye(3)).array, hu)


def turned(degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


@pytest.mark.parametrize(("degrees", "accepted"), [(0.99, True), (1.01, False), (45, False), (89.5, True)])
def test_the_axial_plane_may_be_missed_by_one_degree(degrees, accepted):
    hu = np.zeros((4, 5, 6), np.int16)
    if accepted:
        np.testing.assert_allclose(np.abs(np.linalg.det(to_axial(hu, SPACING, ORIGIN, turned(degrees)).direction)), 1)
    else:
        with pytest.raises(InputError) as caught:
            to_axial(hu, SPACING, ORIGIN, turned(degrees))
        assert caught.value.code == "oblique"


@pytest.mark.parametrize(("degrees", "accepted"), [(10, True), (-29, True), (31, False), (91, True)])
def test_slices_turned_in_their_own_plane_keep_their_grid(degrees, accepted):
    around_z = turned(degrees)[[1, 2, 0]][:, [1, 2, 0]]
    hu = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    if accepted:
        axial = to_axial(hu, SPACING, ORIGIN, around_z)
        np.testing.assert_array_equal(axial.order.undo(axial.array), hu)
        np.testing.assert_allclose(axial.direction[:, 2], [0, 0, 1], atol=1e-9)
    else:
        with pytest.raises(InputError) as caught:
            to_axial(hu, SPACING, ORIGIN, around_z)
        assert caught.value.code == "oblique"


@pytest.mark.parametrize(
    "direction",
    [
        [[1, 0, 0], [0, 1, 0.1], [0, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1.01]],
        [[1, 1, 0], [0, 0, 1], [0, 0, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, np.nan]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ],
)
def test_axes_that_are_not_orthonormal_are_rejected(direction):
    with pytest.raises(InputError) as caught:
        to_axial(np.zeros((4, 5, 6)), SPACING, ORIGIN, np.array(direction, float))
    assert caught.value.code == "sheared"


def test_only_three_dimensions_are_a_volume():
    with pytest.raises(InputError) as caught:
        to_axial(np.zeros((2, 4, 5, 6)), SPACING, ORIGIN, np.eye(3))
    assert caught.value.code == "not-3d"
