"""Numbers as people read them and cells as spreadsheets do, in every output alike."""

# What a spreadsheet program would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def number(value: float | None, digits: int = 1) -> str:
    """A number for the reader, rounded; a dash when there is none.

    Nothing but an exact 0 is shown as "0": a value that would round to it is shown as "< 0.1".
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    smallest = 10.0**-digits
    if 0 < value < smallest / 2:
        return f"< {smallest:.{digits}f}"
    return f"{value:.{digits}f}"


def signed(change: float) -> str:
    """A difference for the reader, rounded, with its sign; a dash for none at all."""
    return f"{change:+.1f}".replace("-", "−") if change else "–"


def cell(value: object) -> object:
    """Empty for None; text that a spreadsheet program would run is kept from it by an apostrophe."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
