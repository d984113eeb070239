"""Which device the network runs on: GPU or CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

from coronary_calcium.errors import NOT_ENOUGH_MEMORY, InputError

DEVICES = ("auto", "cuda", "mps", "cpu")
# How torch words it: on a GPU, on the CPU of Linux and macOS, and on that of Windows.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def resolve_device(name: str = "auto") -> str:
    """The device to use: "cuda", "mps" or "cpu".

    "auto" takes the fastest there is. Raises InputError: "device-unknown", or "device-missing" when the device asked
    for by name is not there.
    """
    if name not in DEVICES:
        raise InputError("device-unknown", f"There is no device {name!r}; choose one of {', '.join(DEVICES)}.")
    import torch  # noqa: PLC0415 - slow to import, and `--help` lists the devices

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in DEVICES[1:] if available[device])
    if not available[name]:
        raise InputError("device-missing", f"This computer has no usable {name} device; choose auto or cpu.")
    return name


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ended because memory did not suffice; only CUDA has an exception of its own for it."""
    import torch  # noqa: PLC0415

    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


@contextmanager
def memory_rejected() -> Iterator[None]:
    """Make torch's running out of memory within the block an InputError("memory")."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise InputError("memory", NOT_ENOUGH_MEMORY) from None
