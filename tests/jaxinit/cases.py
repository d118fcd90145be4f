"""One initializer of every public name, derived from the package so that none can be forgotten."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit._sampling import kernels
from jaxinit.distributions import Random

# Values for the arguments that have no default.
_REQUIRED = {"val": 0.3, "sparsity": 0.3}

FACTORIES: dict[str, Any] = {
    name: value
    for name, value in vars(jaxinit).items()
    if name in jaxinit.__all__
    and isinstance(value, type)
    and issubclass(value, jaxinit.Initializer)
    and value is not jaxinit.Initializer
}


def build(name: str, **given: object) -> jaxinit.Initializer:
    """The initializer `name`, with a value for each argument that has no default."""
    fields = {field.name: field for field in dataclasses.fields(FACTORIES[name])}
    needed = {key: value for key, value in _REQUIRED.items() if key in fields}
    init: jaxinit.Initializer = FACTORIES[name](**{**needed, **given})
    return init


def shape_of(name: str) -> tuple[int, ...]:
    """A shape the initializer accepts, divisible over eight devices."""
    return (3, 8, 16) if name == "dirac" else (8, 16)


def torch_function(name: str) -> Callable[..., torch.Tensor]:
    """torch's function of the same name."""
    function: Callable[..., torch.Tensor] = getattr(torch.nn.init, f"{name}_")
    return function


def _is_random(name: str) -> bool:
    return "generator" in inspect.signature(torch_function(name)).parameters


NAMES = sorted(FACTORIES)
ELEMENTWISE = [name for name in NAMES if hasattr(FACTORIES[name], "distribution")]
RANDOM = [name for name in NAMES if _is_random(name)]
RANDOM_ELEMENTWISE = [name for name in ELEMENTWISE if name in RANDOM]
NOT_RANDOM = [name for name in NAMES if name not in RANDOM]
WITH_LAYOUT = [name for name in NAMES if "layout" in {field.name for field in dataclasses.fields(FACTORIES[name])}]

each_name = pytest.mark.parametrize("name", NAMES)


def assert_same(name: str, actual: jax.Array | np.ndarray, expected: jax.Array) -> None:
    """Bit for bit, or to rounding for orthogonal, which goes through LAPACK."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if name == "orthogonal":
        np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=0, atol=1e-5)
    else:
        assert np.asarray(actual).tobytes() == np.asarray(expected).tobytes()


def values_of_words(distribution: Random, words: np.ndarray) -> np.ndarray:
    """What the distribution's kernel makes of chosen random words. uint64 words give float64."""
    real = np.dtype(np.float64 if words.dtype == np.uint64 else np.float32)
    with jax.enable_x64(real == np.float64):
        kernel, numbers = kernels.select(distribution, real)
        operands = [words.dtype.type(number) if isinstance(number, int) else real.type(number) for number in numbers]
        return np.asarray(jax.jit(kernel)(jnp.asarray(words), *operands))
