"""Lesions and heart as surfaces for the 3D views: models beside the segmentation, which no stroke has to wait for."""

import numpy as np
import slicer
import vtk
from coronary_calcium.arteries import BY_NAME
from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.volume import CTVolume
from scipy import ndimage
from vtk.util.numpy_support import numpy_to_vtk

from .volume_node import RAS_LPS

# Which models are surfaces of this module; its value is the artery's name, or the heart's.
SURFACE_ATTRIBUTE = "CoronaryCalcium.Surface"
HEART = "heart"
HEART_COLOR, HEART_OPACITY = (0.85, 0.55, 0.5), 0.15
# The heart's surface needs no detail: this many millimeters between its points, and so much smoothing, in points.
HEART_STEP_MM, HEART_SMOOTHING = 4.0, 1.5


def lesion_surfaces(score: CaseScore, volume: CTVolume) -> dict[str, vtk.vtkPolyData]:
    """The surface of each artery's lesions in RAS, by the artery's name."""
    joined = {}
    for lesion in score.lesions:
        index = np.column_stack(np.unravel_index(lesion.voxels, volume.shape))
        low = index.min(axis=0) - 1
        mask = np.zeros(index.max(axis=0) - low + 2, dtype=np.float32)
        mask[tuple((index - low).T)] = 1.0
        joined.setdefault(lesion.artery, vtk.vtkAppendPolyData()).AddInputData(_surface(mask, low, (1, 1, 1), volume))
    for append in joined.values():
        append.Update()
    return {name: append.GetOutput() for name, append in joined.items()}


def heart_surface(region: np.ndarray, volume: CTVolume) -> vtk.vtkPolyData:
    """A smooth surface in RAS around the heart's region, a bool array (k, j, i) of the volume's shape."""
    steps = [max(1, round(HEART_STEP_MM / spacing)) for spacing in volume.spacing]
    coarse = np.pad(region[:: steps[0], :: steps[1], :: steps[2]].astype(np.float32), 2)
    return _surface(ndimage.gaussian_filter(coarse, HEART_SMOOTHING), -2 * np.array(steps), steps, volume)


def _surface(values: np.ndarray, low: np.ndarray, steps, volume: CTVolume) -> vtk.vtkPolyData:
    """Where values (k, j, i), which begin at a voxel ``low`` and are ``steps`` voxels apart, cross one half."""
    image = vtk.vtkImageData()
    image.SetDimensions(*values.shape[::-1])
    image.SetOrigin(*(float(first) for first in low[::-1]))
    image.SetSpacing(*(float(step) for step in steps[::-1]))
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    edges, transform, matrix = vtk.vtkFlyingEdges3D(), vtk.vtkTransform(), np.eye(4)
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.ComputeScalarsOff()  # a viewer would color by them
    matrix[:3, :3] = volume.direction * np.array(volume.spacing[::-1])
    matrix[:3, 3] = volume.origin
    transform.SetMatrix((RAS_LPS @ matrix).ravel())
    moved = vtk.vtkTransformPolyDataFilter()
    moved.SetInputConnection(edges.GetOutputPort())
    moved.SetTransform(transform)
    moved.Update()
    return moved.GetOutput()


def show_surfaces(scene, surfaces: dict[str, vtk.vtkPolyData], heart: vtk.vtkPolyData | None = None) -> None:
    """Show these lesions, and the heart if it is given, in the 3D views, in place of those of before."""
    nodes = _nodes(scene)
    for name in BY_NAME:
        if name in surfaces:
            node = nodes.get(name) or _add(scene, name, BY_NAME[name].color, 1.0)
            node.SetAndObservePolyData(surfaces[name])
        elif name in nodes:
            _remove(scene, nodes[name])
    if heart is not None:
        (nodes.get(HEART) or _add(scene, HEART, HEART_COLOR, HEART_OPACITY)).SetAndObservePolyData(heart)


def hide_surfaces(scene) -> None:
    """Take the surfaces away."""
    for node in _nodes(scene).values():
        _remove(scene, node)


def _nodes(scene) -> dict:
    models = slicer.util.getNodesByClass("vtkMRMLModelNode", scene)
    return {model.GetAttribute(SURFACE_ATTRIBUTE): model for model in models if model.GetAttribute(SURFACE_ATTRIBUTE)}


def _add(scene, name: str, color: tuple[float, float, float], opacity: float):
    node = slicer.vtkMRMLModelNode()
    node.SetName(f"{name} surface")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAttribute(SURFACE_ATTRIBUTE, name)
    node = scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetColor(*color)
    display.SetOpacity(opacity)
    display.SetVisibility2D(False)
    return node


def _remove(scene, node) -> None:
    display = node.GetDisplayNode()
    scene.RemoveNode(node)
    if display is not None:
        scene.RemoveNode(display)
