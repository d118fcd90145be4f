"""Equinox models: how they are drawn, loaded and run.

Equinox has no hooks. So each call of a module marks its output with a name while the model is traced. The marks stand
in the program, outside of all `jax.vmap` in the model, and become outputs of the program.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

import jaxinit

from ...modules.hooks import hooked
from .model import Args, Arrays, Kwargs, first_array, replayed

_MARK = "output of "
_STATISTICS = ("running_mean", "running_var")


class EquinoxModel:
    """A model in Equinox, or a pair of one and its state. `build` is called with a key."""

    package = "equinox"

    def __init__(self, build: Callable[[jax.Array], Any], options: Kwargs) -> None:
        self._build, self._options = build, options

    def draw(self, key: jax.Array) -> Any:
        model = self._build(key)
        if not isinstance(_split(model)[0], eqx.Module):
            rule = "`flax_build` must return an equinox.Module, or a pair of one and its state, if it takes a key"
            raise TypeError(f"{rule}, got {type(model)}")
        return model

    def replay(self, generator: jaxinit.TorchGenerator) -> Any:
        return replayed(self._build, jaxinit.equinox.init, generator)

    def load(self, model: Any, state: Mapping[str, Any]) -> tuple[Any, Any]:
        return jaxinit.equinox.load(model, state, strict=False, **self._options)

    def arrays(self, model: Any) -> Arrays:
        leaves = jax.tree.leaves(model)
        return {path: leaves[index] for path, index in _places(model).items() if eqx.is_inexact_array(leaves[index])}

    def with_arrays(self, model: Any, arrays: Arrays) -> Any:
        leaves, treedef = jax.tree.flatten(model)
        new = {index: arrays[path] for path, index in _places(model).items() if path in arrays}
        return jax.tree.unflatten(treedef, [new.get(index, leaf) for index, leaf in enumerate(leaves)])

    def run(self, model: Any, args: Args, kwargs: Kwargs) -> tuple[Any, Arrays]:
        arrays, static = eqx.partition(model, eqx.is_array)

        def call(arrays: Any) -> Any:
            module, state = _split(eqx.combine(arrays, static))
            module = eqx.nn.inference_mode(module)
            with hooked(_modules(module, ()), _mark):
                return first_array(_batched(module, state, args, kwargs))

        return _with_marks(jax.make_jaxpr(call)(arrays), jax.tree.leaves(arrays))


def _split(model: Any) -> tuple[Any, Any]:
    return model if isinstance(model, tuple) and len(model) == 2 else (model, None)


def _batched(module: Any, state: Any, args: Args, kwargs: Kwargs) -> Any:
    """Return the output for a batch of inputs. A model of Equinox takes one input without a batch axis."""

    def one(args: Args, kwargs: Kwargs) -> Any:
        return module(*args, **kwargs) if state is None else module(*args, state, **kwargs)[0]

    return eqx.filter_vmap(one)(*jax.tree.map(_on_device, (args, kwargs)))


def _on_device(value: Any) -> Any:
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


def _with_marks(program: ClosedJaxpr, leaves: list[Any]) -> tuple[Any, Arrays]:
    """Run a program, and return its output and all that is marked in it, by path."""
    marked: dict[str, Any] = {}
    for equation in program.jaxpr.eqns:
        if equation.primitive.name == "name" and equation.params["name"].startswith(_MARK):
            marked[equation.params["name"].removeprefix(_MARK)] = equation.outvars[0]
    jaxpr = program.jaxpr.replace(outvars=[*program.jaxpr.outvars, *marked.values()])
    output, *others = jaxpr_as_fun(program.replace(jaxpr=jaxpr))(*leaves)
    return output, dict(zip(marked, others, strict=True))


def _mark(path: str, _: Any, output: Any) -> Any:
    """Return the output of a module in the model with a mark on the first array in it."""
    if not path:
        return output
    leaves, treedef = jax.tree.flatten(output)
    first = next((index for index, leaf in enumerate(leaves) if eqx.is_array(leaf)), None)
    if first is not None:
        leaves[first] = checkpoint_name(leaves[first], f"{_MARK}{path}")
    return jax.tree.unflatten(treedef, leaves)


def _modules(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield each module with its path, where what a Shared holds has the path of the Shared."""
    if isinstance(value, eqx.Module):
        yield ".".join(path), value
    for name, part in _parts(value):
        yield from _modules(part, path if isinstance(value, eqx.nn.Shared) else (*path, name))


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Return the parts of a pytree by name, one level down."""
    found = jax.tree_util.tree_leaves_with_path(value, is_leaf=lambda part: part is not value)
    return [(jax.tree_util.keystr(key, simple=True), part) for key, part in found if key and part is not None]


def _places(model: Any) -> dict[str, int]:
    """Return which leaf of the model is the array at each path. The statistics of BatchNorm lie in the state."""
    module, state = _split(jax.tree.unflatten(jax.tree.structure(model), range(len(jax.tree.leaves(model)))))
    found: dict[str, int] = {}
    for path, each in _modules(module, ()):
        prefix = f"{path}." if path else ""
        if isinstance(each, eqx.nn.BatchNorm):
            index: Any = each.ema_state_index if each.batch_state_index is None else each.batch_state_index
            values: Any = index.init if state is None else state.get(index)
            found |= {prefix + name: leaf for name, leaf in zip(_STATISTICS, values, strict=False)}
        found |= {prefix + name: part for name, part in _flat(each) if isinstance(part, int)}
    return found


def _flat(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a module that are not in a module within it, by path."""
    for name, part in _parts(value):
        if isinstance(part, list | tuple | dict):
            yield from ((f"{name}.{inner}", leaf) for inner, leaf in _flat(part))
        elif not isinstance(part, eqx.Module):
            yield name, part
