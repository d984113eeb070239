"""One of several processes that train a tiny network: its weights after one iteration and after the run, as files."""

import sys
from pathlib import Path

import safetensors.torch
from coronary_calcium.training.config import load_recipe
from coronary_calcium.training.distributed import joined_processes
from coronary_calcium.training.trainer import Trainer
from training_blobs import shrink_network


def main(recipe, data, output):
    """Train; ``output`` gets step-0.safetensors, end-0.safetensors and so on, by the process's rank."""
    shrink_network()
    with joined_processes("cpu") as ranks:
        trainer = Trainer(load_recipe(recipe), data, None, output, ranks=ranks)
        trainer.step()
        save(trainer.network, output / f"step-{ranks.rank}.safetensors")
        trainer.run()
        save(trainer.network, output / f"end-{ranks.rank}.safetensors")


def save(network, path):
    """Write all weights and statistics in full precision."""
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
