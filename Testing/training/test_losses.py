"""The paper's losses against values worked out by hand, and their gradients against finite differences."""

import math

import pytest
import torch
from coronary_calcium.datasets.case_format import UNJUDGED
from coronary_calcium.training.config import LossOptions
from coronary_calcium.training.losses import artery_loss, bootstrap_loss, compute_losses, iou_loss
from coronary_calcium.training.samples import Batch


def _logits(*probabilities):
    """Logits of these calcium probabilities, in double precision."""
    return torch.tensor([math.log(p / (1 - p)) for p in probabilities], dtype=torch.float64)


# Two positives (0.5, 0.8), one easy negative (0.05) and two hard ones (0.5, 0.2; background 0.5 and 0.8 < 0.9).
PROBABILITIES = (0.5, 0.8, 0.05, 0.5, 0.2)
TARGET = torch.tensor([1, 1, 0, 0, 0])


def test_the_bootstrap_loss_is_equation_2_worked_out_by_hand():
    negatives = (math.log(2) + math.log(1 / 0.8)) / 2
    positives = (math.log(2) + math.log(1 / 0.8)) / 2
    loss = bootstrap_loss(_logits(*PROBABILITIES), TARGET)
    assert loss.item() == pytest.approx(8 * negatives + 1 * positives, abs=1e-12)
    loss = bootstrap_loss(_logits(*PROBABILITIES), TARGET, alpha=0.5, beta=3.0)
    assert loss.item() == pytest.approx(0.5 * negatives + 3 * positives, abs=1e-12)


def test_the_threshold_decides_which_negatives_are_hard():
    # With t = 0.96 the negative of probability 0.05 is hard as well: its background has 0.95.
    negatives = (math.log(1 / 0.95) + math.log(2) + math.log(1 / 0.8)) / 3
    loss = bootstrap_loss(_logits(*PROBABILITIES), TARGET, threshold=0.96, beta=0.0)
    assert loss.item() == pytest.approx(8 * negatives, abs=1e-12)


def test_a_negative_at_the_threshold_itself_is_not_hard():
    # p < t is strict; 0.5 is exact in binary.
    assert bootstrap_loss(_logits(0.5), torch.tensor([0]), threshold=0.5).item() == 0.0


def test_the_bootstrap_loss_without_positives_has_only_the_negatives_term():
    loss = bootstrap_loss(_logits(0.5, 0.05), torch.tensor([0, 0]))
    assert loss.item() == pytest.approx(8 * math.log(2), abs=1e-12)


def test_the_bootstrap_loss_without_hard_negatives_has_only_the_positives_term():
    loss = bootstrap_loss(_logits(0.25, 0.05), torch.tensor([1, 0]))
    assert loss.item() == pytest.approx(math.log(4), abs=1e-12)


def test_both_losses_are_0_with_a_gradient_where_there_is_nothing_to_learn():
    for loss_of in (bootstrap_loss, iou_loss):
        logits = _logits(0.01, 0.02).requires_grad_()
        loss = loss_of(logits, torch.tensor([0, 0]))
        loss.backward()
        assert loss.item() == 0.0
        assert torch.equal(logits.grad, torch.zeros(2, dtype=torch.float64))


def test_the_iou_loss_is_equation_3_worked_out_by_hand():
    # overlap 0.5 + 0.8; union (0.5 + 0.8 + 0.05 + 0.5 + 0.2) + 2 - 1.3
    loss = iou_loss(_logits(*PROBABILITIES), TARGET)
    assert loss.item() == pytest.approx(-math.log(1.3 / (2.05 + 2 - 1.3)), abs=1e-12)


def test_a_perfect_prediction_costs_nothing():
    logits = torch.tensor([40.0, -40.0, -40.0])
    target = torch.tensor([1, 0, 0])
    assert bootstrap_loss(logits, target).item() == pytest.approx(0.0, abs=1e-6)
    assert iou_loss(logits, target).item() == pytest.approx(0.0, abs=1e-6)


