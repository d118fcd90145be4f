"""torch's weights in NNX layers compute what torch computes: every row of the table of modules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit._models import torch_modules
from tests.jaxinit.models.torch_layers import CHANNELS_FIRST, fed, filled, is_close

RNGS = nnx.Rngs(0)
Pair = tuple[torch.nn.Module, nnx.Module, tuple[int, ...]]


def conv(axes: int, **given: Any) -> Pair:
    """A convolution over `axes` axes, and an input that channels are first of."""
    torchs: dict[str, Any] = {"padding": 1, **given}
    ours = {
        "padding": torchs["padding"],
        "strides": torchs.get("stride", 1),
        "kernel_dilation": torchs.get("dilation", 1),
        "feature_group_count": torchs.get("groups", 1),
    }
    sizes = (3, 2, 4)[:axes]
    theirs = getattr(torch.nn, f"Conv{axes}d")(4, 6, sizes, **torchs)
    return theirs, nnx.Conv(4, 6, sizes, rngs=RNGS, **ours), (2, 4, 7, 8, 9)[: axes + 2]


def transposed(axes: int, stride: int, padding: int, transpose_kernel: bool) -> Pair:
    """A transposed convolution; Flax pads what is dilated, torch takes away from what comes out."""
    sizes = (3, 2, 4)[:axes]
    theirs = getattr(torch.nn, f"ConvTranspose{axes}d")(4, 6, sizes, stride=stride, padding=padding)
    ours = nnx.ConvTranspose(
        4,
        6,
        sizes,
        strides=(stride,) * axes,
        padding=[(size - 1 - padding,) * 2 for size in sizes],
        transpose_kernel=transpose_kernel,
        rngs=RNGS,
    )
    return theirs, ours, (2, 4, 5, 6, 7)[: axes + 2]


def normalized(theirs: torch.nn.Module, ours: nnx.Module) -> Pair:
    return filled(theirs), ours, (4, 6, 5)


CASES: dict[str, Callable[[], Pair]] = {
    "Linear": lambda: (torch.nn.Linear(3, 5), nnx.Linear(3, 5, rngs=RNGS), (2, 3)),
    "Linear without bias": lambda: (
        torch.nn.Linear(3, 5, bias=False),
        nnx.Linear(3, 5, use_bias=False, rngs=RNGS),
        (2, 3),
    ),
    "LinearGeneral": lambda: (torch.nn.Linear(3, 6), nnx.LinearGeneral(3, (2, 3), rngs=RNGS), (2, 3)),
    **{f"Conv{axes}d": (lambda axes=axes: conv(axes)) for axes in (1, 2, 3)},  # type: ignore[misc]  # no type for a default
    "Conv2d grouped": lambda: conv(2, groups=2),
    "Conv2d strided": lambda: conv(2, stride=2, padding=2),
    "Conv1d dilated": lambda: conv(1, dilation=2, padding=0),
    **{
        f"ConvTranspose{axes}d {stride} {padding} {flag}": (
            lambda axes=axes, stride=stride, padding=padding, flag=flag: transposed(axes, stride, padding, flag)  # type: ignore[misc]  # no type for a default
        )
        for axes, stride, padding in ((1, 1, 0), (2, 2, 1), (3, 2, 0))
        for flag in (False, True)
    },
    "BatchNorm": lambda: normalized(torch.nn.BatchNorm1d(6), nnx.BatchNorm(6, use_running_average=True, rngs=RNGS)),
    "LayerNorm": lambda: normalized(torch.nn.LayerNorm(5), nnx.LayerNorm(5, epsilon=1e-5, rngs=RNGS)),
    "GroupNorm": lambda: normalized(torch.nn.GroupNorm(2, 6), nnx.GroupNorm(6, 2, epsilon=1e-5, rngs=RNGS)),
    "InstanceNorm": lambda: normalized(
        torch.nn.InstanceNorm1d(6, affine=True), nnx.InstanceNorm(6, epsilon=1e-5, rngs=RNGS)
    ),
    "RMSNorm": lambda: normalized(torch.nn.RMSNorm(5, eps=1e-6), nnx.RMSNorm(5, rngs=RNGS)),
    "PReLU": lambda: (torch.nn.PReLU(), nnx.PReLU(), (4, 6)),
}
pytestmark = pytest.mark.usefixtures("torch_seed")


@pytest.mark.parametrize("name", CASES)
def test_forward_passes_are_equal(name: str) -> None:
    theirs, ours, shape = CASES[name]()
    matched = jaxinit.nnx.load(ours, theirs.state_dict())
    assert sorted({tensor for tensors in matched.values() for tensor in tensors}) == sorted(
        key for key in theirs.state_dict() if "num_batches" not in key
    )
    x = fed(name, shape)
    expected = theirs.eval()(x)
    if name.startswith(CHANNELS_FIRST):
        is_close(jnp.moveaxis(ours(jnp.moveaxis(x.numpy(), 1, -1)), -1, 1), expected)
    else:
        is_close(ours(jnp.asarray(x.numpy())).reshape(expected.shape), expected)


def test_embedding() -> None:
    theirs, ours = torch.nn.Embedding(7, 3), nnx.Embed(7, 3, rngs=RNGS)
    jaxinit.nnx.load(ours, theirs.state_dict())
    is_close(ours(jnp.array([1, 6])), theirs(torch.tensor([1, 6])))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("others", [{}, {"kdim": 5, "vdim": 5}])
def test_attention(bias: bool, others: dict[str, int]) -> None:
    theirs = torch.nn.MultiheadAttention(8, 2, bias=bias, batch_first=True, **others)
    if bias:  # they start as zeros, which hide mistakes
        torch.nn.init.normal_(theirs.in_proj_bias)
        torch.nn.init.normal_(theirs.out_proj.bias)
    ours = nnx.MultiHeadAttention(2, 8, in_kv_features=others.get("kdim"), use_bias=bias, decode=False, rngs=RNGS)
    jaxinit.nnx.load(ours, theirs.state_dict())
    x, y = torch.randn(3, 4, 8), torch.randn(3, 6, others.get("kdim", 8))
    is_close(ours(jnp.asarray(x.numpy()), jnp.asarray(y.numpy())), theirs(x, y, y)[0])


def recurrent(cell: Any, **given: Any) -> Callable[[int], nnx.Module]:
    return lambda size: nnx.RNN(cell(size, 5, rngs=RNGS), **given)


def gru_cell(size: int, hidden: int, *, rngs: nnx.Rngs) -> nnx.GRUCell:
    """torch's: with the second bias of the new state, which Flax leaves out."""
    cell = nnx.GRUCell(size, hidden, rngs=rngs)
    cell.dense_h = nnx.Linear(hidden, 3 * hidden, rngs=rngs)
    return cell


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("RNN", nnx.SimpleCell), ("LSTM", nnx.LSTMCell), ("LSTM", nnx.OptimizedLSTMCell), ("GRU", gru_cell)],
)
def test_recurrent_layers_stacked_and_both_ways(kind: str, cell: Any) -> None:
    theirs = getattr(torch.nn, kind)(3, 5, num_layers=2, bidirectional=True, batch_first=True)

    class Ours(nnx.Module):
        def __init__(self) -> None:
            both = (nnx.Bidirectional(recurrent(cell)(size), recurrent(cell)(size), rngs=RNGS) for size in (3, 10))
            self.rnn = nnx.List(both)

        def __call__(self, x: Any) -> Any:
            for layer in self.rnn:
                x = layer(x)
            return x

    ours = Ours()
    jaxinit.nnx.load(ours, {f"rnn.{name}": tensor for name, tensor in theirs.state_dict().items()})
    x = torch.randn(2, 7, 3)
    is_close(ours(jnp.asarray(x.numpy())), theirs(x)[0])


