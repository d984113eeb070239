"""DenseRAUNet: its size, its switches, its two outputs."""

import functools
import math

import pytest
import torch
from coronary_calcium.network.blocks import DenseBlock, ResidualAtrousUnit, SpatialChannelSqueezeExcitation, Transition
from coronary_calcium.network.denseraunet import ENCODER_LAYERS, GROWTH, DenseRAUNet, initialize_gaussian
from torch.utils.flop_counter import FlopCounterMode

LARGEST_PARAMETERS = 20e6
LARGEST_FLOP = 60e9


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DenseRAUNet().eval()


@functools.cache
def _size(**switches):
    """Parameters and FLOP (two a multiply-add) of a 9 x 512 x 512 forward pass, counted without computing it."""
    with torch.device("meta"):
        network = DenseRAUNet(**switches).eval()
        slices = torch.empty(1, 9, 512, 512)
    with FlopCounterMode(display=False) as counter:
        network(slices)
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops()


def test_the_network_keeps_to_its_budget():
    parameters, flop = _size()
    assert parameters <= LARGEST_PARAMETERS
    assert 30e9 < flop <= LARGEST_FLOP


@pytest.mark.parametrize("switch", ["use_rau", "use_edb", "use_scse", "artery_head"])
def test_each_structure_can_be_left_out_and_saves_parameters(switch):
    smaller = DenseRAUNet(**{switch: False}).eval()
    assert smaller.architecture[switch] is False
    assert _size(**{switch: False})[0] < _size()[0]
    with torch.inference_mode():
        calcium, arteries = smaller(torch.zeros(1, 9, 32, 64))
    assert calcium.shape == (1, 1, 32, 64)
    assert (arteries is None) == (switch == "artery_head")


def test_the_encoder_is_densenet_121(network):
    # 4 blocks of (6, 12, 24, 16) layers with two convolutions each, 3 transitions, the stem and the (absent)
    # classifier: 121 layers with weights.
    assert 2 * sum(ENCODER_LAYERS) + 3 + 1 + 1 == 121
    assert [len(block.layers) for block in network.blocks] == list(ENCODER_LAYERS)
    assert [block.out_channels for block in network.blocks] == [256, 512, 1024, 1024]
    assert {layer.conv2.out_channels for block in network.blocks for layer in block.layers} == {GROWTH}
    assert {layer.conv1.out_channels for block in network.blocks for layer in block.layers} == {4 * GROWTH}


def test_every_lateral_connection_has_three_dilated_convolutions(network):
    for unit in network.atrous:
        convolutions = [branch[0] for branch in unit.branches]
        assert [convolution.dilation for convolution in convolutions] == [(2, 2), (4, 4), (8, 8)]
        assert {convolution.kernel_size for convolution in convolutions} == {(3, 3)}


def test_the_output_has_the_input_s_size_and_follows_its_batch(network):
    slices = torch.randn(2, 9, 64, 96)
    with torch.inference_mode():
        calcium, arteries = network(slices)
        alone, _ = network(slices[1:])
    assert calcium.shape == (2, 1, 64, 96)
    assert arteries.shape == (2, 4, 64, 96)
    assert torch.allclose(calcium[1:], alone, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 64, 64), (1, 9, 60, 64), (9, 64, 64)])
def test_an_input_of_the_wrong_shape_is_an_error(network, shape):
    with pytest.raises(ValueError, match="input must be"):
        network(torch.zeros(shape))


def test_calcium_is_the_same_with_and_without_the_artery_head(network):
    torch.manual_seed(0)
    without = DenseRAUNet(artery_head=False).eval()
    slices = torch.randn(1, 9, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network(slices)[0], without(slices)[0])
    with_head = {name: value for name, value in network.state_dict().items() if not name.startswith("artery")}
    assert with_head.keys() == without.state_dict().keys()


def test_the_artery_loss_does_not_touch_the_calcium_s_own_layers():
    network = DenseRAUNet()
    network(torch.randn(2, 9, 32, 32))[1].square().sum().backward()
    assert network.calcium.weight.grad is None
    assert network.full_merge[0].weight.grad is None
    assert network.artery[1].weight.grad.abs().sum() > 0


def test_a_single_pixel_of_the_middle_slice_moves_its_own_output_most(network):
    # The return to full size keeps detail: a calcification of one pixel is not smeared over the stride of 4.
    slices = torch.zeros(1, 9, 64, 64)
    bright = slices.clone()
    bright[0, 4, 30, 33] = 5.0
    with torch.inference_mode():
        change = (network(bright)[0] - network(slices)[0]).abs()[0, 0]
    strongest = divmod(int(change.argmax()), 64)
    assert max(abs(strongest[0] - 30), abs(strongest[1] - 33)) <= 2


def test_exchanging_pooling_and_convolution_changes_nothing():
    transition = Transition(8, 4).eval()
    features = torch.randn(1, 8, 16, 16)
    paper_order = transition.pool(transition.conv(torch.relu(transition.norm(features))))
    assert torch.allclose(transition(features), paper_order, atol=1e-6)


def test_a_dense_block_hands_on_its_input_unchanged():
    block = DenseBlock(5, layers=3, growth=2).eval()
    features = torch.randn(1, 5, 8, 8)
    output = block(features)
    assert output.shape == (1, 11, 8, 8)
    assert torch.equal(output[:, :5], features)


def test_a_residual_atrous_unit_without_its_branches_is_the_identity_on_positive_features():
    unit = ResidualAtrousUnit(4).eval()
    torch.nn.init.zeros_(unit.merge.weight)
    features = torch.rand(1, 4, 16, 16)
    assert torch.equal(unit(features), features)


def test_scse_with_zero_weights_halves_each_of_its_two_terms():
    scse = SpatialChannelSqueezeExcitation(4)
    for parameter in scse.parameters():
        torch.nn.init.zeros_(parameter)
    features = torch.randn(1, 4, 8, 8)
    assert torch.allclose(scse(features), features)  # sigmoid(0) + sigmoid(0) = 1


def test_the_initialization_is_gaussian_with_the_stated_deviation():
    torch.manual_seed(3)
    convolution = torch.nn.Conv2d(64, 64, 3)
    initialize_gaussian(convolution)
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    # A Gaussian, not a uniform distribution: 4.6 % lie beyond two standard deviations.
    beyond = (convolution.weight.abs() > 2 * convolution.weight.std()).float().mean().item()
    assert beyond == pytest.approx(0.0455, abs=0.005)
    assert torch.equal(convolution.bias, torch.zeros(64))


def test_an_untrained_network_calls_about_one_pixel_in_a_hundred_calcium():
    assert torch.sigmoid(DenseRAUNet().calcium.bias).item() == pytest.approx(0.01)
