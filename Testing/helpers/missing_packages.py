"""A plugin for pytest that makes packages missing: MISSING_PACKAGES=torch,jinja2 python -m pytest -p missing_packages

It must be loaded before anything that imports them.
"""

import importlib.abc
import os
import sys

VARIABLE = "MISSING_PACKAGES"


class Missing(importlib.abc.MetaPathFinder):
    """Finds nothing, and says so for the packages of the list, so that nobody is asked after it."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(self, name, path=None, target=None):
        if name.split(".", maxsplit=1)[0] in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}: it is missing for this test", name=name)


sys.meta_path.insert(0, Missing(set(os.environ.get(VARIABLE, "").split(","))))
