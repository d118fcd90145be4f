"""From torch's generator to an array: the calls that torch makes, in the order of torch's own array."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from jaxinit import _arguments
from jaxinit._sampling import dtypes
from jaxinit.distributions import Constant, Distribution, Normal, Triangular, TruncatedNormal, Uniform
from jaxinit.layouts import Layout

if TYPE_CHECKING:
    from jaxinit._torch_generator.generator import TorchGenerator

Shape = tuple[int, ...]


def require_no_trace() -> None:
    """Refuses to draw where the numbers would become constants of a compiled program, the same at every call."""
    if _arguments.is_staged():
        raise TypeError(
            "`key` must be a JAX PRNG key under jit, eval_shape or scan, got a TorchGenerator, which draws on the "
            "host; initialise outside and pass the arrays in"
        )


def draw(distribution: Distribution, generator: "TorchGenerator", shape: Shape, dtype: np.dtype) -> np.ndarray:
    """Independent draws of `distribution`, as torch fills a tensor of `shape`."""
    match distribution:
        case Uniform(low, high):
            return generator.uniform(low, high, shape, dtype)
        case Normal(mean, std):
            return generator.normal(mean, std, shape, dtype)
        case TruncatedNormal(loc, scale, low, high):
            return generator.trunc_normal(loc, scale, low, high, shape, dtype)
        case Triangular(low, high):  # torch draws both biases, Flax has their sum
            first = generator.uniform(low / 2, high / 2, shape, dtype)
            first += generator.uniform(low / 2, high / 2, shape, dtype)
            return first
        case Constant(value):
            return np.full(shape, dtypes.cast(value, dtype))


def in_layout(layout: Layout, shape: Shape, draw_weight: Callable[[Shape], np.ndarray]) -> np.ndarray:
    """Your array of `shape`, from torch's: stacked weights are drawn one after the other."""
    stacked = len(layout.roles(len(shape)).batch)
    sizes = layout.torch_shape(shape)
    # At least one, for its dtype: an empty stack draws an empty weight, which takes nothing.
    count, weight = math.prod(sizes[:stacked]), sizes[stacked:]
    weight = weight if count else (0,) * len(weight)
    weights = [draw_weight(weight) for _ in range(max(count, 1))]
    return layout.from_torch(np.concatenate([weight.reshape(-1) for weight in weights]).reshape(sizes), shape)
