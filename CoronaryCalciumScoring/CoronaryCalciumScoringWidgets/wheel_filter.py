"""The mouse wheel scrolls the panel."""

import qt


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
