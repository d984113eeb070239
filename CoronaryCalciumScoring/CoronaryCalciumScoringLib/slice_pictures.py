"""Slice views as pictures, drawn by Slicer's own view code without a window: for reports, and without the application.

They are drawn in a scene of their own, so that neither the reader's views nor the reader's scene notice.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .slice_views import LEVEL_HU, WINDOW_HU, jump_to

if TYPE_CHECKING:
    from coronary_calcium.reports.pictures import ViewPicture

Mark = tuple[tuple[float, float, float], float]
# The larger side of a picture, in pixels.
SIDE_PIXELS = 480
# Of a view that nobody has set: the field of view of a heart, in mm.
FIELD_MM = 150.0
# The axis (of RAS) along which a view of each orientation is scrolled, and the letters of its two directions.
ORIENTATIONS = {"Axial": (2, "SI"), "Sagittal": (0, "RL"), "Coronal": (1, "AP")}
FILL_OPACITY, OUTLINE_OPACITY = 0.2, 1.0


@dataclass(frozen=True, eq=False)
class View:
    """Where a slice view is: its orientation in words, its 4 x 4 matrix from slice to RAS, width and height in mm."""

    orientation: str
    slice_to_ras: np.ndarray
    field_mm: tuple[float, float]

    @property
    def caption(self) -> str:
        """The view in words: its orientation, and where its middle lies along the axis that it is scrolled on."""
        if self.orientation not in ORIENTATIONS:
            return "Oblique view"
        axis, (positive, negative) = ORIENTATIONS[self.orientation]
        place = self.slice_to_ras[axis, 3]
        return f"{self.orientation}, {positive if place >= 0 else negative} {abs(place):.1f} mm"


def reader_views(scene) -> list[View]:
    """The slice views of the layout, as they stand; empty without a layout."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode", scene)
    return [
        View(node.GetOrientation(), _matrix(node.GetSliceToRAS()), tuple(node.GetFieldOfView()[:2]))
        for node in nodes
        if node.IsMappedInLayout() and min(node.GetFieldOfView()[:2]) > 0
    ]


def views_at(ras: tuple[float, float, float], field_mm: float = FIELD_MM) -> list[View]:
    """An axial, a sagittal and a coronal view with a position in their middle."""
    views = []
    for orientation in ORIENTATIONS:
        turn = vtk.vtkMatrix3x3()
        getattr(slicer.vtkMRMLSliceNode, f"Get{orientation}SliceToRASMatrix")(turn)
        matrix = np.eye(4)
        matrix[:3, :3] = [[turn.GetElement(row, column) for column in range(3)] for row in range(3)]
        matrix[:3, 3] = ras
        views.append(View(orientation, matrix, (field_mm, field_mm)))
    return views


def draw_views(
    volumeNode, segmentationNode, views: list[View], side: int = SIDE_PIXELS, mark: Mark | None = None
) -> "tuple[ViewPicture, ...]":
    """The views with the CT in the window for calcium and the segments over it, each ``side`` pixels large.

    ``mark`` is a lesion to be framed as in the reader's views: its place (RAS) and how far it reaches, in mm.
    """
    # The reports need packages that Slicer can be without when it imports this.
    from coronary_calcium.reports.pictures import ViewPicture

    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkMRMLApplicationLogic()
    logic.SetMRMLScene(scene)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    volume = _copy_of_volume(scene, volumeNode)
    _copy_of_segmentation(scene, segmentationNode, volume)
    if mark is not None:
        jump_to(scene, *mark)
    drawn = tuple(
        ViewPicture(_draw(scene, logic, volume, view, f"View{number}", side), view.caption)
        for number, view in enumerate(views)
    )
    scene.Clear(True)
    return drawn


def _copy_of_volume(scene, volumeNode):
    """The CT in another scene, in the window for calcium; the voxels are shared."""
    gray = slicer.vtkMRMLColorTableNode()
    gray.SetTypeToGrey()
    gray = scene.AddNode(gray)
    display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.SetAndObserveColorNodeID(gray.GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(WINDOW_HU, LEVEL_HU)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    node.CopyOrientation(volumeNode)
    node.SetAndObserveImageData(volumeNode.GetImageData())
    node.SetAndObserveDisplayNodeID(display.GetID())
    return node


def _copy_of_segmentation(scene, segmentationNode, volume) -> None:
    """The segments in another scene, all of them visible in slices."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().DeepCopy(segmentationNode.GetSegmentation())
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetOpacity2DFill(FILL_OPACITY)
    node.GetDisplayNode().SetOpacity2DOutline(OUTLINE_OPACITY)


def _draw(scene, application_logic, volume, view: View, name: str, side: int) -> bytes:
    """One view as a PNG."""
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application_logic)
    logic.SetMRMLScene(scene)
    node = logic.AddSliceNode(name)
    logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    width, height = (max(1, round(side * field / max(view.field_mm))) for field in view.field_mm)
    node.GetSliceToRAS().DeepCopy(view.slice_to_ras.ravel())
    node.UpdateMatrices()
    node.SetDimensions(width, height, 1)
    node.SetFieldOfView(*view.field_mm, 1.0)
    logic.UpdatePipeline()

    renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    window.SetSize(width, height)
    window.AddRenderer(renderer)
    # The view code asks for one, and crashes without.
    interactor = vtk.vtkGenericRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    mapper, image = vtk.vtkImageMapper(), vtk.vtkActor2D()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    image.SetMapper(mapper)
    image.GetProperty().SetDisplayLocationToBackground()
    renderer.AddViewProp(image)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    # A view's segments, and the ring of its mark.
    managers = (slicer.vtkMRMLSegmentationsDisplayableManager2D(), slicer.vtkMRMLModelSliceDisplayableManager())
    for manager in managers:
        manager.SetMRMLApplicationLogic(application_logic)
        group.AddDisplayableManager(manager)
    group.SetMRMLDisplayableNode(node)
    window.Render()
    picture = _png(window)
    group.SetMRMLDisplayableNode(None)
    window.Finalize()
    return picture


def _png(window) -> bytes:
    grabbed, writer = vtk.vtkWindowToImageFilter(), vtk.vtkPNGWriter()
    grabbed.SetInput(window)
    grabbed.ReadFrontBufferOff()
    writer.SetInputConnection(grabbed.GetOutputPort())
    writer.WriteToMemoryOn()
    writer.Write()
    return vtk_to_numpy(writer.GetResult()).tobytes()


def _matrix(matrix) -> np.ndarray:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