def test_a_single_cell() -> None:
    theirs, ours = torch.nn.LSTMCell(3, 5), nnx.OptimizedLSTMCell(3, 5, rngs=RNGS)
    jaxinit.nnx.load(ours, theirs.state_dict())
    x, h, c = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    (new_c, new_h), _ = ours((jnp.asarray(c.numpy()), jnp.asarray(h.numpy())), jnp.asarray(x.numpy()))
    is_close(new_h, theirs(x, (h, c))[0])
    is_close(new_c, theirs(x, (h, c))[1])


def test_a_bias_that_flax_lacks_is_refused() -> None:
    theirs, ours = torch.nn.GRUCell(3, 5), nnx.GRUCell(3, 5, rngs=RNGS)
    before = jax.tree.map(np.asarray, nnx.state(ours))
    with pytest.raises(
        ValueError, match=r"`bias_hh\[2\]` \(of 3 blocks\) is nonzero, but the model \(GRUCell\) has no such bias"
    ):
        jaxinit.nnx.load(ours, theirs.state_dict())
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), before, nnx.state(ours)))
    with torch.no_grad():
        theirs.bias_hh[10:] = 0
    jaxinit.nnx.load(ours, theirs.state_dict())
    x, h = torch.randn(2, 3), torch.randn(2, 5)
    is_close(ours(jnp.asarray(h.numpy()), jnp.asarray(x.numpy()))[0], theirs(x, h))


def test_every_row_of_the_table_has_a_case() -> None:
    text = Path(__file__).read_text()
    assert not [row.nnx for row in torch_modules.TABLE if row.nnx and f"nnx.{row.nnx}" not in text]
