"""Scales of Flax's WeightNorm: norms of the kernels, as `torch.nn.utils.weight_norm` sets them.

So a layer starts with the same function with WeightNorm as without it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from jaxinit._models.matching import Leaves, Node, Path, array_in

KINDS = (nn.WeightNorm, getattr(nnx, "WeightNorm", nn.WeightNorm))  # flax 0.12.0 has none in NNX


def has_default_scales(module: Any) -> bool:
    """Return whether a WeightNorm was given no initializer for its scales."""
    return module.scale_init is nn.initializers.ones


def set_scales(module: Any) -> None:
    """Set the scales of NNX's WeightNorm."""
    scales = module.scales or {}
    for path, kernel in nnx.to_flat_state(nnx.state(module.layer_instance)):
        if path in scales:
            old = scales[path]
            new = norms(array_in(kernel), module.feature_axes, old.shape).astype(old.dtype)
            if isinstance(old, nnx.Variable):  # since flax 0.12.9 or later
                old[...] = new
            else:
                scales[path] = new


def kernels(node: Node, leaves: Leaves) -> Mapping[Path, Path]:
    """Return the path of the kernel for the path of each scale of Linen's WeightNorm.

    A scale is named by the path of the kernel from the module around both, or from the WeightNorm.
    """
    found = {}
    for name in node.shapes(leaves):
        *parts, last = name.split("/")
        around = [(*outer, *parts) for outer in (node.path, node.path[:-1])]
        if last == "scale" and (kernel := next((path for path in around if path in leaves), None)):
            found[(*node.path, name)] = kernel
    return found


def with_axes(shape: Sequence[int], feature_axes: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of the scale of a kernel of `shape` with the axes of the kernel. One scale is a scalar."""
    features = _features(feature_axes)
    kept = {axis % len(shape) for axis in features}
    return tuple(size if axis in kept else 1 for axis, size in enumerate(shape)) if features else ()


def norms(kernel: jax.Array, feature_axes: int | Sequence[int] | None, shape: Sequence[int]) -> jax.Array:
    """Return the norms of a kernel over all axes but `feature_axes`. Other axes of `shape` stack layers in front."""
    features = _features(feature_axes)
    stacked = len(shape) - len(features)
    kept = {*range(stacked), *(axis % (kernel.ndim - stacked) + stacked for axis in features)}
    reduced = tuple(axis for axis in range(kernel.ndim) if axis not in kept)
    squares = jnp.sum(jnp.square(kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))), axis=reduced)
    return jnp.sqrt(squares).reshape(shape)


def _features(feature_axes: int | Sequence[int] | None) -> Sequence[int]:
    return [feature_axes] if isinstance(feature_axes, int) else feature_axes or ()
