"""What the slice views show: the CT in a window for calcium, and a ring around the lesion that the reader is at."""

import numpy as np
import slicer
import vtk
from coronary_calcium.heart.field import Window
from coronary_calcium.volume import CTVolume

# The reports' window for a lesion: 130 HU is mid gray. Importing it would bring the whole reports with it.
WINDOW_HU, LEVEL_HU = 700, 150
# Of a CT's display: its window was set by this module.
WINDOW_ATTRIBUTE = "CoronaryCalcium.Window"
MARK_TAG = "CoronaryCalciumScoringLesion"
# The ring keeps so far from the lesion, and is never smaller; a smaller one would hide what is beside a small lesion.
MARK_MARGIN_MM, LEAST_RADIUS_MM = 4.0, 8.0
MARK_COLOR, MARK_LINE_PIXELS = (0.0, 1.0, 1.0), 2
# Edges of the ring, so that it is round at every zoom.
MARK_EDGES = 72


def show_in_slices(volumeNode) -> bool:
    """Show a CT in all slice views, in the reports' window for calcium unless the reader has set one.

    Layout and zoom stay as they are. Returns whether a view showed something else before.
    """
    scene = volumeNode.GetScene()
    changed = False
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene):
        changed |= composite.GetBackgroundVolumeID() != volumeNode.GetID()
        composite.SetBackgroundVolumeID(volumeNode.GetID())
    volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    if not _window_is_set(display):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(WINDOW_HU, LEVEL_HU)
        display.SetAttribute(WINDOW_ATTRIBUTE, "shown")
    return changed


def _window_is_set(display) -> bool:
    """Whether the window is the reader's: this module gives a CT its window once, and whatever comes then is theirs.

    Before, a window is theirs when it is neither the automatic one nor one that came with the images.
    """
    if display.GetAttribute(WINDOW_ATTRIBUTE):
        return True
    if display.GetAutoWindowLevel():
        return False
    presets = range(display.GetNumberOfWindowLevelPresets())
    given = [(display.GetWindowPreset(index), display.GetLevelPreset(index)) for index in presets]
    return (display.GetWindow(), display.GetLevel()) not in given


def center_on(scene, ras: tuple[float, float, float]) -> None:
    """Bring all slice views to a position, in their middle, without a mark."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


def heart_center(volume: CTVolume, windows: tuple[Window, ...]) -> tuple[float, float, float] | None:
    """The middle of the heart (RAS) of a CT, by the windows that its search gave; None without any."""
    if not windows:
        return None
    k = np.mean([(window.k0 + window.k1 - 1) / 2 for window in windows])
    j, i = np.mean([(window.center_j, window.center_i) for window in windows], axis=0)
    x, y, z = volume.position((float(k), float(j), float(i)))
    return -float(x), -float(y), float(z)


def jump_to(scene, ras: tuple[float, float, float], radius_mm: float = 0.0) -> None:
    """Bring all slice views to a lesion, in their middle, and frame it by a ring.

    ``radius_mm`` is how far the lesion reaches from ``ras``.
    """
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
    node = _mark(scene) or _add_mark(scene)
    node.SetAndObservePolyData(_sphere(ras, max(radius_mm + MARK_MARGIN_MM, LEAST_RADIUS_MM)))
    if node.GetDisplayNode() is None:  # a closed scene keeps the singleton node and not its display
        _add_display(node)
    node.GetDisplayNode().SetVisibility(True)


def hide_mark(scene) -> None:
    """Take the ring away."""
    node = _mark(scene)
    # A scene that closes may have removed the display before the node.
    if node is not None and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(False)


def _mark(scene):
    return scene.GetSingletonNode(MARK_TAG, "vtkMRMLModelNode")


def _sphere(ras: tuple[float, float, float], radius_mm: float):
    """A sphere around a place: slice views show where they cut it, a circle around all that lies in it."""
    source = vtk.vtkSphereSource()
    source.SetCenter(*ras)
    source.SetRadius(radius_mm)
    source.SetThetaResolution(MARK_EDGES)
    source.SetPhiResolution(MARK_EDGES)
    source.Update()
    return source.GetOutput()


def _add_mark(scene):
    """A model that slice views draw as the line where they cut it. Markups will not do: their glyphs are filled and
    opaque in slice views, and hide the lesion.
    """
    node = slicer.vtkMRMLModelNode()
    node.SetName("Lesion")
    node.SetSingletonTag(MARK_TAG)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetSelectable(False)
    return scene.AddNode(node)


def _add_display(node) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetColor(*MARK_COLOR)
    display.SetVisibility3D(False)
    display.SetVisibility2D(True)
    display.SetSliceDisplayModeToIntersection()
    display.SetSliceIntersectionThickness(MARK_LINE_PIXELS)
