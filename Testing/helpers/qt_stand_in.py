"""PySide6 in the place of PythonQt: properties are values, slots are connected by signature, and mistakes raise.

PythonQt, Slicer's Qt for Python, differs from PySide6 in what is easily got wrong: ``button.text`` is the text itself,
``button.connect("clicked(bool)", slot)`` takes a signature, and an attribute that does not exist cannot be set.
"""

import ctypes
import sys
import types

import pytest
from slicer_scene import slicer

try:
    from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
except ImportError as error:
    pytest.skip(
        f"needs PySide6-Essentials and its system libraries (libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3): "
        f"{error}",
        allow_module_level=True,
    )

from xml.etree import ElementTree

# As in Slicer on a screen of the usual resolution.
FONT_PIXELS = 13
# What slots raised; the fixture that drives the panel fails the test for anything left here.
slot_errors: list[Exception] = []
_made: list[bool] = []
_loading: list[bool] = []
_reading: set[tuple[int, str]] = set()
# Bound before the properties below hide methods of the same name.
_get_attribute, _get_property = QtCore.QObject.__getattribute__, QtCore.QObject.property


def _keep_constants_alive() -> None:
    """Give None, True and False so many references that they outlive the process, as Python 3.12 does by itself.

    PySide6 6.12 is built for that: on Python 3.11 every call that returns None takes one reference of it away
    (measured with sys.getrefcount), until the interpreter stops with "deallocating None".
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40


def _value(name: str, method) -> property:
    """A property that reads as a value; ``_assign`` writes it.

    Where Qt itself asks a widget for the function of this name while the value is read, to see whether Python has
    overridden it, it gets its own ``method``: the value would make it ask again and again.
    """

    def read(self):
        key = (id(self), name)
        if key in _reading and method is not None:
            return method.__get__(self)
        _reading.add(key)
        try:
            return _get_property(self, name)
        finally:
            _reading.discard(key)

    return property(read)


def _guarded(slot):
    """The slot, with what it raises noted: Qt swallows it."""

    def call(*arguments):
        try:
            slot(*arguments)
        except Exception as error:  # noqa: BLE001 whatever a slot raises fails the test
            slot_errors.append(error)

    return call


def _connect(sender, signature: str, slot) -> None:
    """``sender.connect("signal(types)", slot)``; raises when the sender has no such signal."""
    mrml = getattr(type(sender), "MRML_SIGNALS", {})
    normal = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    if signature in mrml:
        _get_attribute(sender, mrml[signature]).connect(_guarded(slot))
        return
    if sender.metaObject().indexOfSignal(normal) < 0:
        raise ValueError(f"{type(sender).__name__} has no signal {signature}")
    name, arguments = normal.rstrip(")").split("(")
    count = len([argument for argument in arguments.split(",") if argument])
    guarded = _guarded(slot)
    _get_attribute(sender, name).connect(lambda *values: guarded(*values[:count]))


def _attribute(self, name: str):
    if name == "connect":
        return lambda signature, slot: _connect(self, signature, slot)
    return _get_attribute(self, name)


def _has_property(cls: type, name: str) -> bool:
    return any(isinstance(vars(base).get(name), (property, QtCore.Property)) for base in cls.__mro__)


def _assign(self, name: str, value) -> None:
    if _has_property(type(self), name):
        if not self.setProperty(name, value):
            raise TypeError(f"{type(self).__name__}.{name} cannot be set to {value!r}")
    elif name.startswith("_") or _loading or isinstance(value, QtCore.SignalInstance):
        # The stand-ins' own; the children that PySide's loader of forms names; the signals that PySide keeps so.
        self.__dict__[name] = value
    else:
        raise AttributeError(f"{type(self).__name__} has no property {name}")


def _make_properties_values() -> None:
    """Give every Qt class its properties as values; once a process."""
    if _made:
        return
    classes = [getattr(module, name) for module in (QtCore, QtGui, QtWidgets) for name in dir(module)]
    for cls in classes:
        meta = getattr(cls, "staticMetaObject", None)
        if meta is None or not issubclass(cls, QtCore.QObject):
            continue
        for index in range(meta.propertyOffset(), meta.propertyCount()):
            name = meta.property(index).name()
            setattr(cls, name, _value(name, vars(cls).get(name)))
        cls.__setattr__ = _assign
    QtCore.QObject.__getattribute__ = _attribute
    _made.append(True)


class ctkCollapsibleButton(QtWidgets.QWidget):  # noqa: N801 Slicer's name
    """A title bar above its contents, which can be folded away."""

    HEADER_PIXELS = 24

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._collapsed, self._text, self._folded = False, "", []
        self.setContentsMargins(0, self.HEADER_PIXELS, 0, 0)

    def _collapse(self, value) -> None:
        self._collapsed = value
        if value:
            shown = self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly)
            self._folded += [child for child in shown if not child.isHidden()]
        for child in self._folded:
            child.setVisible(not value)
        if not value:
            self._folded = []
        self.setMaximumHeight(self.HEADER_PIXELS if value else 16777215)
        self.update()

    def showEvent(self, event) -> None:
        if self._collapsed:  # the loader of forms folds it before it has contents
            self._collapse(True)

    def _set_text(self, value) -> None:
        self._text = value
        self.update()

    def mousePressEvent(self, event) -> None:
        if event.position().y() < self.HEADER_PIXELS:
            self._collapse(not self._collapsed)

    def paintEvent(self, event) -> None:
        painter = QtGui.QPainter(self)
        palette = self.palette
        if not self._collapsed:
            painter.setPen(palette.mid().color())
            painter.drawRect(QtCore.QRect(0, 0, self.width - 1, self.height - 1))
        bar = QtCore.QRect(0, 0, self.width, self.HEADER_PIXELS - 2)
        painter.fillRect(bar, palette.color(QtGui.QPalette.Button).darker(112))
        group = QtGui.QPalette.Active if self.isEnabled() else QtGui.QPalette.Disabled
        painter.setPen(palette.color(group, QtGui.QPalette.WindowText))
        arrow = "\u25b8" if self._collapsed else "\u25be"
        painter.drawText(bar.adjusted(8, 0, 0, 0), QtCore.Qt.AlignVCenter, f"{arrow}  {self._text}")
        painter.end()

    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _collapse)
    text = QtCore.Property(str, lambda self: self._text, _set_text)


class qMRMLWidget(QtWidgets.QWidget):  # noqa: N801 Slicer's name
    """A widget that passes the scene on."""

    mrmlSceneChanged = QtCore.Signal(object)  # noqa: N815 Slicer's name
    MRML_SIGNALS = types.MappingProxyType({"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"})
    MRML_SLOTS = ("setMRMLScene(vtkMRMLScene*)",)
    isEntered = True  # noqa: N815 Slicer's name

    def setMRMLScene(self, scene) -> None:
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QWidget):  # noqa: N801 Slicer's name
    """Offers the scene's nodes of its types, as the real one does."""

    currentNodeChanged = QtCore.Signal(object)  # noqa: N815 Slicer's name
    MRML_SIGNALS = types.MappingProxyType({"currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged"})
    MRML_SLOTS = ("setMRMLScene(vtkMRMLScene*)",)
    noneEnabled, addEnabled, removeEnabled, showChildNodeTypes = (  # noqa: N815 Slicer's names
        QtCore.Property(bool, lambda self: False, lambda self, value: None) for _ in range(4)
    )

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._types, self._none, self._scene, self._tags, self._nodes = [], "None", None, [], [None]
        self._current = None
        self._combo = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.activated.connect(lambda index: self.setCurrentNode(self._nodes[index]))

    def _set_types(self, value) -> None:
        self._types = list(value)
        self._refresh()

    def _set_none(self, value) -> None:
        self._none = value
        self._refresh()

    nodeTypes = QtCore.Property("QStringList", lambda self: self._types, _set_types)  # noqa: N815 Slicer's name
    noneDisplay = QtCore.Property(str, lambda self: self._none, _set_none)  # noqa: N815 Slicer's name

    def setMRMLScene(self, scene) -> None:
        self._scene = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent):
            self._tags.append(scene.AddObserver(event, lambda caller, name: self._refresh()))
        self._refresh()

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node) -> None:
        changed = node is not self._current
        self._current = node
        self._refresh()
        if changed:
            self.currentNodeChanged.emit(node)

    def _refresh(self) -> None:
        if self._scene is None:
            return
        everything = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        offered = [node for node in everything if node.GetClassName() in self._types]
        self._nodes = [None, *offered]
        self._combo.clear()
        self._combo.addItems([self._none, *(node.GetName() for node in offered)])
        if self._current is not None and self._current not in offered:
            self._current = None
            self.currentNodeChanged.emit(None)
        self._combo.setCurrentIndex(self._nodes.index(self._current))


