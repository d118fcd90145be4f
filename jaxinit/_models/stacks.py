"""Stacks of layers, as `nn.scan` and `nn.vmap` make them: one array holds the parameters of many layers.

A JAX key draws a stack at once, with each layer independent of the others and with the fans
of one layer. torch has a list of layers instead. `Stacks` translates between the two.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxinit._initializers.base import Elementwise, WithLayout
from jaxinit._models import matching
from jaxinit._models.correspondence import with_layout
from jaxinit._models.matching import Draw, Init, Leaves, Match, Path, RuleMatch
from jaxinit._sampling.sharding import device_put
from jaxinit._sampling.source import Source
from jaxinit.layouts import Layout

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Place:
    """Represent an array of the model, and which of its axes stack layers: none in a plain layer."""

    spec: jax.ShapeDtypeStruct
    stacked_axes: tuple[int, ...] = ()
    depth: int = 0
    """How many names of the array's path lead to the module that is stacked."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the number of layers along each of the stacked axes."""
        return tuple(self.spec.shape[axis] for axis in self.stacked_axes)

    @property
    def layer(self) -> jax.ShapeDtypeStruct:
        """Return the array of one layer."""
        if not self.stacked_axes:
            return self.spec
        return jax.ShapeDtypeStruct(self.in_front.shape[len(self.stacked_axes) :], self.spec.dtype)

    @property
    def in_front(self) -> jax.ShapeDtypeStruct:
        """Return the array with the stacked axes in front."""
        if not self.stacked_axes:
            return self.spec
        shape, sharding = self.spec.shape, self.spec.sharding
        if sharding is not None:
            entries = (*sharding.spec, *[None] * (len(shape) - len(sharding.spec)))
            sharding = NamedSharding(sharding.mesh, PartitionSpec(*(entries[axis] for axis in self._order)))
        return jax.ShapeDtypeStruct([shape[axis] for axis in self._order], self.spec.dtype, sharding=sharding)

    def to_front(self, array: jax.Array) -> jax.Array:
        """Return an array of the model with the stacked axes in front."""
        return array.transpose(self._order)

    def restored(self, array: jax.Array) -> jax.Array:
        """Return an array whose stacked axes are in front with its axes where the model has them."""
        if not self.stacked_axes:
            return array
        return device_put(array.transpose(np.argsort(self._order)), self.spec.sharding)

    def layers(self, array: np.ndarray) -> np.ndarray:
        """Return the array of each layer of an array, one behind the other."""
        return array.transpose(self._order).reshape(math.prod(self.sizes), *self.layer.shape)

    def path_of(self, path: Path, index: tuple[int, ...]) -> Path:
        """Return `path` as it would be in a list of layers: `blocks.kernel` of layer 2 is `blocks.2.kernel`."""
        return (*path[: self.depth], *map(str, index), *path[self.depth :])

    @property
    def _order(self) -> tuple[int, ...]:
        return (*self.stacked_axes, *(axis for axis in range(len(self.spec.shape)) if axis not in self.stacked_axes))


