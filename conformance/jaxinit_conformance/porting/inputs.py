"""What both models are called with."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Call = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional and keyword arguments."""


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The calls of the torch module and of the port."""

    torch_call: Call
    flax_call: Call

    @classmethod
    def of(cls, inputs: Any) -> "Inputs":
        """Return the calls for an array, a tuple of arguments, a dict of them, or a dict with `torch` and `flax`."""
        if isinstance(inputs, Mapping) and set(inputs) == {"torch", "flax"}:
            return cls(_call(inputs["torch"]), _call(inputs["flax"]))
        return cls(_call(inputs), _call(inputs))

    def torch(self, wide: bool) -> Call:
        return _cast(self.torch_call, np.float64 if wide else np.float32)

    def flax(self, wide: bool) -> Call:
        """Return the call of the port. Integers have the width that JAX has now."""
        args, kwargs = _cast(self.flax_call, np.float64 if wide else np.float32)
        return tuple(map(_canonical, args)), {name: _canonical(value) for name, value in kwargs.items()}


def _call(inputs: Any) -> Call:
    if isinstance(inputs, Mapping):
        return (), {name: _array(value) for name, value in inputs.items()}
    values = inputs if isinstance(inputs, tuple | list) else (inputs,)
    return tuple(map(_array, values)), {}


def _array(value: Any) -> Any:
    """Return a NumPy array for an array of torch or JAX, and anything else as it is, such as a key of JAX."""
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return np.asarray(value) if hasattr(value, "shape") and hasattr(value, "dtype") and not is_key else value


def _cast(call: Call, dtype: Any) -> Call:
    args, kwargs = call
    return tuple(_as(value, dtype) for value in args), {name: _as(value, dtype) for name, value in kwargs.items()}


def _as(value: Any, dtype: Any) -> Any:
    floating = isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)
    return value.astype(dtype) if floating else value


def _canonical(value: Any) -> Any:
    integers = isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.integer)
    return value.astype(jax.dtypes.canonicalize_dtype(value.dtype)) if integers else value
