"""How good the network is on held-out cases: precision, recall and F1 of the pixels that would be scored."""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.preprocessing import normalise
from coronary_calcium.rules import LITERATURE, PROBABILITY_THRESHOLD
from coronary_calcium.training.cases import CaseFolder, TrainingCase
from coronary_calcium.training.samples import whole_window

# The slices are chosen with this seed, the same in every validation of every run.
_SEED = 2020


@dataclass(frozen=True)
class Validation:
    """Counts of window pixels (0.375 mm) of at least 130 HU, over all validated slices, and what follows from them.

    ``artery_accuracy`` is over the calcium pixels that were found; None without an artery head or without any.
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


@torch.inference_mode()
def validate(network: DenseRAUNet, folder: CaseFolder, slices: int, device: torch.device) -> Validation:
    """Run an evaluating network on whole windows of up to ``slices`` slices, spread evenly over the cases.

    Half of them hold calcium, the others only something else that is bright, as far as the cases have such slices.
    """
    tp = fp = fn = right = 0
    chosen = _choose(folder, slices)
    for case, k in chosen:
        hu, labels = whole_window(case, k)
        inputs = normalise(torch.from_numpy(hu)[None].to(device)).contiguous(memory_format=torch.channels_last)
        calcium, arteries = network(inputs)
        found = (torch.sigmoid(calcium[0, 0]) >= PROBABILITY_THRESHOLD).cpu().numpy()
        found &= hu[len(hu) // 2] >= LITERATURE.threshold_hu
        true = labels > 0
        tp, fp, fn = tp + int((found & true).sum()), fp + int((found & ~true).sum()), fn + int((true & ~found).sum())
        if arteries is not None:
            right += int((arteries[0].argmax(dim=0).cpu().numpy() + 1 == labels)[found & true].sum())
    return Validation(
        f1=2 * tp / max(2 * tp + fp + fn, 1),
        precision=tp / max(tp + fp, 1),
        recall=tp / max(tp + fn, 1),
        slices=len(chosen),
        true_positive=tp,
        false_positive=fp,
        false_negative=fn,
        artery_accuracy=right / tp if tp and network.artery is not None else None,
    )


def _choose(folder: CaseFolder, slices: int) -> list[tuple[TrainingCase, int]]:
    generator = np.random.default_rng(_SEED)
    cases = list(folder.cases())
    share = max(1, slices // max(2 * len(cases), 1))
    chosen = []
    for case in cases:
        bright = np.setdiff1d(case.bright_slices, case.calcium_slices)
        for pool in (case.calcium_slices, bright):
            picked = generator.permutation(pool)[:share]
            chosen += [(case, int(k)) for k in np.sort(picked)]
    return chosen[:slices]
