"""A network's model card: what it is, what it was trained on, and the input that it was trained for; without torch.

The card is a JSON object beside the weights, of the same name with ``.json``:

* ``format``: "coronary-calcium-model-card/1";
* ``name``, ``date`` (ISO 8601), ``statement``: strings for the reader;
* ``architecture``: DenseRAUNet's switches, ``use_rau``, ``use_edb``, ``use_scse`` and ``artery_head``;
* ``input``: the scale and normalization the network was trained for; other ones are rejected;
* ``training``: an object with at least ``data``, ``recipe``, ``iterations`` and ``minutes``;
* ``metrics``: an object of numbers or objects of numbers;
* ``sha256``: the safetensors file's checksum.
"""

import json
from pathlib import Path
from typing import Any

from coronary_calcium.errors import InputError
from coronary_calcium.resources import resource

# The slice itself and four on either side.
NEIGHBORS = 9
# The paper, section 2.2: every input is resized to 512 x 512.
INPUT_SIZE = 512
# The intensities that the network can tell apart. Below -300 HU there is only lung and air, whose structure says
# nothing about calcium; above 1000 HU a pixel is dense calcium or metal, and the shape tells which. Without the upper
# limit a pacemaker lead at 3000 HU and more would dominate the features of everything around it.
CLIP_HU = (-300.0, 1000.0)
# Divided by this, the noise (15 to 60 HU) and the scoring threshold (130 HU) are of the order of one, and water and
# the network's own zero padding are both 0.
SCALE_HU = 200.0

CARD_FORMAT = "coronary-calcium-model-card/1"
INPUT_FACTS = {"slices": NEIGHBORS, "pixels": INPUT_SIZE, "clip_hu": list(CLIP_HU), "scale_hu": SCALE_HU}
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
SWITCHES = ("use_rau", "use_edb", "use_scse", "artery_head")
REMEDY = "install the weights again or name others with --weights."


def default_weights() -> Path:
    """Where the shipped weights are."""
    return resource("Weights", "denseraunet.safetensors")


def read_card(path: Path) -> dict[str, Any]:
    """The model card of a weights file, checked. Raises InputError("weights-card")."""
    card_path = path.with_suffix(".json")
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"), parse_constant=_not_json)
    except FileNotFoundError as error:
        raise InputError("weights-card", f"{path.name} has no model card {card_path.name}; {REMEDY}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("weights-card", f"The model card {card_path.name} cannot be read; {REMEDY}") from error
    problem = problem_of(card)
    if problem:
        raise InputError("weights-card", f"The model card {card_path.name} is not valid ({problem}); {REMEDY}")
    return card


def _not_json(constant: str) -> float:
    """NaN and Infinity, which Python's reader lets pass, cannot be written to the results."""
    raise ValueError(f"{constant} is not JSON")


def problem_of(card: object) -> str | None:
    """What is wrong with a card, or None."""
    if not isinstance(card, dict):
        return "it is not a JSON object"
    for name, kind in _CARD_FIELDS.items():
        if not isinstance(card.get(name), kind):
            return f'"{name}" is missing or not a {"string" if kind is str else "JSON object"}'
    if card["format"] != CARD_FORMAT:
        return f'its format is not "{CARD_FORMAT}"'
    if any(not isinstance(card["architecture"].get(name), bool) for name in SWITCHES):
        return f'"architecture" must say true or false for {", ".join(SWITCHES)}'
    if card["input"] != INPUT_FACTS:
        return '"input" is not the input that this version prepares'
    lacking = [name for name in _TRAINING_FIELDS if name not in card["training"]]
    return f'"training" lacks {", ".join(lacking)}' if lacking else None
