"""What the slice views show: the CT in a window for calcium, and the lesion that the reader is at."""

import slicer

# The reports' window for a lesion: 130 HU is mid gray. Importing it would bring the whole reports with it.
WINDOW_HU, LEVEL_HU = 700, 150
MARK_TAG = "CoronaryCalciumScoringLesion"
# A ring around the lesion that leaves its voxels free.
MARK_GLYPH, MARK_SIZE_MM = "Circle2D", 16.0
MARK_COLOR = (0.0, 1.0, 1.0)


def show_in_slices(volumeNode) -> None:
    """Show a CT in all slice views, in the reports' window for calcium; layout and zoom stay as they are."""
    scene = volumeNode.GetScene()
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene):
        composite.SetBackgroundVolumeID(volumeNode.GetID())
    volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(WINDOW_HU, LEVEL_HU)


def jump_to(scene, ras: tuple[float, float, float]) -> None:
    """Bring all slice views to a position, in their middle, and put a ring around it."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
    node = _mark(scene) or _add_mark(scene)
    if node.GetNumberOfControlPoints():
        node.SetNthControlPointPosition(0, *ras)
    else:
        node.AddControlPoint(ras, "")
    node.GetDisplayNode().SetVisibility(True)


def hide_mark(scene) -> None:
    """Take the ring away."""
    node = _mark(scene)
    # A scene that closes may have removed the display before the node.
    if node is not None and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(False)


def _mark(scene):
    return scene.GetSingletonNode(MARK_TAG, "vtkMRMLMarkupsFiducialNode")


def _add_mark(scene):
    node = slicer.vtkMRMLMarkupsFiducialNode()
    node.SetName("Lesion")
    node.SetSingletonTag(MARK_TAG)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node = scene.AddNode(node)
    node.SetLocked(True)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetGlyphTypeFromString(MARK_GLYPH)
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(MARK_SIZE_MM)
    display.SetSelectedColor(*MARK_COLOR)
    display.SetColor(*MARK_COLOR)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    return node
