"""Where the package's data files are, in the extension's folder and in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# In the source tree and in the Slicer extension, Resources lies beside the package; a wheel carries it inside.
_CANDIDATES = (_PACKAGE / "Resources", _PACKAGE.parent / "Resources")


def resource(*parts: str) -> Path:
    """Path of a data file, such as ``resource("Schemas", "scores.schema.json")``; it may not exist."""
    for folder in _CANDIDATES:
        if folder.is_dir():
            return folder.joinpath(*parts)
    return _CANDIDATES[-1].joinpath(*parts)
