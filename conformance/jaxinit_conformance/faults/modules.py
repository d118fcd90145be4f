"""Faults in whole modules: namespaces that stand in the place of `jaxinit.nnx`."""

import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

import jaxinit

from .fault import Plant, Wrong, kind

Change = Callable[[str, Any], Any]
"""From the path of a parameter and its right initializer to the one that is planted."""


def drawn(change: Change) -> types.SimpleNamespace:
    """Return `nnx` with changed initializers that state no distribution, so that draws are judged."""

    def reset_parameters(model: Any, rngs: Any) -> None:
        inits = _changed(change, model)
        jaxinit.nnx.apply(model, lambda module: inits if module is model else None, rngs)

    return types.SimpleNamespace(reset_parameters=reset_parameters, load=lambda *given: jaxinit.nnx.load(*given))


def stated(change: Change) -> types.SimpleNamespace:
    """Return `nnx` with changed initializers that state their distributions."""
    return types.SimpleNamespace(**vars(drawn(change)), initializers=lambda model: _changed(change, model))


def loaded(change: Callable[[str, np.ndarray], np.ndarray]) -> types.SimpleNamespace:
    """Return `nnx` that changes torch's tensors, by name, before it loads them."""

    def load(model: Any, state: dict[str, np.ndarray]) -> Any:
        return jaxinit.nnx.load(model, {name: change(name, array) for name, array in state.items()})

    return types.SimpleNamespace(reset_parameters=lambda *given: jaxinit.nnx.reset_parameters(*given), load=load)


def only(ending: str, change: Callable[[Any], Any]) -> Change:
    """Return a change of those parameters alone whose paths end so."""
    return lambda path, init: change(init) if path.endswith(ending) else init


def scaled(factor: float) -> Callable[[Any], Any]:
    """Return the change from an initializer to one that draws its numbers times a factor."""
    return lambda init: lambda key, shape, dtype: init(key, shape, dtype) * np.float32(factor)


def _changed(change: Change, model: Any) -> dict[str, Any]:
    return {path: change(path, init) for path, init in jaxinit.nnx.initializers(model).items()}


def _kind(build: Callable[[Wrong], types.SimpleNamespace]) -> Plant:
    return kind(lambda _, wrong: {"nnx": build(wrong)})


def draws(ending: str) -> Plant:
    """Return the decorator of a wrong initializer for parameters whose paths end so."""
    return _kind(lambda wrong: drawn(only(ending, wrong)))


def states(ending: str) -> Plant:
    """Return the same decorator, for initializers that state their distributions."""
    return _kind(lambda wrong: stated(only(ending, wrong)))


loads = _kind(loaded)
"""Plant a change of torch's tensors: a function of the name and the array."""


@draws("bias")("bias by the fan_in of the wrong axis", "nn.Linear", "shape|bounds|support")
def by_outputs(_: Any) -> Any:
    def init(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        return jaxinit.uniform(-1 / math.sqrt(shape[-1]), 1 / math.sqrt(shape[-1]))(key, shape, dtype)

    return init


@draws("kernel")("groups forgotten in fan_in", "nn.Conv2d", "shape|bounds|support")
def without_groups(init: Any) -> Any:
    return scaled(0.5)(init)


@draws("kernel")("transposed convolution's fan_in 'corrected'", "nn.ConvTranspose2d", "shape|bounds|support")
def corrected(_: Any) -> Any:
    return jaxinit.kaiming_uniform(5**0.5, layout=jaxinit.Layout(in_axis=2, out_axis=3))


@draws("embedding")("scaled by 1 / sqrt(features)", "nn.Embedding", "shape|scale")
def by_features(init: Any) -> Any:
    return scaled(24**-0.5)(init)


@draws("bias")("one uniform for the sum of two biases", "nn.LSTM", "shape")
def one_uniform(init: Any) -> Any:
    low, high = init.distribution((1,)).support
    return jaxinit.uniform(low / 2, high / 2)


@draws("var")("running variance taken for the mean", "nn.BatchNorm2d", "constants")
def mean_for_variance(_: Any) -> Any:
    return jaxinit.zeros()


@states("query.kernel")("packed query, key and value taken for one", "nn.MultiheadAttention", "distribution")
def unpacked(_: Any) -> Any:
    return jaxinit.xavier_uniform(layout=jaxinit.Layout(-3, (-2, -1)))


@states("out.bias")("uniform bias of out_proj kept", "nn.MultiheadAttention", "distribution")
def bias_of_linear(_: Any) -> Any:
    return jaxinit.defaults.linear(48)["bias_init"]


@states("dense_i.bias")("bias of the new state summed", "nn.GRU", "distribution")
def summed(init: Any) -> Any:
    return jaxinit.composed.sum_of_uniforms(init.a, init.b)


@loads("kernel not flipped", "nn.ConvTranspose2d", "forward")
def without_flip(name: str, array: np.ndarray) -> np.ndarray:
    return np.flip(array, (2, 3)) if name == "weight" else array


@loads("gates in another order", "nn.LSTM", "forward")
def gates_exchanged(_: str, array: np.ndarray) -> np.ndarray:
    first, second, third, fourth = np.split(array, 4)
    return np.concatenate([first, third, second, fourth])
