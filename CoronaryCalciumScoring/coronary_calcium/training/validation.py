"""How good the network is on held-out cases: precision, recall and F1 of the pixels that would be scored."""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from coronary_calcium.arteries import UNASSIGNED
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.preprocessing import normalise
from coronary_calcium.rules import LITERATURE, PROPOSAL_LIMITS
from coronary_calcium.training.cases import CaseFolder, TrainingCase
from coronary_calcium.training.samples import whole_window

# The slices are chosen with this seed, the same in every validation of every run.
_SEED = 2020


@dataclass(frozen=True)
class Validation:
    """Counts of window pixels (0.375 mm) of at least 130 HU, over all validated slices, and what follows from them.

    ``artery_accuracy`` is over the calcium pixels that were found and whose artery is known; None without an artery
    head or without any.
    """

    f1: float
    precision: float
    recall: float
    slices: int
    true_positive: int
    false_positive: int
    false_negative: int
    artery_accuracy: float | None

    def as_dict(self) -> dict[str, float | None]:
        """As JSON and CSV know it."""
        return {name: round(v, 4) if isinstance(v, float) else v for name, v in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network finds in the window of one slice.

    ``center_hu`` is the slice in HU, ``labels`` the truth (artery labels) and ``found`` the artery label of what the
    network calls calcium and could be scored, ``UNASSIGNED``'s without an artery head; all (512, 512).
    """

    case: str
    k: int
    center_hu: np.ndarray
    labels: np.ndarray
    found: np.ndarray


@torch.inference_mode()
def predict(network: DenseRAUNet, case: TrainingCase, k: int, device: torch.device) -> Prediction:
    """Run an evaluating network on the window of one slice."""
    hu, labels = whole_window(case, k)
    inputs = normalise(torch.from_numpy(hu)[None].to(device)).contiguous(memory_format=torch.channels_last)
    calcium, arteries = network(inputs)
    center_hu = hu[len(hu) // 2]
    is_found = (torch.sigmoid(calcium[0, 0]) >= PROPOSAL_LIMITS.probability_threshold).cpu().numpy()
    is_found &= center_hu >= LITERATURE.threshold_hu
    artery = UNASSIGNED.label if arteries is None else arteries[0].argmax(dim=0).cpu().numpy() + 1
    return Prediction(case.name, k, center_hu, labels, np.where(is_found, artery, 0).astype(np.uint8))


def validate(network: DenseRAUNet, folder: CaseFolder, slices: int, device: torch.device) -> Validation:
    """Run an evaluating network on whole windows of up to ``slices`` slices, spread evenly over the cases.

    Half of them hold calcium, the others only something else that is bright, as far as the cases have such slices.
    """
    tp = fp = fn = right = known = 0
    chosen = _choose(folder, slices)
    for case, k in chosen:
        prediction = predict(network, case, k, device)
        found, true = prediction.found > 0, prediction.labels > 0
        tp, fp, fn = tp + int((found & true).sum()), fp + int((found & ~true).sum()), fn + int((true & ~found).sum())
        told = found & true & (prediction.labels != UNASSIGNED.label)
        right, known = right + int((prediction.found == prediction.labels)[told].sum()), known + int(told.sum())
    return Validation(
        f1=2 * tp / max(2 * tp + fp + fn, 1),
        precision=tp / max(tp + fp, 1),
        recall=tp / max(tp + fn, 1),
        slices=len(chosen),
        true_positive=tp,
        false_positive=fp,
        false_negative=fn,
        artery_accuracy=right / known if known and network.artery is not None else None,
    )


def slices_to_show(folder: CaseFolder, count: int) -> list[tuple[TrainingCase, int]]:
    """The slice with the most calcium of up to ``count`` cases; of cases without any, where there are no others, one
    with something else that is bright.
    """
    shown = []
    cases = [folder.case(folder.names[place]) for place in _spread(len(folder.names), 3 * count)]
    for case in sorted(cases, key=lambda case: not case.calcium_slices.size)[:count]:
        bright = case.bright_slices[len(case.bright_slices) // 2] if case.bright_slices.size else len(case.hu) // 2
        most = int((case.labels > 0).sum(axis=(1, 2)).argmax()) if case.calcium_slices.size else int(bright)
        shown.append((case, most))
    return shown


def _choose(folder: CaseFolder, slices: int) -> list[tuple[TrainingCase, int]]:
    generator = np.random.default_rng(_SEED)
    names = [folder.names[place] for place in _spread(len(folder.names), (slices + 1) // 2)]
    share = max(1, slices // max(2 * len(names), 1))
    chosen = []
    for case in map(folder.case, names):
        bright = np.setdiff1d(case.bright_slices, case.calcium_slices)
        for pool in (case.calcium_slices, bright):
            picked = generator.permutation(pool)[:share]
            chosen += [(case, int(k)) for k in np.sort(picked)]
    return chosen[:slices]


def _spread(size: int, count: int) -> np.ndarray:
    """Up to ``count`` different indices, spread evenly over 0 .. ``size`` - 1."""
    return np.unique(np.linspace(0, size - 1, min(count, size)).round().astype(int))
