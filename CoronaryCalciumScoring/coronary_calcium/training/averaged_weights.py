"""The mean of the weights of several runs that began with the same ones, and of those they began with.

``python -m coronary_calcium.training.averaged_weights RUN/denseraunet.safetensors ... --output WEIGHTS`` (Wortsman et
al., "Model soups", ICML 2022). Runs of other seeds make other mistakes, and the mean takes no longer to use. On ten
insertions in a heart that the two runs had not seen, their mean was as good as the better one (pixel F1 0.861; 0.859
and 0.861).

``--start WEIGHTS`` takes half of it from the weights that the runs began with (Wortsman et al., "Robust fine-tuning of
zero-shot models", CVPR 2022): runs on other cases forget a part of what was known before. Model card and documentation
of the shipped weights, which are such a mean, have the figures.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from coronary_calcium.errors import InputError
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.weights import load_model, save_model
from coronary_calcium.training.trainer import in_all

_LOG = logging.getLogger(__name__)


def average_weights(paths: list[Path], output: Path, start: Path | None = None) -> dict[str, Any]:
    """Write the mean of the weights, every file with the same share, and their model card; returns the card.

    With ``start``, the weights that the runs began with, at first or later, are half of the mean. The card's
    ``training`` adds up the runs and lists them as ``averaged``. Raises InputError("weights-average") when there are
    fewer than two different files, or when they do not begin with the same weights or have other parts: the mean of
    networks that did not begin alike is no network.
    """
    models = [load_model(path) for path in paths]
    before = [load_model(start)] if start else []
    cards = [model.card for model in models]
    if len({card["sha256"] for card in cards}) < max(2 - len(before), len(cards)):
        raise InputError("weights-average", "A mean needs two or more different weights files; name each of them once.")
    starts = [card["training"].get("initialized_from") for card in cards]
    if None in starts or len({start["sha256"] for start in starts}) > 1:
        raise InputError(
            "weights-average",
            "These weights did not all begin with the same ones, so their mean means nothing; average runs that were "
            "started with the same --initialize.",
        )
    if any(model.card["sha256"] not in _ancestors(cards[0]) for model in before):
        raise InputError(
            "weights-average",
            "The runs did not begin with the weights of --start; average runs with weights that they come from.",
        )
    if any(model.card["architecture"] != cards[0]["architecture"] for model in [*models, *before]):
        raise InputError("weights-average", "These networks have different parts; average runs of one architecture.")
    mean = _mean([model.network.state_dict() for model in models])
    for model in before:
        mean = _mean([mean, model.network.state_dict()])
    network = DenseRAUNet(**cards[0]["architecture"])
    network.load_state_dict(mean)
    return save_model(network, _card(cards, [model.card["sha256"] for model in before]), output)


def _mean(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }


def _ancestors(card: dict[str, Any]) -> Iterator[str]:
    """The checksums of the weights that those of the card come from, the latest first."""
    earlier = card["training"].get("initialized_from")
    while isinstance(earlier, dict):
        yield earlier["sha256"]
        earlier = earlier.get("initialized_from")


def _card(cards: list[dict[str, Any]], before: list[str]) -> dict[str, Any]:
    """The card of the mean: what all cards say once, and the runs' efforts added up.

    ``before`` holds the checksum of the weights that are half of it, if any.
    """
    trainings = [card["training"] for card in cards]
    iterations = sum(training["iterations"] for training in trainings)
    minutes = sum(training["minutes"] for training in trainings)
    start = trainings[0]["initialized_from"]
    half = ", half of them, half of the weights before" if before else ""
    # Weights that are a mean already tell of its runs.
    runs = [run for card in cards for run in card["training"].get("averaged", [_run(card)])]
    return {
        "name": cards[0]["name"] + (f", mean of {len(cards)} runs" if len(cards) > 1 else "") + half,
        "date": max(card["date"] for card in cards),
        "statement": " ".join(dict.fromkeys(card["statement"] for card in cards)),
        "training": {
            **{name: value for name, value in trainings[0].items() if name != "initialized_from"},
            "data": "; ".join(dict.fromkeys(training["data"] for training in trainings)),
            "iterations": iterations,
            "minutes": round(minutes, 1),
            **in_all(iterations, minutes, start),
            "averaged": runs,
            **({"half_of": before[0]} if before else {}),
            "initialized_from": start,
        },
        "metrics": {},
    }


def _run(card: dict[str, Any]) -> dict[str, Any]:
    training = card["training"]
    return {
        "sha256": card["sha256"],
        "seed": training["recipe"].get("seed"),
        "iterations": training["iterations"],
        "minutes": training["minutes"],
    }


def main(arguments: list[str] | None = None) -> int:
    """Average the weights that the arguments name; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+", help="weights of runs that began with the same ones")
    parser.add_argument("--output", type=Path, required=True, help="the weights file to write, its card beside it")
    parser.add_argument("--start", type=Path, help="weights that the runs began with, half of the mean (default: none)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        card = average_weights(options.weights, options.output, options.start)
    except InputError as rejection:
        parser.error(str(rejection))
    _LOG.info("Wrote %s, %s, checksum %s", options.output, card["name"], card["sha256"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
