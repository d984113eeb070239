"""How the weights are changed: the optimiser and the course of its learning rate."""

import math

import torch

from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.training.recipe import OptimiserOptions

# The paper, section 3: "reduced by 0.99 times per 2000 iterations".
PAPER_DECAY, PAPER_DECAY_ITERATIONS = 0.99, 2000
# The cosine ends at this share of the learning rate.
FINAL_SHARE = 0.01


def learning_rate(options: OptimiserOptions, iteration: int, fraction: float) -> float:
    """The learning rate of an iteration, counted from 0, when ``fraction`` of the run is over."""
    rise = min(1.0, (iteration + 1) / options.warmup) if options.warmup else 1.0
    if options.schedule == "paper":
        return options.learning_rate * rise * PAPER_DECAY ** (iteration // PAPER_DECAY_ITERATIONS)
    fall = FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * fraction))
    return options.learning_rate * rise * fall


def make_optimiser(network: DenseRAUNet, options: OptimiserOptions) -> torch.optim.Optimizer:
    """The optimiser of a network's parameters."""
    # Decay draws weights to 0, which says nothing for biases and BN's scales.
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum)
    return torch.optim.AdamW(groups, lr=options.learning_rate)
