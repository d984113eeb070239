"""The network in a process of its own: ``python -m coronary_calcium.worker``, as the Slicer module starts it.

It reads a request from standard input, answers on standard output (``worker_messages``), and ends itself, with all
that it has started, as soon as standard input closes: a parent that was killed leaves nothing behind. Voxels go through
the pipe, so that nothing of the patient is ever on the disk or in memory that has a name and could stay behind.
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from typing import BinaryIO

from coronary_calcium.errors import NOT_ENOUGH_MEMORY, InputError
from coronary_calcium.pipeline import score_case
from coronary_calcium.worker_messages import Request, progress_to, read_request, write_message, write_result

# How often the worker looks whether its parent lives where it cannot wait for it.
_LOOK_EVERY_S = 0.5


class _ToParent(logging.Handler):
    """Hands log records on to the parent."""

    def __init__(self, channel: BinaryIO) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as a line."""
        write_message(self._channel, "log", [record.levelno, record.name, record.getMessage()])


def main() -> int:
    """Answer the one request on standard input; returns the exit code."""
    channel = _take_standard_output()
    try:
        request = read_request(sys.stdin.buffer)
    except EOFError:
        return 1
    except MemoryError:
        write_message(channel, "rejected", ["memory", NOT_ENOUGH_MEMORY])
        return 0
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer(request, channel)
    return 0


def answer(request: Request, channel: BinaryIO) -> None:
    """Score the CT, and write progress and outcome."""
    log = logging.getLogger("coronary_calcium")
    log.setLevel(request.log_level)
    log.addHandler(_ToParent(channel))
    try:
        result = score_case(
            request.volume,
            model_path=request.weights,
            device=request.device,
            progress=progress_to(channel),
            options=request.options,
        )
        write_result(channel, result)
    except InputError as rejection:
        write_message(channel, "rejected", [rejection.code, str(rejection)])
    except MemoryError:
        write_message(channel, "rejected", ["memory", NOT_ENOUGH_MEMORY])
    except Exception:  # noqa: BLE001 the parent says and logs it
        write_message(channel, "failed", traceback.format_exc())


def _take_standard_output() -> BinaryIO:
    """Standard output for the messages alone; what libraries print goes to standard error from now on."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return channel


def _end_with_parent() -> None:
    """Wait until standard input closes, then end this process and all that it has started."""
    if sys.platform == "win32":
        import _winapi  # noqa: PLC0415
        import msvcrt  # noqa: PLC0415

        # A thread that waits in a read of standard input would block libraries that look at it while they are loaded.
        handle = msvcrt.get_osfhandle(0)
        try:
            while True:
                _winapi.PeekNamedPipe(handle, 0)
                time.sleep(_LOOK_EVERY_S)
        except OSError:
            os._exit(1)
    while os.read(0, 1):
        pass
    if os.getsid(0) == os.getpgrp():  # a session of its own, as the parent starts it: nobody else's processes are in it
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
