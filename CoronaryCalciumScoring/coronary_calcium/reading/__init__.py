"""Reading a CT or a mask, and refusing what cannot be scored.

Names are looked up when they are used: Slicer's module imports ``axes`` and ``checks`` at its start, when pydicom may
not be installed yet.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coronary_calcium.reading.axes import AxialArray, AxialOrder, axial_order, to_axial
    from coronary_calcium.reading.checks import check_ct
    from coronary_calcium.reading.ct import OpenedCT, open_ct
    from coronary_calcium.reading.dicom_choice import SeriesSummary
    from coronary_calcium.reading.masks import open_mask

__all__ = [
    "AxialArray",
    "AxialOrder",
    "OpenedCT",
    "SeriesSummary",
    "axial_order",
    "check_ct",
    "open_ct",
    "open_mask",
    "to_axial",
]
_HOMES = {
    "axes": ("AxialArray", "AxialOrder", "axial_order", "to_axial"),
    "checks": ("check_ct",),
    "ct": ("OpenedCT", "open_ct"),
    "dicom_choice": ("SeriesSummary",),
    "masks": ("open_mask",),
}


def __getattr__(name: str) -> object:
    """The public name, imported from its module."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
