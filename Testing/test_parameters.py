"""A function takes at most 7 parameters; what belongs together travels as one value object."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "CoronaryCalciumScoring"
MOST = 7
# More where a reader of the call is helped by it, each with the reason.
EXCEPTIONS = {
    # The one call that most users write. All but the CT are named and have a default, so that a call says only what it
    # changes: score_case(volume, labels=labels, rules=SIEMENS).
    "coronary_calcium/pipeline.py score_case",
}


def crowded(source):
    """Names of the functions with more than ``MOST`` parameters, ``self`` and ``cls`` apart."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            if len(given) - (given[:1] in (["self"], ["cls"])) > MOST:
                yield node.name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(a, b, c, d, e, f, g): pass", []),
        ("def f(a, b, c, d, e, f, g, h): pass", ["f"]),
        ("def f(a, b, c, /, d, e, f, *rest, g, h, **more): pass", ["f"]),
        ("class A:\n    def f(self, a, b, c, d, e, f, g): pass", []),
        ("class A:\n    async def f(self, a, b, c, d, e, f, g, *, h): pass", ["f"]),
    ],
)
def test_a_function_with_too_many_parameters_is_found(source, found):
    assert list(crowded(source)) == found


def test_no_function_takes_more_parameters_than_seven_without_a_reason():
    found = {
        f"{path.relative_to(FOLDER).as_posix()} {name}"
        for path in FOLDER.rglob("*.py")
        for name in crowded(path.read_text(encoding="utf-8"))
    }
    assert found == EXCEPTIONS
