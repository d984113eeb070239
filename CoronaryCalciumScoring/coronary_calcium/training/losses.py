"""The paper's losses (section 2.4) and the artery head's, all computed from logits.

Everything is summed in float32, whatever the logits' type: a slice has 262144 pixels, and a half-precision sum loses
small terms from 2048 on. ``valid`` says which pixels take part; None means all.
"""

import math

import torch
from torch.nn import functional

from coronary_calcium.datasets.case_format import UNJUDGED
from coronary_calcium.training.config import LossOptions
from coronary_calcium.training.samples import Batch

# The paper, section 3: t, alpha and beta of equation 2.
THRESHOLD, ALPHA, BETA = 0.9, 8.0, 1.0


def bootstrap_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    valid: torch.Tensor | None = None,
    threshold: float = THRESHOLD,
    alpha: float = ALPHA,
    beta: float = BETA,
) -> torch.Tensor:
    """Equation 2: alpha times the hard negatives' mean plus beta times the positives' mean of -log p(true class).

    A hard negative is a background pixel whose predicted probability of background is below ``threshold``. (As
    printed, the minus stands before a bracket around both terms.) ``logits`` are the calcium logits, ``target`` is 1
    for calcium and 0 for background, of the same shape. A term without any pixel is 0. Scalar, float32 or wider.
    """
    logits = _at_least_float32(logits)
    positive = target > 0.5
    negative = ~positive
    if valid is not None:
        positive, negative = positive & valid, negative & valid
    # p(background) = sigmoid(-logit) < t exactly where logit > log((1 - t) / t): no rounding at either end.
    hard = negative & (logits > math.log((1 - threshold) / threshold))
    # -log sigmoid(-x) = softplus(x) and -log sigmoid(x) = softplus(-x)
    return alpha * _mean_where(functional.softplus(logits), hard) + beta * _mean_where(
        functional.softplus(-logits), positive
    )


def iou_loss(logits: torch.Tensor, target: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
    """Equation 3: -ln of the soft intersection over union, sum(pg) / (sum(p) + sum(g) - sum(pg)).

    Without a positive pixel the ratio is 0 and its logarithm undefined; there is then nothing to overlap with, and
    the loss is 0: the bootstrap loss alone judges such an image. Shapes as in ``bootstrap_loss``.
    """
    logits = _at_least_float32(logits)
    truth = (target > 0.5).to(logits.dtype)
    probability = torch.sigmoid(logits)
    if valid is not None:
        truth, probability = truth * valid, probability * valid
    total = truth.sum()
    if total == 0:
        return logits.sum() * 0.0
    # log(sum(pg)) by logsumexp of log p over the positives: finite even where every p underflows to 0.
    log_overlap = torch.logsumexp(functional.logsigmoid(logits[truth > 0]), dim=0)
    union = total + (probability * (1 - truth)).sum()
    return torch.log(union) - log_overlap


def artery_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the artery over the calcified pixels whose artery is known.

    ``logits`` are (b, 4, j, i), ``labels`` (b, j, i) with 0 where there is no calcium, 1..4 for LM, LAD, LCX and RCA,
    and 5 for calcium in an artery that is not known, which takes no part. 0 when no pixel takes part.
    """
    known = (labels > 0) & (labels <= logits.shape[1])
    if not known.any():
        return logits.float().sum() * 0.0
    chosen = _at_least_float32(logits).permute(0, 2, 3, 1)[known]
    return functional.cross_entropy(chosen, labels[known].long() - 1)


def compute_losses(
    calcium: torch.Tensor, arteries: torch.Tensor | None, batch: Batch, options: LossOptions
) -> dict[str, torch.Tensor]:
    """The losses of a batch by name, and their weighted sum as "loss"."""
    labels = batch.labels[:, None]
    target = (labels > 0) & (labels != UNJUDGED)
    valid = (batch.center_hu >= options.minimum_hu) & (labels != UNJUDGED)
    losses = {
        "bootstrap": bootstrap_loss(calcium, target, valid, options.threshold, options.alpha, options.beta),
        "iou": iou_loss(calcium, target, valid),
    }
    total = losses["bootstrap"] + options.iou * losses["iou"]
    if arteries is not None:
        losses["artery"] = artery_loss(arteries, batch.labels)
        total = total + options.artery * losses["artery"]
    return {"loss": total, **losses}


def _at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _mean_where(values: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Mean of the chosen values, 0 (with a gradient of 0) when there are none."""
    return (values * where).sum() / where.sum().clamp(min=1)
