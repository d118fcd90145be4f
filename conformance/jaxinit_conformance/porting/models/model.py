"""What a port can do: a model is a value here, and arrays go by their paths, joined with dots."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

import jaxinit

Arrays = dict[str, Any]
Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]


class PortModel(Protocol):
    """A model of a framework that can be drawn, loaded and run."""

    package: str
    """The package of the framework."""

    def draw(self, key: jax.Array) -> Any:
        """Return a model as the port draws it."""

    def replay(self, generator: jaxinit.TorchGenerator) -> Any:
        """Return the model that the port makes from torch's generator.

        A port that needs a key gets torch's defaults where it gives no initializer.
        """

    def load(self, model: Any, state: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return a model with those tensors that fit, and the names of the tensors by path."""

    def arrays(self, model: Any) -> Arrays:
        """Return parameters and running statistics."""

    def with_arrays(self, model: Any, arrays: Arrays) -> Any:
        """Return a model with other arrays at all paths of `arrays`."""

    def run(self, model: Any, args: Args, kwargs: Kwargs) -> tuple[Any, Arrays]:
        """Return the output of a model in evaluation mode, and the outputs of its modules by path."""


def widened(model: PortModel, value: Any) -> Any:
    """Return a model whose arrays are float64."""
    return model.with_arrays(value, {path: jnp.float64(array) for path, array in model.arrays(value).items()})


def replayed(build: Callable[[Any], Any], init: Callable[[Any, Any], Any], generator: jaxinit.TorchGenerator) -> Any:
    """Return what `build` makes from torch's generator, or what `init` makes of it if it needs a key of JAX."""
    state = generator.get_state()
    with without_warnings():
        try:
            return build(generator)
        except Exception:  # a framework may say in any way that this is no key
            generator.set_state(state)
            return init(build, generator)


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Keep quiet about parameters without a rule, which keep the values of the port."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def first_array(output: Any) -> Any:
    """Return the first array of an output, which may be a tuple or a mapping.

    Raises:
        TypeError: the output holds no array.
    """
    for array in _arrays(output):
        return array
    raise TypeError(f"an output must hold an array, got {type(output)}")


def _arrays(output: Any) -> Iterator[Any]:
    if hasattr(output, "shape") and hasattr(output, "dtype"):
        yield output
    elif isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        for value in output:
            yield from _arrays(value)
