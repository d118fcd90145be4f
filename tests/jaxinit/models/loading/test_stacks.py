"""torch's lists of layers into the stacks that `nnx.vmap` makes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit._models.loading.names import stacks_in_names
from tests.jaxinit.models.torch_layers import assert_close, filled

pytestmark = pytest.mark.usefixtures("torch_seed")


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm = nnx.LayerNorm(8, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.scale = nnx.Param(jnp.ones(8))

    def __call__(self, x: jax.Array) -> jax.Array:
        attended: jax.Array = self.attention(self.norm(x)) * self.scale[...][None, None]
        return x + attended


class Net(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.first = nnx.Linear(3, 8, rngs=rngs)
        self.blocks = nnx.split_rngs(splits=3)(nnx.vmap(Block, in_axes=0, out_axes=0))(rngs)

    def __call__(self, x: jax.Array) -> Any:
        return nnx.scan(lambda x, block: block(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(
            self.first(x), self.blocks
        )


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = filled(torch.nn.LayerNorm(8))
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        torch.nn.init.normal_(self.attention.in_proj_bias)
        self.scale = torch.nn.Parameter(torch.randn(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        attended: torch.Tensor = self.attention(y, y, y)[0] * self.scale
        return x + attended


def test_a_list_of_blocks_into_a_scan() -> None:
    blocks = torch.nn.ModuleList([TorchBlock() for _ in range(3)])
    theirs, ours = torch.nn.ModuleDict({"first": torch.nn.Linear(3, 8), "blocks": blocks}), Net()
    x = torch.randn(2, 4, 3)
    expected = theirs["first"](x)
    for block in blocks:
        expected = block(expected)
    matched = jaxinit.nnx.load(ours, theirs.state_dict())
    assert matched["blocks.2.norm.scale"] == ("blocks.2.norm.weight",)
    assert_close(ours(jnp.asarray(x.numpy())), expected)
    state = theirs.state_dict()
    del state["blocks.1.norm.bias"]
    with pytest.raises(ValueError, match=r"missing blocks\.1\.norm\.bias, of shape \(8,\)$"):
        jaxinit.nnx.load(ours, state)


def test_a_stack_of_one_layer_and_a_list_of_the_same_sizes() -> None:
    stacked = nnx.split_rngs(splits=2)(nnx.vmap(lambda rngs: nnx.Linear(3, 3, rngs=rngs)))(nnx.Rngs(0))
    state = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)).state_dict()
    jaxinit.nnx.load(stacked, state)
    for layer in (0, 1):
        np.testing.assert_array_equal(stacked.kernel[layer].T, state[f"{layer}.weight"])
    rngs = nnx.Rngs(0)
    listed = nnx.Sequential(nnx.Linear(3, 3, rngs=rngs), nnx.Linear(3, 3, rngs=rngs))
    jaxinit.nnx.load(listed, state)
    for index in (0, 1):
        np.testing.assert_array_equal(nnx.state(listed)["layers"][index]["kernel"][...].T, state[f"{index}.weight"])


def test_only_modules_that_torch_has_a_list_for_are_stacks() -> None:
    sizes: Any = {("a", "kernel"): (2,), ("a", "bias"): (2,), ("b", "0", "bias"): (2,), ("b", "1", "bias"): (2,)}
    modules = [("a",), ("b",), ("b", "0"), ("b", "1"), ()]
    names = ["a.0.weight", "a.0.bias", "a.1.weight", "a.1.bias", "b.0.bias", "b.1.bias"]
    assert stacks_in_names(modules, sizes, names) == {("a",): 2}
    assert stacks_in_names(modules, sizes, [*names, "a.2.bias"]) == {}
    assert stacks_in_names(modules, sizes, ["a.weight", "a.bias"]) == {}
