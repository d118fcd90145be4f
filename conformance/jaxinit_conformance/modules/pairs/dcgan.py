"""The generator of a DCGAN: from noise to a picture of 32 x 32."""

from typing import Any

import torch
from flax import nnx

from .pair import ModelPair

NOISE, CHANNELS = 40, (64, 32, 16, 3)


def pair() -> ModelPair:
    return ModelPair(
        "DCGAN generator",
        f"{NOISE} -> {' -> '.join(map(str, CHANNELS))}",
        TorchGenerator,
        FlaxGenerator,
        ((2, NOISE, 1, 1),),
        images=True,
        is_model=True,
    )


class TorchGenerator(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip((NOISE, *CHANNELS), CHANNELS, strict=False))
        self.ups = torch.nn.ModuleList(
            torch.nn.ConvTranspose2d(*pair, 4, 2 if index else 1, 1 if index else 0, bias=False)
            for index, pair in enumerate(pairs)
        )
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(channels) for channels in CHANNELS[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for up, norm in zip(self.ups, self.norms, strict=False):
            x = norm(up(x)).relu()
        picture: torch.Tensor = self.ups[-1](x).tanh()
        return picture


class FlaxGenerator(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        pairs = list(zip((NOISE, *CHANNELS), CHANNELS, strict=False))
        # A kernel of 4 reaches out by 3, and the padding of 1 in torch removes 1.
        self.ups = nnx.List(
            [
                nnx.ConvTranspose(
                    *pair,
                    (4, 4),
                    2 if index else 1,
                    padding=((2, 2), (2, 2)) if index else "VALID",
                    transpose_kernel=True,
                    use_bias=False,
                    rngs=rngs,
                )
                for index, pair in enumerate(pairs)
            ]
        )
        self.norms = nnx.List([nnx.BatchNorm(channels, rngs=rngs) for channels in CHANNELS[:-1]])

    def __call__(self, x: Any) -> Any:
        for up, norm in zip(self.ups, self.norms, strict=False):
            x = nnx.relu(norm(up(x)))
        return nnx.tanh(self.ups[-1](x))
