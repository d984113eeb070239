"""Stand-ins for what only the application has: module base classes, parameter nodes, dialogs, package installation."""

import contextlib
import enum
import importlib
import sys
import time
import types
import typing
import unittest
from pathlib import Path

import qt_stand_in
import vtk
from qt_stand_in import QtCore, QtWidgets, qMRMLNodeComboBox, qMRMLWidget
from slicer_scene import slicer

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "CoronaryCalciumScoring"
MODULE = "CoronaryCalciumScoring"


class ScriptedLoadableModule:
    def __init__(self, parent) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent) -> None:
        super().__init__()
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, name: str) -> str:
        return str(MODULE_FOLDER / "Resources" / name)

    def setup(self) -> None:
        """The real one builds the developer's section."""

    def onReload(self) -> None:
        """The real one loads the module's file again."""


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None) -> None:
        super().__init__()

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(MODULE, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(MODULE)
            node.SetModuleName(MODULE)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message) -> None:
        """The real one shows the message for a moment."""


class _NodeConnector:
    def __init__(self, widget, kind) -> None:
        self.widget = widget
        widget.nodeTypes = [kind.__name__]
        self.changed = widget.currentNodeChanged

    def read(self):
        return self.widget.currentNode()

    def write(self, value) -> None:
        self.widget.setCurrentNode(value)


class _EnumConnector:
    def __init__(self, widget, kind) -> None:
        self.widget, self.members = widget, list(kind)
        widget.clear()
        for member in self.members:
            widget.addItem(kind.label(member))
        self.changed = widget.currentIndexChanged

    def read(self):
        return self.members[self.widget.currentIndex]

    def write(self, value) -> None:
        self.widget.currentIndex = self.members.index(value)


def _connector(widget, kind):
    """The connector for a parameter of a kind, chosen by the widget's exact class as in Slicer."""
    if type(widget) is qMRMLNodeComboBox and kind.__name__.startswith("vtkMRML"):
        return _NodeConnector(widget, kind)
    if type(widget) is QtWidgets.QComboBox and issubclass(kind, enum.Enum):
        return _EnumConnector(widget, kind)
    raise RuntimeError(f"no connector from {kind} to {type(widget)}")


class _Parameters:
    """Base of the wrapped parameter node: values live in the MRML node, and the panel follows it."""

    def __init__(self, node) -> None:
        self.parameterNode = node
        self._guis: dict[int, tuple] = {}

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag) -> None:
        self.parameterNode.RemoveObserver(tag)

    def connectGui(self, ui) -> int:
        connected, writing = [], []
        for widget in vars(ui).values():
            name = widget.property("SlicerParameterName")
            if not name:
                continue
            connector = _connector(widget, self.kinds[name])  # KeyError: not a parameter
            connector.write(getattr(self, name))

            def read(*_, name=name, connector=connector) -> None:
                if not writing:
                    setattr(self, name, connector.read())

            connector.changed.connect(qt_stand_in._guarded(read))
            connected.append((name, connector, connector.changed, read))

        def update(caller, event) -> None:
            if writing:
                return
            writing.append(True)
            for name, connector, _, _ in connected:
                connector.write(getattr(self, name))
            writing.clear()

        tag = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, update)
        self._guis[tag] = writing
        return tag

    def disconnectGui(self, tag) -> None:
        if tag in self._guis:
            self._guis.pop(tag).append(True)  # for good
            self.parameterNode.RemoveObserver(tag)


def _parameter(name: str, kind, default) -> property:
    if kind.__name__.startswith("vtkMRML"):
        return property(
            lambda self: self.parameterNode.GetNodeReference(name),
            lambda self, node: self.parameterNode.SetNodeReferenceID(name, node.GetID() if node else None),
        )
    return property(
        lambda self: kind[self.parameterNode.GetParameter(name) or default.name],
        lambda self, value: self.parameterNode.SetParameter(name, value.name),
    )


def parameterNodeWrapper(cls):
    """The stand-in of Slicer's decorator, for nodes and enumerations."""
    kinds = typing.get_type_hints(cls)
    members = {name: _parameter(name, kind, getattr(cls, name, None)) for name, kind in kinds.items()}
    return type(cls.__name__, (_Parameters,), {**members, "kinds": kinds, "__doc__": cls.__doc__})


