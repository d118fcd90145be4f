"""The variables of a Linen model: arrays in collections, some of them in boxes, some of them stacks of layers."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
from flax.linen import spmd
from jax.sharding import NamedSharding

from jaxinit._models import linen_trace, matching
from jaxinit._models.linen_trace import COLLECTIONS, array_in, flat
from jaxinit._models.matching import Path
from jaxinit._models.rules import Rules
from jaxinit._models.stacks import Place, Stacks, stacked_axes
from jaxinit._models.verbs import Model


class LinenModel(Model):
    """A module with its variables.

    Paths of the model lack the name of the collection. Where a statistic and a parameter have
    the same path, it means the parameter.

    Args:
        module: the module.
        variables: the variables, or None for abstract ones.
        inputs: as for `module.init`.
        kwargs: as for `module.init`.
        rules: the rules of Linen's modules.
    """

    def __init__(self, module: nn.Module, variables: Any, inputs: Any, kwargs: Any, rules: Rules) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"`module` must be a flax.linen.Module, got {module!r}")
        abstract, trace = linen_trace.run(module, inputs, kwargs)
        self.variables = abstract if variables is None else _validated(variables, flat(abstract))
        self._boxes = flat(self.variables)
        # `params` comes after `batch_stats` in the order of the names.
        self._names = {name[1:]: name for name in self._boxes if name[0] in COLLECTIONS}
        layers = trace.layers
        places = {path: _place(self._boxes[name], layers.get(name)) for path, name in self._names.items()}
        super().__init__(trace.nodes, Stacks(places), rules)

    def filled(self, arrays: Mapping[Path, jax.Array], build: Callable[[], Any] | None = None) -> Any:
        """Return the variables with `arrays` at their paths, and the others as `build` makes them or unchanged."""
        named = {self._names[path]: array for path, array in arrays.items()}
        if build is not None:
            named |= self._remaining([name for name in self._boxes if name not in named], build)
        boxes = [
            jax.tree.map(lambda array, name=name: named.get(name, array), box) for name, box in self._boxes.items()
        ]
        return jax.tree.unflatten(jax.tree.structure(self.variables, is_leaf=linen_trace.is_box), boxes)

    def _remaining(self, names: list[Path], build: Callable[[], Any]) -> dict[Path, jax.Array]:
        """Return the arrays at `names` of the variables that `build` returns."""
        if not names:
            return {}

        def remaining() -> list[jax.Array]:
            built = flat(build())
            return [array_in(built[name]) for name in names]

        shardings = [_spec(self._boxes[name]).sharding for name in names]
        # The compiler removes the draws of all other arrays.
        return dict(zip(names, jax.jit(remaining, out_shardings=shardings)(), strict=True))


def _place(box: Any, layer: tuple[linen_trace.Shape, int] | None) -> Place:
    """Return the place of an array, from the shape and the depth of one layer. A plain array is its own layer."""
    spec = _spec(box)
    shape, depth = layer or (spec.shape, 0)
    return Place(spec, stacked_axes(spec.shape, shape) or (), depth)


def _spec(box: Any) -> jax.ShapeDtypeStruct:
    """Return the shape, dtype and sharding of an array. In a mesh, its box may ask for a sharding."""
    spec = matching.spec_of(array_in(box))
    if spec.sharding is not None or not linen_trace.is_box(box):
        return spec
    mesh = getattr(box, "mesh", None) or jax.sharding.get_abstract_mesh()
    axes = nn.get_partition_spec(box)
    if isinstance(box, nn.LogicallyPartitioned):
        axes = spmd.logical_to_mesh_axes(axes, box.rules)
    return spec if mesh.empty else jax.ShapeDtypeStruct(spec.shape, spec.dtype, sharding=NamedSharding(mesh, axes))


def _validated(variables: Any, expected: Mapping[Path, Any]) -> Any:
    """Return the variables if they have collections and shapes of the module."""
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
