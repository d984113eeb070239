"""The training loop: clock, optimizer, steps, moving average, checkpoints, validation and the weights that come out."""

import copy
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from coronary_calcium.disclaimers import NO_CLINICAL_LABELS, RESEARCH_USE, trained_on
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.precision import NO_FAST_BFLOAT16, usable_precision
from coronary_calcium.network.preprocessing import normalize
from coronary_calcium.network.weights import impossible_values, load_model, save_model
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.training.batches import BatchLoader, EpochSampler, Place, loader_threads, stage_of
from coronary_calcium.training.cases import CaseFolder, CaseOptions
from coronary_calcium.training.checkpoint import CHECKPOINT, WEIGHTS, read_checkpoint, usable_folders, write_checkpoint
from coronary_calcium.training.config import OptimizerOptions, Recipe
from coronary_calcium.training.distributed import Distributed, joined_processes
from coronary_calcium.training.losses import compute_losses
from coronary_calcium.training.metrics_log import Records
from coronary_calcium.training.samples import Batch
from coronary_calcium.training.validation import Validation, picture_sheet, predict_slices, slices_to_show, validate

_SECONDS = 60.0


@dataclass
class Clock:
    """Training time in minutes, without the interruptions between a checkpoint and its resumption."""

    before: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def minutes(self) -> float:
        """Minutes until now."""
        return self.before + (time.monotonic() - self._started) / _SECONDS


# The paper, section 3: "reduced by 0.99 times per 2000 iterations".
PAPER_DECAY, PAPER_DECAY_ITERATIONS = 0.99, 2000
# The cosine ends at this share of the learning rate.
FINAL_SHARE = 0.01


def learning_rate(options: OptimizerOptions, iteration: int, fraction: float) -> float:
    """The learning rate of an iteration, counted from 0, when ``fraction`` of the run is over."""
    rise = min(1.0, (iteration + 1) / options.warmup) if options.warmup else 1.0
    if options.schedule == "paper":
        return options.learning_rate * rise * PAPER_DECAY ** (iteration // PAPER_DECAY_ITERATIONS)
    fall = FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * fraction))
    return options.learning_rate * rise * fall


def make_optimizer(network: DenseRAUNet, options: OptimizerOptions) -> torch.optim.Optimizer:
    """The optimizer of a network's parameters."""
    # Decay draws weights to 0, which says nothing for biases and BN's scales.
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum)
    return torch.optim.AdamW(groups, lr=options.learning_rate)


# How the ``source`` of a case begins whose calcium is simulated, as patients and inserted lesions write it.
_SIMULATED = ("simulated patient", "calcium inserted in ")
# The ``source`` of cases from Slicer and from a cohort, as every report of the weights says it.
_IN_WORDS = {"reader": "a reader who marked them with this program or another"}


def training_statement(sources: Sequence[str], initialized_from: Mapping[str, Any] | None) -> str:
    """The card's ``statement``: no clinical labels when all is simulated, else where the cases come from.

    ``initialized_from`` is the card entry of the weights that the training began with; those of a card that says
    nothing of it are taken for simulated, as all were before it was said.
    """
    earlier = "" if initialized_from is None else trained_on(initialized_from) or NO_CLINICAL_LABELS
    if earlier in ("", NO_CLINICAL_LABELS) and all(source.startswith(_SIMULATED) for source in sources):
        return f"{NO_CLINICAL_LABELS} {RESEARCH_USE}"
    before = f"About the weights that it started from: {earlier}" if earlier else ""
    named = ", ".join(_IN_WORDS.get(source, source) for source in sources)
    return " ".join(filter(None, [f"The network was trained on cases of: {named}.", before, RESEARCH_USE]))


def in_all(iterations: int, minutes: float, initialized_from: Mapping[str, Any] | None) -> dict[str, float]:
    """The card's ``iterations_in_all`` and ``minutes_in_all``: of this run and of those that its weights come from.

    Cards from before these entries tell of each earlier run in turn, as ``initialized_from``.
    """
    earlier = initialized_from
    while earlier is not None:
        known = "minutes_in_all" in earlier
        iterations += int(earlier.get("iterations_in_all" if known else "iterations", 0))
        minutes += float(earlier.get("minutes_in_all" if known else "minutes", 0.0))
        earlier = None if known else earlier.get("initialized_from")
    return {"iterations_in_all": iterations, "minutes_in_all": round(minutes, 1)}


