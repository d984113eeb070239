"""The panel's part that starts and cancels a run, as it stands."""

from slicer.i18n import tr as _

from CoronaryCalciumScoringWidgets.run_control import RunControl


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
        ui.startButton.toolTip = reason or _("Show all candidates, and mark the calcium yourself.")
        ui.statusLabel.text = message
        return
    ui.applyButton.toolTip = _("Stop; the scene stays as it was.")
    ui.startButton.toolTip = _("Wait for the run, or cancel it.")
    if cancelling:
        ui.applyButton.toolTip = _("Stops at the end of the step that it is in.")
        ui.statusLabel.text = _("Cancelling ...")
