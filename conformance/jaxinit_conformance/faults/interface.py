"""Faults in arguments, refusals and warnings."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp

import jaxinit

from .fault import draw, factory


@draw("warning lost", "kaiming_uniform", "warning")
def silent(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    return jnp.zeros(shape, dtype) if 0 in shape else init(key, shape, dtype)


@factory("wrong mode accepted", "kaiming_normal", "refusal")
def any_mode(mode: Any = "fan_in", **arguments: Any) -> Any:
    return jaxinit.kaiming_normal(mode=mode if mode in ("fan_in", "fan_out") else "fan_in", **arguments)


@factory("warning where torch refuses", "kaiming_normal", "refusal")
def only_warned(mode: Any = "fan_in", **arguments: Any) -> Any:
    if mode not in ("fan_in", "fan_out"):
        warnings.warn(f"unknown mode {mode}", FutureWarning, stacklevel=2)
    return any_mode(mode, **arguments)


@factory("arguments in another order", "trunc_normal", "signature")
def std_first(std: float = 1.0, mean: float = 0.0, a: float = -2.0, b: float = 2.0) -> Any:
    return jaxinit.trunc_normal(mean, std, a, b)
