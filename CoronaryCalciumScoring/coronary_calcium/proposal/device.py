"""Which processor the network runs on."""

import torch

from coronary_calcium.errors import InputRefused

DEVICES = ("auto", "cuda", "mps", "cpu")


def resolve_device(name: str = "auto") -> str:
    """The device to use: "cuda", "mps" or "cpu".

    "auto" takes the fastest there is. Raises InputRefused: "device-unknown", or "device-missing" when the device asked
    for by name is not there.
    """
    if name not in DEVICES:
        raise InputRefused("device-unknown", f"There is no device {name!r}; choose one of {', '.join(DEVICES)}.")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in DEVICES[1:] if available[device])
    if not available[name]:
        raise InputRefused("device-missing", f"This computer has no usable {name} device; choose auto or cpu.")
    return name
