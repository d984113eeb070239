"""Exit codes, and what every command checks before it starts."""

import argparse
import os
from pathlib import Path

from coronary_calcium.terminal import say

# As documented in the README.
SCORED, WRONG_USAGE, REFUSED, INTERRUPTED = 0, 2, 3, 130
# In bytes; the limit of the file systems in use.
_LONGEST_NAME = 255


def named_path(text: str) -> Path:
    """A path argument. An empty one, from a variable that is not set, is not taken for the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def usable_output(folder: Path) -> bool:
    """Whether results can be written there, told before minutes of work rather than after; makes nothing."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        say(f"--output {folder}: {existing} is no folder; name a folder.")
        return False
    if len(os.fsencode(folder.name)) > _LONGEST_NAME or not os.access(existing, os.W_OK | os.X_OK):
        say(f"--output {folder} cannot be written; name a folder that you may write to.")
        return False
    return True