def _kept(number: int) -> QtCore.Property:
    """A property that is True until it is set."""
    return QtCore.Property(
        bool,
        lambda self: self.__dict__.get(f"_kept{number}", True),
        lambda self, value: self.__dict__.update({f"_kept{number}": value}),
    )


class qMRMLSegmentEditorWidget(QtWidgets.QLabel):  # noqa: N801 Slicer's name
    """The editor's widget over the editor's real logic: nodes, effects by name, and the undo history."""

    MRML_SLOTS = ("setMRMLScene(vtkMRMLScene*)",)
    (
        segmentationNodeSelectorVisible,  # noqa: N815 Slicer's names
        sourceVolumeNodeSelectorVisible,  # noqa: N815
        switchToSegmentationsButtonVisible,  # noqa: N815
        unorderedEffectsVisible,  # noqa: N815
        autoShowSourceVolumeNode,  # noqa: N815
        show3DButtonVisible,  # noqa: N815
        specifyGeometryButtonVisible,  # noqa: N815
    ) = (_kept(number) for number in range(7))

    def __init__(self, parent=None) -> None:
        super().__init__("Segment Editor", parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node, self._effects, self._active, self._observing = None, [], None, False

    maximumNumberOfUndoStates = QtCore.Property(  # noqa: N815 Slicer's name
        int,
        lambda self: self._logic.GetMaximumNumberOfUndoStates(),
        lambda self, value: self._logic.SetMaximumNumberOfUndoStates(value),
    )

    def setEffectNameOrder(self, names) -> None:
        self._effects = names

    def setMRMLSegmentEditorNode(self, node) -> None:
        self._node = node

    def setMRMLScene(self, scene) -> None:
        if self._node is None:
            return  # before the module has set its node, as when the form passes the scene on
        self._logic.SetMRMLScene(scene)
        self._logic.SetSegmentEditorNode(self._node)

    def setSegmentationNode(self, node) -> None:
        self._logic.SetSegmentationNode(node)

    def setSourceVolumeNode(self, node) -> None:
        self._logic.SetSourceVolumeNode(node)

    def setupViewObservations(self) -> None:
        self._observing = True

    def removeViewObservations(self) -> None:
        self._observing = False

    def activeEffect(self):
        return self._active

    def setActiveEffect(self, effect) -> None:
        self._active = effect

    def setActiveEffectByName(self, name) -> None:
        assert name in self._effects
        self._active = name

    def saveStateForUndo(self) -> None:
        self._logic.SaveStateForUndo()

    def undo(self) -> None:
        self._logic.Undo()

    def redo(self) -> None:
        self._logic.Redo()


STAND_INS = {
    cls.__name__: cls for cls in (ctkCollapsibleButton, qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentEditorWidget)
}


class _Loader(QtUiTools.QUiLoader):
    def createWidget(self, class_name, parent=None, name=""):
        if class_name not in STAND_INS:
            return super().createWidget(class_name, parent, name)
        widget = STAND_INS[class_name](parent)
        widget.setObjectName(name)
        return widget


def load_ui(path: str):
    """The widget of a .ui file; raises on a class, property, signal or slot that does not exist."""
    tree = ElementTree.parse(path)
    root = tree.getroot()
    loader = _Loader()
    known = {*loader.availableWidgets(), *STAND_INS}
    for element in root.iter("widget"):
        if element.get("class") not in known:
            raise ValueError(f"no stand-in for the class {element.get('class')}")
        _check_properties(element)
    connections = root.find("connections")
    root.remove(connections)
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(root))
    _loading.append(True)
    widget = loader.load(buffer)
    _loading.clear()
    for connection in connections:
        _make_connection(widget, *(connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")))
    return widget


def _check_properties(element) -> None:
    cls = STAND_INS.get(element.get("class")) or getattr(QtWidgets, element.get("class"))
    for own in element.findall("property"):
        name = own.get("name")
        # A buddy is no property: the loader of forms connects it.
        if own.get("stdset") != "0" and name != "buddy" and not _has_property(cls, name):
            raise ValueError(f"{element.get('class')} has no property {name}")


def _make_connection(widget, sender: str, signal: str, receiver: str, slot: str) -> None:
    found = {_get_property(child, "objectName"): child for child in [widget, *widget.findChildren(QtWidgets.QWidget)]}
    if slot not in type(found[receiver]).MRML_SLOTS:
        raise ValueError(f"{receiver} has no slot {slot}")
    _connect(found[sender], signal, getattr(found[receiver], slot.split("(", maxsplit=1)[0]))


def child_widgets(widget) -> types.SimpleNamespace:
    """The named widgets of a loaded .ui file as attributes."""
    named = {_get_property(child, "objectName"): child for child in widget.findChildren(QtWidgets.QWidget)}
    return types.SimpleNamespace(
        **{name: child for name, child in named.items() if name and not name.startswith("qt_")}
    )


def qt_module() -> types.ModuleType:
    """What ``import qt`` gives in Slicer, made of PySide6; starts the application object."""
    if QtWidgets.QApplication.instance() is None:
        qt_module.application = QtWidgets.QApplication(["panel", "-platform", "offscreen"])
        qt_module.application.setStyle("Fusion")
        font = QtWidgets.QApplication.font()
        font.setPixelSize(FONT_PIXELS)
        QtWidgets.QApplication.setFont(font)
    _make_properties_values()
    _keep_constants_alive()
    module = types.ModuleType("qt")
    for source in (QtCore, QtGui, QtWidgets):
        vars(module).update({name: getattr(source, name) for name in dir(source) if not name.startswith("_")})
    return module
