"""Faults in independence: keys, stacked arrays, repeated and correlated entries."""

from typing import Any

import jax
import jax.numpy as jnp

from .fault import array, draw


@draw("key ignored", "orthogonal", "keys")
@draw("key ignored", "normal", "keys|neighbours along keys")
@draw("key ignored", "uniform", "leaves of a model")
def with_one_key(init: Any, _: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    return init(jax.random.key(0), shape, dtype)


@array("one array for all experts", "orthogonal", "stacked arrays")
@array("one array for all experts", "kaiming_normal", "neighbours .*")
def one_for_all(drawn: jax.Array, init: Any) -> jax.Array:
    return drawn if init.layout.batch_axis == () else jnp.broadcast_to(drawn[:1], drawn.shape)


@array("second half repeats the first", "normal", "halves")
def halves_alike(drawn: jax.Array, _: Any) -> jax.Array:
    return jnp.resize(drawn.reshape(-1)[: -(-drawn.size // 2)], drawn.shape)


@array("a third, three times", "normal", "distinct values")
def thirds_alike(drawn: jax.Array, _: Any) -> jax.Array:
    return jnp.resize(drawn.reshape(-1)[: -(-drawn.size // 3)], drawn.shape)


@array("neighbours correlated at 0.05", "normal", "neighbours .*")
def correlated(drawn: jax.Array, _: Any) -> jax.Array:
    return drawn + 0.05 * jnp.roll(drawn, 1, axis=-1)
