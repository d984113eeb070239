"""In which precision a device computes the network faster."""

import time
from functools import cache

import torch

PRECISIONS = ("float32", "bfloat16")
NO_FAST_BFLOAT16 = "This device has no fast bfloat16; float32 is used instead."
_REPEATS = 3


def usable_precision(wanted: str, device: torch.device | str) -> str:
    """The one of ``PRECISIONS`` to compute in: ``wanted``, but float32 where a CPU is slower in bfloat16.

    Without instructions for it, bfloat16 is emulated: a convolution took 11 times as long as in float32 on a CPU
    with AVX2 alone, where one with AVX512-BF16 trains more than twice as fast. GPUs are taken at their word.
    """
    if wanted == "bfloat16" and torch.device(device).type == "cpu" and not _bfloat16_pays_on_cpu():
        return "float32"
    return wanted


@cache
def _bfloat16_pays_on_cpu() -> bool:
    """Measured, about a tenth of a second: PyTorch has no public question for it that holds on every CPU."""
    return _seconds(torch.bfloat16) < _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """The shortest of some times of a convolution like the network's."""
    inputs = torch.ones(1, 64, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weights = torch.ones(64, 64, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(_REPEATS):
            start = time.perf_counter()
            torch.nn.functional.conv2d(inputs, weights, padding=1)
            times.append(time.perf_counter() - start)
    return min(times)
