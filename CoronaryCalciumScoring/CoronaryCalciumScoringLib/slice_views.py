"""What the slice views show: the CT in a window for calcium, and a ring around the lesion that the reader is at."""

import slicer
import vtk

# The reports' window for a lesion: 130 HU is mid gray. Importing it would bring the whole reports with it.
WINDOW_HU, LEVEL_HU = 700, 150
MARK_TAG = "CoronaryCalciumScoringLesion"
# The ring keeps so far from the lesion, and is never smaller; a smaller one would hide what is beside a small lesion.
MARK_MARGIN_MM, LEAST_RADIUS_MM = 4.0, 8.0
MARK_COLOR, MARK_LINE_PIXELS = (0.0, 1.0, 1.0), 2
# Edges of the ring, so that it is round at every zoom.
MARK_EDGES = 72


def show_in_slices(volumeNode) -> None:
    """Show a CT in all slice views, in the reports' window for calcium; layout and zoom stay as they are."""
    scene = volumeNode.GetScene()
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene):
        composite.SetBackgroundVolumeID(volumeNode.GetID())
    volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(WINDOW_HU, LEVEL_HU)


def jump_to(scene, ras: tuple[float, float, float], radius_mm: float = 0.0) -> None:
    """Bring all slice views to a lesion, in their middle, and frame it by a ring.

    ``radius_mm`` is how far the lesion reaches from ``ras``.
    """
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
    node = _mark(scene) or _add_mark(scene)
    node.SetAndObservePolyData(_sphere(ras, max(radius_mm + MARK_MARGIN_MM, LEAST_RADIUS_MM)))
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
    node = scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetColor(*MARK_COLOR)
    display.SetVisibility3D(False)
    display.SetVisibility2D(True)
    display.SetSliceDisplayModeToIntersection()
    display.SetSliceIntersectionThickness(MARK_LINE_PIXELS)
    return node
