"""The choice of where the network runs."""

import enum

from slicer.i18n import tr as _


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
