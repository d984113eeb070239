"""Nodes in the subject hierarchy, with the application, which keeps it up to date by itself, and without."""

import slicer


def place_beside(volumeNode, node) -> None:
    """Put a node under the CT's parent in the subject hierarchy, such as its study."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    beside = hierarchy.GetItemByDataNode(volumeNode)
    parent = hierarchy.GetItemParent(beside) if beside else hierarchy.GetSceneItemID()
    # The application makes an item for every node as it is added; without the application nobody has.
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def remove_with_item(scene, node) -> None:
    """Remove a node from the scene, and its item from the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        # Without the application, removing the data node with the item leaves a nameless item behind.
        hierarchy.RemoveItem(item, False, True)
    scene.RemoveNode(node)
