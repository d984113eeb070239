"""Exit codes, and what every command checks before it starts."""

import os
from pathlib import Path

from coronary_calcium.terminal import say

# As documented in the README.
SCORED, WRONG_USAGE, REFUSED, INTERRUPTED = 0, 2, 3, 130


def usable_output(folder: Path) -> bool:
    """Whether results can be written there, told before minutes of work rather than after; makes nothing."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        say(f"--output {folder}: {existing} is a file; name a folder.")
        return False
    if not os.access(existing, os.W_OK | os.X_OK):
        say(f"--output {folder} cannot be written; name a folder that you may write to.")
        return False
    return True
