"""torch's weights in Flax layers compute what torch computes: NNX and Linen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import pytest
import torch
from flax import nnx

from jaxinit._models import torch_modules
from tests.jaxinit.models.torch_layers import APIS, RNGS, array, assert_close, filled, run

SIZES = (3, 2, 4)
CHANNELS_FIRST = ("Conv", "BatchNorm", "GroupNorm", "InstanceNorm")
pytestmark = pytest.mark.usefixtures("torch_seed")


class Case(NamedTuple):
    """A torch layer, its two forms in Flax, and the shape of an input for torch."""

    torch: torch.nn.Module
    nnx: Callable[[nnx.Rngs], nnx.Module]
    linen: Callable[[], nn.Module]
    shape: tuple[int, ...]


def conv(axes: int, **given: Any) -> Case:
    theirs = getattr(torch.nn, f"Conv{axes}d")(4, 6, SIZES[:axes], **{"padding": 1, **given})
    ours = {
        "padding": given.get("padding", 1),
        "strides": given.get("stride", 1),
        "kernel_dilation": given.get("dilation", 1),
        "feature_group_count": given.get("groups", 1),
        "use_bias": given.get("bias", True),
    }
    return Case(
        theirs,
        lambda rngs: nnx.Conv(4, 6, SIZES[:axes], rngs=rngs, **ours),
        lambda: nn.Conv(6, SIZES[:axes], **ours),
        (2, 4, 5, 4, 5)[: axes + 2],
    )


def transposed(axes: int, stride: int, padding: int, transpose_kernel: bool) -> Case:
    """Flax pads the dilated input. torch cuts the padding off the output."""
    theirs = getattr(torch.nn, f"ConvTranspose{axes}d")(4, 6, SIZES[:axes], stride=stride, padding=padding)
    ours: dict[str, Any] = {
        "strides": (stride,) * axes,
        "padding": [(size - 1 - padding,) * 2 for size in SIZES[:axes]],
        "transpose_kernel": transpose_kernel,
    }
    return Case(
        theirs,
        lambda rngs: nnx.ConvTranspose(4, 6, SIZES[:axes], rngs=rngs, **ours),
        lambda: nn.ConvTranspose(6, SIZES[:axes], **ours),
        (2, 4, 5, 4, 3)[: axes + 2],
    )


def norm(theirs: torch.nn.Module, ours: Callable[[nnx.Rngs], nnx.Module], linen: Callable[[], nn.Module]) -> Case:
    return Case(filled(theirs), ours, linen, (4, 6, 5))


TRANSPOSED = [
    (axes, stride, padding, flag)
    for axes, stride, padding in ((1, 1, 0), (1, 2, 1), (2, 2, 1), (3, 2, 0))
    for flag in (False, True)
]
CASES: dict[str, Callable[[], Case]] = {
    "Linear": lambda: Case(
        torch.nn.Linear(3, 5), lambda rngs: nnx.Linear(3, 5, rngs=rngs), lambda: nn.Dense(5), (2, 3)
    ),
    "Einsum": lambda: Case(
        torch.nn.Linear(3, 5),
        lambda rngs: nnx.Einsum("bi,io->bo", (3, 5), (5,), rngs=rngs),
        lambda: nn.Einsum((3, 5), "bi,io->bo"),
        (2, 3),
    ),
    "Linear without bias": lambda: Case(
        torch.nn.Linear(3, 5, bias=False),
        lambda rngs: nnx.Linear(3, 5, use_bias=False, rngs=rngs),
        lambda: nn.Dense(5, use_bias=False),
        (2, 3),
    ),
    "Linear to several axes": lambda: Case(
        torch.nn.Linear(3, 6),
        lambda rngs: nnx.LinearGeneral(3, (2, 3), rngs=rngs),
        lambda: nn.DenseGeneral((2, 3)),
        (2, 3),
    ),
    "Conv1d": lambda: conv(1),
    "Conv2d": lambda: conv(2),
    "Conv3d": lambda: conv(3),
    "Conv2d grouped": lambda: conv(2, groups=2, bias=False),
    "Conv2d strided": lambda: conv(2, stride=2, padding=2),
    "Conv1d dilated": lambda: conv(1, dilation=2, padding=0),
    **{f"ConvTranspose{case[0]}d {case[1:]}": (lambda case=case: transposed(*case)) for case in TRANSPOSED},  # type: ignore[misc]  # no type for a default
    "BatchNorm": lambda: norm(
        torch.nn.BatchNorm1d(6),
        lambda rngs: nnx.BatchNorm(6, use_running_average=True, rngs=rngs),
        lambda: nn.BatchNorm(use_running_average=True, epsilon=1e-5),
    ),
    "LayerNorm": lambda: norm(
        torch.nn.LayerNorm(5),
        lambda rngs: nnx.LayerNorm(5, epsilon=1e-5, rngs=rngs),
        lambda: nn.LayerNorm(epsilon=1e-5),
    ),
    "GroupNorm": lambda: norm(
        torch.nn.GroupNorm(2, 6),
        lambda rngs: nnx.GroupNorm(6, 2, epsilon=1e-5, rngs=rngs),
        lambda: nn.GroupNorm(2, epsilon=1e-5),
    ),
    "InstanceNorm": lambda: norm(
        torch.nn.InstanceNorm1d(6, affine=True),
        lambda rngs: nnx.InstanceNorm(6, epsilon=1e-5, rngs=rngs),
        lambda: nn.InstanceNorm(epsilon=1e-5),
    ),
    "RMSNorm": lambda: norm(torch.nn.RMSNorm(5, eps=1e-6), lambda rngs: nnx.RMSNorm(5, rngs=rngs), nn.RMSNorm),
    "PReLU": lambda: norm(torch.nn.PReLU(), lambda _: nnx.PReLU(), nn.PReLU),
}


def abstract(build: Callable[[nnx.Rngs], nnx.Module]) -> nnx.Module:
    """Return a layer whose arrays are only traced. `load` fills it."""
    layer: nnx.Module = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    return layer


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", CASES)
def test_forward_passes_are_equal(name: str, api: str) -> None:
    case, is_first = CASES[name](), name.startswith(CHANNELS_FIRST)
    # To normalize, distinct whole numbers: of values nearly equal, Flax's variance keeps few digits.
    given = torch.rand(case.shape).argsort(-1).float() if "Norm" in name else torch.randn(case.shape)
    layer = abstract(case.nnx) if api == "nnx" else case.linen()
    y = run(layer, case.torch.state_dict(), jnp.moveaxis(array(given), 1, -1) if is_first else array(given))
    expected = case.torch.eval()(given)
    assert_close(jnp.moveaxis(y, -1, 1) if is_first else y.reshape(expected.shape), expected)


@pytest.mark.parametrize("layer", [nnx.Embed(7, 3, rngs=RNGS), nn.Embed(7, 3)], ids=APIS)
def test_embedding(layer: Any) -> None:
    theirs = torch.nn.Embedding(7, 3)
    assert_close(run(layer, theirs.state_dict(), jnp.array([1, 6])), theirs(torch.tensor([1, 6])))


@pytest.mark.filterwarnings("ignore:SelfAttention:DeprecationWarning")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(8, 8), (5, 5), (5, 3)])
def test_attention(bias: bool, sizes: tuple[int, int]) -> None:
    theirs = torch.nn.MultiheadAttention(8, 2, bias=bias, batch_first=True, kdim=sizes[0], vdim=sizes[1])
    if bias:  # they start as zeros, which hide mistakes
        torch.nn.init.normal_(theirs.in_proj_bias)
        torch.nn.init.normal_(theirs.out_proj.bias)
    q, k, v = torch.randn(3, 4, 8), torch.randn(3, 6, sizes[0]), torch.randn(3, 6, sizes[1])
    state, inputs = theirs.state_dict(), (array(q), array(k), array(v))
    assert_close(run(nn.MultiHeadDotProductAttention(2, use_bias=bias), state, *inputs), theirs(q, k, v)[0])
    if sizes[0] == sizes[1]:
        given: dict[str, Any] = {"in_kv_features": sizes[0], "use_bias": bias, "decode": False}
        layer = abstract(lambda rngs: nnx.MultiHeadAttention(2, 8, **given, rngs=rngs))
        assert_close(run(layer, state, array(q), array(k)), theirs(q, k, k)[0])
    if sizes == (8, 8):
        assert_close(run(nn.SelfAttention(2, use_bias=bias), state, array(q)), theirs(q, q, q)[0])


def test_every_row_of_the_table_has_a_case() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_load_*.py"))
    rows = torch_modules.TABLE
    assert not [row.nnx for row in rows if row.nnx and f"nnx.{row.nnx}" not in text]
    assert not [row.linen for row in rows if row.linen and f"nn.{row.linen}" not in text]
