"""The network in a process of its own: Cancel ends it at once, and it cannot take the application or its memory along.

The application neither imports torch nor waits for it; whoever ends first, the application or the network's process,
leaves nothing of the other behind (``coronary_calcium.worker``).
"""

import contextlib
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import coronary_calcium
from coronary_calcium.errors import NOT_ENOUGH_MEMORY, InputError
from coronary_calcium.volume import CTVolume
from coronary_calcium.worker_messages import Request, read_result, write_request

from .background_run import Failed, Finished, Outcome, Status, Stopped

# How long a poll lets the threads that read the process's messages run, see background_run.TURN_SECONDS; they wait for
# the pipes most of the time.
TURN_SECONDS = 0.005
# Lines of the process's standard error that are logged when it ends without an answer.
_LAST_LINES = 20
# What a process that the system's lack of memory killed ends with: as Python and as a shell tells it.
_KILLED = (-9, 137)

_log = logging.getLogger(__name__)


def worker_command() -> list[str]:
    """How to start the worker: in Slicer with its PythonSlicer, elsewhere with the Python that runs.

    Python does not look into the current folder (-P), where anything may lie.
    """
    return [shutil.which("PythonSlicer") or sys.executable, "-P", "-m", "coronary_calcium.worker"]


class ProcessRun:
    """One run of the network on a CT; ``poll``, ``cancel``, ``wait`` and the outcome as ``BackgroundRun`` has them.

    Finished holds the ``CaseResult`` that ``pipeline.score_case`` gives for the volume. Failed holds an InputError when
    the input cannot be scored, memory does not suffice ("memory"), or the process cannot be started or ends without an
    answer ("process"); and a RuntimeError for an error in the worker.
    """

    def __init__(
        self,
        volume: CTVolume,
        device: str = "auto",
        *,
        weights: Path | None = None,
        allowed: frozenset[str] = frozenset(),
        command: list[str] | None = None,
    ) -> None:
        self._volume = volume
        level = logging.getLogger("coronary_calcium").getEffectiveLevel()
        self._request = Request(volume, device, weights, level, allowed)
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._fraction, self._text = 0.0, ""
        self._cancelled, self._over = False, False
        self._started = time.monotonic()
        self._process: subprocess.Popen | None = None
        self._errors: deque[str] = deque(maxlen=_LAST_LINES)
        try:
            self._process = _start(command or worker_command())
        except OSError as error:
            self._messages.put(Failed(_not_started(error)))
            return
        self._threads = [
            threading.Thread(target=work, name=f"coronary-calcium-{name}", daemon=True)
            for name, work in (("write", self._write), ("errors", self._read_errors), ("read", self._read))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def cancelling(self) -> bool:
        """Whether the run was cancelled."""
        return self._cancelled

    @property
    def pid(self) -> int | None:
        """The process's number; None when it could not be started."""
        return self._process.pid if self._process else None

    def cancel(self) -> None:
        """End the process and all that it has started, at once."""
        self._cancelled = True
        self._end()

    def poll(self) -> Status | None:
        """What happened since the last call; None when the outcome was given before."""
        if self._over:
            return None
        self.wait(TURN_SECONDS)
        outcome: Outcome | None = None
        while not self._messages.empty():
            message = self._messages.get()
            if isinstance(message, logging.LogRecord):
                logging.getLogger(message.name).handle(message)
            elif isinstance(message, tuple):
                self._fraction, self._text = message
            else:
                outcome = message
        if self._cancelled:
            outcome = Stopped()
        self._over = outcome is not None
        return Status(self._fraction, self._text, time.monotonic() - self._started, outcome)

    def wait(self, seconds: float) -> bool:
        """Wait for the process's end, at most so long; whether it has ended."""
        if self._process is None:
            return True
        self._threads[-1].join(seconds)
        return not self._threads[-1].is_alive()

    def _write(self) -> None:
        """Hand the CT over; standard input stays open, for the worker ends when it closes."""
        if hasattr(signal, "pthread_sigmask"):
            # An application that does not ignore this signal would end with the worker that it writes to.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        with contextlib.suppress(OSError, ValueError):  # the reader says what became of the worker
            write_request(self._request, self._process.stdin)

    def _read_errors(self) -> None:
        for line in self._process.stderr:
            self._errors.append(line.decode(errors="replace").rstrip())

    def _read(self) -> None:
        """Pass on what the worker says, until it has said all or has gone."""
        outcome = None
        try:
            outcome = self._read_messages()
        except MemoryError:
            outcome = Failed(InputError("memory", NOT_ENOUGH_MEMORY))
        except Exception as error:  # noqa: BLE001 the owner raises or shows it
            outcome = Failed(error)
        # Whether it has answered or died, nothing of it is needed any more.
        self._end()
        code = self._process.wait()
        self._threads[1].join(1.0)
        self._messages.put(outcome or Failed(self._died(code)))
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read_messages(self) -> Outcome | None:
        """The outcome; None when the worker has gone without one."""
        stream = self._process.stdout
        for line in stream:
            ((kind, value),) = json.loads(line).items()
            if kind == "progress":
                self._messages.put(tuple(value))
            elif kind == "log":
                self._messages.put(_record(*value))
            elif kind == "rejected":
                return Failed(InputError(*value))
            elif kind == "failed":
                self._messages.put(_record(logging.ERROR, __name__, value))
                return Failed(RuntimeError(value.strip().splitlines()[-1]))
            elif kind == "result":
                content = stream.read(value)
                return Finished(read_result(content, self._request)) if len(content) == value else None
        return None

    def _died(self, code: int) -> InputError:
        """Why there is no answer."""
        for line in self._errors:
            self._messages.put(_record(logging.ERROR, __name__, line))
        if code in _KILLED:
            return InputError("memory", NOT_ENOUGH_MEMORY)
        return InputError(
            "process",
            f"The network's process ended without a result (exit code {code}), most often for lack of memory: close "
            "other programs and run again, or choose another device; the application's log says more.",
        )

    def _end(self) -> None:
        """Kill the process with all that it has started, if it has not ended yet."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if sys.platform == "win32":
            subprocess.run(  # noqa: S603
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],  # noqa: S607
                check=False,
                capture_output=True,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended
                os.killpg(process.pid, signal.SIGKILL)


def _start(command: list[str]) -> subprocess.Popen:
    """Start the worker in a session of its own, with this package on its path and no window."""
    paths = [str(Path(coronary_calcium.__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    options: dict = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    return subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        **options,
    )


def _not_started(error: OSError) -> InputError:
    return InputError(
        "process",
        f"The network's process cannot be started ({error.strerror or error}): close other programs and run again, or "
        "install 3D Slicer anew.",
    )


def _record(level: int, name: str, text: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, None, None)
