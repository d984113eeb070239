"""The checkpoint that a run goes on from, and the folders that a run may use."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch

from coronary_calcium.atomic_write import whole_file
from coronary_calcium.errors import InputError
from coronary_calcium.training.config import Recipe
from coronary_calcium.training.distributed import Distributed

CHECKPOINT, WEIGHTS = "checkpoint.pt", "denseraunet.safetensors"


def usable_folders(train: Path, validation: Path | None, output: Path) -> None:
    """Check the folders of a run; makes nothing.

    Raises InputError: "no-training-data" when data and validation are the same folder, "output" for an output folder
    that is no folder or that holds weights which no run in it has made.
    """
    if validation is not None and train.resolve() == Path(validation).resolve():
        raise InputError(
            "no-training-data",
            f"{train} is named for training and for validation; hold some cases back in a folder of their own.",
        )
    if output.exists() and not output.is_dir():
        raise InputError("output", f"{output} is not a folder; name a folder for the run.")
    if (output / WEIGHTS).exists() and not (output / CHECKPOINT).exists():
        raise InputError(
            "output", f"{output} holds weights without the checkpoint of their training; name another folder."
        )


def write_checkpoint(state: dict[str, Any], output: Path) -> None:
    """Write a run's state; it appears under its name only when it is complete."""
    with whole_file(output / CHECKPOINT) as partial:
        torch.save(state, partial)


def read_checkpoint(
    output: Path, recipe: Recipe, initialized_from: dict[str, Any] | None, ranks: Distributed
) -> dict[str, Any]:
    """The state of the run in a folder. Reading it runs no code from the file.

    Raises InputError("checkpoint") when it cannot be read, when its network or optimizer is not the recipe's, when it
    started from other weights than ``initialized_from``, or when its run had another number of processes: each draws
    samples of its own, so the run would not go on as it began.
    """
    try:
        state = torch.load(output / CHECKPOINT, map_location=ranks.device, weights_only=True)
        saved = json.loads(state["recipe"])
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, TypeError, pickle.UnpicklingError) as error:
        raise InputError(
            "checkpoint",
            f"The checkpoint {CHECKPOINT} in the output folder cannot be read; name another output folder.",
        ) from error
    asked = recipe.as_dict()
    if saved["network"] != asked["network"]:
        reason = "belongs to another network"
    elif saved["optimizer"]["name"] != asked["optimizer"]["name"]:
        reason = "belongs to another optimizer"
    elif initialized_from and initialized_from != json.loads(state["initialized_from"]):
        reason = "started from other weights"
    elif state["processes"] != ranks.size:
        reason = f"belongs to a run of {state['processes']} processes, not {ranks.size}"
    else:
        return state
    raise InputError("checkpoint", f"The checkpoint in the output folder {reason}; name another output folder.")
