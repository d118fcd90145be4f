"""A deep network of linear layers and ReLU."""

from typing import Any

import torch
from flax import nnx

from .pair import ModelPair


def pair(depth: int, width: int) -> ModelPair:
    return ModelPair(
        f"MLP of {depth} layers",
        f"{width} wide, ReLU",
        lambda: TorchMLP(depth, width),
        lambda rngs: FlaxMLP(depth, width, rngs),
        ((64, width),),
        is_model=True,
    )


class TorchMLP(torch.nn.Module):
    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return x


class FlaxMLP(nnx.Module):
    def __init__(self, depth: int, width: int, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([nnx.Linear(width, width, rngs=rngs) for _ in range(depth)])

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = nnx.relu(layer(x))
        return x
