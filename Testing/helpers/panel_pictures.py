"""The panel drawn as Slicer shows it, at a width, and what lies over something else or is cut off in it."""

from qt_stand_in import QtCore, QtGui, QtWidgets, ctkCollapsibleButton

# The width of Slicer's module panel as it opens; a narrow one, and a wide one.
WIDTH, NARROW, WIDE = 400, 320, 600
# Frame and padding of a button around its text, and of a cell, in pixels.
PADDING = 6


def show(application, width):
    """Show the panel as Slicer's scrolling area does: as wide as the area, and as high as its layout asks for."""
    parent = application.parent
    parent.show()
    for _ in range(6):
        least = parent.layout().totalMinimumSize()
        parent.resize(max(width, least.width()), least.height())
        application.process_events()


def draw(application, path, width=WIDTH):
    """Draw the panel as it is; returns the picture."""
    show(application, width)
    assert application.parent.grab().save(str(path))
    return QtGui.QImage(str(path))


def cut_off(widget):
    """Whether a label shows less than its text needs."""
    return widget.height < widget.heightForWidth(widget.width)


def faults(application):
    """What lies over something else, leaves the panel, or shows less than its text, as sentences."""
    shown = [child for child in application.parent.findChildren(QtWidgets.QWidget) if child.isVisible()]
    shown = [child for child in shown if not _within(child, (QtWidgets.QAbstractItemView, QtWidgets.QComboBox))]
    return [*_overlaps(shown), *_outside(application.parent, shown), *_cut_texts(shown), *_cut_cells(shown)]


def _within(widget, kinds):
    """Whether a widget is a part of a table, a list or another widget that draws its parts itself."""
    above = widget.parentWidget()
    while above is not None:
        if isinstance(above, (*kinds, QtWidgets.QAbstractSpinBox, QtWidgets.QScrollBar)):
            return True
        above = above.parentWidget()
    return False


def _name(widget):
    text = getattr(widget, "text", "")
    return widget.property("objectName") or f"{type(widget).__name__} {text!r}"


def _overlaps(shown):
    by_parent = {}
    for child in shown:
        by_parent.setdefault(child.parentWidget(), []).append(child)
    for children in by_parent.values():
        for number, first in enumerate(children):
            for second in children[:number]:
                if QtCore.QRect(first.geometry).intersects(QtCore.QRect(second.geometry)):
                    yield f"{_name(first)} lies over {_name(second)}"


def _outside(panel, shown):
    """A child beyond its parent is not drawn there; what scrolls in its own area is."""
    for child in shown:
        above = child.parentWidget()
        if isinstance(above.parentWidget(), QtWidgets.QScrollArea) or isinstance(above, QtWidgets.QScrollArea):
            continue
        if above is not panel and not above.rect.contains(child.geometry):
            yield f"{_name(child)} {child.geometry} leaves {_name(above)} {above.rect}"
        if isinstance(above, ctkCollapsibleButton) and child.y < ctkCollapsibleButton.HEADER_PIXELS - 2:
            yield f"{_name(child)} lies over the title of {_name(above)}"


def _cut_texts(shown):
    for child in shown:
        if isinstance(child, QtWidgets.QLabel) and child.wordWrap:
            if child.text and cut_off(child):
                yield f"{_name(child)} is cut off: {child.height} < {child.heightForWidth(child.width)}"
        elif isinstance(child, (QtWidgets.QLabel, QtWidgets.QAbstractButton)) and not isinstance(
            child, QtWidgets.QToolButton
        ):
            if child.text and child.width < _text_width(child, child.text):
                yield f"{_name(child)} is cut off: {child.width} < {_text_width(child, child.text)}"
        elif isinstance(child, QtWidgets.QComboBox):
            if child.width < _text_width(child, child.currentText) + 20:
                yield f"{_name(child)} is cut off at {child.currentText!r}"
        elif isinstance(child, QtWidgets.QAbstractSpinBox) and child.width < _text_width(child, child.text) + 24:
            yield f"{_name(child)} is narrower than its numbers"


def _text_width(widget, text):
    # Beside its text, a check box has its indicator.
    extra = 22 if isinstance(widget, QtWidgets.QCheckBox) else PADDING
    if isinstance(widget, QtWidgets.QLabel):
        extra = 0
    if isinstance(widget, QtWidgets.QPushButton) and not widget.icon.isNull():
        extra += widget.iconSize.width() + 4
    return widget.fontMetrics().horizontalAdvance(text.replace("&", "")) + extra


def _wraps(table, text):
    """Whether a text of the first column is wrapped, and its row high enough."""
    row = next((row for row in range(table.rowCount) if table.item(row, 0).text() == text), None)
    if row is None or not table.wordWrap:
        return False
    room = QtCore.QRect(0, 0, table.columnWidth(0) - PADDING, 1000)
    needed = QtGui.QFontMetrics(table.item(row, 0).font()).boundingRect(room, QtCore.Qt.TextWordWrap, text)
    return needed.width() <= room.width() and needed.height() <= table.rowHeight(row)


def _icon_width(table):
    """Of a cell's icon and what parts it from the text; a table without a size of its own has the style's."""
    size = table.iconSize.width()
    return (size if size > 0 else 16) + 4


def _cut_cells(shown):
    for table in shown:
        if not isinstance(table, QtWidgets.QTableWidget):
            continue
        total = 0
        for column in range(table.columnCount):
            if table.isColumnHidden(column):
                continue
            total += table.columnWidth(column)
            header = table.horizontalHeaderItem(column).text()
            texts = {header: table.horizontalHeader().fontMetrics().horizontalAdvance(header)}
            for row in range(table.rowCount):
                item = table.item(row, column)
                if item is None:  # a long list fills the rows that are on view
                    continue
                icon = _icon_width(table) if item.data(QtCore.Qt.DecorationRole) is not None else 0
                metrics = QtGui.QFontMetrics(item.font())
                texts[item.text().strip()] = metrics.horizontalAdvance(item.text().strip()) + icon
            if table.horizontalHeader().stretchLastSection and column == table.columnCount - 1:
                continue  # takes what is left, and its cells' tooltips have the whole text
            for text, needed in texts.items():
                if needed + PADDING > table.columnWidth(column) and not (column == 0 and _wraps(table, text)):
                    yield f"{_name(table)} cuts {text!r}: {table.columnWidth(column)} < {needed + PADDING}"
        if total > table.viewport().width:
            yield f"{_name(table)} is wider than it is shown: {total} > {table.viewport().width}"
