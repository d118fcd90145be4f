"""Tell the framework of a port from the function that builds it."""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
from flax import nnx

from .flax import LinenModel, NNXModel
from .model import Args, Kwargs, PortModel


def port_model(build: Callable[..., Any], inputs: tuple[Args, Kwargs] | None, options: Kwargs) -> PortModel:
    """Return the model that `build` makes.

    It is a model of Equinox if `build` takes a `key`, of NNX if it takes `nnx.Rngs`, and of Linen if it takes nothing.
    Then it returns the module, or a pair of the module and a function that initializes it.
    `options` are those of `load`.

    Raises:
        TypeError: `build` is no function, or returns no module.
        ValueError: a Linen module has no inputs.
    """
    if isinstance(build, nn.Module | nnx.Module) or not callable(build):
        raise TypeError(f"`flax_build` must be a function that builds the model, got {type(build)}")
    needed = [name for name, each in inspect.signature(build).parameters.items() if each.default is each.empty]
    if needed == ["key"]:
        from .equinox import EquinoxModel  # which needs Equinox

        return EquinoxModel(build, options)
    if needed:
        return NNXModel(build, options)
    found = build()
    module, init = found if isinstance(found, tuple) and len(found) == 2 else (found, getattr(found, "init", None))
    if not isinstance(module, nn.Module) or not callable(init):
        rule = "`flax_build` must take `nnx.Rngs` or a `key`, or take nothing and return a flax.linen.Module"
        raise TypeError(f"{rule}, or a pair of it and a function of a key and the inputs, got {found!r}")
    if inputs is None:
        raise ValueError("`inputs` must be given for a Linen model, because its layers are made when it runs")
    return LinenModel(module, init, *inputs, options)