# A line of metrics.csv averages this many iterations.
METRICS_EVERY = 20
# Rows of a picture of predictions.
PICTURED_CASES = 4
_LOG = logging.getLogger(__name__)


class Trainer:
    """One training run in a folder: it starts there, or goes on from the checkpoint that it finds there.

    Every iteration draws its samples from generators made of the recipe's seed, the iteration's number and the
    process's, so a run that was interrupted goes on exactly as it would have (with the same files, and up to the time
    that a recipe with a limit in minutes measures). A run that starts takes the weights of the file ``initialize``, if
    one is given, with a new optimizer; one that goes on keeps its own. Only the first of several ``ranks`` writes.
    """

    def __init__(
        self,
        recipe: Recipe,
        train_folder: Path,
        val_folder: Path | None,
        output: Path,
        initialize: Path | None = None,
        ranks: Distributed | None = None,
    ) -> None:
        self.recipe = recipe
        self.ranks = ranks or Distributed.alone()
        self.device = self.ranks.device
        self.output = Path(output)
        usable_folders(Path(train_folder), val_folder, self.output)
        self.train_cases = CaseFolder(train_folder, recipe.cases_in_memory, recipe.cases)
        self.train_cases.require()
        for source in self.train_cases.absent_sources():
            _LOG.warning('No case has a source that begins with "%s": its share goes to the others.', source)
        self.val_cases = self._validation_cases(val_folder)
        self.precision = usable_precision(recipe.precision, self.device)
        if self.precision != recipe.precision:
            _LOG.warning(NO_FAST_BFLOAT16)
        torch.manual_seed(recipe.seed)
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        switches = recipe.network
        self.network = DenseRAUNet(switches.use_rau, switches.use_edb, switches.use_scse, switches.artery_head)
        self.network.placed_on(self.device)
        self.initialized_from = self._initialize(initialize) if initialize else None
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimizer = make_optimizer(self.network, recipe.optimizer)
        self.iteration = 0
        self.iterations = recipe.iterations
        self._passes = EpochSampler(self.train_cases.slices(), recipe.seed) if recipe.epochs else None
        if self._passes:
            needed = self._passes.iterations(recipe.epochs, recipe.batch * recipe.accumulate * self.ranks.size)
            self.iterations = min(needed, recipe.iterations or needed)
        self._batches = BatchLoader(self.train_cases, recipe, self.ranks, self._passes, loader_threads(self.ranks))
        self.validation: Validation | None = None
        self.clock = Clock()
        self._window: list[dict[str, float]] = []
        if (self.output / CHECKPOINT).is_file():
            self._resume()
        self.output.mkdir(parents=True, exist_ok=True)
        self.minutes = self.clock.minutes
        self.model: Any = self.ranks.replicated(self.network)

    def _validation_cases(self, folder: Path | None) -> CaseFolder | None:
        """The held-out cases of the recipe's kinds; their shares say nothing of validation."""
        if folder is None:
            return None
        held_out = CaseFolder(folder, self.recipe.cases_in_memory, CaseOptions(self.recipe.cases.kinds))
        held_out.require()
        return held_out

    @property
    def fraction(self) -> float:
        """How much of the run is over, by iterations or by minutes, whichever is further."""
        by_iterations = self.iteration / self.iterations if self.iterations else 0.0
        by_minutes = self.minutes / self.recipe.minutes if self.recipe.minutes else 0.0
        return min(1.0, max(by_iterations, by_minutes))

    def step(self) -> dict[str, float]:
        """One iteration; returns the losses, of this process's samples."""
        recipe, fraction = self.recipe, self.fraction
        rate = learning_rate(recipe.optimizer, self.iteration, fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        parts = []
        for part in range(recipe.accumulate):
            batch = self._draw(part, fraction)
            # Gradients are exchanged once an iteration, with the last part.
            waits = self.ranks.size > 1 and part < recipe.accumulate - 1
            with self.model.no_sync() if waits else nullcontext():
                parts.append(self._add_gradients(batch))
        if recipe.optimizer.gradient_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.optimizer.gradient_norm)
        self.optimizer.step()
        self.ranks.average_statistics(self.network)
        self.iteration += 1
        self._update_average()
        means = {name: sum(losses[name] for losses in parts) / len(parts) for name in parts[0]}
        return {"learning_rate": rate, **means}

    def _draw(self, part: int, fraction: float) -> Batch:
        """The samples of a part of this iteration, on the device."""
        batch = self._batches.take(Place(self.iteration, part, stage_of(self.recipe, fraction)))
        return Batch(batch.hu.to(self.device), batch.labels.to(self.device))

    def _add_gradients(self, batch: Batch) -> dict[str, float]:
        """Add a batch's share to the gradients; returns its losses."""
        inputs = normalize(batch.hu).contiguous(memory_format=torch.channels_last)
        mixed = self.precision == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed):
            calcium, arteries = self.model(inputs)
        losses = compute_losses(calcium, arteries, batch, self.recipe.loss)
        (losses["loss"] / self.recipe.accumulate).backward()
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        # A short memory at first: the random initial weights would otherwise stay in the average for long.
        decay = min(self.recipe.ema, self.iteration / (10 + self.iteration))
        averaged, current = self.average.state_dict(), self.network.state_dict()
        floating = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([averaged[name] for name in floating], [current[name] for name in floating], 1 - decay)

    def run(self, progress: Progress = no_progress) -> Path:
        """Train to the end; returns the path of the weights.

        ``progress`` is called after every iteration and may raise Cancelled: a checkpoint is kept, from which the run
        goes on exactly.
        """
        if not self.ranks.first:
            progress = no_progress
        records = Records(self.output, self.iteration) if self.ranks.first else None
        try:
            self._run(progress, records)
        finally:
            self._batches.close()
            if records:
                records.close()
        return self.output / WEIGHTS

    def _run(self, progress: Progress, records: Records | None) -> None:
        recipe = self.recipe
        self.minutes, _ = self.ranks.agreed(self.clock.minutes, False)
        saved = validated = scanned = self.minutes
        while self.fraction < 1:
            if self.minutes - scanned >= recipe.rescan_minutes and not self._passes:
                self.train_cases.rescan()
                scanned = self.minutes
            self._window.append(self.step())
            text = f"Iteration {self.iteration}, loss {self._window[-1]['loss']:.3f}"
            self.minutes, stop = self.ranks.agreed(self.clock.minutes, _is_cancelled(progress, self.fraction, text))
            if records:
                self._record(records)
                if self.minutes - validated >= recipe.validation_minutes and not stop:
                    self._show(records)
                    validated = self.minutes
                if stop or self.minutes - saved >= recipe.checkpoint_minutes:
                    self.save()
                    saved = self.minutes
            if stop:
                raise Cancelled
        if records:
            self._show(records)
            self.save()
        self.ranks.wait()
        progress(1.0, "Trained")

    def _record(self, records: Records) -> None:
        """Write a line of metrics, if it is time for one or the run is over."""
        if not self._window or (len(self._window) < METRICS_EVERY and self.fraction < 1):
            return
        means = {name: sum(entry[name] for entry in self._window) / len(self._window) for name in self._window[0]}
        facts = {"iteration": self.iteration, "minutes": round(self.minutes, 3), "cases": len(self.train_cases.names)}
        records.metrics({**facts, **{name: f"{value:.6g}" for name, value in means.items()}})
        self._window = []

    def _show(self, records: Records) -> None:
        """Validate the averaged weights on the held-out cases, and draw what they find."""
        held_out = self.val_cases
        if held_out:
            held_out.rescan()
            self.validation = validate(self.average, held_out, self.recipe.validation_slices, self.device)
            facts = {"iteration": self.iteration, "minutes": round(self.minutes, 3)}
            records.validation({**facts, **self.validation.as_dict()})
            _LOG.info("validation after %d iterations: %s", self.iteration, json.dumps(self.validation.as_dict()))
        shown = slices_to_show(held_out or self.train_cases, PICTURED_CASES)
        title = f"Iteration {self.iteration}, {'held-out' if held_out else 'training'} cases. Research use only."
        sheet = picture_sheet([predict_slices(self.average, case, k, self.device) for case, k in shown], title)
        records.picture(sheet, self.iteration)

    def save(self) -> Path:
        """Write the checkpoint, from which training goes on, and the averaged weights with their card.

        Raises InputError("diverged"), and leaves what was saved before, when the weights are no numbers any more.
        """
        if impossible_values(self.network.state_dict()) or impossible_values(self.average.state_dict()):
            raise InputError(
                "diverged",
                f"After {self.iteration} iterations the weights are no longer finite numbers; continue from the last "
                "checkpoint, or start again, with a lower optimizer.learning_rate.",
            )
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "minutes": self.clock.minutes,
            "recipe": json.dumps(self.recipe.as_dict()),
            "processes": self.ranks.size,
            "window": json.dumps(self._window),
            "validation": self.validation.as_dict() if self.validation else None,
            "initialized_from": json.dumps(self.initialized_from),
        }
        write_checkpoint(state, self.output)
        training = {
            "data": f"{len(self.train_cases.names)} training cases; source: {', '.join(self.train_cases.sources())}",
            "recipe": self.recipe.as_dict(),
            "iterations": self.iteration,
            "minutes": round(self.clock.minutes, 1),
            **in_all(self.iteration, self.clock.minutes, self.initialized_from),
            "device": str(self.device),
            "precision": self.precision,
            "processes": self.ranks.size,
            **({"initialized_from": self.initialized_from} if self.initialized_from else {}),
        }
        card = {
            "name": f"DenseRAUNet, recipe {self.recipe.name}",
            "date": datetime.now(UTC).date().isoformat(),
            "statement": training_statement(self.train_cases.sources(), self.initialized_from),
            "training": training,
            "metrics": {"validation": self.validation.as_dict() if self.validation else {}},
        }
        save_model(self.average, card, self.output / WEIGHTS)
        return self.output / WEIGHTS

    def _initialize(self, path: Path) -> dict[str, Any]:
        """Take the weights of a file; returns where they come from, for the model card: their own training entry."""
        model = load_model(path, self.device)
        if model.network.architecture != self.network.architecture:
            raise InputError(
                "initial-weights",
                f"{path.name} belongs to another network than the recipe's; change [network] in the recipe.",
            )
        self.network.load_state_dict(model.network.state_dict())
        return {**{name: model.card[name] for name in ("name", "sha256", "statement")}, **model.card["training"]}

    def _resume(self) -> None:
        state = read_checkpoint(self.output, self.recipe, self.initialized_from, self.ranks)
        self.initialized_from = json.loads(state["initialized_from"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration = state["iteration"]
        self.validation = Validation(**state["validation"]) if state["validation"] else None
        self._window = json.loads(state["window"])
        self.clock = Clock(state["minutes"])


def _is_cancelled(progress: Progress, fraction: float, text: str) -> bool:
    """Report progress; whether it asked to stop. All processes must stop together, so the exception waits."""
    try:
        progress(fraction, text)
    except Cancelled:
        return True
    return False


def train(
    recipe: Recipe,
    train_folder: Path,
    val_folder: Path | None,
    output: Path,
    progress: Progress = no_progress,
    initialize: Path | None = None,
    device: str = "auto",
) -> Path:
    """Train as ``recipe`` says on the cases of a folder; returns the path of the weights (safetensors).

    ``output`` gets the weights with their card, checkpoint.pt, metrics.csv, validation.csv and pictures; a run that is
    started again in the same folder goes on from its checkpoint. ``initialize`` names weights to start from. Started by
    ``torchrun``, the processes train together. Raises InputError for folders without cases or of something else,
    for weights and for a checkpoint of another network, Cancelled when ``progress`` does.
    """
    with joined_processes(device) as ranks:
        return Trainer(recipe, train_folder, val_folder, output, initialize, ranks).run(progress)
