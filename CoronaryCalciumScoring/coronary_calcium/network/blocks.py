"""The building blocks of DenseRAUNet: dense blocks, residual atrous units, scSE and the decoder module.

Tensors are (batch, channels, j, i). "The paper" is DenseRAUnet; "DenseNet" is Huang et al., CVPR 2017.
"""

import torch
from torch import nn

# DenseNet, section 3: the 1 x 1 bottleneck of a dense layer has four times the growth's channels.
BOTTLENECK_FACTOR = 4
# The paper, section 2.3: the dilation rates of a residual atrous unit.
ATROUS_DILATIONS = (2, 4, 8)
# Roy et al., MICCAI 2018, section 2.1: scSE's channel excitation halves the channels in between.
SQUEEZE_FACTOR = 2


class DenseLayer(nn.Module):
    """One layer of a dense block, in DenseNet's order: BN, ReLU, 1x1 convolution, BN, ReLU, 3x3 convolution.

    (b, channels, j, i) in, (b, growth, j, i) out.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        middle = BOTTLENECK_FACTOR * growth
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, middle, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, growth, 3, padding=1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The layer's new features."""
        middle = self.conv1(torch.relu_(self.norm1(features)))
        return self.conv2(torch.relu_(self.norm2(middle)))


class DenseBlock(nn.Module):
    """Dense layers, each of which sees the block's input and all earlier layers' output.

    (b, channels, j, i) in, (b, channels + layers * growth, j, i) out.
    """

    def __init__(self, channels: int, layers: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DenseLayer(channels + n * growth, growth) for n in range(layers))
        self.out_channels = channels + layers * growth

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The block's input and all layers' features, concatenated."""
        for layer in self.layers:
            features = torch.cat((features, layer(features)), dim=1)
        return features


class Transition(nn.Module):
    """DenseNet's step to half the resolution: BN, ReLU, 1x1 convolution, 2x2 average pooling."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features at half the resolution."""
        # Pooling first gives the same result (both are linear) for a quarter of the convolution's work.
        return self.conv(self.pool(torch.relu_(self.norm(features))))


class ConvBlock(nn.Sequential):
    """Convolution (same size), batch normalization, ReLU."""

    def __init__(self, channels: int, out_channels: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels, out_channels, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class ResidualAtrousUnit(nn.Module):
    """The paper's lateral connection: three parallel dilated 3x3 convolutions, concatenated, with a residual.

    The paper gives the dilations and the concatenation. Decided here: each branch has half the channels, and a
    1x1 convolution brings the concatenation back to the input's channels so that the input can be added.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        branch = channels // 2
        self.branches = nn.ModuleList(ConvBlock(channels, branch, dilation=rate) for rate in ATROUS_DILATIONS)
        self.merge = nn.Conv2d(len(ATROUS_DILATIONS) * branch, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the same shape with context from up to 17 pixels around."""
        context = torch.cat([branch(features) for branch in self.branches], dim=1)
        return torch.relu(self.norm(self.merge(context)) + features)


class SpatialChannelSqueezeExcitation(nn.Module):
    """scSE: features recalibrated by channel and by place, the two added (Roy et al., MICCAI 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // SQUEEZE_FACTOR, 1)
        self.excite = nn.Conv2d(channels // SQUEEZE_FACTOR, channels, 1)
        self.place = nn.Conv2d(channels, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the same shape."""
        mean = features.mean(dim=(2, 3), keepdim=True)
        by_channel = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))
        by_place = torch.sigmoid(self.place(features))
        return features * (by_channel + by_place)


class DecoderModule(nn.Module):
    """The paper's decoder module: deconvolution, two convolutions with BN and ReLU, then scSE.

    Takes (b, channels, j, i) and the lateral connection (b, lateral, 2j, 2i); gives (b, out_channels, 2j, 2i).
    """

    def __init__(self, channels: int, lateral: int, out_channels: int, use_scse: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, out_channels, 2, stride=2)
        self.conv1 = ConvBlock(out_channels + lateral, out_channels)
        self.conv2 = ConvBlock(out_channels, out_channels)
        self.scse = SpatialChannelSqueezeExcitation(out_channels) if use_scse else nn.Identity()

    def forward(self, features: torch.Tensor, lateral: torch.Tensor) -> torch.Tensor:
        """Features at the lateral connection's resolution."""
        return self.scse(self.conv2(self.conv1(torch.cat((self.up(features), lateral), dim=1))))
