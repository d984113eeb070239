"""Bringing a volume's axes to the canonical order: k to the head, j to the back, i to the patient's left."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.errors import InputError

# The score is defined on axial slices. At 1 degree a slice leaves the axial plane by 1.7 mm across a 100 mm heart, less
# than one slice; patients lie no straighter than that.
AXIAL_TOLERANCE_DEGREES = 1.0
# Slices that are turned in their own plane, as by a reconstruction along the patient, are axial and keep their grid.
# Beyond this their rows and columns no longer tell left from front.
IN_PLANE_TOLERANCE_DEGREES = 30.0
# Largest cosine between two axes, and largest deviation of their length from 1, that is rounding in a header.
SHEAR_TOLERANCE = 1e-3


@dataclass(frozen=True)
class AxialOrder:
    """How an array's axes become (k, j, i).

    ``axes`` names the source array axis that becomes k, j and i; ``flipped`` says which of the results is reversed.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def is_identity(self) -> bool:
        """Whether the array already is in canonical order."""
        return self.axes == (0, 1, 2) and not any(self.flipped)

    @property
    def _reversed(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(3) if self.flipped[axis])

    def apply(self, array: np.ndarray) -> np.ndarray:
        """The array as (k, j, i); a view."""
        return np.flip(np.transpose(array, self.axes), self._reversed)

    def undo(self, array: np.ndarray) -> np.ndarray:
        """A (k, j, i) array, such as labels, in the order of the source array; a view."""
        flipped = np.flip(array, self._reversed)
        return np.transpose(flipped, np.argsort(self.axes))

    def flat_index(self, index: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """Flat (k, j, i) indices of voxels of the source array, which has this shape; ``index`` has a row for each."""
        sizes = tuple(shape[axis] for axis in self.axes)
        ordered = [
            sizes[axis] - 1 - index[:, source] if self.flipped[axis] else index[:, source]
            for axis, source in enumerate(self.axes)
        ]
        return (ordered[0] * sizes[1] + ordered[1]) * sizes[2] + ordered[2]


@dataclass(frozen=True, eq=False)
class AxialArray:
    """A volume in canonical order: array (k, j, i), spacing (k, j, i) in mm, origin LPS in mm, direction 3 x 3.

    The columns of ``direction`` are the LPS unit vectors of i, j and k. ``order`` leads back to the source array.
    """

    array: np.ndarray
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: np.ndarray
    order: AxialOrder


def axial_order(direction: np.ndarray) -> AxialOrder:
    """The axis permutation and flips that make a volume axial.

    ``direction``: 3 x 3, columns are the LPS vectors of the array's last, middle and first axis. Raises InputError
    (``"sheared"``, ``"oblique"``).
    """
    direction = np.asarray(direction, dtype=float)
    gram = direction.T @ direction
    if not np.all(np.isfinite(gram)) or np.abs(gram - np.eye(3)).max() > 2 * SHEAR_TOLERANCE:
        raise InputError(
            "sheared",
            "The image's axes are not at right angles, as after a gantry tilt or a faulty conversion: "
            "give the original axial CT series.",
        )
    patient_axis = np.abs(direction).argmax(axis=0)
    cosines = np.abs(direction)[patient_axis, range(3)]
    angles = np.degrees(np.arccos(np.clip(cosines, 0, 1)))
    # How far the slices' normal is from the patient's axis, and how far they are turned in their own plane.
    lean = float(angles[patient_axis == 2].max(initial=0.0))
    turn = float(angles.max())
    angle = lean if lean > AXIAL_TOLERANCE_DEGREES else turn
    distinct = sorted(patient_axis) == [0, 1, 2]
    if not distinct or lean > AXIAL_TOLERANCE_DEGREES or turn > IN_PLANE_TOLERANCE_DEGREES:
        raise InputError(
            "oblique",
            f"The slices are {angle:.1f} degrees off the patient's axes, and the score is defined on axial slices: "
            "give the original axial series, not an oblique reformat.",
        )
    columns = [int(np.flatnonzero(patient_axis == axis)[0]) for axis in (2, 1, 0)]
    signs = [direction[axis, column] < 0 for axis, column in zip((2, 1, 0), columns)]
    return AxialOrder(
        (2 - columns[0], 2 - columns[1], 2 - columns[2]), (bool(signs[0]), bool(signs[1]), bool(signs[2]))
    )


def to_axial(
    array: np.ndarray,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    direction: np.ndarray,
) -> AxialArray:
    """Bring a volume to canonical order by permuting and flipping its axes; no voxel is interpolated.

    ``array`` has three axes of any meaning, ``spacing`` follows the array's axes (mm), ``origin`` is the LPS position
    of voxel (0, 0, 0), and the columns of ``direction`` are the LPS unit vectors of the array's last, middle and first
    axis. The result's array is contiguous, and the same object where nothing had to change. Raises InputError
    (``"not-3d"``, ``"sheared"``, ``"oblique"``).
    """
    if array.ndim != 3:
        raise InputError("not-3d", f"The image has {array.ndim} dimensions: give one three-dimensional CT volume.")
    direction = np.asarray(direction, dtype=float)
    order = axial_order(direction)
    corner = np.asarray(origin, dtype=float)
    columns = []
    for source, reverse in zip(order.axes, order.flipped):
        column = direction[:, 2 - source]
        if reverse:
            corner = corner + column * spacing[source] * (array.shape[source] - 1)
            column = -column
        columns.append(column)
    k, j, i = (float(spacing[source]) for source in order.axes)
    x, y, z = (float(value) for value in corner)
    return AxialArray(
        np.ascontiguousarray(order.apply(array)), (k, j, i), (x, y, z), np.column_stack(columns[::-1]), order
    )
