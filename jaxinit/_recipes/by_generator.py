"""The arrays of a recipe from torch's seed: all nodes in torch's order, on the host."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._initializers.elementwise import normal, uniform
from jaxinit._recipes.flax_layout import relayout, with_flax_axes
from jaxinit._recipes.nodes import Node, initializer, is_draw
from jaxinit._recipes.operations.compute import compute
from jaxinit._recipes.parameter import Entry, Form
from jaxinit._sampling.sharding import device_put
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit._torch_generator.source import require_no_trace

# From 16 entries on torch fills a contiguous tensor in blocks. Other tensors are filled one by one.
_ONE_BY_ONE = 15


def sample(
    nodes: Sequence[Node],
    entries: Sequence[Entry],
    form: Form,
    generator: TorchGenerator,
) -> dict[str, jax.Array]:
    """Return the array of each entry. Draws that the constructor overwrote are drawn too."""
    require_no_trace()
    uses = Counter(index for node in nodes for index in node.inputs) + Counter(entry.node for entry in entries)
    ends: dict[int, list[Entry]] = {}
    for entry in entries:
        ends.setdefault(entry.node, []).append(entry)
    values: dict[int, Any] = {}
    found: dict[str, jax.Array] = {}
    for index, node in enumerate(nodes):
        values[index] = _value(node, values, generator)
        for entry in ends.get(index, ()):
            found[entry.name] = _finished(values[index], entry, form)
        for done in (*node.inputs, *(entry.node for entry in ends.get(index, ()))):
            uses[done] -= 1
        for done in {index, *node.inputs}:
            if uses[done] <= 0:
                values.pop(done, None)
    return found


def _value(node: Node, values: Mapping[int, Any], generator: TorchGenerator) -> Any:
    dtype = jnp.dtype(node.dtype)
    if node.op == "unknown draw":
        raise ValueError(
            f"`key` must be a JAX key for this recipe, got a TorchGenerator, which cannot follow {node.args[0]}"
        )
    if is_draw(node):
        init = initializer(node)
        if node.args[1:] and isinstance(init, normal):
            return _one_by_one(init, node.shape, dtype, generator)
        if node.args[1:] and not isinstance(init, uniform):
            raise ValueError(
                "`key` must be a JAX key for this recipe, got a TorchGenerator, which cannot follow "
                f"{node.call()} on a tensor that is not contiguous"
            )
        return init.draw(generator, init.view(node.shape), dtype)
    return node.args[0].array() if node.op == "data" else compute(node, values.__getitem__, np, dtype)


def _one_by_one(init: normal, shape: tuple[int, ...], dtype: np.dtype, generator: TorchGenerator) -> np.ndarray:
    """Draw a tensor that is not contiguous: torch does not draw its entries in blocks."""
    size, most = math.prod(shape), _ONE_BY_ONE // (2 if jnp.issubdtype(dtype, jnp.complexfloating) else 1)
    parts = [generator.normal(init.mean, init.std, (min(most, size - first),), dtype) for first in range(0, size, most)]
    return np.concatenate([np.empty(0, dtype), *parts]).reshape(shape)


def _finished(array: np.ndarray, entry: Entry, form: Form) -> jax.Array:
    relaid = relayout(entry, array.ndim) if form.is_flax else None
    array = array.astype(form.dtype_of(array.dtype), copy=False)
    return device_put(array if relaid is None else with_flax_axes(array, relaid), form.shardings[entry.name])
