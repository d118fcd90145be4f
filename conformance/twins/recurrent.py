"""torch's recurrent layers and cells in NNX."""

from collections.abc import Iterator
from typing import Any

import torch
from flax import nnx

from conformance.twins.twin import State, Twin

INTO, STATE = 24, 32


def gru_cell(into: int, state: int, rngs: nnx.Rngs) -> Any:
    """nnx.GRUCell with torch's second bias of the new state, by a layer for the state that has biases."""
    cell = nnx.GRUCell(into, state, rngs=rngs)
    cell.dense_h = nnx.Linear(state, 3 * state, rngs=rngs)
    return cell


def everything() -> Iterator[Twin]:
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
