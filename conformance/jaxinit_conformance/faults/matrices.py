"""Faults in initializers that fill an array as a whole: orthogonal, sparse, dirac, constant."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxinit

from .fault import Wrong, arguments, array, draw, scale

Shape = tuple[int, ...]


@draw("no signs after QR", "orthogonal", "Haar .*")
def without_signs(init: Any, key: jax.Array, shape: Shape, dtype: Any) -> Any:
    matrix = jaxinit.normal()(key, (shape[-1], math.prod(shape[:-1])), dtype)
    is_tall = matrix.shape[0] >= matrix.shape[1]
    q = jnp.linalg.qr(matrix)[0] if is_tall else jnp.linalg.qr(matrix.T)[0].T
    return init.gain * jnp.moveaxis(q.reshape(shape[-1], *shape[:-1]), 0, -1)


@draw("unit rows, not orthogonal", "orthogonal", "orthonormal")
def unit_rows(init: Any, key: jax.Array, shape: Shape, dtype: Any) -> Any:
    drawn = jaxinit.normal()(key, shape, dtype)
    return init.gain * drawn / jnp.linalg.norm(drawn, axis=-1, keepdims=True)


@scale("gain forgotten in orthogonal", "orthogonal", "orthonormal")
def another_gain(_: Any, __: Shape) -> float:
    return 1.1


def zeros(name: str, claims: str) -> Callable[[Wrong], Wrong]:
    """Plant other places for the zeros of sparse: a function of normal numbers `(in, out)` and the sparsity."""

    def decorate(wrong: Wrong) -> Wrong:
        def drawn(init: Any, key: jax.Array, shape: Shape, dtype: Any) -> Any:
            values, numbers = (jaxinit.normal()(key, shape, dtype) for key in jax.random.split(key))
            return jnp.where(wrong(numbers, init.sparsity), 0, init.std * values).astype(dtype)

        draw(name, "sparse", claims)(drawn)
        return wrong

    return decorate


def lowest(numbers: jax.Array, axis: int, count: int) -> jax.Array:
    """Return True at the `count` lowest numbers along an axis."""
    return numbers < jnp.sort(numbers, axis).take(jnp.array([count]), axis)


@zeros("zeros in rows, not columns", "zeros .*")
def by_rows(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(numbers, 0, math.ceil(sparsity * numbers.shape[0]))


@zeros("floor for ceil", "zeros .*")
def floored(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(numbers, 1, math.floor(sparsity * numbers.shape[1]))


@zeros("one zero too many", "zeros beyond .*")
def one_too_many(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(numbers, 1, math.ceil(sparsity * numbers.shape[1]) + 1)


@zeros("zeros in one piece", "zeros of neighbouring rows")
def in_one_piece(numbers: jax.Array, sparsity: float) -> jax.Array:
    out = numbers.shape[1]
    return (jnp.arange(out) - numbers.argmax(1)[:, None]) % out < math.ceil(sparsity * out)


@zeros("the same rows in every column", "zeros .*")
def the_same_in_every_column(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(jnp.broadcast_to(numbers[:1], numbers.shape), 1, math.ceil(sparsity * numbers.shape[1]))


@zeros("each entry zero by itself", "zeros .*")
def one_by_one(numbers: jax.Array, sparsity: float) -> jax.Array:
    return numbers < statistics.NormalDist().inv_cdf(sparsity)


@array("two values, not normal ones", "sparse", "shape")
def two_values(drawn: jax.Array, init: Any) -> Any:
    return init.std * jnp.sign(drawn)


@scale("std 0.01 taken for a variance", "sparse", "scale")
def variance(_: Any, __: Shape) -> float:
    return 10.0


@arguments("groups ignored", "dirac", "equal to torch")
def without_groups(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "groups": 1}


@array("centre of an even kernel", "dirac", "equal to torch")
def off_centre(drawn: jax.Array, _: Any) -> jax.Array:
    spatial = tuple(axis for axis in range(drawn.ndim - 2) if drawn.shape[axis] % 2 == 0)
    return jnp.roll(drawn, [-1] * len(spatial), spatial)


@draw("dtype ignored", "constant", "equal to torch")
def in_float32(init: Any, key: jax.Array, shape: Shape, _: Any) -> Any:
    return init(key, shape, jnp.float32)
