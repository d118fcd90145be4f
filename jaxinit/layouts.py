"""Where torch's axes lie in your array.

torch stores every weight as `(out, in, *spatial)`. A `Layout` says which axes of *your*
array play those parts, and carries arrays across both ways.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxinit import _arguments

Axes = int | Sequence[int] | np.ndarray
Array = TypeVar("Array", jax.Array, np.ndarray)


class Roles(NamedTuple):
    """The axes of one array, each named by the part it plays in torch's."""

    batch: tuple[int, ...]
    out: tuple[int, ...]
    into: tuple[int, ...]
    spatial: tuple[int, ...]

    @property
    def order(self) -> tuple[int, ...]:
        return self.batch + self.out + self.into + self.spatial


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which of your axes are torch's: `in_axis` its axis 1, `out_axis` its axis 0.

    Axes in `batch_axis` hold stacked, independent weights (scanned layers, experts,
    ensembles) and are never counted; every axis not named is spatial::

        fan_in  = prod(sizes of in_axis)  * prod(sizes of the spatial axes)
        fan_out = prod(sizes of out_axis) * prod(sizes of the spatial axes)

    Args:
        in_axis: axis or axes that play torch's axis 1; an int, a sequence or a NumPy array.
        out_axis: axis or axes that play torch's axis 0; likewise.
        batch_axis: axes that stack independent weights; none by default.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis is named twice, or no axis is named for in or out.

    Example:
        >>> heads = Layout(in_axis=0, out_axis=(1, 2))
        >>> heads.torch_shape((512, 8, 64))
        (512, 512)
        >>> Layout(batch_axis=0).torch_shape((16, 256, 1024))
        (16, 1024, 256)

    Differs from jax.nn.initializers: the fans are torch's, stacked weights are drawn
    independently, and arrays can be converted.
    """

    in_axis: Axes = -2
    out_axis: Axes = -1
    batch_axis: Axes = ()

    def __post_init__(self) -> None:
        named: list[int] = []
        for field in dataclasses.fields(self):
            axes = _axes(field.name, getattr(self, field.name))
            if not axes and field.name != "batch_axis":
                raise ValueError(f"`{field.name}` must name at least one axis, got ()")
            named.extend(axes)
            # One form for equal layouts, so that they compare, hash and print alike.
            object.__setattr__(self, field.name, axes[0] if len(axes) == 1 else axes)
        _distinct(self, named)

    def __repr__(self) -> str:
        named = {FLAX: "FLAX", TORCH: "TORCH", FLAX_CONV_TRANSPOSE: "FLAX_CONV_TRANSPOSE"}
        if self in named:
            return f"jaxinit.{named[self]}"
        return f"jaxinit.Layout(in_axis={self.in_axis}, out_axis={self.out_axis}, batch_axis={self.batch_axis})"

    def roles(self, rank: int) -> Roles:
        """The part that each of `rank` axes plays, as non-negative axes in torch's order."""
        batch, out, into = (
            tuple(_position(self, axis, rank) for axis in _axes("axis", axes))
            for axes in (self.batch_axis, self.out_axis, self.in_axis)
        )
        _distinct(self, batch + out + into)
        spatial = tuple(axis for axis in range(rank) if axis not in batch + out + into)
        return Roles(batch, out, into, spatial)

    def torch_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape `(*batch, out, in, *spatial)` of torch's array for your `shape`."""
        shape = _arguments.dimensions(shape)
        roles = self.roles(len(shape))
        sizes = [[shape[axis] for axis in part] for part in roles]
        return (*sizes[0], math.prod(sizes[1]), math.prod(sizes[2]), *sizes[3])

    def to_torch(self, array: Array) -> Array:
        """Your array as torch holds it: `(*batch, out, in, *spatial)`, several in or out axes merged."""
        order = self.roles(array.ndim).order
        return array.transpose(order).reshape(self.torch_shape(array.shape))

    def from_torch(self, array: Array, shape: Sequence[int]) -> Array:
        """torch's array as yours, of `shape`; undoes `to_torch`.

        Raises:
            ValueError: `array` has not the shape that `to_torch` gives an array of `shape`.
        """
        shape = _arguments.dimensions(shape)
        if array.shape != self.torch_shape(shape):
            raise ValueError(
                f"`array` must have torch's shape {self.torch_shape(shape)} for {self} and `shape` {shape}, "
                f"got {array.shape}"
            )
        order = self.roles(len(shape)).order
        inverse = tuple(order.index(axis) for axis in range(len(shape)))
        return array.reshape([shape[axis] for axis in order]).transpose(inverse)


def _axes(name: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, (str, bytes)) or np.ndim(value) > 1:
        raise TypeError(f"`{name}` must be an integer or a flat sequence of integers, got {value!r}")
    axes = [value] if np.ndim(value) == 0 else value
    return tuple(_arguments.integer(name, axis) for axis in axes)


def _distinct(layout: Layout, axes: Sequence[int]) -> None:
    if len(set(axes)) < len(axes):
        raise ValueError(
            f"`in_axis`, `out_axis` and `batch_axis` must name each axis once, got in_axis={layout.in_axis}, "
            f"out_axis={layout.out_axis}, batch_axis={layout.batch_axis}"
        )


def _position(layout: Layout, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"`shape` must have the axis {axis} that {layout} names, got {rank} dimensions")
    return axis % rank


FLAX = Layout()
TORCH = Layout(in_axis=1, out_axis=0)
FLAX_CONV_TRANSPOSE = Layout(in_axis=-1, out_axis=-2)


def require_layout(value: Any) -> None:
    """Refuses what is no layout."""
    if not isinstance(value, Layout):
        raise TypeError(f"`layout` must be a jaxinit.Layout such as jaxinit.TORCH, got {value!r}")


def calculate_fan_in_and_fan_out(shape: Sequence[int], layout: Layout = FLAX) -> tuple[int, int]:
    """torch's `(fan_in, fan_out)` of a weight of `shape`.

    In torch's array `(out, in, *spatial)`, whatever the module::

        fan_in  = in  * prod(spatial)
        fan_out = out * prod(spatial)

    Args:
        shape: the shape of your array.
        layout: which of its axes are torch's.

    Returns:
        The two fans; axes in `layout.batch_axis` count in neither.

    Raises:
        TypeError: `shape` is not a sequence of integers, or `layout` not a Layout.
        ValueError: `shape` lacks an axis that `layout` names (in torch: fewer than two dimensions).

    Example:
        >>> calculate_fan_in_and_fan_out((3, 3, 64, 128))
        (576, 1152)
        >>> calculate_fan_in_and_fan_out((128, 64, 3, 3), layout=jaxinit.TORCH)
        (576, 1152)

    Differs from torch in taking a shape and a layout instead of a tensor.
    """
    shape = _arguments.dimensions(shape)
    require_layout(layout)
    _, out, into, spatial = layout.roles(len(shape))
    receptive_field = math.prod(shape[axis] for axis in spatial)
    fan_in = math.prod(shape[axis] for axis in into) * receptive_field
    fan_out = math.prod(shape[axis] for axis in out) * receptive_field
    return fan_in, fan_out
