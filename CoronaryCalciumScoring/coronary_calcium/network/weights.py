"""Weights on disk: a safetensors file and, beside it, its model card (same name, ``.json``).

Weights are stored in float16 and computed in float32; the statistics of batch normalization are stored in float32,
because a variance of features can exceed 65,504, beyond which float16 has only infinity. Nothing is ever unpickled, and
values that no trained network can have are rejected: whatever is not finite, and negative variances. ``model_card``
says what the card is.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from coronary_calcium.atomic_write import write_whole
from coronary_calcium.errors import InputError
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.model_card import (
    CARD_FORMAT,
    INPUT_FACTS,
    REMEDY,
    SWITCHES,
    default_weights,
    problem_of,
    read_card,
)

_log = logging.getLogger(__name__)

# Far above any weights of this network (its float16 weights are 21 MB); a file beyond it is not read at all.
_LARGEST_FILE = 200 * 2**20
_VARIANCE = ".running_var"
_STATISTICS = (_VARIANCE, ".running_mean")


@dataclass(frozen=True)
class LoadedModel:
    """A network in evaluation mode, its model card, and the device that it is on and is to be run on."""

    network: DenseRAUNet
    card: dict[str, Any]
    device: str = "cpu"


_loaded: dict[tuple[Path, int, str], LoadedModel] = {}


def load_model(path: str | Path | None = None, device: str | torch.device = "cpu") -> LoadedModel:
    """Load weights and card; the shipped ones when ``path`` is None. Loaded once for each file and device.

    Raises InputError: "weights-missing", "weights-card" (absent or not as the module describes), "weights-checksum",
    "weights-format" (not a safetensors file), "weights-architecture" (tensors that do not fit the card) or
    "weights-values" (NaN, infinity or a negative variance among them).
    """
    path = Path(path) if path is not None else default_weights()
    if not path.is_file():
        raise InputError("weights-missing", f"There are no network weights at {path.name}; {REMEDY}")
    key = (path.resolve(), path.stat().st_mtime_ns, str(device))
    if key not in _loaded:
        _loaded[key] = _load(path, device)
    return _loaded[key]


def _load(path: Path, device: str | torch.device) -> LoadedModel:
    card = read_card(path)
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError("weights-format", f"{path.name} is too large to be this network's weights; {REMEDY}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise InputError(
            "weights-checksum", f"{path.name} is not the file its model card describes (wrong checksum); {REMEDY}"
        )
    network = DenseRAUNet(**{name: card["architecture"][name] for name in SWITCHES})
    expected = {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    stored = _parse(content, path)
    wrong = sorted(
        name
        for name in stored.keys() | expected.keys()
        if name not in stored or name not in expected or stored[name].shape != expected[name].shape
    )
    if wrong:
        raise InputError(
            "weights-architecture",
            f"{path.name} does not fit the architecture on its model card ({len(wrong)} tensors differ, "
            f"the first is {wrong[0]}); {REMEDY}",
        )
    values = {name: tensor.float() for name, tensor in stored.items()}
    impossible = impossible_values(values)
    if impossible:
        raise InputError(
            "weights-values",
            f"{path.name} holds values that no trained network has ({impossible} is not finite or is a negative "
            f"variance); {REMEDY}",
        )
    network.load_state_dict(values, strict=False)
    network.eval().requires_grad_(False)
    _log.debug("weights %s on %s, %s", card["sha256"][:12], device, card["architecture"])
    return LoadedModel(network.placed_on(device), card, str(device))


def impossible_values(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """The first tensor of a network's state that is not finite, or a variance below zero; None where there is none."""
    return next(
        (
            name
            for name, tensor in tensors.items()
            if not torch.isfinite(tensor).all() or (name.endswith(_VARIANCE) and (tensor < 0).any())
        ),
        None,
    )


def _parse(content: bytes, path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise InputError("weights-format", f"{path.name} is not a safetensors file ({error}); {REMEDY}") from error


def save_model(network: DenseRAUNet, card: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Write weights (float16, statistics float32) and card; returns the card as written.

    ``card`` needs ``name``, ``date``, ``statement``, ``training`` and ``metrics``; format, architecture, input and
    checksum are filled in. Each file appears under its name only when it is complete. Raises ValueError for a card
    that ``load_model`` would reject (a programming error), and for weights that it would: nothing is written then.
    """
    path = Path(path)
    tensors = {
        name: tensor.detach().to("cpu", torch.float32 if name.endswith(_STATISTICS) else torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    impossible = impossible_values(tensors)
    if impossible:
        raise ValueError(f"not weights: {impossible} is not finite in the precision that is stored, or negative")
    content = safetensors.torch.save(tensors)
    card = {
        "format": CARD_FORMAT,
        **card,
        "architecture": dict(network.architecture),
        "input": INPUT_FACTS,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    problem = problem_of(card)
    if problem:
        raise ValueError(f"not a model card: {problem}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    write_whole(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
    return card
