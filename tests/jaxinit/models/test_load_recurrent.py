"""torch's weights in Flax's recurrent cells compute what torch computes: stacked, in both directions, and alone."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import pytest
import torch
from flax import nnx

from tests.jaxinit.models.torch_layers import RNGS, array, assert_close, gru_cell, run

pytestmark = pytest.mark.usefixtures("torch_seed")


class NnxStack(nnx.Module):
    """Two layers, each in both directions."""

    def __init__(self, cell: Any) -> None:
        def layer(size: int) -> nnx.Module:
            forward, backward = (nnx.RNN(cell(size, 5, rngs=RNGS), rngs=RNGS) for _ in range(2))
            return nnx.Bidirectional(forward, backward, rngs=RNGS)

        self.rnn = nnx.List([layer(size) for size in (3, 10)])

    def __call__(self, x: Any) -> Any:
        for layer in self.rnn:
            x = layer(x)
        return x


class LinenStack(nn.Module):
    cell: Any

    def setup(self) -> None:
        self.rnn = [nn.Bidirectional(nn.RNN(self.cell(5)), nn.RNN(self.cell(5))) for _ in range(2)]

    def __call__(self, x: Any) -> Any:
        for layer in self.rnn:
            x = layer(x)
        return x


NNX_CELLS = [("RNN", nnx.SimpleCell), ("LSTM", nnx.LSTMCell), ("LSTM", nnx.OptimizedLSTMCell), ("GRU", gru_cell)]
LINEN_CELLS = [("RNN", nn.SimpleCell), ("LSTM", nn.LSTMCell), ("LSTM", nn.OptimizedLSTMCell), ("GRU", nn.GRUCell)]
CELLS = [*((*case, NnxStack) for case in NNX_CELLS), *((*case, LinenStack) for case in LINEN_CELLS)]


@pytest.mark.parametrize(("kind", "cell", "stack"), CELLS)
def test_recurrent_layers_stacked_and_both_ways(kind: str, cell: Any, stack: Callable[[Any], Any]) -> None:
    theirs, given = getattr(torch.nn, kind)(3, 5, 2, bidirectional=True, batch_first=True), torch.randn(2, 4, 3)
    state = {f"rnn.{name}": tensor for name, tensor in theirs.state_dict().items()}
    assert_close(run(stack(cell), state, array(given)), theirs(given)[0])


@pytest.mark.parametrize(("kind", "cell"), LINEN_CELLS)
def test_a_recurrent_layer_and_its_cell_alone(kind: str, cell: Any) -> None:
    theirs, given = getattr(torch.nn, kind)(3, 5, batch_first=True), torch.randn(2, 4, 3)
    assert_close(run(nn.RNN(cell(5)), theirs.state_dict(), array(given)), theirs(given)[0])
    single, x = getattr(torch.nn, f"{kind}Cell")(3, 5), given[:, 0]
    state = jnp.zeros((2, 5))
    y = run(cell(5), single.state_dict(), (state, state) if kind == "LSTM" else state, array(x))[1]
    assert_close(y, single(x)[0] if kind == "LSTM" else single(x))


def test_a_cell_of_nnx_alone() -> None:
    theirs, layer = torch.nn.LSTMCell(3, 5), nnx.OptimizedLSTMCell(3, 5, rngs=RNGS)
    x, h, c = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    (new_c, new_h), _ = run(layer, theirs.state_dict(), (array(c), array(h)), array(x))
    assert_close(new_h, theirs(x, (h, c))[0])
    assert_close(new_c, theirs(x, (h, c))[1])


def test_cells_made_in_a_compact_method_are_named_as_torchs_layers() -> None:
    theirs = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 5, bidirectional=True, batch_first=True)})

    class Ours(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            forward, backward = (nn.RNN(nn.LSTMCell(5, name=name)) for name in ("lstm_l0", "lstm_l0_reverse"))
            return nn.Bidirectional(forward, backward)(x)

    given = torch.randn(2, 4, 3)
    assert_close(run(Ours(), theirs.state_dict(), array(given)), theirs["lstm"](given)[0])
