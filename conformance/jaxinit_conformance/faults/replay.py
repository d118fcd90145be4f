"""Faults in torch's generator, and in the order in which numbers are drawn from it."""

import functools
import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxinit
from jaxinit import TorchGenerator
from jaxinit.distributions import Uniform

from .fault import Wrong, change, kind

Shape = tuple[int, ...]


@kind
def tensor(initializer: str, wrong: Wrong) -> dict[str, Any]:
    """Plant another `fill` in the generator, which draws every tensor."""
    generator = type("TorchGenerator", (TorchGenerator,), {"fill": wrong})
    return {"Layout": jaxinit.Layout, "TorchGenerator": generator, initializer: getattr(jaxinit, initializer)}


@tensor("low and high word exchanged in float64", "uniform", "replay")
def halves_exchanged(own: Any, distribution: Any, shape: Shape, dtype: Any) -> Any:
    if np.dtype(dtype) != np.float64:
        return TorchGenerator.fill(own, distribution, shape, dtype)
    points = (TorchGenerator.fill(own, Uniform(0.0, 1.0), shape, dtype) * 2.0**53).astype(np.int64)
    exchanged = (points & (2**21 - 1)) << 32 | points >> 32  # 53 bits: 21 of the first draw, 32 of the second
    return distribution.low + (distribution.high - distribution.low) * exchanged * 2.0**-53


@tensor("tail of 16 not redrawn", "normal", "replay")
def tail_kept(own: Any, distribution: Any, shape: Shape, dtype: Any) -> np.ndarray:
    size = int(np.prod(shape))
    whole = -(-size // 16) * 16 if size >= 16 else size
    return TorchGenerator.fill(own, distribution, (whole,), dtype)[:size].reshape(shape)


@tensor("second number of a pair forgotten", "normal", "replay")
def sine_forgotten(own: Any, distribution: Any, shape: Shape, dtype: Any) -> np.ndarray:
    drawn = TorchGenerator.fill(own, distribution, shape, dtype)
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
