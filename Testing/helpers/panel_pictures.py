"""The panel drawn, and what is cut off in it."""

from qt_stand_in import QtGui

# The width of Slicer's module panel as it opens.
WIDTH = 460


def draw(application, path):
    """Draw the panel as it is; returns the picture."""
    parent = application.parent
    parent.show()
    parent.resize(WIDTH, parent.sizeHint.height())
    application.process_events()
    parent.resize(WIDTH, max(parent.heightForWidth(WIDTH), parent.sizeHint.height()))
    application.process_events()
    assert parent.grab().save(str(path))
    return QtGui.QImage(str(path))


def cut_off(widget):
    """Whether a label shows less than its text needs."""
    return widget.height < widget.heightForWidth(widget.width)
