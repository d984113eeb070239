"""The undo history of a segment editor without its widget, for reviews without a panel."""

from CoronaryCalciumScoringLib.edits import UNDO_STEPS
from slicer_scene import slicer


def editor_history(segmentation_node, volume_node):
    """A segment editor's logic, without its widget, as the history of a segmentation.

    It holds a vtkMRMLSegmentEditorNode of its own in the scene; the caller keeps the logic as long as it edits.
    """
    scene = segmentation_node.GetScene()
    editor_node = slicer.vtkMRMLSegmentEditorNode()
    editor_node.SetHideFromEditors(True)
    editor_node.SetSaveWithScene(False)
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetSegmentEditorNode(scene.AddNode(editor_node))
    logic.SetSegmentationNode(segmentation_node)
    logic.SetSourceVolumeNode(volume_node)
    logic.SetMaximumNumberOfUndoStates(UNDO_STEPS)
    return logic
