"""The variables of a Linen model: arrays in collections, some of them in boxes, some of them stacks of layers."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
from flax.linen import spmd

from jaxinit._models import linen_trace, matching, torch_modules, verbs
from jaxinit._models.linen_trace import COLLECTIONS, flat
from jaxinit._models.matching import Path, Rule, array_in
from jaxinit._models.rules import Rules
from jaxinit._models.stacks import Place, Stacks


class _Rules(Rules):
    def find(self, module: Any) -> Rule | None:
        """Return the module's own method, or the rule of its class."""
        if callable(getattr(module, "reset_parameters", None)):
            return lambda shapes, layer: layer.reset_parameters(dict(shapes))
        return super().find(module)


_TABLE = {getattr(nn, row.linen): row.rule for row in torch_modules.TABLE if row.linen}
RULES = _Rules("jaxinit.linen", nn.Module, "flax.linen.Module", _TABLE)


def as_source(key: Any) -> verbs.ModelSource:
    """Return the source for a key, a dict with the key of `params`, or a TorchGenerator."""
    if isinstance(key, Mapping) and "params" not in key:
        raise ValueError(f"`key` must be a key, or a dict with a key of 'params', got {sorted(key)}")
    value = key["params"] if isinstance(key, Mapping) else key
    return verbs.as_source("key", value, "a JAX PRNG key such as jax.random.key(0), or a TorchGenerator")


class LinenModel(verbs.Model):
    """A module with its variables.

    Paths of the model lack the name of the collection. Where a statistic and a parameter have
    the same path, it means the parameter. Variables are abstract until they are given.
    """

    def __init__(self, module: nn.Module, inputs: Any, kwargs: Any, **given: Any) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"`module` must be a flax.linen.Module, got {module!r}")
        abstract, nodes, stacked = linen_trace.run(module, inputs, kwargs)
        self.variables = _validated(given["variables"], flat(abstract)) if given else abstract
        self._boxes = flat(self.variables)
        # `params` comes after `batch_stats` in the order of the names.
        self._names = {name[1:]: name for name in self._boxes if name[0] in COLLECTIONS}
        others = {name[1:]: name for name in self._boxes if name[0] not in COLLECTIONS}
        self._buffers = {path: name for path, name in others.items() if path not in self._names}
        places = {path: Place(_spec(self._boxes[name]), *stacked.get(name, ())) for path, name in self._names.items()}
        super().__init__(nodes, Stacks(places), RULES)

    def buffers(self) -> matching.Leaves:
        return {path: _spec(self._boxes[name]) for path, name in self._buffers.items()}

    def values(self) -> Mapping[Path, Any]:
        return {path: array_in(self._boxes[name]) for path, name in {**self._buffers, **self._names}.items()}

    def filtered(self, chosen: Any) -> list[Path]:
        if not callable(chosen) or isinstance(chosen, type):
            raise TypeError(f"not a function of a path and an array: {chosen!r}")
        return [path for path, array in self.values().items() if chosen(path, array)]

    def filled(self, arrays: Mapping[Path, jax.Array], build: Callable[[], Any] | None = None) -> Any:
        """Return the variables with `arrays` at their paths, and the others as `build` makes them or unchanged."""
        names = {**self._buffers, **self._names}
        named = {names[path]: array for path, array in arrays.items()}
        if build is not None:
            rest = {name: _spec(box).sharding for name, box in self._boxes.items() if name not in named}
            named |= verbs.compiled(lambda: flat(build()), rest)
        boxes = [
            jax.tree.map(lambda array, name=name: named.get(name, array), box) for name, box in self._boxes.items()
        ]
        return jax.tree.unflatten(jax.tree.structure(self.variables, is_leaf=linen_trace.is_box), boxes)


def _spec(box: Any) -> jax.ShapeDtypeStruct:
    """Return the shape, dtype and sharding of an array. In a mesh, its box may ask for a sharding."""
    mesh = getattr(box, "mesh", None) or jax.sharding.get_abstract_mesh()
    axes = nn.get_partition_spec(box) if linen_trace.is_box(box) else None
    if isinstance(box, nn.LogicallyPartitioned):
        axes = spmd.logical_to_mesh_axes(axes, box.rules)
    return matching.spec_of(box, mesh, axes)


def _validated(variables: Any, expected: Mapping[Path, Any]) -> Any:
    """Return the variables if they have collections and shapes of the module."""
    if not isinstance(variables, Mapping):
        raise TypeError(f"`variables` must be a dict of collections, as `module.init` returns, got {variables!r}")
    collections = sorted({path[0] for path in expected})
    if variables and not any(name in collections for name in variables):
        raise ValueError(f"`variables` must hold collections of the module, {collections}, got {sorted(variables)}")
    wrong = [
        f"{matching.dotted(path)} {array_in(expected[path]).shape}, got {array_in(box).shape}"
        for path, box in flat(variables).items()
        if path in expected and array_in(expected[path]).shape != array_in(box).shape
    ]
    if wrong:
        raise ValueError("`variables` must have the shapes that the module has for these inputs: " + "; ".join(wrong))
    return variables