class SliceView:
    """A slice view with a real slice node and a real interactor, 256 by 256 pixels of 1 mm.

    As in Slicer, the view itself uses a press with Shift, to drag the slice, and ends that event for whoever observes
    it with the same priority or a lower one (vtkMRMLViewInteractorStyle, vtkMRMLSliceIntersectionWidget).
    """

    def __init__(self, name: str) -> None:
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
        self.node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSliceNode")
        self.node.UnRegister(None)  # the scene's call has taken one reference for whoever called it
        self.node.SetLayoutName(name)
        self.node.SetName(name)
        self.node.SetMappedInLayout(1)
        self.node.SetSingletonTag(name)
        slicer.mrmlScene.AddNode(self.node)
        self.node.SetOrientationToAxial()
        self.node.SetDimensions(256, 256, 1)
        self.node.SetFieldOfView(256.0, 256.0, 1.0)
        self.mouse = vtk.vtkGenericRenderWindowInteractor()
        # As in Slicer; VTK's own style would take all events from a press on until the release.
        self.style = vtk.vtkInteractorStyleUser()
        self.mouse.SetInteractorStyle(self.style)
        self.mouse.Enable()
        tag = self.mouse.AddObserver(
            vtk.vtkCommand.LeftButtonPressEvent, lambda caller, event: drag.SetAbortFlag(caller.GetShiftKey())
        )
        drag = self.mouse.GetCommand(tag)

    def interactorStyle(self):
        return types.SimpleNamespace(GetInteractor=lambda: self.mouse)

    def convertRASToXYZ(self, ras):
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), inverse)
        return list(inverse.MultiplyPoint((*ras, 1.0))[:3])

    def convertDeviceToXYZ(self, place):
        return [float(place[0]), float(place[1]), 0.0]

    def convertXYZToRAS(self, xyz):
        return list(self.node.GetXYToRAS().MultiplyPoint((*xyz, 1.0))[:3])

    def sliceView(self):
        return self

    def interactor(self):
        return self.mouse

    def mrmlSliceNode(self):
        return self.node

    def click(self, ras, *, shift=False, control=False, drag=(0, 0)) -> None:
        """Show the slice of a position in the patient, and click there; ``drag`` moves the mouse before the release."""
        self.node.JumpSlice(*ras)
        x, y = (round(value) for value in self.convertRASToXYZ(ras)[:2])
        self.mouse.SetControlKey(control)
        self.mouse.SetShiftKey(shift)
        self.mouse.SetEventPosition(x, y)
        self.mouse.InvokeEvent(vtk.vtkCommand.LeftButtonPressEvent)
        self.mouse.SetEventPosition(x + drag[0], y + drag[1])
        self.mouse.InvokeEvent(vtk.vtkCommand.LeftButtonReleaseEvent)


class LayoutManager(QtCore.QObject):
    """A layout of slice views."""

    layoutChanged = QtCore.Signal(int)  # noqa: N815 Slicer's name

    def __init__(self) -> None:
        super().__init__()
        self._views = {name: SliceView(name) for name in ("Red", "Green")}

    def sliceViewNames(self):
        return list(self._views)

    def sliceWidget(self, name):
        return self._views[name]


class App(QtCore.QObject):
    """What stands for ``slicer.app``."""

    startupCompleted = QtCore.Signal()  # noqa: N815 Slicer's name

    def __init__(self) -> None:
        super().__init__()
        self._layout_manager = LayoutManager()

    def testingEnabled(self) -> bool:
        return False

    def layoutManager(self):
        return self._layout_manager

    def processEvents(self) -> None:
        QtWidgets.QApplication.instance().processEvents()

    def clipboard(self):
        return QtWidgets.QApplication.clipboard()


class Settings(dict):
    """What stands for the application's settings, in memory."""

    def value(self, name):
        return self.get(name)

    def setValue(self, name, value) -> None:
        self[name] = value


class Application:
    """What the panel asked of the application, and the panel itself."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.required: list[str] = []
        self.sample_data: list[dict] = []
        self.resets: list[bool] = []  # how often the views were made to show all of the CT
        self.asked: list[str] = []  # reviews of which the user was asked what to do with them
        self.answer = "new"
        self.settings = Settings()
        self.status_bar: list[str] = []
        self.folder_starts: list[str] = []
        self.confirmations: list[str] = []
        self.confirmed = True
        self.folder = ""  # what the user chooses when asked for a folder
        self.widget = None

    def choose_folder(self, parent, title, start) -> str:
        """Stands for the question for a folder; notes where it began."""
        self.folder_starts.append(start)
        return self.folder

    def confirm(self, text, windowTitle=None) -> bool:
        """Stands for a question with OK and Cancel; notes it."""
        self.confirmations.append(text)
        return self.confirmed

    @contextlib.contextmanager
    def try_with_error_display(self, message=None, show=True, waitCursor=False):
        try:
            yield
        except Exception as error:
            self.errors.append(f"{message} {error}")
            raise

    def process_events(self) -> None:
        QtWidgets.QApplication.instance().processEvents()

    def until(self, condition, seconds: float = 10.0) -> None:
        """Let the panel live until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the panel did not get there in time"
            self.process_events()
            time.sleep(0.005)

    def running(self) -> bool:
        """Whether the panel's button offers to cancel, or files are written."""
        return self.widget.ui.applyButton.text == "Cancel" or self.widget.rulesAndOutputs.running

    def press_run(self) -> None:
        """Press the button and wait for the end of what it started."""
        self.widget.ui.applyButton.click()
        self.until(lambda: not self.running())

    def slot_error(self) -> Exception:
        """The one error that a slot raised; takes it off the list that fails the test."""
        (error,) = qt_stand_in.slot_errors
        qt_stand_in.slot_errors.clear()
        return error


