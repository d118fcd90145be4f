"""What BatchNorm, WeightNorm and SpectralNorm of Equinox keep besides their parameters."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def count(layer: eqx.nn.BatchNorm, is_loaded: bool) -> int | bool:
    """Return what a BatchNorm counts when it is new, or when it has torch's running statistics.

    In mode "batch", Equinox divides the statistics by `1 - momentum**count`, unless the count is 0. torch divides by
    nothing. A count of 0 would do so until the first batch, and be off by a factor of 100 after it. So the count
    becomes so large that the divisor is 1 in float64. In mode "ema", the first batch replaces all statistics.
    """
    if layer.mode == "ema":
        return not is_loaded
    if not is_loaded or not 0 < layer.momentum < 1:
        return 0
    return min(math.ceil(-60 * math.log(2) / math.log(layer.momentum)), 2**30)  # a 32-bit integer


def debiased(layer: eqx.nn.BatchNorm, statistic: Any, count: Any) -> Any:
    """Return a running statistic as the layer computes with it."""
    if layer.mode == "ema":
        return statistic
    seen, kept = np.asarray(count, np.float64), np.asarray(statistic)
    divisor = np.where(seen == 0, 1.0, 1 - layer.momentum**seen)
    divisor = divisor.reshape(*divisor.shape, *[1] * (kept.ndim - divisor.ndim))
    return (kept / divisor).astype(kept.dtype)


def lengths(weights: jax.Array, rank: int, axis: int | None) -> jax.Array:
    """Return the norms of weights of so many axes over all of these but one. Axes in front stack layers."""
    first = weights.ndim - rank
    reduced = tuple(first + each for each in range(rank) if axis is None or each != axis % rank)
    wide = weights.astype(jnp.promote_types(weights.dtype, jnp.float32))
    return jnp.sqrt(jnp.sum(jnp.square(jnp.abs(wide)), axis=reduced, keepdims=True))


def vectors(layer: eqx.nn.SpectralNorm[Any]) -> tuple[str, str]:
    """Return the names of the two singular vectors that a SpectralNorm keeps."""
    return f"{layer.weight_name}_u", f"{layer.weight_name}_v"


def flipped(vector: jax.Array, kernel_size: Sequence[int]) -> jax.Array:
    """Return a vector with an entry for each input and each place in a kernel, as it is for the flipped kernel."""
    places = vector.reshape(*vector.shape[:-1], -1, *kernel_size)
    return places[(..., *[slice(None, None, -1)] * len(kernel_size))].reshape(vector.shape)


def iterated(weight: jax.Array, u: jax.Array, v: jax.Array, eps: float) -> tuple[jax.Array, jax.Array]:
    """Return approximate singular vectors after 16 power iterations.

    torch makes 15 for the vectors, and one more as it registers the parametrization. Equinox makes 15.
    """
    matrix = weight.reshape(weight.shape[0], -1)
    for _ in range(16):
        u = _normalized(matrix @ v, eps)
        v = _normalized(matrix.T @ u, eps)
    return u, v


def _normalized(vector: jax.Array, eps: float) -> jax.Array:
    return vector / jnp.maximum(eps, jnp.linalg.norm(vector)).astype(vector.dtype)
