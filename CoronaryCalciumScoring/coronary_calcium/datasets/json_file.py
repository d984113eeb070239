"""Reading a JSON file of a data set without trusting it."""

import json
from pathlib import Path
from typing import Any

from coronary_calcium.errors import InputRefused

# The largest that the project writes has a few thousand bytes.
MAXIMUM_BYTES = 2**24


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises InputRefused("data-set-file")."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputRefused("data-set-file", f"{path.name} is damaged or cannot be read: copy it again.") from None
    if not isinstance(content, dict):
        raise InputRefused("data-set-file", f"{path.name} does not hold what it should: copy it again.")
    return content
