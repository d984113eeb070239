"""One of several processes that train a tiny network: its weights after one iteration and after the run, as files."""

import sys
from pathlib import Path

import safetensors.torch
from coronary_calcium.training.loop import Trainer
from coronary_calcium.training.ranks import joined_ranks
from coronary_calcium.training.recipe import load_recipe
from training_blobs import shrink_network


def main(recipe, data, output):
    """Train; ``output`` gets step-0.safetensors, end-0.safetensors and so on, by the process's rank."""
    shrink_network()
    with joined_ranks("cpu") as ranks:
        trainer = Trainer(load_recipe(recipe), data, None, output, ranks=ranks)
        trainer.step()
        safetensors.torch.save_file(trainer.network.state_dict(), output / f"step-{ranks.rank}.safetensors")
        trainer.run()
        safetensors.torch.save_file(trainer.network.state_dict(), output / f"end-{ranks.rank}.safetensors")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
