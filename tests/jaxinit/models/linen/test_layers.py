"""Every Linen layer of the table of modules is drawn from torch's distributions."""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

import jaxinit
from jaxinit._models import torch_modules
from jaxinit._models.flax.linen_model import LinenModel
from jaxinit.distributions import Constant, Distribution, Normal, Triangular, Uniform
from tests.jaxinit.draws import assert_drawn
from tests.jaxinit.models.linen.test_models import KEY, arrays


def fan(size: int) -> Uniform:
    """torch's U(-1 / sqrt(size), 1 / sqrt(size))."""
    return Uniform(-1 / math.sqrt(size), 1 / math.sqrt(size))


def both(size: int) -> Triangular:
    """Two biases of torch's in one."""
    return Triangular(-2 / math.sqrt(size), 2 / math.sqrt(size))


def affine(fan_in: int) -> dict[str, Distribution]:
    return {"kernel": fan(fan_in), "bias": fan(fan_in)}


def cell(size: int, inputs: str, states: str, biases: dict[str, Distribution]) -> dict[str, Distribution]:
    kernels = [f"{name}.kernel" for name in (inputs + " " + states).split()]
    return {**dict.fromkeys(kernels, fan(size)), **{f"{name}.bias": own for name, own in biases.items()}}


ONE, ZERO = Constant(1.0), Constant(0.0)
LSTM = cell(5, "ii if ig io", "hi hf hg ho", dict.fromkeys(["hi", "hf", "hg", "ho"], both(5)))
GRU = cell(5, "ir iz in", "hr hz hn", {"ir": both(5), "iz": both(5), "in": fan(5), "hn": fan(5)})
PACKED = Uniform(-math.sqrt(6 / 32), math.sqrt(6 / 32))
ATTENTION: dict[str, Distribution] = {
    **{f"{part}.kernel": PACKED for part in ("query", "key", "value")},
    **{f"{part}.bias": ZERO for part in ("query", "key", "value", "out")},
    "out.kernel": fan(8),
}
CARRY = jnp.zeros((1, 5))

# A layer, what it is fed, and the distribution of each parameter and statistic.
ROWS: list[tuple[nn.Module, tuple[Any, ...], dict[str, Distribution]]] = [
    (nn.Dense(6), (jnp.zeros((1, 4)),), affine(4)),
    (nn.DenseGeneral((3, 2), axis=(-2, -1)), (jnp.zeros((1, 4, 5)),), affine(20)),
    (nn.DenseGeneral(3, batch_dims=(0,)), (jnp.zeros((7, 4)),), affine(4)),
    (nn.Einsum((4, 6), "bi,io->bo"), (jnp.zeros((1, 4)),), affine(4)),
    (nn.Conv(6, 3), (jnp.zeros((1, 5, 4)),), affine(12)),
    (nn.Conv(6, (3, 2), feature_group_count=2), (jnp.zeros((1, 5, 5, 4)),), affine(12)),
    (nn.Conv(6, (3, 2, 2), use_bias=False), (jnp.zeros((1, 5, 5, 5, 4)),), {"kernel": fan(48)}),
    (nn.ConvTranspose(6, (3, 2)), (jnp.zeros((1, 5, 5, 4)),), affine(36)),
    (nn.ConvTranspose(6, (3, 2), transpose_kernel=True), (jnp.zeros((1, 5, 5, 4)),), affine(36)),
    (nn.Embed(7, 3), (jnp.zeros(1, jnp.int32),), {"embedding": Normal(0.0, 1.0)}),
    (nn.SimpleCell(5), (CARRY, jnp.zeros((1, 3))), cell(5, "i", "h", {"i": both(5)})),
    (nn.LSTMCell(5), ((CARRY, CARRY), jnp.zeros((1, 3))), LSTM),
    (nn.OptimizedLSTMCell(5), ((CARRY, CARRY), jnp.zeros((1, 3))), LSTM),
    (nn.GRUCell(5), (CARRY, jnp.zeros((1, 3))), GRU),
    (nn.MultiHeadDotProductAttention(2), (jnp.zeros((1, 3, 8)),), ATTENTION),
    (nn.SelfAttention(2), (jnp.zeros((1, 3, 8)),), ATTENTION),
    (
        nn.BatchNorm(use_running_average=False),
        (jnp.zeros((2, 3)),),
        {"scale": ONE, "bias": ZERO, "mean": ZERO, "var": ONE},
    ),
    (nn.LayerNorm(), (jnp.zeros((2, 3)),), {"scale": ONE, "bias": ZERO}),
    (nn.GroupNorm(num_groups=3), (jnp.zeros((2, 3)),), {"scale": ONE, "bias": ZERO}),
    (nn.InstanceNorm(), (jnp.zeros((2, 4, 3)),), {"scale": ONE, "bias": ZERO}),
    (nn.RMSNorm(), (jnp.zeros((2, 3)),), {"scale": ONE}),
    (nn.PReLU(), (jnp.zeros((2, 3)),), {"negative_slope": Constant(0.25)}),
]


@pytest.mark.filterwarnings("ignore:SelfAttention:DeprecationWarning")
@pytest.mark.parametrize(("layer", "fed", "expected"), ROWS, ids=lambda value: type(value).__name__)
def test_every_layer_is_drawn_from_torchs_distributions(
    layer: Any, fed: Any, expected: dict[str, Distribution]
) -> None:
    model = LinenModel(layer, fed, {})
    assert not model.unmatched
    inits: Any = jaxinit.linen.initializers(layer, *fed)
    assert inits.keys() == expected.keys()
    for name, own in expected.items():
        found = inits[name].distribution(model.stacks.leaves[tuple(name.split("."))].shape)
        assert type(found) is type(own)
        numbers, torchs = dataclasses.astuple(found), dataclasses.astuple(own)
        np.testing.assert_allclose(numbers, torchs, rtol=1e-15, err_msg=name)


@pytest.mark.filterwarnings("ignore:SelfAttention:DeprecationWarning")
@pytest.mark.parametrize(("layer", "fed", "expected"), ROWS, ids=lambda value: type(value).__name__)
def test_every_layers_numbers_are_of_its_distributions(layer: Any, fed: Any, expected: dict[str, Distribution]) -> None:
    drawn = arrays(jaxinit.linen.init(layer, KEY, *fed))
    assert drawn.keys() == expected.keys()
    for name, distribution in expected.items():
        assert_drawn(drawn[name], distribution)


def test_every_row_of_the_table_has_a_case() -> None:
    assert {row.linen for row in torch_modules.TABLE if row.linen} <= {type(layer).__name__ for layer, _, _ in ROWS}