def test_pixels_that_are_not_valid_take_no_part():
    valid = torch.tensor([True, False, True, True, False])
    kept = torch.tensor([0, 2, 3])
    for loss_of in (bootstrap_loss, iou_loss):
        masked = loss_of(_logits(*PROBABILITIES), TARGET, valid)
        assert masked.item() == pytest.approx(loss_of(_logits(*PROBABILITIES)[kept], TARGET[kept]).item(), abs=1e-12)


def test_no_positive_among_the_valid_pixels_is_no_positive():
    assert iou_loss(_logits(0.5, 0.5), torch.tensor([1, 0]), torch.tensor([False, True])).item() == 0.0


@pytest.mark.parametrize("extreme", [-2000.0, 2000.0])
def test_extreme_logits_give_finite_losses_and_gradients(extreme):
    logits = torch.full((4,), extreme, requires_grad=True)
    target = torch.tensor([1, 1, 0, 0])
    loss = bootstrap_loss(logits, target) + iou_loss(logits, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_half_precision_logits_are_summed_in_single_precision():
    # 100000 pixels of 0.5 each: their sum overflows float16.
    logits = torch.zeros(100000, dtype=torch.float16)
    target = torch.zeros(100000, dtype=torch.long)
    target[:10] = 1
    assert iou_loss(logits, target).item() == pytest.approx(-math.log(5 / (50000 + 10 - 5)), rel=1e-4)
    assert bootstrap_loss(logits, target).item() == pytest.approx(9 * math.log(2), rel=1e-4)


@pytest.mark.parametrize("loss_of", [bootstrap_loss, iou_loss])
def test_gradients_agree_with_finite_differences(loss_of):
    torch.manual_seed(2)
    logits = (2 * torch.randn(1, 1, 4, 5, dtype=torch.float64)).requires_grad_()
    target = torch.rand(1, 1, 4, 5) > 0.7
    assert torch.autograd.gradcheck(lambda values: loss_of(values, target), logits)


def test_the_artery_loss_is_the_cross_entropy_over_calcium_alone():
    logits = torch.zeros(1, 4, 1, 3, dtype=torch.float64)
    logits[0, :, 0, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    logits[0, :, 0, 2] = 50.0 * torch.tensor([1, 0, 0, 0])  # no calcium there: whatever it says is free
    labels = torch.tensor([[[4, 2, 0]]])
    first = math.log(sum(math.exp(value - 4) for value in (1, 2, 3, 4)))
    assert artery_loss(logits, labels).item() == pytest.approx((first + math.log(4)) / 2, abs=1e-12)


def test_calcium_in_an_artery_that_is_not_known_takes_no_part_in_the_artery_loss():
    logits = torch.zeros(1, 4, 1, 2, dtype=torch.float64)
    logits[0, :, 0, 1] = 50.0 * torch.tensor([1, 0, 0, 0])
    logits.requires_grad_()
    loss = artery_loss(logits, torch.tensor([[[2, 5]]]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(4), abs=1e-12)
    assert torch.equal(logits.grad[0, :, 0, 1], torch.zeros(4, dtype=torch.float64))
    assert artery_loss(logits, torch.tensor([[[5, 5]]])).item() == 0.0


def test_the_artery_loss_without_calcium_is_0():
    assert artery_loss(torch.randn(1, 4, 2, 2), torch.zeros(1, 2, 2)).item() == 0.0


def test_pixels_that_nobody_has_judged_have_no_loss_and_no_gradient():
    hu = torch.full((1, 9, 2, 4), 300.0)
    labels = torch.tensor([[[0, 2, UNJUDGED, UNJUDGED], [0, 3, 0, 2]]], dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, 2, 4, generator=generator).requires_grad_()
    arteries = torch.randn(1, 4, 2, 4, generator=generator).requires_grad_()
    losses = compute_losses(logits, arteries, Batch(hu, labels), LossOptions())
    losses["loss"].backward()
    assert not logits.grad[0, 0, 0, 2:].any() and logits.grad[0, 0, 0, :2].all()
    assert not arteries.grad[0, :, 0, 2:].any()
    other = logits.detach().clone()
    other[0, 0, 0, 2:] = 9.0
    assert compute_losses(other, arteries, Batch(hu, labels), LossOptions())["loss"] == losses["loss"]
