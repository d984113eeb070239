"""The tables of the section for rules and outputs: rule sets side by side, and what the self-test measured."""

import qt
from slicer.i18n import tr as _

# Frame and grid lines, and a header is a little higher than a row, in pixels.
_EDGE = 10


def show_rules(table, compared) -> None:
    """The same lesions by every rule set; ``compared`` is what ``scoring.compare`` gives."""
    titles = (_("Rules"), _("Smallest"), _("Lesions"), _("Agatston"), _("mm³"), _("mg"))
    rows = [
        (
            scored.rules.name,
            f"{scored.minimum_pixels} px",
            str(scored.score.total.lesions),
            f"{scored.score.total.agatston:.1f}",
            f"{scored.quantities.volume_mm3.total:.1f}",
            f"{scored.quantities.mass_mg.total:.1f}",
        )
        for scored in compared
    ]
    _fill(table, titles, rows)


def show_insert(table, measurement) -> None:
    """Truth and measurement of every cylinder, and of all."""
    titles = (_("Insert"), _("Agatston"), _("ideal"), _("Mass mg"), _("true"))
    rows = [
        _values(f"{item.cylinder.diameter_mm:g} mm, {item.cylinder.density}", measurement.values_of(item))
        for item in measurement.cylinders
    ]
    rows.append(_values(_("Total"), measurement.totals))
    _fill(table, titles, rows)


def _values(name: str, values: dict[str, float]) -> tuple[str, ...]:
    numbers = ("agatston", "agatston_ideal", "mass_mg", "mass_true_mg")
    return (name, *(f"{values[number]:.1f}" for number in numbers))


def _fill(table, titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.setRowCount(len(rows))
    for place, row in enumerate(rows):
        for column, text in enumerate(row):
            item = qt.QTableWidgetItem(text)
            if column:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            table.setItem(place, column, item)
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.Stretch)
    header.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
    table.resizeRowsToContents()
    # As high as its rows and a header, so that the panel scrolls and not the table in it.
    height = table.rowHeight(0) + sum(table.rowHeight(row) for row in range(len(rows))) + _EDGE
    table.setMinimumHeight(height)
    table.setMaximumHeight(height)
    table.visible = True
