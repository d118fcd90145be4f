"""Random subsets: a fixed number of rows in every column of a matrix."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._sampling.bits import bits
from jaxinit.layouts import View

# Rows decided from one random word. A choice of probability p costs log2(1 / p) of its
# bits. So each row has a word of its own where few rows are chosen, or few are left.
_ROWS_PER_WORD = 4
_FEW = 1 / 16

# Counts are float32 below, which holds integers up to here exactly.
MOST_ROWS = 2**24

Pair = tuple[jax.Array, jax.Array]


def choose(key: jax.Array, count: int, view: View) -> jax.Array:
    """Mark `count` rows in every column of torch's matrix, all choices equally likely.

    The rows are visited in turn, and each is chosen with probability needed / left. Written
    as `u * left < needed` with u < 1, this takes every row once all are needed, and none once
    none is needed, whatever the rounding. One word serves several rows: given the choice, the
    position of u within its part of [0, 1) is uniform again.
    """
    rows, columns = view.weight[0], (*view.batch, view.weight[1])
    below_one = np.float32(1 - 2.0**-24)

    rows_per_word = _ROWS_PER_WORD if _FEW <= count / rows <= 1 - _FEW else 1
    words = bits(key, (-(-rows // rows_per_word), *columns), jnp.uint32)

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
    matrix = jnp.stack(chosen, axis=1).reshape(-1, *columns)[:rows]
    return view.from_torch(jnp.moveaxis(matrix, 0, -2))
