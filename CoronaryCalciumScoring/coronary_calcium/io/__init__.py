"""Reading a CT or a mask, and rejecting what cannot be scored.

Names are looked up when they are used: Slicer's module imports ``axes`` and ``checks`` at its start, when pydicom may
not be installed yet.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coronary_calcium.io.axes import AxialArray, AxialOrder, axial_order, to_axial
    from coronary_calcium.io.checks import check_ct
    from coronary_calcium.io.ct_reader import OpenedCT, open_ct
    from coronary_calcium.io.masks import open_mask
    from coronary_calcium.io.series import SeriesSummary

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
    "ct_reader": ("OpenedCT", "open_ct"),
    "series": ("SeriesSummary",),
    "masks": ("open_mask",),
}


def __getattr__(name: str) -> object:
    """The public name, imported from its module."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
