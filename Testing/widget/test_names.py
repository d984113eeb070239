"""The panel's form, its code and the parameter node use the same names."""

import ast
from pathlib import Path
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "CoronaryCalciumScoring"
FORM = FOLDER / "Resources" / "UI" / "CoronaryCalciumScoring.ui"
CODE = [FOLDER / "CoronaryCalciumScoring.py", *sorted((FOLDER / "CoronaryCalciumScoringWidgets").glob("*.py"))]
# Widgets that the user acts on or reads; the others are frames.
CONTROLS = ("QPushButton", "QCheckBox", "QComboBox", "QProgressBar", "QTableWidget", "qMRMLNodeComboBox")
# Their tooltips say why they are disabled, and come from the code.
FROM_CODE = ("applyButton", "startButton")


def form_widgets():
    """Widget elements of the form by name."""
    return {element.get("name"): element for element in ElementTree.parse(FORM).getroot().iter("widget")}


def used_names():
    """Names that the code takes from ``ui``: ``self.ui.name``, ``widget.ui.name`` and ``ui.name``."""
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "ui":
                yield node.attr


def test_every_name_that_the_code_uses_is_in_the_form():
    used = set(used_names())
    assert "applyButton" in used
    assert used <= set(form_widgets())


def test_every_parameter_name_in_the_form_is_in_the_parameter_node():
    tree = ast.parse(CODE[0].read_text(encoding="utf-8"))
    (wrapped,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "parameterNodeWrapper" in map(ast.unparse, node.decorator_list)
    ]
    parameters = {node.target.id for node in wrapped.body if isinstance(node, ast.AnnAssign)}
    named = {
        element.findtext("string")
        for element in ElementTree.parse(FORM).getroot().iter("property")
        if element.get("name") == "SlicerParameterName"
    }
    assert named == {"inputVolume", "device"}
    assert named <= parameters


def test_every_control_has_a_tooltip_in_the_form_or_from_the_code():
    for name, element in form_widgets().items():
        if element.get("class") in CONTROLS and name not in FROM_CODE:
            assert any(own.get("name") == "toolTip" for own in element.findall("property")), name


def test_every_mrml_widget_gets_the_scene():
    """But the Segment Editor, which must have its node before the scene: the code gives it both."""
    root = ElementTree.parse(FORM).getroot()
    receivers = {connection.findtext("receiver") for connection in root.iter("connection")}
    mrml = {name for name, element in form_widgets().items() if element.get("class").startswith("qMRML")}
    assert mrml - {"CoronaryCalciumScoring", "segmentEditorWidget"} == receivers


def test_every_class_of_the_form_that_is_not_qts_is_declared():
    root = ElementTree.parse(FORM).getroot()
    declared = {element.findtext("class") for element in root.iter("customwidget")}
    used = {element.get("class") for element in root.iter("widget")}
    assert {name for name in used if not name.startswith("Q")} == declared


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ('<widget class="qMRMLThing" name="thing"/>', "no stand-in for the class qMRMLThing"),
        ('<widget class="QLabel" name="l"><property name="color"><string/></property></widget>', "no property color"),
    ],
)
def test_the_stand_in_of_qt_complains_of_what_it_does_not_know(tmp_path, form, complaint):
    qt_stand_in = pytest.importorskip("qt_stand_in")
    qt_stand_in.qt_module()
    path = tmp_path / "form.ui"
    path.write_text(f"<ui version='4.0'>{form}<connections/></ui>")
    with pytest.raises(ValueError, match=complaint):
        qt_stand_in.load_ui(path)


def test_the_stand_in_of_qt_complains_of_typing_errors():
    qt_stand_in = pytest.importorskip("qt_stand_in")
    button = qt_stand_in.qt_module().QPushButton("Run")
    assert button.text == "Run"
    with pytest.raises(TypeError):
        button.text()
    with pytest.raises(AttributeError, match="no property tooltip"):
        button.tooltip = "x"
    with pytest.raises(ValueError, match="no signal click"):
        button.connect("click(bool)", print)
