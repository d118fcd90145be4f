"""Each torch module that NNX has a layer for, with and without its options."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import torch
from flax import nnx

from conformance.twins.twin import State, Twin

SPATIAL = (9, 8, 7)
KERNELS = (5, 3, 2)


def everything() -> tuple[Twin, ...]:
    return (*_dense(), *_convolutions(), *_transposed(), *_embeddings(), *_cells(), *_attention(), *_norms(), _prelu())


def _dense() -> Iterator[Twin]:
    yield Twin(
        "nn.Linear",
        "nnx.Linear, 40 -> 56",
        lambda: torch.nn.Linear(40, 56),
        lambda rngs: nnx.Linear(40, 56, rngs=rngs),
        ((7, 40),),
        quick=True,
    )
    yield Twin(
        "nn.Linear",
        "nnx.LinearGeneral, 40 -> 4x14",
        lambda: torch.nn.Linear(40, 56),
        lambda rngs: nnx.LinearGeneral(40, (4, 14), rngs=rngs),
        ((7, 40),),
    )


def _convolutions() -> Iterator[Twin]:
    for axes in (1, 2, 3):
        yield _conv(axes, "nnx.Conv, 12 -> 32")
    yield _conv(2, "nnx.Conv, 12 -> 32, 4 groups, stride 2, padding 2x1, dilation 1x2", groups=4, stride=2, padding=(2, 1), dilation=(1, 2), quick=True)


def _conv(axes: int, case: str, *, quick: bool = False, groups: int = 1, **options: Any) -> Twin:
    kernel = KERNELS[:axes]
    own = {
        "strides": options.get("stride", 1),
        "padding": [(size, size) for size in options.get("padding", (0,) * axes)],
        "kernel_dilation": options.get("dilation", 1),
    }
    return Twin(
        f"nn.Conv{axes}d",
        case,
        lambda: getattr(torch.nn, f"Conv{axes}d")(12, 32, kernel, groups=groups, **options),
        lambda rngs: nnx.Conv(12, 32, kernel, feature_group_count=groups, **own, rngs=rngs),
        ((2, 12, *SPATIAL[:axes]),),
        images=True,
        quick=quick,
    )


def _transposed() -> Iterator[Twin]:
    for transpose_kernel in (False, True):
        for axes in (1, 2, 3):
            yield _conv_transpose(axes, transpose_kernel)
    yield _conv_transpose(2, False, stride=2, padding=1, output_padding=1, quick=True)
    yield _conv_transpose(2, True, stride=(3, 2), padding=(2, 0), dilation=(2, 1))


def _conv_transpose(axes: int, transpose_kernel: bool, *, quick: bool = False, **options: Any) -> Twin:
    kernel = KERNELS[:axes]
    given = "".join(f", {name} {value}" for name, value in options.items())
    own = {"strides": options.get("stride", 1), "padding": _cut(kernel, options), "kernel_dilation": options.get("dilation", 1)}
    return Twin(
        f"nn.ConvTranspose{axes}d",
        f"nnx.ConvTranspose{', transpose_kernel' * transpose_kernel}, 12 -> 32{given}",
        lambda: getattr(torch.nn, f"ConvTranspose{axes}d")(12, 32, kernel, **options),
        lambda rngs: nnx.ConvTranspose(12, 32, kernel, transpose_kernel=transpose_kernel, **own, rngs=rngs),
        ((2, 12, *SPATIAL[:axes]),),
        images=True,
        quick=quick,
    )


def _cut(kernel: tuple[int, ...], options: dict[str, Any]) -> list[tuple[int, int]]:
    """Flax's padding around the spread input, of which torch's cuts away."""

    def each(name: str, default: int) -> tuple[int, ...]:
        value = options.get(name, default)
        return value if isinstance(value, tuple) else (value,) * len(kernel)

    def ends(size: int, dilation: int, padding: int, further: int) -> tuple[int, int]:
        reach = dilation * (size - 1) - padding
        return reach, reach + further

    sizes = kernel, each("dilation", 1), each("padding", 0), each("output_padding", 0)
    return [ends(*one) for one in zip(*sizes, strict=True)]


def _embeddings() -> Iterator[Twin]:
    yield Twin(
        "nn.Embedding",
        "nnx.Embed, 60 x 24",
        lambda: torch.nn.Embedding(60, 24),
        lambda rngs: nnx.Embed(60, 24, rngs=rngs),
        ((7, 5),),
        tokens=60,
        quick=True,
    )
    yield Twin(
        "nn.EmbeddingBag",
        "nnx.Embed, 60 x 24, mean of 5",
        lambda: torch.nn.EmbeddingBag(60, 24),
        lambda rngs: nnx.Embed(60, 24, rngs=rngs),
        ((7, 5),),
        tokens=60,
        call_ours=lambda model, tokens: model(tokens).mean(axis=1),
    )


INTO, STATE = 24, 32


def gru_cell(into: int, state: int, rngs: nnx.Rngs) -> Any:
    """nnx.GRUCell with torch's second bias of the new state, by a layer for the state that has biases."""
    cell = nnx.GRUCell(into, state, rngs=rngs)
    cell.dense_h = nnx.Linear(state, 3 * state, rngs=rngs)
    return cell


