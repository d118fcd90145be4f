"""Tell the framework of a port from the function that builds it."""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from .flax import LinenModel, NNXModel
from .model import Args, Kwargs, PortModel


def port_model(build: Callable[..., Any], inputs: tuple[Args, Kwargs] | None, options: Kwargs) -> PortModel:
    """Return the model that `build` makes.

    It is a model of Equinox if `build` takes a `key`, of NNX if it takes `nnx.Rngs`, and of Linen if it takes nothing.
    `options` are those of `load`.

    Raises:
        TypeError: `build` returns no module.
        ValueError: a Linen module has no inputs.
    """
    needed = [name for name, each in inspect.signature(build).parameters.items() if each.default is each.empty]
    if needed == ["key"]:
        from .equinox import EquinoxModel  # which needs Equinox

        return EquinoxModel(build, options)
    if needed:
        return NNXModel(build, options)
    module = build()
    if not isinstance(module, nn.Module):
        rule = "`flax_build` must take `nnx.Rngs` or a `key`, or take nothing and return a flax.linen.Module"
        raise TypeError(f"{rule}, got {type(module)}")
    if inputs is None:
        raise ValueError("`inputs` must be given for a Linen model, because its layers are made when it runs")
    return LinenModel(module, *inputs, options)
