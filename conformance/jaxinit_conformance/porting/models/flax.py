"""The Flax side of a port: how a model in NNX or Linen is drawn, loaded and run.

A model is an NNX module, or the variables of a Linen module.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
from flax import nnx, traverse_util

import jaxinit

from ...modules.hooks import noted
from ...modules.pairs.pair import leaves
from .model import Args, Arrays, Kwargs, first_array, replayed


class NNXModel:
    """Represent a model in NNX. `build` is called with `nnx.Rngs`."""

    package = "flax"

    def __init__(self, build: Callable[[nnx.Rngs], Any], options: Kwargs) -> None:
        self._build, self._options = build, options

    def draw(self, key: jax.Array) -> Any:
        model = self._build(nnx.Rngs(key))
        if not isinstance(model, nnx.Module):
            raise TypeError(f"`flax_build` must return a flax.nnx.Module, got {type(model)}")
        return model

    def replay(self, generator: jaxinit.TorchGenerator) -> Any:
        return replayed(self._build, jaxinit.nnx.init, generator)

    def load(self, model: Any, state: Mapping[str, Any]) -> tuple[Any, Any]:
        model = nnx.clone(model)
        return model, jaxinit.nnx.load(model, state, strict=False, **self._options)

    def arrays(self, model: Any) -> Arrays:
        return leaves(model)

    def with_arrays(self, model: Any, arrays: Arrays) -> Any:
        graphdef, state = nnx.split(model)
        flat = {
            path: leaf.replace(arrays[_dotted(path)]) if _dotted(path) in arrays else leaf  # which may be an array
            for path, leaf in nnx.to_flat_state(state)
        }
        # Variables belong to the trace in which they are made: with flax 0.12.0, nnx.scan refuses others.
        return nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf, nnx.from_flat_state(flat)))

    def run(self, model: Any, args: Args, kwargs: Kwargs) -> tuple[Any, Arrays]:
        model.eval()
        outputs: Arrays = {}

        def note(path: str, _: nnx.Module, output: Any) -> None:
            with contextlib.suppress(TypeError):
                outputs[path] = first_array(output)

        with noted(model, note):
            output = first_array(model(*args, **kwargs))
        outputs.pop("", None)
        return output, outputs


class LinenModel:
    """Represent a module in Linen, with the inputs that it is initialized for.

    `init` is called with a key and the inputs, and returns the variables.
    """

    package = "flax"

    def __init__(
        self, module: nn.Module, init: Callable[..., Any], args: Args, kwargs: Kwargs, options: Kwargs
    ) -> None:
        self._module, self._args, self._kwargs, self._options = module, args, kwargs, options
        self._init = functools.partial(_with_inputs, init, args, kwargs)

    def draw(self, key: jax.Array) -> Any:
        variables = self._init(key)
        if not isinstance(variables, Mapping) or "params" not in variables:
            raise TypeError(f"the second of the pair must return the variables of the module, got {type(variables)}")
        return variables

    def replay(self, generator: jaxinit.TorchGenerator) -> Any:
        defaults = functools.partial(jaxinit.linen.init, self._module)
        return replayed(
            self._init, lambda _, source: _with_inputs(defaults, self._args, self._kwargs, source), generator
        )

    def load(self, model: Any, state: Mapping[str, Any]) -> tuple[Any, Any]:
        options = {"strict": False, **self._options, **self._kwargs}
        return jaxinit.linen.load(self._module, model, state, *self._args, **options)

    def arrays(self, model: Any) -> Arrays:
        return {_dotted(path[1:]): array for path, array in _trained(model).items()}

    def with_arrays(self, model: Any, arrays: Arrays) -> Any:
        flat = {path: arrays[_dotted(path[1:])] for path in _trained(model)}
        return {**model, **traverse_util.unflatten_dict(flat)}

    def run(self, model: Any, args: Args, kwargs: Kwargs) -> tuple[Any, Arrays]:
        output, seen = self._module.apply(model, *args, capture_intermediates=True, mutable=["intermediates"], **kwargs)
        noted = traverse_util.flatten_dict(seen.get("intermediates", {}))
        calls = {path[:-1]: value for path, value in noted.items() if path[-1] == "__call__" and path[:-1]}
        outputs = {}
        for path, value in calls.items():
            with contextlib.suppress(TypeError):
                outputs[_dotted(path)] = first_array(value)
        return first_array(output), outputs


def _with_inputs(init: Callable[..., Any], args: Args, kwargs: Kwargs, source: Any) -> Any:
    return init(source, *args, **kwargs)


def _trained(variables: Any) -> dict[tuple[str, ...], Any]:
    """Return the arrays of parameters and running statistics by path, without their boxes."""
    flat = traverse_util.flatten_dict(nn.unbox(variables))
    return {path: array for path, array in flat.items() if path[0] in ("params", "batch_stats")}


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))
