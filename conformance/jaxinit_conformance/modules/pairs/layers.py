"""Torch modules that NNX has a layer for, with and without options."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import torch
from flax import nnx

from .pair import ModelPair

SPATIAL = (9, 8, 7)
KERNELS = (5, 3, 2)


def everything() -> tuple[ModelPair, ...]:
    return (*_dense(), *_convolutions(), *_transposed(), *_embeddings(), *_norms(), _prelu())


def _layer(name: str, case: str, layer: Any, sizes: tuple[int, ...], shape: tuple[int, ...], **options: Any) -> Any:
    """Return the pair of `torch.nn.NAME(*sizes)` and `layer(rngs=rngs)`, called with an array of a shape."""
    module = partial(getattr(torch.nn, name), *sizes)
    return ModelPair(f"nn.{name}", case, module, lambda rngs: layer(rngs=rngs), (shape,), **options)


def _dense() -> Iterator[ModelPair]:
    linear, general = partial(nnx.Linear, 24, 96), partial(nnx.LinearGeneral, 24, (4, 24))
    yield _layer("Linear", "nnx.Linear, 24 -> 96", linear, (24, 96), (7, 24), quick=True)
    yield _layer("Linear", "nnx.LinearGeneral, 24 -> 4x24", general, (24, 96), (7, 24))
    einsum = partial(nnx.Einsum, "bi,io->bo", (24, 96), (96,))
    yield _layer("Linear", "nnx.Einsum, bi,io->bo", einsum, (24, 96), (7, 24))


def _convolutions() -> Iterator[ModelPair]:
    for axes in (1, 2, 3):
        yield _conv(axes)
    yield _conv(2, into=48, groups=4, stride=2, padding=(2, 1), dilation=(1, 2), quick=True)


def _conv(axes: int, *, into: int = 12, quick: bool = False, **options: Any) -> ModelPair:
    kernel = KERNELS[:axes]
    own = {
        "feature_group_count": options.get("groups", 1),
        "strides": options.get("stride", 1),
        "padding": [(size, size) for size in options.get("padding", (0,) * axes)],
        "kernel_dilation": options.get("dilation", 1),
    }
    return ModelPair(
        f"nn.Conv{axes}d",
        f"nnx.Conv, {into} -> 96{_listed(options)}",
        lambda: getattr(torch.nn, f"Conv{axes}d")(into, 96, kernel, **options),
        lambda rngs: nnx.Conv(into, 96, kernel, **own, rngs=rngs),
        ((2, into, *SPATIAL[:axes]),),
        images=True,
        quick=quick,
    )


def _listed(options: dict[str, Any]) -> str:
    return "".join(f", {name} {value}" for name, value in options.items())


def _transposed() -> Iterator[ModelPair]:
    for transpose_kernel in (False, True):
        for axes in (1, 2, 3):
            yield _conv_transpose(axes, transpose_kernel)
    yield _conv_transpose(2, False, stride=2, padding=1, output_padding=1, quick=True)
    yield _conv_transpose(2, True, stride=(3, 2), padding=(2, 0), dilation=(2, 1))


def _conv_transpose(axes: int, transpose_kernel: bool, *, quick: bool = False, **options: Any) -> ModelPair:
    kernel = KERNELS[:axes]
    own = {"strides": options.get("stride", 1), "kernel_dilation": options.get("dilation", 1)}
    own |= {"padding": _padding(kernel, options), "transpose_kernel": transpose_kernel}
    return ModelPair(
        f"nn.ConvTranspose{axes}d",
        f"nnx.ConvTranspose{', transpose_kernel' * transpose_kernel}, 12 -> 96{_listed(options)}",
        lambda: getattr(torch.nn, f"ConvTranspose{axes}d")(12, 96, kernel, **options),
        lambda rngs: nnx.ConvTranspose(12, 96, kernel, **own, rngs=rngs),
        ((2, 12, *SPATIAL[:axes]),),
        images=True,
        quick=quick,
    )


def _padding(kernel: tuple[int, ...], options: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the padding of Flax, which adds to the dilated input. The padding of torch removes from the output."""

    def each(name: str, default: int) -> tuple[int, ...]:
        value = options.get(name, default)
        return value if isinstance(value, tuple) else (value,) * len(kernel)

    def ends(size: int, dilation: int, padding: int, further: int) -> tuple[int, int]:
        reach = dilation * (size - 1) - padding
        return reach, reach + further

    sizes = kernel, each("dilation", 1), each("padding", 0), each("output_padding", 0)
    return [ends(*one) for one in zip(*sizes, strict=True)]


def _embeddings() -> Iterator[ModelPair]:
    def mean(model: Any, tokens: Any) -> Any:
        return model(tokens).mean(axis=1)

    embed = partial(nnx.Embed, 60, 24)
    yield _layer("Embedding", "nnx.Embed, 60 x 24", embed, (60, 24), (7, 5), tokens=60, quick=True)
    yield _layer("EmbeddingBag", "nnx.Embed, 60 x 24, mean of 5", embed, (60, 24), (7, 5), tokens=60, call_flax=mean)


def _norms() -> Iterator[ModelPair]:
    for axes in (1, 2, 3):
        yield _per_channel(f"BatchNorm{axes}d", nnx.BatchNorm, axes, quick=axes == 2)
        yield _per_channel(f"InstanceNorm{axes}d", nnx.InstanceNorm, axes, affine=True)
    grouped = partial(nnx.GroupNorm, 24, 4, epsilon=1e-5)
    yield _layer("GroupNorm", "nnx.GroupNorm, 24, 4 groups", grouped, (4, 24), (4, 24, 5, 6), images=True)
    eps = float(jnp.finfo(jnp.float32).eps)
    yield _layer("LayerNorm", "nnx.LayerNorm, 24", partial(nnx.LayerNorm, 24, epsilon=1e-5), (24,), (4, 5, 24))
    yield _layer("RMSNorm", "nnx.RMSNorm, 24", partial(nnx.RMSNorm, 24, epsilon=eps), (24,), (4, 5, 24))


def _per_channel(name: str, layer: Any, axes: int, *, quick: bool = False, **options: Any) -> ModelPair:
    return ModelPair(
        f"nn.{name}",
        f"nnx.{layer.__name__}, 24",
        partial(getattr(torch.nn, name), 24, **options),
        lambda rngs: layer(24, epsilon=1e-5, rngs=rngs),
        ((4, 24, *SPATIAL[:axes]),),
        images=True,
        quick=quick,
    )


def _prelu() -> ModelPair:
    return ModelPair("nn.PReLU", "nnx.PReLU", torch.nn.PReLU, lambda _: nnx.PReLU(), ((4, 5),))
