"""How exactly the network computes when many patients are evaluated."""

import torch

from coronary_calcium.network.weights import LoadedModel


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
    return LoadedModel(_Autocast(model.network).eval(), model.card)  # type: ignore[arg-type]
