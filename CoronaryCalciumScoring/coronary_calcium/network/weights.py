"""Weights on disk: a safetensors file and, beside it, its model card (same name, ``.json``).

Weights are stored in float16 and computed in float32; the statistics of batch normalization are stored in float32,
because a variance of features can exceed 65,504, beyond which float16 has only infinity. Nothing is ever unpickled, and
values that no trained network can have are rejected: whatever is not finite, and negative variances. The card is a JSON
object with

* ``format``: "coronary-calcium-model-card/1";
* ``name``, ``date`` (ISO 8601), ``statement``: strings for the reader;
* ``architecture``: DenseRAUNet's switches, ``use_rau``, ``use_edb``, ``use_scse`` and ``artery_head``;
* ``input``: the scale and normalization the network was trained for; other ones are rejected;
* ``training``: an object with at least ``data``, ``recipe``, ``iterations`` and ``minutes``;
* ``metrics``: an object of numbers or objects of numbers;
* ``sha256``: the safetensors file's checksum.
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

from coronary_calcium.errors import InputError
from coronary_calcium.network.denseraunet import NEIGHBORS, DenseRAUNet
from coronary_calcium.network.preprocessing import CLIP_HU, INPUT_SIZE, SCALE_HU
from coronary_calcium.resources import resource

_log = logging.getLogger(__name__)

CARD_FORMAT = "coronary-calcium-model-card/1"
INPUT_FACTS = {"slices": NEIGHBORS, "pixels": INPUT_SIZE, "clip_hu": list(CLIP_HU), "scale_hu": SCALE_HU}
# Far above any weights of this network (its float16 weights are 21 MB); a file beyond it is not read at all.
_LARGEST_FILE = 200 * 2**20
_CARD_FIELDS = {
    "format": str,
    "name": str,
    "date": str,
    "statement": str,
    "architecture": dict,
    "input": dict,
    "training": dict,
    "metrics": dict,
    "sha256": str,
}
_TRAINING_FIELDS = ("data", "recipe", "iterations", "minutes")
_SWITCHES = ("use_rau", "use_edb", "use_scse", "artery_head")
_VARIANCE = ".running_var"
_STATISTICS = (_VARIANCE, ".running_mean")
_REMEDY = "install the weights again or name others with --weights."


@dataclass(frozen=True)
class LoadedModel:
    """A network in evaluation mode on its device, and its model card."""

    network: DenseRAUNet
    card: dict[str, Any]


def default_weights() -> Path:
    """Where the shipped weights are."""
    return resource("Weights", "denseraunet.safetensors")


_loaded: dict[tuple[Path, int, str], LoadedModel] = {}


def load_model(path: str | Path | None = None, device: str | torch.device = "cpu") -> LoadedModel:
    """Load weights and card; the shipped ones when ``path`` is None. Loaded once for each file and device.

    Raises InputError: "weights-missing", "weights-card" (absent or not as the module describes), "weights-checksum",
    "weights-format" (not a safetensors file), "weights-architecture" (tensors that do not fit the card) or
    "weights-values" (NaN, infinity or a negative variance among them).
    """
    path = Path(path) if path is not None else default_weights()
    if not path.is_file():
        raise InputError("weights-missing", f"There are no network weights at {path.name}; {_REMEDY}")
    key = (path.resolve(), path.stat().st_mtime_ns, str(device))
    if key not in _loaded:
        _loaded[key] = _load(path, device)
    return _loaded[key]


def _load(path: Path, device: str | torch.device) -> LoadedModel:
    card = read_card(path)
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError("weights-format", f"{path.name} is too large to be this network's weights; {_REMEDY}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise InputError(
            "weights-checksum", f"{path.name} is not the file its model card describes (wrong checksum); {_REMEDY}"
        )
    network = DenseRAUNet(**{name: card["architecture"][name] for name in _SWITCHES})
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
            f"the first is {wrong[0]}); {_REMEDY}",
        )
    values = {name: tensor.float() for name, tensor in stored.items()}
    impossible = impossible_values(values)
    if impossible:
        raise InputError(
            "weights-values",
            f"{path.name} holds values that no trained network has ({impossible} is not finite or is a negative "
            f"variance); {_REMEDY}",
        )
    network.load_state_dict(values, strict=False)
    network.eval().requires_grad_(False)
    _log.debug("weights %s on %s, %s", card["sha256"][:12], device, card["architecture"])
    return LoadedModel(network.placed_on(device), card)


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
        raise InputError("weights-format", f"{path.name} is not a safetensors file ({error}); {_REMEDY}") from error


def read_card(path: Path) -> dict[str, Any]:
    """The model card of a weights file, checked. Raises InputError("weights-card")."""
    card_path = path.with_suffix(".json")
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"), parse_constant=_not_json)
    except FileNotFoundError as error:
        raise InputError("weights-card", f"{path.name} has no model card {card_path.name}; {_REMEDY}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("weights-card", f"The model card {card_path.name} cannot be read; {_REMEDY}") from error
    problem = _problem_of(card)
    if problem:
        raise InputError("weights-card", f"The model card {card_path.name} is not valid ({problem}); {_REMEDY}")
    return card


def _not_json(constant: str) -> float:
    """NaN and Infinity, which Python's reader lets pass, cannot be written to the results."""
    raise ValueError(f"{constant} is not JSON")


def _problem_of(card: object) -> str | None:
    """What is wrong with a card, or None."""
    if not isinstance(card, dict):
        return "it is not a JSON object"
    for name, kind in _CARD_FIELDS.items():
        if not isinstance(card.get(name), kind):
            return f'"{name}" is missing or not a {"string" if kind is str else "JSON object"}'
    if card["format"] != CARD_FORMAT:
        return f'its format is not "{CARD_FORMAT}"'
    if any(not isinstance(card["architecture"].get(name), bool) for name in _SWITCHES):
        return f'"architecture" must say true or false for {", ".join(_SWITCHES)}'
    if card["input"] != INPUT_FACTS:
        return '"input" is not the input that this version prepares'
    lacking = [name for name in _TRAINING_FIELDS if name not in card["training"]]
    return f'"training" lacks {", ".join(lacking)}' if lacking else None


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
    problem = _problem_of(card)
    if problem:
        raise ValueError(f"not a model card: {problem}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, content)
    _replace(path.with_suffix(".json"), (json.dumps(card, indent=2) + "\n").encode())
    return card


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
