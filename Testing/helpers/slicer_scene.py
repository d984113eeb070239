"""A scene with Slicer's own data model and logics, from the slicer-core package, without the application."""

import types

import pytest
import vtk

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Transforms": "vtkSlicerTransformLogic",
}


class Scene:
    """A scene, its application logic and its module logics, which must live as long as the scene."""

    def __init__(self) -> None:
        # The logics look for files that only the application has, and say so in red.
        verbosity = vtk.vtkLogger.GetCurrentVerbosityCutoff()
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        self.mrml = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(self.mrml)
        self.logics = {}
        for name, class_name in LOGICS.items():
            logic = getattr(slicer, class_name)()
            logic.SetMRMLApplicationLogic(self.application)
            logic.SetMRMLScene(self.mrml)
            self.application.SetModuleLogic(name, logic)
            self.logics[name] = logic
        self.logics["Colors"].AddDefaultColorNodes()
        vtk.vtkLogger.SetStderrVerbosity(verbosity)
        slicer.mrmlScene = self.mrml
        slicer.modules = types.SimpleNamespace(
            segmentations=types.SimpleNamespace(logic=lambda: self.logics["Segmentations"]),
            volumes=types.SimpleNamespace(logic=lambda: self.logics["Volumes"]),
        )

    def hierarchy(self):
        """The scene's subject hierarchy node."""
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.mrml)

    def content(self) -> list[str]:
        """Identifiers of all nodes, and the number of items in the subject hierarchy."""
        nodes = [self.mrml.GetNthNode(index).GetID() for index in range(self.mrml.GetNumberOfNodes())]
        return [*sorted(nodes), f"{self.hierarchy().GetNumberOfItems()} items"]

    def save_bundle(self, path):
        """Save the scene as an .mrb file; returns its path."""
        assert self.mrml.WriteToMRB(str(path))
        return path

    def load_bundle(self, path):
        """Close the scene and load an .mrb file in its place.

        Without the application, the scene needs a data manager and a cache folder to read what lies in the file.
        """
        self.mrml.Clear(False)
        self.remote, self.manager = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
        self.remote.SetMRMLScene(self.mrml)
        cache = path.parent / "cache"
        cache.mkdir(exist_ok=True)
        self.remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
        self.manager.SetMRMLApplicationLogic(self.application)
        self.manager.SetAndObserveDataIOManager(self.remote.GetDataIOManager())
        self.remote.AddDataIOToScene()
        assert self.mrml.ReadFromMRB(str(path))
