"""The Flax side of a port: how a model in NNX or Linen is drawn, loaded and run.

A model is a value here: an NNX module, or the variables of a Linen module. Arrays go by their paths, joined with dots.
"""

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx, traverse_util

import jaxinit

from ..modules.hooks import noted
from ..modules.pairs.pair import leaves
from .torch_model import first_array

Arrays = dict[str, Any]
Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]


class FlaxModel(Protocol):
    """Represent a Flax model that can be drawn, loaded and run."""

    def draw(self, key: jax.Array) -> Any:
        """Return a model as the port draws it."""

    def replay(self, generator: jaxinit.TorchGenerator) -> Any:
        """Return a model with torch's defaults where the port gives no initializer, from torch's seed."""

    def load(self, model: Any, state: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return a model with those tensors that fit, and the names of the tensors by path."""

    def arrays(self, model: Any) -> Arrays:
        """Return parameters and running statistics."""

    def with_arrays(self, model: Any, arrays: Arrays) -> Any:
        """Return a model with other arrays at all paths of `arrays`."""

    def run(self, model: Any, args: Args, kwargs: Kwargs) -> tuple[Any, Arrays]:
        """Return the output of a model in evaluation mode, and the outputs of its modules by path."""


def flax_model(build: Callable[..., Any], inputs: tuple[Args, Kwargs] | None, options: Kwargs) -> FlaxModel:
    """Return the model that `build` makes: of NNX if `build` takes `nnx.Rngs`, of Linen if it takes nothing.

    `options` are those of `load`.

    Raises:
        TypeError: `build` returns no Flax module.
        ValueError: a Linen module has no inputs.
    """
    if any(each.default is each.empty for each in inspect.signature(build).parameters.values()):
        return NNXModel(build, options)
    module = build()
    if not isinstance(module, nn.Module):
        rule = "`flax_build` must take `nnx.Rngs`, or take nothing and return a flax.linen.Module"
        raise TypeError(f"{rule}, got {type(module)}")
    if inputs is None:
        raise ValueError("`inputs` must be given for a Linen model, because its layers are made when it runs")
    return LinenModel(module, *inputs, options)


class NNXModel:
    """Represent a model in NNX. `build` is called with `nnx.Rngs`."""

    def __init__(self, build: Callable[[nnx.Rngs], Any], options: Kwargs) -> None:
        self._build, self._options = build, options

    def draw(self, key: jax.Array) -> Any:
        model = self._build(nnx.Rngs(key))
        if not isinstance(model, nnx.Module):
            raise TypeError(f"`flax_build` must return a flax.nnx.Module, got {type(model)}")
        return model

    def replay(self, generator: jaxinit.TorchGenerator) -> Any:
        with _without_warnings():
            return jaxinit.nnx.init(self._build, generator)

    def load(self, model: Any, state: Mapping[str, Any]) -> tuple[Any, Any]:
        model = nnx.clone(model)
        return model, jaxinit.nnx.load(model, state, strict=False, **self._options)

    def arrays(self, model: Any) -> Arrays:
        return leaves(model)

    def with_arrays(self, model: Any, arrays: Arrays) -> Any:
        graphdef, state = nnx.split(model)
        flat = {path: leaf.replace(arrays.get(_dotted(path), leaf[...])) for path, leaf in nnx.to_flat_state(state)}
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
    """Represent a module in Linen, with the inputs that it is initialized for."""

    def __init__(self, module: nn.Module, args: Args, kwargs: Kwargs, options: Kwargs) -> None:
        self._module, self._args, self._kwargs, self._options = module, args, kwargs, options

    def draw(self, key: jax.Array) -> Any:
        return self._module.init(key, *self._args, **self._kwargs)

    def replay(self, generator: jaxinit.TorchGenerator) -> Any:
        with _without_warnings():
            return jaxinit.linen.init(self._module, generator, *self._args, **self._kwargs)

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


def _trained(variables: Any) -> dict[tuple[str, ...], Any]:
    """Return the arrays of parameters and running statistics by path, without their boxes."""
    flat = traverse_util.flatten_dict(nn.unbox(variables))
    return {path: array for path, array in flat.items() if path[0] in ("params", "batch_stats")}


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep quiet about parameters without a rule, which keep the values of the port."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def widened(model: FlaxModel, value: Any) -> Any:
    """Return a model whose arrays are float64."""
    return model.with_arrays(value, {path: jnp.float64(array) for path, array in model.arrays(value).items()})