def _cells() -> Iterator[Twin]:
    kinds = (("RNN", "SimpleCell"), ("LSTM", "OptimizedLSTMCell"), ("LSTM", "LSTMCell"), ("GRU", "GRUCell"))
    for torchs, ours in kinds:
        build = getattr(nnx, ours)
        yield _cell(f"{torchs}Cell", f"nnx.{ours}", lambda rngs, build=build: build(INTO, STATE, rngs=rngs))
        yield _sequence(torchs, f"nnx.{ours}", lambda rngs, build=build: build(INTO, STATE, rngs=rngs))
    yield _cell("GRUCell", "nnx.GRUCell with a bias in dense_h", lambda rngs: gru_cell(INTO, STATE, rngs))
    yield _sequence("GRU", "nnx.GRUCell with a bias in dense_h", lambda rngs: gru_cell(INTO, STATE, rngs), quick=True)


def _cell(name: str, case: str, build: Any, quick: bool = False) -> Twin:
    is_lstm = "LSTM" in name

    def call_theirs(module: Any, x: Any, state: Any, memory: Any) -> Any:
        return module(x, (state, memory))[0] if is_lstm else module(x, state)

    def call_ours(model: Any, x: Any, state: Any, memory: Any) -> Any:
        return model((memory, state) if is_lstm else state, x)[1]

    return Twin(
        f"nn.{name}",
        f"{case}, {INTO} -> {STATE}",
        lambda: getattr(torch.nn, name)(INTO, STATE),
        build,
        ((7, INTO), (7, STATE), (7, STATE)),
        call_theirs=call_theirs,
        call_ours=call_ours,
        without=_without_second_bias if case == "nnx.GRUCell" else lambda _: None,
        quick=quick,
    )


def _sequence(name: str, case: str, build: Any, quick: bool = False) -> Twin:
    return Twin(
        f"nn.{name}",
        f"{case}, {INTO} -> {STATE}",
        lambda: getattr(torch.nn, name)(INTO, STATE, batch_first=True),
        lambda rngs: nnx.RNN(build(rngs), rngs=rngs),
        ((3, 6, INTO),),
        call_theirs=lambda module, x: module(x)[0],
        without=_without_second_bias if case == "nnx.GRUCell" else lambda _: None,
        quick=quick or case == "nnx.OptimizedLSTMCell",
    )


def _without_second_bias(state: State) -> None:
    for name, array in state.items():
        if "bias_hh" in name:
            array[2 * array.size // 3 :] = 0


def _attention() -> Iterator[Twin]:
    for kdim, quick in ((48, True), (40, False)):
        yield Twin(
            "nn.MultiheadAttention",
            f"nnx.MultiHeadAttention, 48, 4 heads, kdim and vdim {kdim}",
            lambda kdim=kdim: torch.nn.MultiheadAttention(48, 4, kdim=kdim, vdim=kdim, batch_first=True),
            lambda rngs, kdim=kdim: nnx.MultiHeadAttention(4, 48, in_kv_features=kdim, decode=False, rngs=rngs),
            ((2, 5, 48), (2, 6, kdim), (2, 6, kdim)),
            call_theirs=lambda module, *inputs: module(*inputs)[0],
            quick=quick,
        )


def _norms() -> Iterator[Twin]:
    for kind, rank in (("BatchNorm", 1), ("BatchNorm", 2), ("BatchNorm", 3), ("InstanceNorm", 1), ("InstanceNorm", 2), ("InstanceNorm", 3)):
        layer = getattr(nnx, kind)
        options = {"affine": True} if kind == "InstanceNorm" else {}
        yield Twin(
            f"nn.{kind}{rank}d",
            f"nnx.{kind}, 24",
            lambda kind=kind, rank=rank, options=options: getattr(torch.nn, f"{kind}{rank}d")(24, **options),
            lambda rngs, layer=layer: layer(24, epsilon=1e-5, rngs=rngs),
            ((4, 24, *SPATIAL[:rank]),),
            images=True,
            quick=(kind, rank) == ("BatchNorm", 2),
        )
    yield Twin(
        "nn.GroupNorm",
        "nnx.GroupNorm, 24, 4 groups",
        lambda: torch.nn.GroupNorm(4, 24),
        lambda rngs: nnx.GroupNorm(24, 4, epsilon=1e-5, rngs=rngs),
        ((4, 24, 5, 6),),
        images=True,
    )
    yield Twin(
        "nn.LayerNorm",
        "nnx.LayerNorm, 24",
        lambda: torch.nn.LayerNorm(24),
        lambda rngs: nnx.LayerNorm(24, epsilon=1e-5, rngs=rngs),
        ((4, 5, 24),),
    )
    yield Twin(
        "nn.RMSNorm",
        "nnx.RMSNorm, 24",
        lambda: torch.nn.RMSNorm(24),
        lambda rngs: nnx.RMSNorm(24, epsilon=float(jnp.finfo(jnp.float32).eps), rngs=rngs),
        ((4, 5, 24),),
    )


def _prelu() -> Twin:
    return Twin("nn.PReLU", "nnx.PReLU", torch.nn.PReLU, lambda _: nnx.PReLU(), ((4, 5),))
