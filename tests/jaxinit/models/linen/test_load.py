"""torch's weights in Linen layers compute what torch computes: every row of the table of modules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
import torch

import jaxinit
from jaxinit._models import torch_modules
from tests.jaxinit.models.torch_layers import CHANNELS_FIRST, fed, filled, is_close

KEY = jax.random.key(0)
Pair = tuple[torch.nn.Module, nn.Module, tuple[int, ...]]
SIZES = (3, 2, 4)


def conv(axes: int, **given: Any) -> Pair:
    """A convolution over `axes` axes, and an input whose channels are first."""
    theirs = getattr(torch.nn, f"Conv{axes}d")(4, 6, SIZES[:axes], **{"padding": 1, **given})
    ours = nn.Conv(
        6,
        SIZES[:axes],
        padding=given.get("padding", 1),
        strides=given.get("stride", 1),
        kernel_dilation=given.get("dilation", 1),
        feature_group_count=given.get("groups", 1),
        use_bias=given.get("bias", True),
    )
    return theirs, ours, (2, 4, 7, 8, 9)[: axes + 2]


def transposed(axes: int, stride: int, padding: int, transpose_kernel: bool) -> Pair:
    """A transposed convolution; Flax pads what is dilated, torch takes away from what comes out."""
    theirs = getattr(torch.nn, f"ConvTranspose{axes}d")(4, 6, SIZES[:axes], stride=stride, padding=padding)
    pads = [(size - 1 - padding,) * 2 for size in SIZES[:axes]]
    ours = nn.ConvTranspose(6, SIZES[:axes], strides=(stride,) * axes, padding=pads, transpose_kernel=transpose_kernel)
    return theirs, ours, (2, 4, 5, 6, 7)[: axes + 2]


TRANSPOSED = [
    (axes, stride, padding, flag)
    for axes, stride, padding in ((1, 1, 0), (1, 2, 1), (2, 2, 1), (3, 2, 0))
    for flag in (False, True)
]
CASES: dict[str, Callable[[], Pair]] = {
    "Linear": lambda: (torch.nn.Linear(3, 5), nn.Dense(5), (2, 3)),
    "Linear without bias": lambda: (torch.nn.Linear(3, 5, bias=False), nn.Dense(5, use_bias=False), (2, 3)),
    "Linear to several axes": lambda: (torch.nn.Linear(3, 6), nn.DenseGeneral((2, 3)), (2, 3)),
    "Conv1d": lambda: conv(1),
    "Conv2d": lambda: conv(2),
    "Conv3d": lambda: conv(3),
    "Conv2d grouped": lambda: conv(2, groups=2, bias=False),
    "Conv2d strided": lambda: conv(2, stride=2, padding=2),
    "Conv1d dilated": lambda: conv(1, dilation=2, padding=0),
    **{f"ConvTranspose{case[0]}d {case[1:]}": (lambda case=case: transposed(*case)) for case in TRANSPOSED},  # type: ignore[misc]  # no type for a default
    "BatchNorm": lambda: (
        filled(torch.nn.BatchNorm1d(6)),
        nn.BatchNorm(use_running_average=True, epsilon=1e-5),
        (4, 6, 5),
    ),
    "LayerNorm": lambda: (filled(torch.nn.LayerNorm(5)), nn.LayerNorm(epsilon=1e-5), (4, 6, 5)),
    "GroupNorm": lambda: (filled(torch.nn.GroupNorm(2, 6)), nn.GroupNorm(2, epsilon=1e-5), (4, 6, 5)),
    "InstanceNorm": lambda: (
        filled(torch.nn.InstanceNorm1d(6, affine=True)),
        nn.InstanceNorm(epsilon=1e-5),
        (4, 6, 5),
    ),
    "RMSNorm": lambda: (filled(torch.nn.RMSNorm(5, eps=1e-6)), nn.RMSNorm(), (4, 6, 5)),
    "PReLU": lambda: (filled(torch.nn.PReLU()), nn.PReLU(), (4, 6)),
}
pytestmark = pytest.mark.usefixtures("torch_seed")


def array(tensor: torch.Tensor) -> jax.Array:
    return jnp.asarray(tensor.detach().numpy())


def loaded(ours: nn.Module, state: Any, *inputs: Any) -> Any:
    """The module's variables, zeros before, with torch's weights."""
    empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(ours.init, KEY, *inputs))
    variables, matched = jaxinit.linen.load(ours, empty, state, *inputs)
    assert {name for names in matched.values() for name in names} == {n for n in state if "num_batches" not in n}
    assert len(matched) == len(jax.tree.leaves(variables))
    return variables


@pytest.mark.parametrize("name", CASES)
def test_forward_passes_are_equal(name: str) -> None:
    theirs, ours, shape = CASES[name]()
    given = fed(name, shape)
    is_first = name.startswith(CHANNELS_FIRST)
    x = jnp.moveaxis(array(given), 1, -1) if is_first else array(given)
    expected = theirs.eval()(given)
    y: Any = ours.apply(loaded(ours, theirs.state_dict(), x), x)
    is_close(jnp.moveaxis(y, -1, 1) if is_first else y.reshape(expected.shape), expected)


def test_embedding() -> None:
    theirs, ours, x = torch.nn.Embedding(7, 3), nn.Embed(7, 3), jnp.array([1, 6])
    is_close(ours.apply(loaded(ours, theirs.state_dict(), x), x), theirs(torch.tensor([1, 6])))


@pytest.mark.filterwarnings("ignore:SelfAttention:DeprecationWarning")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("others", [{}, {"kdim": 5, "vdim": 5}, {"kdim": 5, "vdim": 3}])
def test_attention(bias: bool, others: dict[str, int]) -> None:
    theirs = torch.nn.MultiheadAttention(8, 2, bias=bias, batch_first=True, **others)
    if bias:  # they start as zeros, which hide mistakes
        torch.nn.init.normal_(theirs.in_proj_bias)
        torch.nn.init.normal_(theirs.out_proj.bias)
    q, k, v = torch.randn(3, 4, 8), torch.randn(3, 6, others.get("kdim", 8)), torch.randn(3, 6, others.get("vdim", 8))
    ours, inputs = nn.MultiHeadDotProductAttention(2, use_bias=bias), (array(q), array(k), array(v))
    is_close(ours.apply(loaded(ours, theirs.state_dict(), *inputs), *inputs), theirs(q, k, v)[0])
    if not others:
        itself = nn.SelfAttention(2, use_bias=bias)
        variables = loaded(itself, theirs.state_dict(), array(q))
        is_close(itself.apply(variables, array(q)), theirs(q, q, q)[0])


CELLS = [("RNN", nn.SimpleCell), ("LSTM", nn.LSTMCell), ("LSTM", nn.OptimizedLSTMCell), ("GRU", nn.GRUCell)]


@pytest.mark.parametrize(("kind", "cell"), CELLS)
def test_recurrent_layers_stacked_and_both_ways(kind: str, cell: Any) -> None:
    theirs = getattr(torch.nn, kind)(3, 5, num_layers=2, bidirectional=True, batch_first=True)

    class Ours(nn.Module):
        def setup(self) -> None:
            self.rnn = [nn.Bidirectional(nn.RNN(cell(5)), nn.RNN(cell(5))) for _ in range(2)]

        def __call__(self, x: Any) -> Any:
            for layer in self.rnn:
                x = layer(x)
            return x

    given = torch.randn(2, 7, 3)
    state = {f"rnn.{name}": tensor for name, tensor in theirs.state_dict().items()}
    is_close(Ours().apply(loaded(Ours(), state, array(given)), array(given)), theirs(given)[0])


@pytest.mark.parametrize(("kind", "cell"), CELLS)
def test_a_recurrent_layer_and_its_cell_alone(kind: str, cell: Any) -> None:
    theirs, given = getattr(torch.nn, kind)(3, 5, batch_first=True), torch.randn(2, 7, 3)
    ours = nn.RNN(cell(5))
    is_close(ours.apply(loaded(ours, theirs.state_dict(), array(given)), array(given)), theirs(given)[0])
    single = getattr(torch.nn, f"{kind}Cell")(3, 5)
    hidden, state = torch.zeros(2, 5), jnp.zeros((2, 5))
    inputs = ((state, state) if kind == "LSTM" else state, array(given[:, 0]))
    y = cell(5).apply(loaded(cell(5), single.state_dict(), *inputs), *inputs)[1]
    expected = single(given[:, 0], (hidden, hidden) if kind == "LSTM" else hidden)
    is_close(y, expected[0] if kind == "LSTM" else expected)


def test_cells_made_in_a_compact_method_are_named_as_torchs_layers() -> None:
    theirs = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 5, bidirectional=True, batch_first=True)})

    class Ours(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            cells = (nn.LSTMCell(5, name="lstm_l0"), nn.LSTMCell(5, name="lstm_l0_reverse"))
            forward, backward = map(nn.RNN, cells)
            return nn.Bidirectional(forward, backward)(x)

    given = torch.randn(2, 7, 3)
    variables = loaded(Ours(), theirs.state_dict(), array(given))
    is_close(Ours().apply(variables, array(given)), theirs["lstm"](given)[0])


def test_every_row_of_the_table_has_a_case() -> None:
    text = Path(__file__).read_text()
    assert not [row.linen for row in torch_modules.TABLE if row.linen and f"nn.{row.linen}" not in text]
