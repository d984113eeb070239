"""Many patients evaluated, one after another or several at a time."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from coronary_calcium.errors import InputError
from coronary_calcium.evaluation.measure import measure
from coronary_calcium.evaluation.patients import Patient, open_patient, stated_metadata
from coronary_calcium.evaluation.picture import draw_comparison
from coronary_calcium.evaluation.results import CacheKey, PatientResult, Rejection, ResultCache
from coronary_calcium.inference.device import resolve_device
from coronary_calcium.network.weights import LoadedModel, load_model
from coronary_calcium.parallel import outcomes
from coronary_calcium.progress import Timing


class _Autocast(torch.nn.Module):
    """A network whose matrix products are computed in bfloat16; its answers are float32."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        with torch.autocast(inputs.device.type, torch.bfloat16):
            calcium, arteries = self.network(inputs)
        return calcium.float(), None if arteries is None else arteries.float()


def with_precision(model: LoadedModel, precision: str) -> LoadedModel:
    """The model computing in "float32" or "bfloat16"; scoring itself always uses float32."""
    if precision == "float32":
        return model
    return replace(model, network=_Autocast(model.network).eval())  # type: ignore[arg-type]


# Told of every patient: the result, and whether it was kept from an earlier run.
Told = Callable[[PatientResult, bool], None]


@dataclass(frozen=True)
class EvaluationSettings:
    """How patients are evaluated: the weights (None: the shipped ones), and how the network is run."""

    weights: Path | None
    device: str = "auto"
    precision: str = "float32"
    every_slice: bool = False

    @property
    def key(self) -> CacheKey:
        """What results are kept by. Raises InputError when the weights cannot be used."""
        return CacheKey(load_model(self.weights).card["sha256"], self.precision, self.every_slice)


def evaluate_patient(patient: Patient, settings: EvaluationSettings) -> tuple[PatientResult, bytes | None]:
    """One patient's result and picture; a patient that is rejected has a result that says why."""
    model = with_precision(load_model(settings.weights, resolve_device(settings.device)), settings.precision)
    timing, opened = Timing(), None
    try:
        with timing.timed("open"):
            opened = open_patient(patient)
        measured, labels = measure(opened, model, every_slice=settings.every_slice, timing=timing)
    except InputError as rejection:
        facts = opened.facts if opened else stated_metadata(patient)
        return PatientResult(patient.name, facts, rejection=Rejection(rejection.code, str(rejection))), None
    return PatientResult(patient.name, opened.facts, measured), draw_comparison(opened.volume, opened.labels, labels)


def evaluate(
    patients: list[Patient], settings: EvaluationSettings, kept: ResultCache, jobs: int, told: Told
) -> list[PatientResult]:
    """The results of all patients, in their order; those that are kept from an earlier run are not run again.

    ``jobs`` patients are evaluated at a time, each in a process of its own when there are several. Every result is
    kept as soon as it is there. Raises InputError when the weights or the device cannot be used.
    """
    results: dict[str, PatientResult] = {}
    waiting = []
    for patient in patients:
        known = kept.load(patient)
        if known is None:
            waiting.append(patient)
        else:
            results[patient.name] = known
            told(known, True)
    # Closed here, so that the processes end at once whatever is raised.
    work = partial(evaluate_patient, settings=settings)
    with closing(outcomes(work, waiting, jobs, share_cores)) as evaluated:
        for patient, (result, picture) in evaluated:
            kept.save(patient, result, picture)
            results[patient.name] = result
            told(result, False)
    return [results[patient.name] for patient in patients]


def share_cores(jobs: int) -> None:
    """Let each of so many processes take its share of the cores."""
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
