"""Who may import whom: the widget stands on the scene logic, the scene logic on the engine, never the other way."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "CoronaryCalciumScoring"
MODULE_FILE = FOLDER / "CoronaryCalciumScoring.py"
ENGINE, SCENE, WIDGETS = "coronary_calcium", "CoronaryCalciumScoringLib", "CoronaryCalciumScoringWidgets"

QT = {"qt", "ctk", "PySide6", "PythonQt"}
APPLICATION = {"slicer", "vtk", "vtkmodules", "SampleData", "DICOMLib"} | QT
UPPER = {"CoronaryCalciumScoring", SCENE, WIDGETS}
# Not in 3D Slicer, or slow to import: Slicer imports the module file at every start.
LATE = {"torch", "pydicom", "jinja2", "safetensors", "highdicom", "tqdm"}


def python_files(folder):
    return sorted((FOLDER / folder).rglob("*.py"))


def dotted(path):
    """Dotted name of the package that a file lies in."""
    return ".".join(path.relative_to(FOLDER).parent.parts)


def imports(path, body=None):
    """Full names that a file imports, relative ones resolved; of ``body`` only, if given."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if body is None else body(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = dotted(path).split(".")[: len(dotted(path).split(".")) - node.level + 1] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def at_file_scope(tree):
    """Import statements that run when the file is imported."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from ast.walk(node)
        else:
            yield node


def tops(names):
    return {name.split(".")[0] for name in names}


def breaches(folder, forbidden):
    """Files of a folder that import anything of ``forbidden``, with what they import."""
    found = {str(path.relative_to(FOLDER)): tops(imports(path)) & forbidden for path in python_files(folder)}
    return {path: names for path, names in found.items() if names}


def inside(package, forbidden):
    """Imports of the engine's package ``forbidden`` in its package ``package``."""
    target = f"{ENGINE}.{forbidden}"
    return [
        (path.name, name)
        for path in python_files(f"{ENGINE}/{package}")
        for name in imports(path)
        if name == target or name.startswith(f"{target}.")
    ]


def test_the_engine_knows_nothing_of_slicer():
    assert breaches(ENGINE, APPLICATION | UPPER) == {}


def test_the_scene_logic_knows_nothing_of_qt_and_of_the_panel():
    assert breaches(SCENE, QT | UPPER - {SCENE}) == {}


@pytest.mark.parametrize("attribute", ["app", "modules"])
def test_the_scene_logic_does_not_use_the_application(attribute):
    for path in python_files(SCENE):
        used = [ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        assert f"slicer.{attribute}" not in used, path.name


def test_scoring_does_not_know_the_network():
    assert inside("scoring", "network") == []
    assert inside("scoring", "inference") == []


def test_the_network_does_not_know_how_files_are_read():
    assert inside("network", "io") == []


def test_data_sets_do_not_know_the_network():
    assert inside("datasets", "network") == []
    assert inside("datasets", "inference") == []


def files_reached(file):
    """Files that are imported with a file, by file-scope imports alone."""
    waiting, reached = [file], set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for name in imports(path, at_file_scope):
            parts = name.split(".")
            for length in range(1, len(parts) + 1):
                place = FOLDER.joinpath(*parts[:length])
                waiting += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    return reached


@pytest.mark.parametrize("name", ["network/model_card.py", "inference/prediction.py", "inference/postprocess.py"])
def test_who_only_reads_cards_and_predictions_needs_no_torch(name):
    reached = files_reached(FOLDER / ENGINE / name)
    assert FOLDER / ENGINE / name in reached
    assert "torch" not in {top for path in reached for top in tops(imports(path, at_file_scope))}


def test_opening_slicer_imports_nothing_that_slicer_lacks():
    reached = files_reached(MODULE_FILE)
    assert FOLDER / ENGINE / "volume.py" in reached
    late = {str(path.relative_to(FOLDER)): tops(imports(path, at_file_scope)) & LATE for path in reached}
    assert {path: names for path, names in late.items() if names} == {}


def package_graph():
    """Which packages and files right under the engine each of them imports, for types alone or when used included."""
    top = FOLDER / ENGINE
    units = {path.stem for path in top.iterdir() if path.is_dir() or path.suffix == ".py"} - {"__init__", "__pycache__"}
    graph = {unit: set() for unit in units}
    for path in python_files(ENGINE):
        unit = path.relative_to(top).parts[0].removesuffix(".py")
        names = [name.split(".") for name in imports(path)]
        used = {parts[1] for parts in names if parts[0] == ENGINE and len(parts) > 1}
        graph.setdefault(unit, set()).update((used & units) - {unit})
    return graph


def cycle_in(graph):
    """Units that import each other in a circle, the first one again at the end; None when there are none."""
    done = set()

    def follow(unit, way):
        if unit in way:
            return [*way[way.index(unit) :], unit]
        if unit in done:
            return None
        found = next(filter(None, (follow(other, [*way, unit]) for other in sorted(graph[unit]))), None)
        done.add(unit)
        return found

    return next(filter(None, (follow(unit, []) for unit in sorted(graph))), None)


def test_no_packages_of_the_engine_import_each_other_in_a_circle():
    graph = package_graph()
    assert {"scoring", "volume"} <= graph["pipeline"]
    assert cycle_in(graph) is None


def test_a_circle_is_found():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_simulation_data_sets_and_evaluation_do_not_know_the_training():
    graph = package_graph()
    assert not [unit for unit in ("simulation", "datasets", "evaluation") if "training" in graph[unit]]
