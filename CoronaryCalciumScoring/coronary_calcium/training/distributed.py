"""Several processes that train one network, each on its own GPU or CPU, as ``torchrun`` starts them.

Each process draws its own samples; gradients are averaged over the processes, so all take the same step. Batch
normalization takes the statistics of a process's own batch, as PyTorch's DistributedDataParallel does unless told
otherwise: with the recipes' batches the coarsest level has 256 values per channel, and synchronizing its 130 layers
would cost two more exchanges each. The running statistics, which inference uses, are averaged over the processes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from coronary_calcium.errors import InputError
from coronary_calcium.inference.device import resolve_device


@dataclass(frozen=True)
class Distributed:
    """One process among those that train together: its number, how many there are, and its device."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def alone(cls, device: str = "auto") -> "Distributed":
        """One process, on a device as ``joined_processes`` takes it. Raises InputError as ``resolve_device`` does."""
        return cls(0, 1, torch.device(resolve_device(device)))

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def replicated(self, network: nn.Module) -> nn.Module:
        """The network as training calls it: with gradients averaged over the processes, if there are several."""
        if self.size == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)

    @torch.no_grad()
    def average_statistics(self, network: nn.Module) -> None:
        """Average the running statistics of batch normalization over the processes, in place."""
        if self.size == 1:
            return
        statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        together = torch.cat([buffer.flatten() for buffer in statistics])
        distributed.all_reduce(together)
        parts = (together / self.size).split([buffer.numel() for buffer in statistics])
        for buffer, part in zip(statistics, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    def agreed(self, minutes: float, stop: bool) -> tuple[float, bool]:
        """The first process's minutes, and whether any process is to stop: all must end after the same iteration."""
        if self.size == 1:
            return minutes, stop
        shared = torch.tensor([minutes if self.first else 0.0, float(stop)], device=self.device)
        distributed.all_reduce(shared)
        return float(shared[0]), bool(shared[1] > 0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined_processes(device: str = "auto") -> Iterator[Distributed]:
    """The processes that ``torchrun`` started, or this one alone; they part when the block ends.

    ``device`` is one of ``prediction.device.DEVICES``. Raises InputError as ``resolve_device`` does, and
    "too-few-gpus" when a computer has more processes than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Distributed.alone(device)
        return
    name = resolve_device(device)
    # Processes on a Mac would share its one GPU, for which PyTorch has no exchange; they use the CPU.
    place = torch.device("cuda" if name == "cuda" else "cpu")
    if name == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise InputError(
                "too-few-gpus",
                f"This computer has {torch.cuda.device_count()} GPUs and more processes; start one process per GPU.",
            )
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if name == "cuda" else "gloo")
    try:
        yield Distributed(distributed.get_rank(), distributed.get_world_size(), place)
    finally:
        distributed.destroy_process_group()
