"""Cases for the tests of the review in the panel: clicks on the synthetic CT's plaques, and what the panel shows."""

from slicer_cases import ras_of

IN_LAD, IN_RCA, IN_TISSUE = (20, 48, 69), (15, 52, 57), (20, 60, 64)


def click(panel, index, **options):
    """Click on a voxel in the red slice view."""
    panel.app.layoutManager().sliceWidget("Red").click(ras_of(panel.volume, index), **options)


def agatston(panel, name):
    """The score of an artery, or the total, as the panel's table shows it."""
    table = panel.ui.scoreTable
    rows = {table.item(row, 0).text(): row for row in range(table.rowCount)}
    return float(table.item(rows[name], 2).text())


def listed(panel, column):
    """One column of the lesion list."""
    table = panel.ui.lesionTable
    return [table.item(row, column).text().strip() for row in range(table.rowCount)]


def press(panel, key):
    """Press a key."""
    panel.widget.reviewPanel.shortcuts[key].activated.emit()
