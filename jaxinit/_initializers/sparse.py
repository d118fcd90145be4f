"""Sparse weights: every input feeds a fixed number of units."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.structured import Structured, TorchShape
from jaxinit._sampling.sample import sample
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.distributions import Normal

# Rows decided from one random word. A choice of probability p costs log2(1 / p) of its
# bits, so where zeros (or other entries) are few each row has a word of its own.
_ROWS_PER_WORD = 4
_FEW = 1 / 16

# Counts are float32 in the selection.
_MOST_ROWS = 2**24

Pair = tuple[jax.Array, jax.Array]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class sparse(Structured):
    """Normal, with the same number of zeros in every column of torch's matrix::

        w[:, i] has ceil(sparsity * out) zeros at uniformly random rows, the rest ~ N(0, std**2)

    Args:
        sparsity: the fraction of zeros, from 0 to 1.
        std: the standard deviation of the other entries (torch's documentation calls 0.01 a variance once).
        layout: which axes of your array are torch's; stacked weights are drawn independently.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `sparsity` is outside [0, 1], `std < 0`, or a weight has axes besides in and out.

    Example:
        >>> w = jaxinit.sparse(0.1)(jax.random.key(0), (5, 32))  # (in, out)
        >>> (w == 0).sum(axis=1).tolist()
        [4, 4, 4, 4, 4]

    Source: Martens, Deep learning via Hessian-free optimization, 2010. Differs from torch
    in refusing a sparsity outside [0, 1].
    """

    sparsity: float
    std: float = 0.01
    _is_random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical("sparsity", _arguments.within("sparsity", self.sparsity, 0.0, 1.0))
        self._canonical("std", _arguments.within("std", self.std, 0.0))

    def _check_weight(self, torch_shape: TorchShape) -> None:
        torch_shape.require_matrix("sparse")
        if torch_shape.out > _MOST_ROWS:
            raise ValueError(f"`shape` must give at most {_MOST_ROWS} outputs for sparse, got {torch_shape.out}")

    def _draw(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
        key_of_zeros, key_of_values = jax.random.split(key)
        torch_shape = self._torch_shape(shape)
        columns = (*torch_shape.batch, torch_shape.into)
        zero = _choose(key_of_zeros, math.ceil(self.sparsity * torch_shape.out), torch_shape.out, columns)
        zero = self.layout.from_torch(jnp.moveaxis(zero, 0, -2), shape)
        values = sample(Normal(0.0, self.std), key_of_values, shape, dtype)
        return jnp.where(zero, jnp.zeros((), dtype), values)

    def _weight(self, generator: TorchGenerator, weight: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        rows, columns = weight
        values = generator.normal(0.0, self.std, weight, dtype)
        for column in range(columns):
            values[generator.randperm(rows, first=math.ceil(self.sparsity * rows)), column] = 0
        return values


def _choose(key: jax.Array, count: int, rows: int, columns: tuple[int, ...]) -> jax.Array:
    """Exactly `count` of `rows` in every column, all choices alike; shape `(rows, *columns)`.

    Goes down the rows, choosing each with probability needed / left. Compared as
    `u * left < needed`, this takes every row once all are needed and none once none is,
    whatever the rounding, as u < 1. One word serves several rows: given the choice, where
    u fell within its part of [0, 1) is uniform again.
    """
    below_one = np.float32(1 - 2.0**-24)

    rows_per_word = _ROWS_PER_WORD if _FEW <= count / rows <= 1 - _FEW else 1
    words = jax.random.bits(key, (-(-rows // rows_per_word), *columns), jnp.uint32)

    def step(carry: Pair, word: jax.Array) -> tuple[Pair, list[jax.Array]]:
        needed, left = carry
        u = jnp.minimum(word.astype(jnp.float32) * np.float32(2.0**-32), below_one)
        chosen = []
        for _ in range(rows_per_word):
            position = u * left
            chosen.append(position < needed)
            within = jnp.where(chosen[-1], position, position - needed)
            u = jnp.clip(within / jnp.maximum(jnp.where(chosen[-1], needed, left - needed), 1), 0, below_one)
            needed, left = needed - chosen[-1].astype(needed.dtype), left - 1
        return (needed, left), chosen

    start = jnp.full_like(words[0], count, jnp.float32), jnp.float32(rows)
    _, chosen = jax.lax.scan(step, start, words)
    return jnp.stack(chosen, axis=1).reshape(-1, *columns)[:rows]
