"""The variables of a Linen model: arrays in collections, in boxes, in stacks of layers."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import spmd
from jax.sharding import NamedSharding, PartitionSpec

from jaxinit._models import linen_stacks, linen_trace, matching
from jaxinit._models.linen_trace import COLLECTIONS, array_in, flat
from jaxinit._models.matching import Draw, Match, Node, Path
from jaxinit._sampling.sharding import device_put

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the variables an array is, and which of its axes stack layers."""

    name: Path
    spec: jax.ShapeDtypeStruct
    further: tuple[int, ...]
    depth: int
    """Of the stack in the array's path."""

    @property
    def order(self) -> tuple[int, ...]:
        """The axes, those that stack layers in front."""
        return (*self.stacked_axes, *(axis for axis in range(len(self.spec.shape)) if axis not in self.stacked_axes))

    @property
    def stack(self) -> jax.ShapeDtypeStruct:
        """The array with the axes that stack layers in front."""
        if not self.stacked_axes:
            return self.spec
        shape, sharding = self.spec.shape, self.spec.sharding
        if sharding is not None:
            entries = (*sharding.spec, *[None] * (len(shape) - len(sharding.spec)))
            sharding = NamedSharding(sharding.mesh, PartitionSpec(*(entries[axis] for axis in self.order)))
        return jax.ShapeDtypeStruct([shape[axis] for axis in self.order], self.spec.dtype, sharding=sharding)

    @property
    def layer(self) -> jax.ShapeDtypeStruct:
        """One layer's array."""
        if not self.stacked_axes:
            return self.spec
        return jax.ShapeDtypeStruct(self.stack.shape[len(self.stacked_axes) :], self.spec.dtype)

    def layers(self, path: Path) -> Iterator[Path]:
        """The paths that a list of the stacked layers would have."""
        for index in np.ndindex(*self.stack.shape[: len(self.stacked_axes)]):
            yield (*path[: self.depth], *map(str, index), *path[self.depth :])

    def restored(self, stack: jax.Array) -> jax.Array:
        """A stack with its axes where the variables have them."""
        return device_put(stack.transpose(np.argsort(self.order)), self.spec.sharding) if self.stacked_axes else stack


