"""The segment editor's settings for calcium: only bright voxels, only this artery's, only the slice in view."""

import slicer
from coronary_calcium.scoring.rules import LITERATURE

# The node belongs to the module: its settings are not those of the Segment Editor module.
SINGLETON_TAG = "CoronaryCalciumScoring"
EFFECTS = ("Paint", "Erase", "Scissors", "Islands", "Threshold")
# Far above any CT number, also of metal.
HIGHEST_HU = 32767.0
# A coronary artery's calcium is a few millimeters wide.
BRUSH_MM = 4.0
# Names and values of the effects' parameters in the node: a 2D brush of a size in mm.
BRUSH_SETTINGS = {
    "BrushSphere": "0",
    "BrushDiameterIsRelative": "0",
    "BrushAbsoluteDiameter": f"{BRUSH_MM:g}",
}


def prepare_editor_node(scene):
    """The module's vtkMRMLSegmentEditorNode of a scene, with the settings for calcium; it is made when it is not there.

    Voxels below the threshold (see ``mask_from``) cannot be marked, and neither can those of another artery: the
    editor's own "overwrite none" would leave such a voxel in two segments, and the score gives it to one of them.
    """
    node = scene.GetSingletonNode(SINGLETON_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(SINGLETON_TAG)
        node = scene.AddNode(node)
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    mask_from(node, LITERATURE.threshold_hu)
    for name, value in BRUSH_SETTINGS.items():
        node.SetAttribute(name, value)
    return node


def mask_from(node, threshold_hu: float) -> None:
    """Let only voxels from this intensity on be marked."""
    node.SourceVolumeIntensityMaskOn()
    node.SetSourceVolumeIntensityMaskRange(threshold_hu, HIGHEST_HU)
