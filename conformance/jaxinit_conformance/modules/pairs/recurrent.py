"""torch's recurrent layers and cells in NNX."""

from collections.abc import Iterator
from typing import Any

import torch
from flax import nnx

from .pair import ModelPair, State

INTO = 24
STATES = {"RNN": 96, "LSTM": 24, "GRU": 32}
"""The gates have 96 rows together, so that few models have enough numbers."""


def gru_cell(into: int, state: int, *, rngs: nnx.Rngs) -> Any:
    """Return an nnx.GRUCell with the second bias of torch: the layer of the state has biases."""
    cell = nnx.GRUCell(into, state, rngs=rngs)
    cell.dense_h = nnx.Linear(state, 3 * state, rngs=rngs)
    return cell


def everything() -> Iterator[ModelPair]:
    for kind, layer in (("RNN", nnx.SimpleCell), ("LSTM", nnx.OptimizedLSTMCell), ("LSTM", nnx.LSTMCell)):
        yield from _both(kind, f"nnx.{layer.__name__}", layer, quick=layer is nnx.OptimizedLSTMCell)
    yield from _both("GRU", "nnx.GRUCell", nnx.GRUCell, without=_without_second_bias)
    yield from _both("GRU", "nnx.GRUCell with a bias in dense_h", gru_cell, quick=True)


def _both(kind: str, name: str, layer: Any, quick: bool = False, **options: Any) -> Iterator[ModelPair]:
    """Yield the pair of the cell, and the pair of the layer over a sequence."""
    state = STATES[kind]

    def call_torch(module: Any, x: Any, state: Any, memory: Any) -> Any:
        return module(x, (state, memory))[0] if kind == "LSTM" else module(x, state)

    def call_flax(model: Any, x: Any, state: Any, memory: Any) -> Any:
        return model((memory, state) if kind == "LSTM" else state, x)[1]

    yield ModelPair(
        f"nn.{kind}Cell",
        f"{name}, {INTO} -> {state}",
        lambda: getattr(torch.nn, f"{kind}Cell")(INTO, state),
        lambda rngs: layer(INTO, state, rngs=rngs),
        ((7, INTO), (7, state), (7, state)),
        call_torch=call_torch,
        call_flax=call_flax,
        **options,
    )
    yield ModelPair(
        f"nn.{kind}",
        f"{name}, {INTO} -> {state}",
        lambda: getattr(torch.nn, kind)(INTO, state, batch_first=True),
        lambda rngs: nnx.RNN(layer(INTO, state, rngs=rngs), rngs=rngs),
        ((3, 6, INTO),),
        call_torch=lambda module, x: module(x)[0],
        quick=quick,
        **options,
    )


def _without_second_bias(state: State) -> None:
    for name, array in state.items():
        if "bias_hh" in name:
            array[2 * array.size // 3 :] = 0
