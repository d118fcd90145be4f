"""A program of a user of Keras, which type checkers accept: `make lint` runs mypy --strict and pyright on it."""

from typing import Any, assert_type

import jax
import jax.numpy as jnp
import keras  # pyright: ignore[reportMissingTypeStubs]

import jaxinit
from jaxinit import scaling

# Keras has no types. Pyright reads them off the defaults of arguments: an initializer would have to be a text.
LAYERS: Any = keras.layers


def model() -> Any:
    """Build a model whose layers have initializers of jaxinit."""
    he = jaxinit.keras.initializer(jaxinit.kaiming_normal(nonlinearity="relu"), seed=0)
    assert_type(he, jaxinit.keras.initializer)
    head = jaxinit.keras.initializer(scaling.gpt2_residual(jaxinit.orthogonal(), 2))
    return keras.Sequential(
        [
            LAYERS.Input((8, 8, 3)),
            LAYERS.DepthwiseConv2D(3, depthwise_initializer=he),
            LAYERS.Flatten(),
            LAYERS.Dense(4, kernel_initializer=head, bias_initializer=jaxinit.keras.initializer("jaxinit.ones()")),
        ]
    )


def draw() -> jax.Array:
    """Draw an array as a layer does."""
    weight = jaxinit.keras.initializer(jaxinit.composed.truncated(jaxinit.normal(std=0.02)))((3, 4), "bfloat16")
    assert_type(weight, jax.Array)
    return weight


def mistakes() -> None:
    """Make mistakes that a type checker sees. One that it does not see is an ignored error too many."""
    jaxinit.keras.initializer(jnp.zeros)  # type: ignore
    jaxinit.keras.initializer(jaxinit.normal(), seed="0")  # type: ignore
    scaling.mup(jaxinit.orthogonal(), (3, 4))  # type: ignore
    scaling.gpt2_residual(jaxinit.orthogonal(), 2).distribution((3, 4))  # type: ignore
