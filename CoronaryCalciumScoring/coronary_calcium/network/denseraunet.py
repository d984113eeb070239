"""DenseRAUNet: nine neighboring CT slices in, the center slice's coronary calcium out.

The paper (DenseRAUnet, section 2.3) gives a DenseNet-121 encoder, an extra dense block on the first skip, residual
atrous units as lateral connections and three decoder modules. What it leaves open is decided here:

* Stem: DenseNet-121's own (7x7 convolution of stride 2 to 64 channels, 3x3 max pooling of stride 2), with nine
  input channels. The encoder's resolutions are then 1/4, 1/8, 1/16 and 1/32 of the input.
* Transitions: the 1x1 convolution and the average pooling are exchanged. Both are linear, so the result is the
  same; it saves 1.2 of the encoder's 30 GFLOP.
* Skips: the output of dense blocks 1, 2 and 3 (1/4, 1/8, 1/16), each narrowed by a 1x1 convolution to 64, 96 and
  192 channels, which the decoder modules also have. Unnarrowed (256, 512, 1024), the residual atrous units alone
  would cost over 100 GFLOP.
* Extra dense block: four layers of growth 16 on the first skip, narrowed to the skip's 64 channels again.
* Return to full size: three decoder modules end at 1/4 of the input, 1.5 mm for the 0.375 mm pixels used here,
  which is more than a small calcification. So two narrow steps follow: to 1/2 with 16 channels of the stem
  beside it, to full size with 8 channels of a 3x3 convolution of the nine slices themselves. They cost 4 GFLOP.
* Output: logits; the sigmoid is outside, because the losses are stable only on logits.
* Artery head: a second, optional output of four logits (LM, LAD, LCX, RCA) from the last decoder module's
  features, enlarged without learnt steps. Which artery a calcification belongs to is decided by where it lies,
  not by its edge. No calcium weight or feature depends on it.
* Initialization: Gaussian (He et al., ICCV 2015: standard deviation sqrt(2 / fan in)). The calcium bias starts at
  a probability of 0.01, so that the first iterations are not spent on learning that most pixels are background.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from coronary_calcium.arteries import NAMED_ARTERIES
from coronary_calcium.network.blocks import ConvBlock, DecoderModule, DenseBlock, ResidualAtrousUnit, Transition
from coronary_calcium.network.model_card import NEIGHBORS

# DenseNet-121 (Huang et al., CVPR 2017, table 1).
ENCODER_LAYERS = (6, 12, 24, 16)
GROWTH = 32
STEM_CHANNELS = 64
COMPRESSION = 0.5
# Channels of the skips and decoder modules, finest first; see above.
SKIP_CHANNELS = (64, 96, 192)
EXTRA_LAYERS, EXTRA_GROWTH = 4, 16
HALF_STEM_CHANNELS, HALF_CHANNELS = 16, 32
DETAIL_CHANNELS, FULL_CHANNELS = 8, 16
ARTERY_CHANNELS = 32
# The input's sides must be a multiple of this: the encoder halves five times.
SIDE_MULTIPLE = 32
CALCIUM_PRIOR = 0.01


class DenseRAUNet(nn.Module):
    """The network, for (batch, 9, j, i) float32 normalized HU with j and i multiples of 32.

    Parameters
    ----------
    use_rau, use_edb, use_scse : the paper's three structures, each of which can be left out (table 1).
    artery_head : whether the second output exists.

    """

    def __init__(
        self, use_rau: bool = True, use_edb: bool = True, use_scse: bool = True, artery_head: bool = True
    ) -> None:
        super().__init__()
        self.architecture = {
            "use_rau": use_rau,
            "use_edb": use_edb,
            "use_scse": use_scse,
            "artery_head": artery_head,
        }
        self.stem = nn.Sequential(
            nn.Conv2d(NEIGHBORS, STEM_CHANNELS, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(STEM_CHANNELS),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self._build_encoder()
        fine, middle, coarse = SKIP_CHANNELS
        first_skip: list[nn.Module] = [self.laterals[0]]
        if use_edb:
            extra = DenseBlock(fine, EXTRA_LAYERS, EXTRA_GROWTH)
            first_skip += [extra, ConvBlock(extra.out_channels, fine, kernel=1)]
        self.laterals[0] = nn.Sequential(*first_skip)
        self.atrous = nn.ModuleList(ResidualAtrousUnit(n) if use_rau else nn.Identity() for n in SKIP_CHANNELS)
        self.decoders = nn.ModuleList(
            (
                DecoderModule(self.encoder_channels, coarse, coarse, use_scse),
                DecoderModule(coarse, middle, middle, use_scse),
                DecoderModule(middle, fine, fine, use_scse),
            )
        )
        self.half_stem = ConvBlock(STEM_CHANNELS, HALF_STEM_CHANNELS, kernel=1)
        self.half_up = nn.ConvTranspose2d(fine, HALF_CHANNELS, 2, stride=2)
        self.half_merge = ConvBlock(HALF_CHANNELS + HALF_STEM_CHANNELS, HALF_CHANNELS)
        self.detail = ConvBlock(NEIGHBORS, DETAIL_CHANNELS)
        self.full_up = nn.ConvTranspose2d(HALF_CHANNELS, FULL_CHANNELS, 2, stride=2)
        self.full_merge = ConvBlock(FULL_CHANNELS + DETAIL_CHANNELS, FULL_CHANNELS)
        self.calcium = nn.Conv2d(FULL_CHANNELS, 1, 1)
        # Made last, so that a seed gives the same calcium weights with and without it.
        self._initialize()
        self.artery: nn.Sequential | None = None
        if artery_head:
            self.artery = nn.Sequential(
                ConvBlock(fine, ARTERY_CHANNELS), nn.Conv2d(ARTERY_CHANNELS, len(NAMED_ARTERIES), 1)
            )
            initialize_gaussian(self.artery)

    def placed_on(self, device: str | torch.device) -> "DenseRAUNet":
        """The network itself, on a device and with channels-last weights, with which convolutions are fastest."""
        # PyTorch's annotations of Module.to leave memory_format out.
        return self.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _build_encoder(self) -> None:
        blocks, transitions, laterals = [], [], []
        channels = STEM_CHANNELS
        for level, layers in enumerate(ENCODER_LAYERS):
            block = DenseBlock(channels, layers, GROWTH)
            blocks.append(block)
            channels = block.out_channels
            if level < len(ENCODER_LAYERS) - 1:
                laterals.append(ConvBlock(channels, SKIP_CHANNELS[level], kernel=1))
                transitions.append(Transition(channels, int(channels * COMPRESSION)))
                channels = int(channels * COMPRESSION)
        self.blocks = nn.ModuleList(blocks)
        self.transitions = nn.ModuleList(transitions)
        self.laterals = nn.ModuleList(laterals)
        self.encoder_norm = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.encoder_channels = channels

    def _initialize(self) -> None:
        initialize_gaussian(self)
        with torch.no_grad():
            self.calcium.get_parameter("bias").fill_(math.log(CALCIUM_PRIOR / (1 - CALCIUM_PRIOR)))

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Calcium logits (b, 1, j, i) and artery logits (b, 4, j, i), or None without the artery head.

        Raises ValueError when the sides are not multiples of 32 or there are not nine slices (programming errors).
        """
        if slices.ndim != 4 or slices.shape[1] != NEIGHBORS or any(n % SIDE_MULTIPLE for n in slices.shape[2:]):
            raise ValueError(f"input must be (b, {NEIGHBORS}, 32 m, 32 n), not {tuple(slices.shape)}")
        stem = self.stem(slices)
        features = self.pool(stem)
        skips = []
        for block, transition, lateral in zip(self.blocks[:-1], self.transitions, self.laterals, strict=True):
            features = block(features)
            skips.append(lateral(features))
            features = transition(features)
        features = self.encoder_norm(self.blocks[-1](features))
        for decoder, unit, skip in zip(self.decoders, reversed(self.atrous), reversed(skips), strict=True):
            features = decoder(features, unit(skip))
        half = self.half_merge(torch.cat((self.half_up(features), self.half_stem(stem)), dim=1))
        full = self.full_merge(torch.cat((self.full_up(half), self.detail(slices)), dim=1))
        return self.calcium(full), self._arteries(features, slices.shape[2:])

    def _arteries(self, features: torch.Tensor, size: torch.Size) -> torch.Tensor | None:
        if self.artery is None:
            return None
        return functional.interpolate(self.artery(features), size=size, mode="bilinear", align_corners=False)


def initialize_gaussian(module: nn.Module) -> None:
    """Draw every convolution's weights from a Gaussian of standard deviation sqrt(2 / fan in); biases 0, BN 1 and 0."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution of stride 2 and kernel 2 sums over its input channels alone.
            fan_in = part.in_channels * (1 if isinstance(part, nn.ConvTranspose2d) else math.prod(part.kernel_size))
            nn.init.normal_(part.weight, std=math.sqrt(2 / fan_in))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
