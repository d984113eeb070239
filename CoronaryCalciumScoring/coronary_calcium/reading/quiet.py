"""Keeping the toolkits' own chatter off the user's terminal: what matters is checked here and said in one sentence."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses

_STDERR = 2


@contextmanager
def quiet_simpleitk() -> Iterator[None]:
    """Nothing from SimpleITK and the C libraries under it on stderr.

    OpenJPEG and niftilib write to the file descriptor itself, so that is pointed elsewhere; keep the block to the one
    call that reads, so that nobody else's messages are lost.
    """
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a Windows program without a console has no stderr
        kept = None
    try:
        if kept is not None:
            if sys.stderr is not None:
                sys.stderr.flush()
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        if kept is not None:
            os.dup2(kept, _STDERR)
            os.close(kept)
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
