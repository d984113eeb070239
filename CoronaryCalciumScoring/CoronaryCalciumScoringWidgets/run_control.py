"""The run beside the window: its buttons, its progress in the panel, and its outcome, once."""

from collections.abc import Callable

import qt
from CoronaryCalciumScoringLib.background_run import BackgroundRun, Outcome
from CoronaryCalciumScoringLib.process_run import ProcessRun
from slicer.i18n import tr as _

# Whenever the event loop has handled all that waits: the run's thread gets on during the polls (background_run). A
# process gets on by itself.
THREAD_INTERVAL_MS, PROCESS_INTERVAL_MS = 0, 50


class RunControl:
    """Starts and cancels the panel's one run; ``changed()`` is called when one has begun or is over."""

    def __init__(self, ui, changed: Callable[[], object]) -> None:
        self._ui = ui
        self._changed = changed
        self._finished: Callable[[Outcome, float], object] | None = None
        self._run: BackgroundRun | ProcessRun | None = None
        self._timer = qt.QTimer()
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
        self.follow(BackgroundRun(work), finished)

    def follow(self, run: BackgroundRun | ProcessRun, finished: Callable[[Outcome, float], object]) -> None:
        """Show a run that has begun, and call ``finished(outcome, seconds)`` once when it is over."""
        self._run, self._finished = run, finished
        self._ui.progressBar.setRange(0, 0)  # moves, until the work says how far it is
        self._ui.statusLabel.text = _("Starting...")
        self._timer.setInterval(PROCESS_INTERVAL_MS if isinstance(run, ProcessRun) else THREAD_INTERVAL_MS)
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
        if status.fraction > 0:
            self._ui.progressBar.setRange(0, 100)
        self._ui.progressBar.value = round(100 * status.fraction)
        self._ui.progressBar.format = _("%p %, {seconds} s").format(seconds=int(status.seconds))
        if not self._run.cancelling:
            self._ui.statusLabel.text = status.text or _("Starting...")


def showRun(ui, run: RunControl, reason: str, message: str) -> None:
    """Make the buttons say what can be done: ``reason`` is why no run can start, ``message`` the status otherwise."""
    running, cancelling = run.running, run.cancelling
    ui.inputSelector.enabled = ui.deviceComboBox.enabled = not running
    ui.progressBar.visible = running
    ui.applyButton.text = _("Cancel") if running else _("Run")
    ui.applyButton.enabled = not cancelling if running else not reason
    ui.startButton.enabled = not running and not reason
    if not running:
        ui.applyButton.toolTip = reason or _("Find and score coronary calcium on this CT.")
        ui.startButton.toolTip = reason or _("Show all candidates, and assign the calcium yourself.")
        ui.statusLabel.text = message
        return
    ui.applyButton.toolTip = _("Stop; the scene stays as it was.")
    ui.startButton.toolTip = _("Wait for the run, or cancel it.")
    if cancelling:
        ui.applyButton.toolTip = _("The run is being stopped; the scene stays as it was.")
        ui.statusLabel.text = _("Cancelling...")
