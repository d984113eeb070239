"""A simulated patient in the scene: demonstration data that is made here and not downloaded."""

from coronary_calcium.progress import Progress, no_progress

from .volume_node import add_volume_node

# A patient with plaques in several arteries; the protocol of the command line's demonstration.
SEED, SPACING_MM = 7, 3.0
NAME = "Simulated chest CT"


def add_simulated_patient(scene, progress: Progress = no_progress):
    """Add the simulated CT to a scene and return its vtkMRMLScalarVolumeNode; it takes some ten seconds.

    Raises Cancelled when ``progress`` does; then nothing is added.
    """
    from coronary_calcium.simulation.patient import simulate_patient

    patient = simulate_patient(SEED, progress=progress, spacing=SPACING_MM, thickness=SPACING_MM)
    return add_volume_node(scene, patient.volume, scene.GenerateUniqueName(NAME))
