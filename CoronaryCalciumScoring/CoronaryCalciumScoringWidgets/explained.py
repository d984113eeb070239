"""Controls that say why they cannot be used."""


class Explained:
    """Controls that are switched on and off together; while they are off, their tooltips say why."""

    def __init__(self, *controls) -> None:
        self._tips = [(control, control.toolTip) for control in controls]

    def allow(self, why_not: str) -> None:
        """Switch the controls on, or off with the reason."""
        for control, tip in self._tips:
            control.enabled = not why_not
            control.toolTip = why_not or tip
