"""The training loop: steps, moving average, checkpoints, validation and the weights that come out."""

import copy
import csv
import json
import logging
import math
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coronary_calcium.errors import InputRefused
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.preprocessing import normalise
from coronary_calcium.network.weights import load_model, save_model
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.training.cases import CaseFolder
from coronary_calcium.training.losses import artery_loss, bootstrap_loss, iou_loss
from coronary_calcium.training.recipe import LossOptions, Recipe
from coronary_calcium.training.samples import Batch, draw_batch
from coronary_calcium.training.validation import Validation, validate

CHECKPOINT, WEIGHTS, METRICS, VALIDATIONS = "checkpoint.pt", "denseraunet.safetensors", "metrics.csv", "validation.csv"
# The paper, section 3: "reduced by 0.99 times per 2000 iterations".
PAPER_DECAY, PAPER_DECAY_ITERATIONS = 0.99, 2000
# The cosine ends at this share of the learning rate.
FINAL_SHARE = 0.01
# A line of metrics.csv averages this many iterations.
METRICS_EVERY = 20
_SECONDS = 60.0
_LOG = logging.getLogger(__name__)


@dataclass
class _Clock:
    """Training time in minutes, without the interruptions between a checkpoint and its resumption."""

    before: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def minutes(self) -> float:
        return self.before + (time.monotonic() - self._started) / _SECONDS