class Stacks:
    """Represent the arrays of a model by path, each whole or layer by layer."""

    def __init__(self, places: Mapping[Path, Place]) -> None:
        self.places = places
        self.leaves: Leaves = {path: place.layer for path, place in places.items()}
        """What one layer holds at each path."""

    def __bool__(self) -> bool:
        """Return whether an array stacks layers."""
        return any(place.stacked_axes for place in self.places.values())

    def draw(self, draws: Iterable[Draw], source: Source) -> dict[Path, jax.Array]:
        """Draw whole arrays, each layer of a stack by itself."""
        for_stacks = [(path, self._for_stack(path, init)) for path, init in draws]
        arrays = matching.draw(for_stacks, {path: place.in_front for path, place in self.places.items()}, source)
        return {path: self.places[path].restored(array) for path, array in arrays.items()}

    def _for_stack(self, path: Path, init: Init) -> Init:
        return for_stack(init, len(self.leaves[path].shape), len(self.places[path].stacked_axes))

    @property
    def layer_leaves(self) -> dict[Path, jax.ShapeDtypeStruct]:
        """Return the arrays of the model with a list of layers in place of each stack."""
        return {layer: self.leaves[path] for path in self.places for layer in self.layer_paths(path)}

    def layer_paths(self, path: Path) -> list[Path]:
        """Return the paths that the layers of a stack would have in a list."""
        place = self.places[path]
        return [place.path_of(path, index) for index in np.ndindex(*place.sizes)]

    def layer_draws(self, draws: Iterable[Draw]) -> list[Draw]:
        """Return the draws with one for each layer of a stack."""
        each = self._layer_by_layer(draws, lambda draw: draw[0])
        return [(self.places[path].path_of(path, index), init) for (path, init), index in each]

    def layer_matches(self, matches: Iterable[Match]) -> list[Match]:
        """Return the matches with one for each layer of a stack."""
        each = self._layer_by_layer((match for match in matches if match.inits), self._stack_around)
        return [self._layer_match(match, index) for match, index in each]

    def _stack_around(self, match: Match) -> Path | None:
        """Return the path of an array of the match if its whole module is stacked, not only modules in it."""
        path, _ = match.draws[0]
        return path if self.places[path].depth <= len(match.node.path) else None

    def _layer_match(self, match: Match, index: tuple[int, ...]) -> Match:
        node, path = match.node, self._stack_around(match)
        if path is not None:
            layer = matching.Node(self.places[path].path_of(node.path, index), node.module)
            return dataclasses.replace(match, node=layer)
        draws = self.layer_draws(match.draws)
        return RuleMatch(node, {matching.dotted(path[len(node.path) :]): init for path, init in draws})

    def _layer_by_layer(
        self, items: Iterable[Item], path_of: Callable[[Item], Path | None]
    ) -> Iterator[tuple[Item, tuple[int, ...]]]:
        """Yield each item with the index of each of its layers.

        torch builds a layer whole before the next one. So all items of a stack come for its
        first layer, then all of them for its second.
        """

        def stack_of(item: Item) -> tuple[Path, tuple[int, ...]]:
            path = path_of(item)
            return ((), ()) if path is None else (path[: self.places[path].depth], self.places[path].sizes)

        for (_, sizes), group in itertools.groupby(items, key=stack_of):
            together = list(group)
            yield from ((item, index) for index in np.ndindex(*sizes) for item in together)

    def layers(self, arrays: Mapping[Path, np.ndarray]) -> dict[Path, np.ndarray]:
        """Return the arrays of all layers from whole arrays: the inverse of `whole`."""
        each = {path: self.places[path].layers(array) for path, array in arrays.items()}
        return {
            layer: one for path, own in each.items() for layer, one in zip(self.layer_paths(path), own, strict=True)
        }

    def whole(self, arrays: Mapping[Path, jax.Array]) -> dict[Path, jax.Array]:
        """Return whole arrays from the arrays of all layers, for the paths that have one for every layer."""
        wholes = {}
        for path, place in self.places.items():
            paths = self.layer_paths(path)
            if all(layer in arrays for layer in paths):
                layers = [arrays[layer] for layer in paths]
                stack = jnp.stack(layers).reshape(place.in_front.shape) if place.stacked_axes else layers[0]
                wholes[path] = place.restored(stack)
        return wholes


def for_stack(init: Init, rank: int, count: int) -> Init:
    """Return the initializer for arrays of `rank` axes with `count` stacked axes in front, drawn independently."""
    if not count or (isinstance(init, Elementwise) and not isinstance(init, WithLayout)):
        return init
    if isinstance(init, WithLayout) and type(init.layout) is Layout:
        return with_layout(init, _in_front(init.layout, rank, count))
    return _mapped(init, count)


def _in_front(layout: Layout, rank: int, count: int) -> Layout:
    """Return the layout of `rank` axes with `count` batch axes in front of them."""
    roles = layout.view((1,) * rank).roles
    batch, out, into = (tuple(axis - rank for axis in axes) for axes in (roles.batch, roles.out, roles.into))
    return dataclasses.replace(layout, in_axis=into, out_axis=out, batch_axis=(*range(count), *batch))


def _mapped(init: Init, count: int) -> Init:
    """Return `init` for each of the stacked arrays, with a key of its own."""

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        def one(key: jax.Array) -> jax.Array:
            return init(key, shape[count:], dtype)

        for _ in range(count):
            one = jax.vmap(one)
        return one(jax.random.split(key, shape[:count]))

    return draw
