"""Objects that hold arrays can be compared: numpy's == answers with an array, which a dataclass's == cannot judge."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from coronary_calcium.volume import CTVolume

FOLDER = Path(__file__).resolve().parent.parent / "CoronaryCalciumScoring"
ARRAYS = re.compile(r"ndarray|NDArray|Tensor")


def is_false(call, name):
    """Whether a call says ``name=False``."""
    return isinstance(call, ast.Call) and any(
        keyword.arg == name and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in call.keywords
    )


def compared_arrays(source):
    """Names of the dataclasses whose == compares arrays; a field may be left out with ``field(compare=False)``."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        dataclass = next((entry for entry in node.decorator_list if "dataclass" in ast.unparse(entry)), None)
        named_tuple = any("NamedTuple" in ast.unparse(base) for base in node.bases)
        holds = any(
            isinstance(entry, ast.AnnAssign)
            and ARRAYS.search(ast.unparse(entry.annotation))
            and not is_false(entry.value, "compare")
            for entry in node.body
        )
        if holds and (named_tuple or (dataclass is not None and not is_false(dataclass, "eq"))):
            yield node.name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("@dataclass(frozen=True)\nclass A:\n    x: np.ndarray | None", ["A"]),
        ("@dataclasses.dataclass\nclass A:\n    n: int\n    x: 'tuple[torch.Tensor, ...]'", ["A"]),
        ("class A(NamedTuple):\n    x: npt.NDArray[np.uint8]", ["A"]),
        ("@dataclass(frozen=True, eq=False)\nclass A:\n    x: np.ndarray", []),
        ("@dataclass\nclass A:\n    x: np.ndarray = field(compare=False)", []),
        ("@dataclass\nclass A:\n    x: int", []),
    ],
)
def test_a_comparison_of_arrays_is_found(source, found):
    assert list(compared_arrays(source)) == found


def test_no_dataclass_compares_arrays():
    found = {
        str(path.relative_to(FOLDER)): names
        for path in sorted(FOLDER.rglob("*.py"))
        if (names := list(compared_arrays(path.read_text(encoding="utf-8"))))
    }
    assert not found, "these need @dataclass(eq=False): they are compared by identity"


def test_volumes_are_compared_by_identity_and_can_be_keys():
    one, other = (CTVolume(np.zeros((2, 3, 3), np.int16), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0)) for _ in range(2))
    assert one == one and one != other  # noqa: PLR0124 (what is tested)
    assert len({one: 1, other: 2}) == 2