class Trainer:
    """One training run in a folder: it starts there, or goes on from the checkpoint that it finds there.

    Every iteration draws its samples from a generator made of the recipe's seed and the iteration's number, so a run
    that was interrupted goes on exactly as it would have (with the same files, and up to the time that a recipe with
    a limit in minutes measures). A run that starts takes the weights of the file ``initialise``, if one is given, with
    a new optimiser; one that goes on keeps its own.
    """

    def __init__(
        self,
        recipe: Recipe,
        train_folder: Path,
        val_folder: Path | None,
        output: Path,
        initialise: Path | None = None,
    ) -> None:
        self.recipe = recipe
        self.output = Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.train_cases = CaseFolder(train_folder, recipe.cases_in_memory)
        self.train_cases.require()
        self.val_cases = CaseFolder(val_folder, recipe.cases_in_memory) if val_folder else None
        torch.manual_seed(recipe.seed)
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        switches = recipe.network
        self.network = DenseRAUNet(switches.use_rau, switches.use_edb, switches.use_scse, switches.artery_head)
        self.network.placed_on(self.device)
        self.initialised_from = self._initialise(initialise) if initialise else None
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimiser = _optimiser(self.network, recipe)
        self.iteration = 0
        self.validation: Validation | None = None
        self.clock = _Clock()
        if (self.output / CHECKPOINT).is_file():
            self._resume()

    @property
    def fraction(self) -> float:
        """How much of the run is over, by iterations or by minutes, whichever is further."""
        return min(1.0, max(self.iteration / self.recipe.iterations, self.clock.minutes / self.recipe.minutes))

    def step(self) -> dict[str, float]:
        """One iteration; returns the losses."""
        fraction = self.fraction
        generator = np.random.default_rng((self.recipe.seed, self.iteration))
        options, size = self.recipe.samples, self.recipe.batch
        if self.recipe.final_patch and fraction >= 1 - self.recipe.final_patch_share:
            # As many pixels in an iteration as before.
            size = max(1, size * options.patch**2 // self.recipe.final_patch**2)
            options = replace(options, patch=self.recipe.final_patch)
        batch = draw_batch(self.train_cases, size, options, generator)
        batch = Batch(batch.hu.to(self.device), batch.labels.to(self.device))
        rate = learning_rate(self.recipe, self.iteration, fraction)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        inputs = normalise(batch.hu).contiguous(memory_format=torch.channels_last)
        mixed = self.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed):
            calcium, arteries = self.network(inputs)
        losses = compute_losses(calcium, arteries, batch, self.recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        if self.recipe.optimiser.gradient_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.optimiser.gradient_norm)
        self.optimiser.step()
        self.iteration += 1
        self._update_average()
        return {"learning_rate": rate, **{name: float(value.detach()) for name, value in losses.items()}}

    @torch.no_grad()
    def _update_average(self) -> None:
        # A short memory at first: the random initial weights would otherwise stay in the average for long.
        decay = min(self.recipe.ema, self.iteration / (10 + self.iteration))
        averaged, current = self.average.state_dict(), self.network.state_dict()
        floating = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([averaged[name] for name in floating], [current[name] for name in floating], 1 - decay)

    def run(self, progress: Progress = no_progress) -> Path:
        """Train to the end; returns the path of the weights. ``progress`` may raise Cancelled: a checkpoint is kept."""
        recipe = self.recipe
        saved = validated = scanned = self.clock.minutes
        window: list[dict[str, float]] = []
        try:
            while self.fraction < 1:
                if self.clock.minutes - scanned >= recipe.rescan_minutes:
                    self.train_cases.rescan()
                    scanned = self.clock.minutes
                window.append(self.step())
                if len(window) == METRICS_EVERY:
                    self._report(window, progress)
                    window = []
                if self.val_cases and self.clock.minutes - validated >= recipe.validation_minutes:
                    self.validate()
                    validated = self.clock.minutes
                if self.clock.minutes - saved >= recipe.checkpoint_minutes:
                    self.save()
                    saved = self.clock.minutes
        finally:
            self.save()
        if self.val_cases:
            self.validate()
        path = self.save()
        progress(1.0, "trained")
        return path

    def _report(self, window: list[dict[str, float]], progress: Progress) -> None:
        means = {name: sum(entry[name] for entry in window) / len(window) for name in window[0]}
        row = {
            "iteration": self.iteration,
            "minutes": round(self.clock.minutes, 3),
            "cases": len(self.train_cases.names),
            **{name: f"{value:.6g}" for name, value in means.items()},
        }
        append_row(self.output / METRICS, row)
        progress(self.fraction, f"iteration {self.iteration}, loss {means['loss']:.3f}")

    def validate(self) -> Validation | None:
        """Pixel F1 of the averaged weights on the held-out cases; None while there are none."""
        if self.val_cases is None or not self.val_cases.rescan():
            return None
        self.validation = validate(self.average, self.val_cases, self.recipe.validation_slices, self.device)
        row = {"iteration": self.iteration, "minutes": round(self.clock.minutes, 3), **self.validation.as_dict()}
        append_row(self.output / VALIDATIONS, row)
        _LOG.info("validation after %d iterations: %s", self.iteration, json.dumps(self.validation.as_dict()))
        return self.validation

    def save(self) -> Path:
        """Write the checkpoint, from which training goes on, and the averaged weights with their card."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "iteration": self.iteration,
            "minutes": self.clock.minutes,
            "recipe": json.dumps(self.recipe.as_dict()),
            "validation": self.validation.as_dict() if self.validation else None,
            "initialised_from": json.dumps(self.initialised_from),
        }
        partial = self.output / (CHECKPOINT + ".partial")
        # The checkpoint is for this loop alone; it is read back with weights_only, which runs no code from the file.
        torch.save(state, partial)
        partial.replace(self.output / CHECKPOINT)
        save_model(self.average, self._card(), self.output / WEIGHTS)
        return self.output / WEIGHTS

    def _card(self) -> dict[str, Any]:
        return {
            "name": f"DenseRAUNet, recipe {self.recipe.name}",
            "date": datetime.now(UTC).date().isoformat(),
            "training": {
                "data": f"{len(self.train_cases.names)} training cases; {self._kinds_of_cases()}",
                "recipe": self.recipe.as_dict(),
                "iterations": self.iteration,
                "minutes": round(self.clock.minutes, 1),
                "device": str(self.device),
                **({"initialised_from": self.initialised_from} if self.initialised_from else {}),
            },
            "metrics": {"validation": self.validation.as_dict() if self.validation else {}},
        }

    def _kinds_of_cases(self) -> str:
        """What the case files say of their origin (``source`` in their facts)."""
        sources = {str(case.facts.get("source", "unknown")) for case in self.train_cases.loaded()}
        return "source: " + (", ".join(sorted(sources)) or "unknown")

    def _initialise(self, path: Path) -> dict[str, Any]:
        """Take the weights of a file; returns where they come from, for the model card: their own training entry."""
        model = load_model(path, self.device)
        if model.network.architecture != self.network.architecture:
            raise InputRefused(
                "initial-weights",
                f"{path.name} is of another network than the recipe's; change the recipe's [network].",
            )
        self.network.load_state_dict(model.network.state_dict())
        return {"name": model.card["name"], "sha256": model.card["sha256"], **model.card["training"]}

    def _resume(self) -> None:
        state = torch.load(self.output / CHECKPOINT, map_location=self.device, weights_only=True)
        saved = json.loads(state["recipe"])["network"]
        if saved != self.recipe.as_dict()["network"]:
            raise InputRefused(
                "checkpoint", "The checkpoint in the output folder is of another network; name another output folder."
            )
        initialised_from = json.loads(state.get("initialised_from", "null"))
        if self.initialised_from and self.initialised_from != initialised_from:
            raise InputRefused(
                "checkpoint",
                "The checkpoint in the output folder began with other weights; name another output folder.",
            )
        self.initialised_from = initialised_from
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.iteration = state["iteration"]
        self.validation = Validation(**state["validation"]) if state["validation"] else None
        self.clock = _Clock(state["minutes"])


def compute_losses(
    calcium: torch.Tensor, arteries: torch.Tensor | None, batch: Batch, options: LossOptions
) -> dict[str, torch.Tensor]:
    """The losses of a batch by name, and their weighted sum as "loss"."""
    target = (batch.labels > 0)[:, None]
    valid = batch.center_hu >= options.minimum_hu
    losses = {
        "bootstrap": bootstrap_loss(calcium, target, valid, options.threshold, options.alpha, options.beta),
        "iou": iou_loss(calcium, target, valid),
    }
    total = losses["bootstrap"] + options.iou * losses["iou"]
    if arteries is not None:
        losses["artery"] = artery_loss(arteries, batch.labels)
        total = total + options.artery * losses["artery"]
    return {"loss": total, **losses}


def learning_rate(recipe: Recipe, iteration: int, fraction: float) -> float:
    """The learning rate of an iteration, when ``fraction`` of the run is over."""
    options = recipe.optimiser
    rise = min(1.0, (iteration + 1) / options.warmup) if options.warmup else 1.0
    if options.schedule == "paper":
        return options.learning_rate * rise * PAPER_DECAY ** (iteration // PAPER_DECAY_ITERATIONS)
    fall = FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * fraction))
    return options.learning_rate * rise * fall


def _optimiser(network: DenseRAUNet, recipe: Recipe) -> torch.optim.Optimizer:
    options = recipe.optimiser
    # Decay draws weights to 0, which says nothing for biases and BN's scales.
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum)
    return torch.optim.AdamW(groups, lr=options.learning_rate)


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a CSV file, with a header line when the file is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def train(
    recipe: Recipe,
    train_folder: Path,
    val_folder: Path | None,
    output: Path,
    progress: Progress = no_progress,
    initialise: Path | None = None,
) -> Path:
    """Train as ``recipe`` says on the cases of a folder; returns the path of the weights (safetensors).

    ``output`` gets the weights with their card, checkpoint.pt, metrics.csv and validation.csv; a run that is started
    again in the same folder goes on from its checkpoint. ``initialise`` names weights to start from. Raises
    InputRefused for folders without cases, for weights and for a checkpoint of another network, Cancelled when
    ``progress`` does.
    """
    return Trainer(recipe, train_folder, val_folder, output, initialise).run(progress)
