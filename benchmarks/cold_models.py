"""The models of the cold start, in Flax NNX, Linen and torch: the layers of each, without their wiring."""

import itertools
from collections.abc import Callable
from typing import Any

MODELS = ("ResNet-50", "transformer")


def resnet50() -> list[tuple[int, ...]]:
    """Return the shapes of its kernels: a stem, four stages of bottlenecks, a classifier."""
    shapes: list[tuple[int, ...]] = [(7, 7, 3, 64)]
    inputs = 64
    for width, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        shapes.append((1, 1, inputs, 4 * width))
        for _ in range(blocks):
            shapes += [(1, 1, inputs, width), (3, 3, width, width), (1, 1, width, 4 * width)]
            inputs = 4 * width
    return [*shapes, (inputs, 1000)]


def in_nnx(model: str, options: dict[str, Any], depth: int) -> Callable[[Any], Any]:
    """Return a function of rngs that builds the layers."""
    from flax import nnx

    def convolutions(rngs: nnx.Rngs) -> list[Any]:
        *kernels, (inputs, outputs) = resnet50()
        pairs = [
            (nnx.Conv(i, o, size, use_bias=False, rngs=rngs, **options), nnx.BatchNorm(o, rngs=rngs))
            for *size, i, o in kernels
        ]
        return [*itertools.chain(*pairs), nnx.Linear(inputs, outputs, rngs=rngs, **options)]

    def blocks(rngs: nnx.Rngs) -> list[Any]:
        return [
            layer
            for _ in range(depth)
            for layer in (
                nnx.MultiHeadAttention(8, 512, decode=False, rngs=rngs, **options),
                nnx.LayerNorm(512, rngs=rngs),
                nnx.Linear(512, 2048, rngs=rngs, **options),
                nnx.Linear(2048, 512, rngs=rngs, **options),
                nnx.LayerNorm(512, rngs=rngs),
            )
        ]

    make = convolutions if model == "ResNet-50" else blocks
    return lambda rngs: nnx.List(make(rngs))


def in_linen(model: str, options: dict[str, Any], depth: int) -> Any:
    """Return a module that calls each layer on an input of its own."""
    import jax.numpy as jnp
    from flax import linen as nn

    class Convolutions(nn.Module):
        @nn.compact
        def __call__(self) -> None:
            *kernels, (inputs, outputs) = resnet50()
            for *size, i, o in kernels:
                nn.Conv(o, size, use_bias=False, **options)(jnp.zeros((1, *size, i)))
                nn.BatchNorm(use_running_average=True)(jnp.zeros((1, o)))
            nn.Dense(outputs, **options)(jnp.zeros((1, inputs)))

    class Blocks(nn.Module):
        @nn.compact
        def __call__(self) -> None:
            for _ in range(depth):
                nn.MultiHeadDotProductAttention(8, **options)(jnp.zeros((1, 1, 512)))
                nn.LayerNorm()(jnp.zeros((1, 512)))
                nn.Dense(2048, **options)(jnp.zeros((1, 512)))
                nn.Dense(512, **options)(jnp.zeros((1, 2048)))
                nn.LayerNorm()(jnp.zeros((1, 512)))

    return Convolutions() if model == "ResNet-50" else Blocks()


def in_torch(model: str, depth: int) -> Callable[[], Any]:
    """Return a function that builds the layers with torch's own defaults."""
    from torch import nn

    def convolutions() -> list[Any]:
        *kernels, (inputs, outputs) = resnet50()
        pairs = [(nn.Conv2d(i, o, tuple(size), bias=False), nn.BatchNorm2d(o)) for *size, i, o in kernels]
        return [*itertools.chain(*pairs), nn.Linear(inputs, outputs)]

    def blocks() -> list[Any]:
        return [
            layer
            for _ in range(depth)
            for layer in (
                nn.MultiheadAttention(512, 8),
                nn.LayerNorm(512),
                nn.Linear(512, 2048),
                nn.Linear(2048, 512),
                nn.LayerNorm(512),
            )
        ]

    return convolutions if model == "ResNet-50" else blocks
