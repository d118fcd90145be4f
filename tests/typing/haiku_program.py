"""A program of a user of Haiku, which type checkers accept: `make lint` runs mypy --strict and pyright on it."""

from typing import assert_type

import haiku as hk
import jax
import jax.numpy as jnp

import jaxinit
from jaxinit import scaling


def forward(x: jax.Array) -> jax.Array:
    """Run modules that have initializers of jaxinit."""
    init = jaxinit.haiku.initializer(scaling.mup(jaxinit.normal(std=0.02), (4, 8)))
    assert_type(init, jaxinit.haiku.initializer)
    x = hk.Linear(16, w_init=init, b_init=jaxinit.haiku.initializer(jaxinit.zeros()))(x)
    return hk.MultiHeadAttention(2, 4, model_size=8, w_init=init)(x, x, x)


def parameters() -> hk.Params:
    """Initialize a model of Haiku."""
    return hk.transform(forward).init(jax.random.key(0), jnp.ones((3, 4)))


def mistakes() -> None:
    """Make mistakes that a type checker sees. One that it does not see is an ignored error too many."""
    jaxinit.haiku.initializer(jnp.zeros)  # type: ignore
    jaxinit.haiku.initializer(jaxinit.normal)  # type: ignore
    scaling.deepnorm("12")  # type: ignore
