"""torch's layers and their weights in Flax layers: how tests load, run and compare them."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import jaxinit

APIS = ["nnx", "linen"]
RNGS = nnx.Rngs(0)


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """With parameters and statistics that are not their initial ones, which would hide mistakes."""
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return module


def array(tensor: torch.Tensor) -> jax.Array:
    return jnp.asarray(tensor.detach().numpy())


def run(layer: Any, state: Any, *inputs: Any) -> Any:
    """Return the output of a Flax layer that has torch's weights, all of them."""
    if isinstance(layer, nn.Module):
        empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(layer.init, RNGS.params(), *inputs))
        variables, names = jaxinit.linen.load(layer, empty, state, *inputs)
        count, output = len(jax.tree.leaves(variables)), layer.apply(variables, *inputs)
    else:
        names = jaxinit.nnx.load(layer, state)
        count, output = len(jax.tree.leaves(nnx.state(layer, (nnx.Param, nnx.BatchStat)))), layer(*inputs)
    assert {name for found in names.values() for name in found} == {name for name in state if "num_batches" not in name}
    assert len(names) == count
    return output


def assert_close(ours: Any, theirs: torch.Tensor) -> None:
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=0, atol=1e-5)


def gru_cell(size: int, hidden: int, *, rngs: nnx.Rngs) -> nnx.GRUCell:
    """torch's: with the second bias of the new state, which Flax leaves out."""
    cell = nnx.GRUCell(size, hidden, rngs=rngs)
    cell.dense_h = nnx.Linear(hidden, 3 * hidden, rngs=rngs)
    return cell
