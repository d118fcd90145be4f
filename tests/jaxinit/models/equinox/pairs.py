"""Layers of Equinox beside torch's: how both are built, and how they are called on a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import torch

Array = jax.Array
SIZES = (3, 2, 4)


class Pair(NamedTuple):
    """A torch module and the Equinox layer of the same sizes. The layer may keep a state."""

    torch: Callable[[], torch.nn.Module]
    equinox: Callable[[Any], Any]
    shape: tuple[int, ...] = ()
    """Of an input for torch, with a batch in front. Other layers are called by a test of their own."""


def conv(axes: int, **given: Any) -> Pair:
    ours = {"use_bias" if name == "bias" else name: value for name, value in given.items()}
    return Pair(
        lambda: getattr(torch.nn, f"Conv{axes}d")(4, 6, SIZES[:axes], **given),
        lambda key: getattr(eqx.nn, f"Conv{axes}d")(4, 6, SIZES[:axes], **ours, key=key),
        (2, 4, 5, 4, 5)[: axes + 2],
    )


def transposed(axes: int, **given: Any) -> Pair:
    return Pair(
        lambda: getattr(torch.nn, f"ConvTranspose{axes}d")(4, 6, SIZES[:axes], **given),
        lambda key: getattr(eqx.nn, f"ConvTranspose{axes}d")(4, 6, SIZES[:axes], **given, key=key),
        (2, 4, 5, 4, 3)[: axes + 2],
    )


def attention(bias: bool = True, **sizes: int) -> Pair:
    ours: dict[str, Any] = {f"use_{part}_bias": bias for part in ("query", "key", "value", "output")}
    ours |= {{"kdim": "key_size", "vdim": "value_size"}[name]: size for name, size in sizes.items()}
    return Pair(
        lambda: torch.nn.MultiheadAttention(8, 2, bias=bias, batch_first=True, **sizes),
        lambda key: eqx.nn.MultiheadAttention(2, 8, **ours, key=key),
    )


def batch_norm(mode: Any) -> Callable[[Any], Any]:
    return lambda key: eqx.nn.make_with_state(eqx.nn.BatchNorm)(6, "batch", mode=mode)


PAIRS: dict[str, Pair] = {
    "Linear": Pair(lambda: torch.nn.Linear(3, 5), lambda key: eqx.nn.Linear(3, 5, key=key), (2, 3)),
    "Linear without bias": Pair(
        lambda: torch.nn.Linear(3, 5, bias=False), lambda key: eqx.nn.Linear(3, 5, use_bias=False, key=key), (2, 3)
    ),
    "Conv1d": conv(1),
    "Conv2d": conv(2, padding=1),
    "Conv3d": conv(3, padding=1),
    "Conv2d grouped": conv(2, groups=2, bias=False),
    "Conv1d dilated": conv(1, dilation=2, stride=2),
    "ConvTranspose1d": transposed(1),
    "ConvTranspose1d strided": transposed(1, stride=2, padding=1),
    "ConvTranspose2d": transposed(2, stride=2, padding=1, output_padding=1),
    "ConvTranspose3d": transposed(3, stride=2),
    "ConvTranspose2d grouped": transposed(2, stride=2, groups=2),
    "BatchNorm, mode batch": Pair(lambda: torch.nn.BatchNorm1d(6), batch_norm("batch"), (4, 6, 5)),
    "BatchNorm, mode ema": Pair(lambda: torch.nn.BatchNorm1d(6), batch_norm("ema"), (4, 6, 5)),
    "LayerNorm": Pair(lambda: torch.nn.LayerNorm(5), lambda key: eqx.nn.LayerNorm(5), (4, 5)),
    "LayerNorm of two axes": Pair(lambda: torch.nn.LayerNorm((6, 5)), lambda key: eqx.nn.LayerNorm((6, 5)), (4, 6, 5)),
    "LayerNorm without bias": Pair(
        lambda: torch.nn.LayerNorm(5, bias=False), lambda key: eqx.nn.LayerNorm(5, use_bias=False), (4, 5)
    ),
    "GroupNorm": Pair(lambda: torch.nn.GroupNorm(2, 6), lambda key: eqx.nn.GroupNorm(2, 6), (4, 6, 5)),
    "InstanceNorm": Pair(
        lambda: torch.nn.InstanceNorm1d(6, affine=True), lambda key: eqx.nn.GroupNorm(6, 6), (4, 6, 5)
    ),
    "RMSNorm": Pair(lambda: torch.nn.RMSNorm(5, eps=1e-5), lambda key: eqx.nn.RMSNorm(5, use_bias=False), (4, 5)),
    "PReLU": Pair(torch.nn.PReLU, lambda key: eqx.nn.PReLU(), (4, 6)),
    "PReLU of channels": Pair(lambda: torch.nn.PReLU(6), lambda key: eqx.nn.PReLU(jnp.full((6, 1), 0.25)), (4, 6, 5)),
    "Embedding": Pair(lambda: torch.nn.Embedding(7, 3), lambda key: eqx.nn.Embedding(7, 3, key=key)),
    "MultiheadAttention": attention(),
    "MultiheadAttention without biases": attention(bias=False),
    "MultiheadAttention of other sizes": attention(kdim=5, vdim=3),
    "LSTMCell": Pair(lambda: torch.nn.LSTMCell(3, 5), lambda key: eqx.nn.LSTMCell(3, 5, key=key)),
    "GRUCell": Pair(lambda: torch.nn.GRUCell(3, 5), lambda key: eqx.nn.GRUCell(3, 5, key=key)),
    "GRUCell without biases": Pair(
        lambda: torch.nn.GRUCell(3, 5, bias=False), lambda key: eqx.nn.GRUCell(3, 5, use_bias=False, key=key)
    ),
}


def built(pair: Pair) -> Any:
    """Return the Equinox layer with Equinox's own numbers, with its state if it keeps one."""
    return pair.equinox(jax.random.key(0))


def batched(layer: Callable[..., Array]) -> Callable[..., Array]:
    vmapped: Callable[..., Array] = jax.vmap(layer)
    return vmapped


def called(model: Any, x: Array) -> Array:
    """Return the outputs of a layer in evaluation mode for a batch of inputs."""
    if isinstance(model, tuple):
        layer, state = eqx.nn.inference_mode(model[0]), model[1]
        return batched(lambda one: layer(one, state)[0])(x)
    return batched(model)(x)