def _modules(application: Application) -> dict[str, types.ModuleType]:
    """The modules that exist in the application only."""
    base = types.SimpleNamespace(
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
    )
    torch_utils = types.SimpleNamespace(
        installTorch=lambda askConfirmation, torchVersionRequirement: None,
    )

    def register(category, sampleName, uris=None, fileNames=None, nodeNames=None, **others) -> None:
        # As the real one: one address makes a list of everything, and no address is an error.
        lists = [[value] if isinstance(uris, str) else value for value in (uris, fileNames, nodeNames)]
        if len({len(values) for values in lists}) != 1:
            raise ValueError("All fields of sample data source must have the same length")
        source = {"category": category, "sampleName": sampleName, "uris": lists[0], "nodeNames": lists[2], **others}
        application.sample_data.append(source)

    sample_data = types.SimpleNamespace(registerCustomSampleDataSource=register)
    contents = {
        "slicer.ScriptedLoadableModule": vars(base),
        "slicer.parameterNodeWrapper": {"parameterNodeWrapper": parameterNodeWrapper},
        "slicer.i18n": {"tr": lambda text: text, "translate": lambda context, text: text},
        "slicer.packaging": {
            "load_requirements": lambda path: Path(path).read_text().splitlines(),
            "pip_ensure": lambda requirements, requester: application.required.extend(requirements),
        },
        "PyTorchUtils": {"PyTorchUtilsLogic": lambda: torch_utils},
        "SampleData": {"SampleDataLogic": sample_data},
    }
    made = {"qt": qt_stand_in.qt_module()}
    for name, content in contents.items():
        made[name] = types.ModuleType(name)
        vars(made[name]).update(content)
    return made


def forget_module() -> None:
    """Take the module's own files out of the interpreter, so that the next test imports them anew."""
    for name in list(sys.modules):
        if name.split(".")[0] in (MODULE, "CoronaryCalciumScoringWidgets"):
            del sys.modules[name]


@contextlib.contextmanager
def open_panel(monkeypatch):
    """The application around ``slicer.mrmlScene``, with the module's panel open; what a slot raised is raised here."""
    made = Application()
    for name, module in _modules(made).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(slicer.util, "loadUI", qt_stand_in.load_ui, raising=False)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", qt_stand_in.child_widgets, raising=False)
    monkeypatch.setattr(slicer.util, "tryWithErrorDisplay", made.try_with_error_display, raising=False)
    monkeypatch.setattr(slicer, "qMRMLNodeComboBox", qMRMLNodeComboBox, raising=False)
    monkeypatch.setattr(slicer.util, "resetSliceViews", lambda: made.resets.append(True), raising=False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None, raising=False)
    monkeypatch.setattr(slicer.util, "showStatusMessage", made.status_bar.append, raising=False)
    monkeypatch.setattr(sys.modules["qt"].QFileDialog, "getExistingDirectory", made.choose_folder)
    monkeypatch.setattr(sys.modules["qt"], "QSettings", lambda: made.settings)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", made.confirm, raising=False)
    made.app = App()
    monkeypatch.setattr(slicer, "app", made.app, raising=False)
    forget_module()
    qt_stand_in.slot_errors.clear()
    made.module = importlib.import_module(MODULE)
    monkeypatch.setattr(made.module, "askAboutReview", lambda name: made.asked.append(name) or made.answer)
    made.parent = qMRMLWidget()
    made.parent.setLayout(QtWidgets.QVBoxLayout())
    made.widget = made.module.CoronaryCalciumScoringWidget(made.parent)
    made.widget.setup()
    made.widget.enter()
    representation = types.SimpleNamespace(widgetRepresentation=lambda: made.parent)
    monkeypatch.setattr(slicer.modules, "coronarycalciumscoring", representation, raising=False)
    monkeypatch.setattr(slicer.modules, "CoronaryCalciumScoringWidget", made.widget, raising=False)
    yield made
    made.widget.cleanup()
    forget_module()
    for error in qt_stand_in.slot_errors:
        raise error
