"""JSON kept as an attribute of a node, read from scenes that this version did not write or that were damaged since."""

import json
from typing import Any


def json_attribute(node, name: str, kind: type) -> Any:
    """A node's attribute as the JSON value of a kind, dict or list; an empty one where it is absent or no such value.

    What is in it must be checked as well: another version may have written it. NaN and Infinity are no JSON.
    """
    text = node.GetAttribute(name)
    try:
        value = json.loads(text, parse_constant=_not_json) if text else kind()
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _not_json(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
