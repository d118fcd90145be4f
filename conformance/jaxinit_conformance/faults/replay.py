"""Faults in torch's generator, and in the order in which numbers are drawn from it."""

import functools
import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxinit
from jaxinit import TorchGenerator

from .fault import Plant, Wrong, change, kind

Shape = tuple[int, ...]


def method(name: str) -> Plant:
    """Return the decorator of a function in the place of a method of the generator."""

    def build(initializer: str, wrong: Wrong) -> dict[str, Any]:
        generator = type("TorchGenerator", (TorchGenerator,), {name: wrong})
        return {"Layout": jaxinit.Layout, "TorchGenerator": generator, initializer: getattr(jaxinit, initializer)}

    return kind(build)


@method("uniform")("low and high word exchanged in float64", "uniform", "replay")
def halves_exchanged(own: Any, low: float, high: float, shape: Shape, dtype: Any = "float32") -> np.ndarray:
    if np.dtype(dtype) != np.float64:
        return TorchGenerator.uniform(own, low, high, shape, dtype)
    points = (TorchGenerator.uniform(own, 0.0, 1.0, shape, dtype) * 2.0**53).astype(np.int64)
    exchanged = (points & (2**21 - 1)) << 32 | points >> 32  # 53 bits: 21 of the first draw, 32 of the second
    return low + (high - low) * exchanged * 2.0**-53


@method("normal")("tail of 16 not redrawn", "normal", "replay")
def tail_kept(own: Any, mean: float, std: float, shape: Shape, dtype: Any = "float32") -> np.ndarray:
    size = int(np.prod(shape))
    whole = -(-size // 16) * 16 if size >= 16 else size
    return TorchGenerator.normal(own, mean, std, (whole,), dtype)[:size].reshape(shape)


@method("normal")("second number of a pair forgotten", "normal", "replay")
def sine_forgotten(own: Any, mean: float, std: float, shape: Shape, dtype: Any = "float32") -> np.ndarray:
    drawn = TorchGenerator.normal(own, mean, std, shape, dtype)
    state = own.get_state()
    state[5040:5048] = 0  # torch's flag that there is one
    own.set_state(state)
    return drawn


order = change(lambda right, wrong, given: functools.partial(wrong, right(**given)), TorchGenerator=TorchGenerator)
"""Plant another way to draw from a generator: a function of the initializer, the generator, the shape and the dtype."""


@order("drawn in the order of Flax's array", "kaiming_uniform", "replay")
def transposed(init: Any, generator: Any, shape: Shape, dtype: Any) -> Any:
    return jaxinit.uniform(*init.distribution(shape).support)(generator, shape, dtype)


@kind
def model_init(_: str, wrong: Wrong) -> dict[str, Any]:
    """Plant another `nnx.init`."""
    names = {name: functools.partial(_call_nnx, name) for name in ("reset_parameters", "load")}
    return {"TorchGenerator": TorchGenerator, "nnx": types.SimpleNamespace(init=wrong, **names)}


def _call_nnx(name: str, *given: Any, **options: Any) -> Any:
    return getattr(jaxinit.nnx, name)(*given, **options)


@model_init("biases drawn between the weights", "nn.LSTM", "replay .*")
def weight_then_bias(build: Callable[[Any], Any], generator: Any) -> Any:
    model = jaxinit.nnx.init(build, jax.random.key(0))
    (into, rows), state = model.cell.dense_i.kernel.shape, model.cell.dense_h.kernel.shape[0]
    shapes = {"weight_ih_l0": (rows, into), "bias_ih_l0": (rows,), "weight_hh_l0": (rows, state), "bias_hh_l0": (rows,)}
    jaxinit.nnx.load(model, {each: generator.uniform(-(state**-0.5), state**-0.5, shapes[each]) for each in shapes})
    return model
