"""Say how a Flax layer's parameters are made of a torch module's tensors.

torch draws its tensors whole and one after the other. A tensor holds one or more blocks of
rows, such as the gates of an LSTM, or query, key and value. A Flax parameter is made of such
blocks, and a recurrent bias of sums of two. From this correspondence follow the initializer of
each parameter, the loading of torch's `state_dict`, and the replay of torch's draws.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxinit._initializers.base import Initializer, WithLayout
from jaxinit._initializers.elementwise import uniform
from jaxinit.composed import concatenated, sum_of_uniforms
from jaxinit.layouts import Layout

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of a layer's parameters, by their paths within the layer, joined with dots."""


class Block(NamedTuple):
    """Represent some rows of one of torch's tensors: part `part` of its equal blocks."""

    tensor: str
    part: int = 0


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Represent one of torch's tensors: its initializer, and the number of blocks of rows that are packed into it."""

    name: str
    init: Initializer
    blocks: int = 1


@dataclasses.dataclass(frozen=True)
class Parameter:
    """Represent one of Flax's parameters. Its rows are blocks, and each is the sum of blocks of torch's tensors.

    A parameter with a layout is a weight. One without is a vector in torch, whatever its axes in Flax.
    """

    path: str
    blocks: tuple[tuple[Block, ...], ...]
    layout: Layout | None = None
    is_flipped: bool = False
    """Whether the spatial axes run in the opposite direction in torch."""
    keeps_axes: bool = False
    """Whether torch may have the axes of this vector too, as LayerNorm has its `normalized_shape`."""

    @property
    def sources(self) -> list[Block]:
        return [block for summed in self.blocks for block in summed]

    def torch_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of torch's array for a parameter of `shape`. A vector has one axis unless it keeps all."""
        if self.keeps_axes:
            return shape
        return (math.prod(shape),) if self.layout is None else self.layout.torch_shape(shape)

    def with_axes(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return torch's array with the axes of `shape`, if one of the two is flat and the parameter keeps axes."""
        is_flat = array.ndim == 1 or len(shape) == 1
        return array.reshape(shape) if self.keeps_axes and is_flat and array.size == math.prod(shape) else array

    def from_torch(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return torch's array with the axes of this parameter."""
        if self.layout is None:
            return array.reshape(shape)
        if self.is_flipped:
            array = np.flip(array, axis=tuple(range(2, array.ndim)))
        return self.layout.from_torch(array, shape)

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Return the array of this parameter with torch's axes: the inverse of `from_torch`."""
        if self.layout is None:
            return array.reshape(self.torch_shape(array.shape))
        array = self.layout.to_torch(array)
        return np.flip(array, axis=tuple(range(2, array.ndim))) if self.is_flipped else array


@dataclasses.dataclass(frozen=True)
class Layer:
    """Represent a torch module in its Flax form. A tensor may be drawn twice, and then the last draw stays."""

    torch: str
    draws: tuple[Tensor, ...]
    parameters: tuple[Parameter, ...]
    modules: tuple[str, ...] = ()
    """The parts of the Flax layer that are modules in torch too."""
    apart: Mapping[str, "Layer"] = dataclasses.field(default_factory=dict)
    """The layers in place of this one, by the names of parts, if torch has a layer for each part."""
    advice: str = ""
    """What adds the parameters without which a block of torch's tensors has no place."""

    def initializers(self) -> dict[str, Initializer]:
        """Return the initializer of each parameter, by its path."""
        last = {tensor.name: tensor.init for tensor in self.draws}
        return {
            parameter.path: _side_by_side(
                [_sum([last[block.tensor] for block in summed]) for summed in parameter.blocks]
            )
            if parameter.layout is None
            else with_layout(last[parameter.sources[0].tensor], parameter.layout)
            for parameter in self.parameters
        }

    def within(self, shapes: Shapes) -> "Layer":
        """Return the layer without the parameters that `shapes` lacks and the tensors that only they need."""
        kept = tuple(parameter for parameter in self.parameters if parameter.path in shapes)
        needed = {block.tensor for parameter in kept for block in parameter.sources}
        draws = tuple(tensor for tensor in self.draws if tensor.name in needed)
        apart = {
            name: layer.within({path[len(name) + 1 :]: () for path in shapes if path.startswith(f"{name}.")})
            for name, layer in self.apart.items()
        }
        return dataclasses.replace(self, draws=draws, parameters=kept, apart=apart)

    def tensor_shapes(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of torch's tensors."""
        blocks = {tensor.name: tensor.blocks for tensor in self.draws}
        found = {}
        for parameter in self.parameters:
            rows, *rest = parameter.torch_shape(shapes[parameter.path])
            for block in parameter.sources:
                found[block.tensor] = (rows // len(parameter.blocks) * blocks[block.tensor], *rest)
        return found

    def from_torch(self, tensors: Mapping[str, np.ndarray], shapes: Shapes) -> dict[str, np.ndarray]:
        """Return each parameter, by its path, made of torch's tensors."""
        count = {tensor.name: tensor.blocks for tensor in self.draws}
        blocks = {name: np.split(tensors[name], count[name]) for name in self.tensor_shapes(shapes)}

        def rows(summed: tuple[Block, ...]) -> np.ndarray:
            first, *others = (blocks[block.tensor][block.part] for block in summed)
            return sum(others, start=first)

        return {
            parameter.path: parameter.from_torch(np.concatenate([*map(rows, parameter.blocks)]), shapes[parameter.path])
            for parameter in self.parameters
        }

    def to_torch(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return torch's tensors, made of each parameter by its path: the inverse of `from_torch`.

        Of blocks that torch adds up, the first gets the values and the others are zero.
        """
        found: dict[Block, np.ndarray] = {}
        for parameter in self.parameters:
            rows = np.split(parameter.to_torch(arrays[parameter.path]), len(parameter.blocks))
            for (first, *others), values in zip(parameter.blocks, rows, strict=True):
                found[first] = values
                found.update((other, np.zeros_like(values)) for other in others)

        def whole(tensor: Tensor) -> np.ndarray:
            own = [found.get(Block(tensor.name, part)) for part in range(tensor.blocks)]
            like = next(block for block in own if block is not None)
            return np.concatenate([np.zeros_like(like) if block is None else block for block in own])

        return {tensor.name: whole(tensor) for tensor in self.draws}

    def unused_blocks(self) -> set[Block]:
        """Return the blocks of torch's tensors that no parameter is made of: Flax computes without them."""
        used = {block for parameter in self.parameters for block in parameter.sources}
        return {Block(t.name, i) for t in self.draws for i in range(t.blocks)} - used


def with_layout(init: Initializer, layout: Layout) -> Initializer:
    """Return the initializer for an array of another layout."""
    return dataclasses.replace(init, layout=layout) if isinstance(init, WithLayout) else init


def _sum(inits: list[Initializer]) -> Initializer:
    match inits:
        case [one]:
            return one
        case [uniform(a=a, b=b) as one, other] if one == other:
            return sum_of_uniforms(a, b)
    raise TypeError(f"`inits` must be one initializer or a uniform twice, got {inits}")


def _side_by_side(inits: list[Initializer]) -> Initializer:
    return inits[0] if all(init == inits[0] for init in inits) else concatenated(inits)
