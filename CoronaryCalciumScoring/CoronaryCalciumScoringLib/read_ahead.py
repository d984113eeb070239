"""The next case of a worklist is read while the reader is at this one, so that it opens at once."""

from collections.abc import Callable

from coronary_calcium.cohort.worklist_case import WorklistCase
from coronary_calcium.progress import Progress

from .background_run import BackgroundRun, Failed, Finished, Outcome


class ReadAhead:
    """Reads one case at a time by ``read(case id, progress)``, which touches neither MRML nor Qt.

    The owner calls ``poll`` from a timer, as for a ``BackgroundRun``.
    """

    def __init__(self, read: Callable[[str, Progress], WorklistCase]) -> None:
        self._read = read
        self._id: str | None = None
        self._run: BackgroundRun | None = None
        self._outcome: Outcome | None = None

    @property
    def reading(self) -> bool:
        """Whether a case is being read."""
        return self._run is not None

    def want(self, case_id: str | None) -> None:
        """Read this case next, in place of any other; None reads nothing and lets go of what was read."""
        if case_id == self._id:
            return
        self.forget()
        if case_id is not None:
            self._start(case_id)

    def poll(self) -> None:
        """Let the reading get on, and keep what came of it."""
        status = self._run.poll() if self._run is not None else None
        if status is not None and status.outcome is not None:
            self._run, self._outcome = None, status.outcome

    def take(self, case_id: str) -> WorklistCase | BackgroundRun:
        """A case that was read before, or the run that is reading it; it is not kept here any more."""
        self.poll()
        if case_id != self._id or isinstance(self._outcome, Failed):
            # What failed may do now: a share that was away, a study that has arrived since.
            self.forget()
            self._start(case_id)
        run, outcome = self._run, self._outcome
        self._id = self._run = self._outcome = None
        return outcome.result if isinstance(outcome, Finished) else run

    def forget(self) -> None:
        """Stop reading, and let go of what was read."""
        if self._run is not None:
            self._run.cancel()
        self._id = self._run = self._outcome = None

    def _start(self, case_id: str) -> None:
        self._id = case_id
        self._run = BackgroundRun(lambda progress: self._read(case_id, progress))
