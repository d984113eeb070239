"""Small controls: reasons in tooltips, answers beside their buttons, the wheel, the panel's height, tables that fit."""

import enum
from collections.abc import Callable, Mapping

import qt
from slicer.i18n import tr as _

# Frame and grid lines of a table, and by how much its header is higher than a row, in pixels.
_TABLE_EDGE = 10
_SCROLL_BAR_PIXELS = 16
# A column that is wrapped is not narrower than a word.
_LEAST_COLUMN = 60


def checkBox(text: str, tip: str):
    """A check box with a tooltip."""
    box = qt.QCheckBox(text)
    box.toolTip = tip
    return box


def pushButton(text: str, tip: str):
    """A button with a tooltip."""
    button = qt.QPushButton(text)
    button.toolTip = tip
    return button


def comboBox(tip: str):
    """A list to choose from with a tooltip, no wider than the panel, whatever its longest entry."""
    combo = qt.QComboBox()
    combo.toolTip = tip
    combo.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
    return combo


def textLabel(layout, tip: str):
    """A text of several lines, which can be selected, with a tooltip, added to the layout."""
    label = qt.QLabel()
    label.wordWrap = True
    label.toolTip = tip
    label.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
    layout.addWidget(label)
    return label


def addRow(layout, *widgets):
    """Widgets side by side, added to the layout; returns their row."""
    row = qt.QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    layout.addLayout(row)
    return row


def listTable(layout, tip: str):
    """A table to choose one row of, with a tooltip, as wide as the panel, added to the layout."""
    table = qt.QTableWidget()
    table.toolTip = tip
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
    table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOn)
    table.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setAlternatingRowColors(True)
    table.verticalHeader().hide()
    layout.addWidget(table)
    return table


def disabledShortcuts(parent, actions: Mapping[str, Callable[[], object]], *, repeat: bool = True) -> dict:
    """A shortcut of ``parent`` for each key; whoever makes them enables them while they are to be heard.

    Without ``repeat``, a key that is held down is heard once: what it does is meant for what was on view.
    """
    shortcuts = {}
    for key, action in actions.items():
        shortcuts[key] = qt.QShortcut(qt.QKeySequence(key), parent)
        shortcuts[key].enabled = False
        shortcuts[key].autoRepeat = repeat
        shortcuts[key].connect("activated()", action)
    return shortcuts


def removeShortcuts(shortcuts: dict) -> None:
    """Take the keys off the window; they are gone after this."""
    for shortcut in shortcuts.values():
        shortcut.enabled = False
        shortcut.setParent(None)
        shortcut.deleteLater()


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


class Answer:
    """Progress with Cancel, and one sentence, right below the buttons that they belong to."""

    def __init__(self, layout) -> None:
        self.progressBar = qt.QProgressBar()
        self.progressBar.toolTip = _("How far the work is.")
        self.progressBar.setAlignment(qt.Qt.AlignCenter)
        self.cancelButton = pushButton(_("Cancel"), _("Stop; nothing is written."))
        self.statusLabel = qt.QLabel()
        self.statusLabel.wordWrap = True
        self.statusLabel.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        addRow(layout, self.progressBar, self.cancelButton)
        layout.addWidget(self.statusLabel)
        self.showRunning(False)

    def say(self, message: str) -> None:
        """Show a sentence, or none."""
        self.statusLabel.text = message
        self.statusLabel.visible = bool(message)

    def showRunning(self, running: bool) -> None:
        """Show the progress while something runs."""
        self.progressBar.visible = self.cancelButton.visible = running
        self.statusLabel.visible = running or bool(self.statusLabel.text)


class LayoutFilter(qt.QObject):
    """Calls ``_fit`` when a widget was resized or what it contains needs another size."""

    def eventFilter(self, watched, event):
        """Never keeps the event."""
        if event.type() in (qt.QEvent.Resize, qt.QEvent.LayoutRequest):
            self._fit()
        return False


def keepHeight(panel) -> LayoutFilter:
    """Give the panel the height that its texts need at its width. The caller keeps the filter: Qt does not.

    The application's scroll area takes a panel's minimum height without asking how high word-wrapped texts are at
    this width, and what comes below them would be drawn over them.
    """

    def fit() -> None:
        height = panel.heightForWidth(panel.width)
        if height > 0 and height != panel.minimumHeight:
            panel.setMinimumHeight(height)

    return onResize(panel, fit)


def keepScrollHeight(scrollArea) -> LayoutFilter:
    """Make an area that scrolls sideways as high as what it contains. The caller keeps the filter."""
    contents = scrollArea.widget()

    def fit() -> None:
        height = contents.layout().totalMinimumSize().height() + _SCROLL_BAR_PIXELS
        if height != scrollArea.minimumHeight:
            scrollArea.setMinimumHeight(height)

    return onResize(contents, fit)


def onResize(widget, fit) -> LayoutFilter:
    """Call ``fit()`` now, and whenever a widget's size or need has changed. The caller keeps the filter."""
    layoutFilter = LayoutFilter()
    layoutFilter._fit = fit
    widget.installEventFilter(layoutFilter)
    fit()
    return layoutFilter


class FittedColumns:
    """Lets a table show as many of its columns as fit into its width, so that no number is cut off.

    ``choices`` are the columns to show, widest choice first; where none fits, the last one is shown and the texts of
    its first column are wrapped. With ``whole``, the table is as high as its rows, so that the panel scrolls and not
    the table in it.
    """

    def __init__(self, table, choices: tuple[tuple[int, ...], ...], *, whole: bool = False) -> None:
        self._table, self._choices, self._whole = table, choices, whole
        self._width = -1
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Fixed)
        self._filter = onResize(table.viewport(), self._resized)

    def _resized(self) -> None:
        if self._table.viewport().width != self._width:
            self.fit()

    def fit(self, choices: tuple[tuple[int, ...], ...] | None = None) -> None:
        """Show what fits, after the texts have changed or with other choices; spare width is shared."""
        table, self._choices = self._table, choices or self._choices
        columns = range(table.columnCount)
        for column in columns:
            table.setColumnHidden(column, False)
        table.resizeColumnsToContents()
        needed = [table.columnWidth(column) for column in columns]
        self._width = table.viewport().width
        widths = [sum(needed[column] for column in choice) for choice in self._choices if max(choice) < len(needed)]
        if not widths:
            return
        place = next((place for place, width in enumerate(widths) if width <= self._width), len(widths) - 1)
        shown = self._choices[place]
        spare = self._width - widths[place]
        for column in columns:
            table.setColumnHidden(column, column not in shown)
            if column in shown:
                table.setColumnWidth(column, needed[column] + max(0, spare) // len(shown))
        if spare < 0:
            table.setColumnWidth(shown[0], max(_LEAST_COLUMN, needed[shown[0]] + spare))
        table.resizeRowsToContents()
        if self._whole:
            height = table.rowHeight(0) + sum(table.rowHeight(row) for row in range(table.rowCount)) + _TABLE_EDGE
            table.setMinimumHeight(height)
            table.setMaximumHeight(height)


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
            "cuda": _("NVIDIA GPU (CUDA)"),
            "mps": _("Apple GPU (MPS)"),
            "cpu": _("CPU"),
        }
        return names[self.value]
