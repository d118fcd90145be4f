"""How mistakes about whole modules are made: namespaces that take the place of `jaxinit.nnx`.

Those that draw wrongly state no distributions, so that their draws are judged.
"""

import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

import jaxinit

Change = Callable[[str, Any], Any]
"""From a parameter's path and right initializer to what is drawn from instead."""


def drawn(change: Change) -> types.SimpleNamespace:
    """Models are set by initializers that a change went through."""

    def reset_parameters(model: Any, rngs: Any) -> None:
        inits = _changed(change, model)
        jaxinit.nnx.apply(model, lambda module: inits if module is model else None, rngs)

    return types.SimpleNamespace(reset_parameters=reset_parameters, load=lambda *given: jaxinit.nnx.load(*given))


def stated(change: Change) -> types.SimpleNamespace:
    """The same, with initializers that say what they are."""
    return types.SimpleNamespace(**vars(drawn(change)), initializers=lambda model: _changed(change, model))


def loaded(change: Callable[[str, np.ndarray], np.ndarray]) -> types.SimpleNamespace:
    """torch's tensors are changed on their way; the change sees their names."""

    def load(model: Any, state: dict[str, np.ndarray]) -> Any:
        return jaxinit.nnx.load(model, {name: change(name, array) for name, array in state.items()})

    return types.SimpleNamespace(reset_parameters=lambda *given: jaxinit.nnx.reset_parameters(*given), load=load)


def only(ending: str, mistake: Callable[[Any], Any]) -> Change:
    """A mistake about the parameters whose paths end so."""
    return lambda path, init: mistake(init) if path.endswith(ending) else init


def scaled(factor: float) -> Callable[[Any], Any]:
    """What is drawn times a factor."""
    return lambda init: lambda key, shape, dtype: init(key, shape, dtype) * np.float32(factor)


def by_its_own_size(_: Any) -> Any:
    """A bias of as many entries as the layer has outputs, drawn as if those were its inputs."""

    def init(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        bound = 1 / math.sqrt(shape[-1])
        return jaxinit.uniform(-bound, bound)(key, shape, dtype)

    return init


def one_uniform(init: Any) -> Any:
    """A single one for the sum of two."""
    low, high = init.distribution((1,)).support
    return jaxinit.uniform(low / 2, high / 2)


def without_flip(name: str, array: np.ndarray) -> np.ndarray:
    """A kernel the other way round, so that the flip that transposed convolutions need undoes it."""
    return np.flip(array, (2, 3)) if name == "weight" else array


def gates_exchanged(_: str, array: np.ndarray) -> np.ndarray:
    """The forget gate and the new memory in each other's place."""
    first, second, third, fourth = np.split(array, 4)
    return np.concatenate([first, third, second, fourth])


def _changed(change: Change, model: Any) -> dict[str, Any]:
    return {path: change(path, init) for path, init in jaxinit.nnx.initializers(model).items()}
