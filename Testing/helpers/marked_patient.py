"""A chest with one plaque as a simulated patient's folder."""

import numpy as np
from data_set_cases import write_simulated
from thorax_model import chest, index_of

VOLUME, _ = chest(spacing=(10.0, 2.5, 2.5), z=(-130, 120))


PLAQUE = (-40.0, -20.0, 0.0)


def marked():
    """The model's CT with a plaque in the heart, and its labels: one voxel of them is below 130 HU."""
    hu, labels = VOLUME.hu.copy(), np.zeros(VOLUME.shape, np.uint8)
    k, j, i = index_of(VOLUME, *PLAQUE)
    hu[k, j : j + 3, i : i + 3] = 400
    hu[k, j, i] = 129
    labels[k, j : j + 3, i : i + 3] = 4
    return hu, labels


def write_patient(root, name="patient-chest-000001"):
    hu, labels = marked()
    return write_simulated(root, name, hu, labels, spacing=VOLUME.spacing, origin=VOLUME.origin)