class View:
    """The modules and the arrays of a model by their paths, which lack the collections' names."""

    def __init__(self, module: nn.Module, variables: Any, inputs: Any, kwargs: Any) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"`module` must be a flax.linen.Module, got {module!r}")
        abstract, called = linen_trace.run(module, inputs, kwargs)
        self.nodes = called.nodes
        self.variables = abstract if variables is None else _fitting(variables, flat(abstract))
        self._boxes = flat(self.variables)
        layers = called.layers
        self._places = {
            path[1:]: _place(path, self._boxes[path], *layers.get(path, (None, 0)))
            for path in self._boxes
            if path[0] in COLLECTIONS
        }
        self.leaves = {path: place.layer for path, place in self._places.items()}
        """One layer of each stack."""

    def draw(self, draws: Iterable[Draw], key: jax.Array) -> dict[Path, jax.Array]:
        """The arrays at the paths, stacks with their axes in front."""
        each = [(path, self._each(path, init)) for path, init in draws]
        return matching.draw(each, {path: place.stack for path, place in self._places.items()}, key)

    def _each(self, path: Path, init: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        return linen_stacks.each(init, len(self.leaves[path].shape), len(self._places[path].stacked_axes))

    def filled(self, arrays: Mapping[Path, jax.Array], build: Callable[[], Any] | None = None) -> Any:
        """The variables with other arrays at the paths, and the rest as `build` makes it or as it is."""
        named = {self._places[path].name: self._places[path].restored(array) for path, array in arrays.items()}
        if build is not None:
            named |= self._remaining([name for name in self._boxes if name not in named], build)
        boxes = [
            jax.tree.map(lambda array, name=name: named.get(name, array), box) for name, box in self._boxes.items()
        ]
        return jax.tree.unflatten(jax.tree.structure(self.variables, is_leaf=linen_trace.is_box), boxes)

    def _remaining(self, names: list[Path], build: Callable[[], Any]) -> dict[Path, jax.Array]:
        if not names:
            return {}

        def remaining() -> list[jax.Array]:
            built = flat(build())
            return [array_in(built[name]) for name in names]

        placed = [_spec(self._boxes[name]).sharding for name in names]
        # Compiled, so that what is not asked for is not drawn.
        return dict(zip(names, jax.jit(remaining, out_shardings=placed)(), strict=True))

    def listed(self, found: Iterable[Match], free: Iterable[Path]) -> tuple[list[Match], list[Path]]:
        """What is known and what is free, with a list of layers for each stack of them."""
        asked = [one for one in found if one.draws]
        each = self._layer_by_layer(asked, lambda one: one.draws[0][0] if self._is_in_stack(one) else ())
        alone = [layer for path in free for layer in self._places[path].layers(path)]
        return [self._layer(one, index) for one, index in each], alone

    def _is_in_stack(self, one: Match) -> bool:
        """Whether layers of it are stacked, and not of what is in it."""
        return self._places[one.draws[0][0]].depth <= len(one.node.path)

    def _layer(self, one: Match, index: int) -> Match:
        if self._is_in_stack(one):
            layers = list(self._places[one.draws[0][0]].layers(one.node.path))
            return dataclasses.replace(one, node=Node(layers[index], one.node.module))
        depth = len(one.node.path)
        inits = {matching.dotted(path[depth:]): init for path, init in self.listed_draws(one.draws)}
        return dataclasses.replace(one, inits=inits)

    def listed_draws(self, draws: Iterable[Draw]) -> list[Draw]:
        """The draws, with one for each layer of a stack."""
        each = self._layer_by_layer(draws, lambda draw: draw[0])
        return [(list(self._places[path].layers(path))[index], init) for (path, init), index in each]

    def _layer_by_layer(self, items: Iterable[Item], path_of: Callable[[Item], Path]) -> Iterator[tuple[Item, int]]:
        """Each item with each of its layers, all of a stack's items for one layer before those for the next."""

        def stack(item: Item) -> tuple[Path, tuple[int, ...]]:
            if not (path := path_of(item)):
                return (), ()
            place = self._places[path]
            return path[: place.depth], place.stack.shape[: len(place.stacked_axes)]

        for (_, sizes), group in itertools.groupby(items, key=stack):
            together = list(group)
            yield from ((item, index) for index in range(math.prod(sizes)) for item in together)

    @property
    def listed_leaves(self) -> dict[Path, jax.ShapeDtypeStruct]:
        return {layer: self.leaves[path] for path, place in self._places.items() for layer in place.layers(path)}

    def stacked(self, arrays: Mapping[Path, jax.Array]) -> dict[Path, jax.Array]:
        """Of arrays for each listed layer, the stacks."""
        layers = {path: list(place.layers(path)) for path, place in self._places.items()}
        return {
            path: jnp.stack([arrays[layer] for layer in listed]).reshape(self._places[path].stack.shape)
            if self._places[path].stacked_axes
            else arrays[path]
            for path, listed in layers.items()
            if all(layer in arrays for layer in listed)
        }


def _place(name: Path, box: Any, layer: tuple[int, ...] | None, depth: int) -> Place:
    spec = _spec(box)
    further = linen_stacks.stacked_axes(spec.shape, spec.shape if layer is None else layer)
    assert further is not None  # calls are those within the variables
    return Place(name, spec, further, depth)


def _spec(box: Any) -> jax.ShapeDtypeStruct:
    """An array's shape, dtype and sharding: its own, or, in a mesh, the one that its box asks for."""
    spec = matching.spec_of(array_in(box))
    if spec.sharding is not None or not linen_trace.is_box(box):
        return spec
    mesh = getattr(box, "mesh", None) or jax.sharding.get_abstract_mesh()
    axes = nn.get_partition_spec(box)
    if isinstance(box, nn.LogicallyPartitioned):
        axes = spmd.logical_to_mesh_axes(axes, box.rules)
    return spec if mesh.empty else jax.ShapeDtypeStruct(spec.shape, spec.dtype, sharding=NamedSharding(mesh, axes))


def _fitting(variables: Any, expected: Mapping[Path, Any]) -> Any:
    """The variables, or an error if they are not of the module."""
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
