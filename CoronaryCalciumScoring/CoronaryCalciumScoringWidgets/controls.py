"""Small controls: ones that say why they cannot be used, the wheel that scrolls the panel, the choice of device."""

import enum

import qt
from slicer.i18n import tr as _


class Explained:
    """Controls that are switched on and off together; while they are off, their tooltips say why."""

    def __init__(self, *controls) -> None:
        self._tips = [(control, control.toolTip) for control in controls]

    def allow(self, why_not: str) -> None:
        """Switch the controls on, or off with the reason."""
        for control, tip in self._tips:
            control.enabled = not why_not
            control.toolTip = why_not or tip


class WheelFilter(qt.QObject):
    """Leaves the mouse wheel to the panel, which scrolls: a control under the pointer would take it for another value,
    and the score would be of another CT, or follow rules that nobody chose.
    """

    def eventFilter(self, watched, event):
        """Whether the event is kept from the control; a wheel's goes on to what the control lies in."""
        if event.type() != qt.QEvent.Wheel:
            return False
        event.ignore()
        return True


def leaveWheelToPanel(panel) -> WheelFilter:
    """Let no list and no number in the panel take the wheel. The caller keeps the filter: Qt does not."""
    wheelFilter = WheelFilter()
    for kind in (qt.QComboBox, qt.QAbstractSpinBox):
        for control in panel.findChildren(kind):
            control.installEventFilter(wheelFilter)
    return wheelFilter


class Device(enum.Enum):
    """Where the network runs; the values are the engine's names."""

    AUTO = "auto"
    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"

    def label(self) -> str:
        """The name in the panel; the parameter node's connector asks for a function of this name."""
        names = {
            "auto": _("Automatic"),
            "cuda": _("NVIDIA graphics card (CUDA)"),
            "mps": _("Apple graphics (MPS)"),
            "cpu": _("Processor (CPU)"),
        }
        return names[self.value]
