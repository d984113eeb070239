"""The run beside the window: its progress in the panel, and its outcome, once."""

from collections.abc import Callable

import qt
from CoronaryCalciumScoringLib.background_run import BackgroundRun, Outcome
from slicer.i18n import tr as _

# Whenever the event loop has handled all that waits: the run's thread gets on during the polls (background_run).
POLL_INTERVAL_MS = 0


class RunControl:
    """Starts and cancels the panel's one run; ``changed()`` is called when one has begun or is over."""

    def __init__(self, ui, changed: Callable[[], object]) -> None:
        self._ui = ui
        self._changed = changed
        self._finished: Callable[[Outcome, float], object] | None = None
        self._run: BackgroundRun | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.poll)

    @property
    def running(self) -> bool:
        """Whether there is a run."""
        return self._run is not None

    @property
    def cancelling(self) -> bool:
        """Whether the run was asked to stop."""
        return self.running and self._run.cancelling

    def start(self, work, finished: Callable[[Outcome, float], object]) -> None:
        """Run ``work(progress)`` in a thread, and call ``finished(outcome, seconds)`` once when it is over."""
        self._run, self._finished = BackgroundRun(work), finished
        self._timer.start()
        self._changed()

    def cancel(self) -> None:
        """Ask the run to stop."""
        self._run.cancel()

    def abandon(self, seconds: float = 0.0) -> None:
        """Stop the run, if there is one, and forget it; wait for its end, at most so long."""
        run, self._run = self._run, None
        self._timer.stop()
        if run:
            run.cancel()
            run.wait(seconds)

    def poll(self) -> None:
        """Show how far the run is, and hand on its outcome."""
        status = self._run.poll() if self._run else None
        if status is None:
            return
        if status.outcome:
            self._run = None
            self._timer.stop()
            try:
                self._finished(status.outcome, status.seconds)
            finally:
                self._changed()
            return
        self._ui.progressBar.value = round(100 * status.fraction)
        self._ui.progressBar.format = _("%p %, {seconds} s").format(seconds=int(status.seconds))
        if not self._run.cancelling:
            self._ui.statusLabel.text = status.text or _("Starting ...")
