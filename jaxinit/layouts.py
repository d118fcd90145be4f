"""Where torch's axes lie in your array.

torch stores every weight as `(out, in, *spatial)`. A `Layout` says which axes of your array
are these, and converts arrays both ways. A `View` is one shape, seen in a layout.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxinit import _arguments

Axes = int | Sequence[int] | np.ndarray
Array = TypeVar("Array", jax.Array, np.ndarray)


class Roles(NamedTuple):
    """Represent the axes of one array by the part that each plays in torch's array."""

    batch: tuple[int, ...]
    out: tuple[int, ...]
    into: tuple[int, ...]
    spatial: tuple[int, ...]

    @property
    def order(self) -> tuple[int, ...]:
        return self.batch + self.out + self.into + self.spatial


@dataclasses.dataclass(frozen=True)
class Layout:
    """Name the axes of your array that are torch's: `in_axis` for axis 1, `out_axis` for axis 0.

    Axes in `batch_axis` hold stacked, independent weights (scanned layers, experts,
    ensembles) and are never counted. Every axis that is not named is spatial::

        fan_in  = prod(sizes of in_axis)  * prod(sizes of the spatial axes)
        fan_out = prod(sizes of out_axis) * prod(sizes of the spatial axes)

    Args:
        in_axis: axis or axes that form torch's axis 1: an int, a sequence or a NumPy array.
        out_axis: axis or axes that form torch's axis 0.
        batch_axis: axis or axes that stack independent weights.

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
            # Equal layouts have one form, so that they compare, hash and print alike.
            object.__setattr__(self, field.name, axes[0] if len(axes) == 1 else axes)
        _distinct(self, named)

    def __repr__(self) -> str:
        named = {FLAX: "FLAX", TORCH: "TORCH", FLAX_CONV_TRANSPOSE: "FLAX_CONV_TRANSPOSE"}
        if self in named:
            return f"jaxinit.{named[self]}"
        return f"jaxinit.Layout(in_axis={self.in_axis}, out_axis={self.out_axis}, batch_axis={self.batch_axis})"

    def view(self, shape: tuple[int, ...]) -> "View":
        """Return `shape`, a tuple of non-negative ints, seen in this layout.

        Raises:
            ValueError: `shape` lacks an axis that the layout names.

        Example:
            >>> view = jaxinit.FLAX.view((3, 3, 64, 128))
            >>> view.weight, view.fan_in, view.fan_out
            ((128, 64, 3, 3), 576, 1152)
        """
        return _view(self, shape)

    def torch_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape `(*batch, out, in, *spatial)` of torch's array for your `shape`."""
        return self.view(_arguments.dimensions(shape)).torch_shape

    def to_torch(self, array: Array) -> Array:
        """Return your array as torch holds it: `(*batch, out, in, *spatial)`, several in or out axes merged."""
        return self.view(array.shape).to_torch(array)

    def from_torch(self, array: Array, shape: Sequence[int]) -> Array:
        """Return torch's array as yours, of `shape`: the inverse of `to_torch`.

        Raises:
            ValueError: `array` does not have the shape of `to_torch(your array)`.
        """
        return self.view(_arguments.dimensions(shape)).from_torch(array)


@dataclasses.dataclass(frozen=True)
class View:
    """Represent a valid shape, seen in a layout. `Layout.view` and `as_stored` make it.

    Example:
        >>> experts = jaxinit.Layout(batch_axis=0).view((16, 256, 1024))
        >>> experts.batch, experts.weight
        ((16,), (1024, 256))
    """

    layout: Layout | None
    """None for an array that torch would store with the same axes."""
    shape: tuple[int, ...]
    roles: Roles

    @functools.cached_property
    def batch(self) -> tuple[int, ...]:
        """Return the sizes of the axes that stack independent weights."""
        return self._sizes(self.roles.batch)

    @functools.cached_property
    def weight(self) -> tuple[int, ...]:
        """Return the shape `(out, in, *spatial)` of one of torch's weights."""
        if self.layout is None:
            return self.shape
        out, into = math.prod(self._sizes(self.roles.out)), math.prod(self._sizes(self.roles.into))
        return (out, into, *self._sizes(self.roles.spatial))

    @functools.cached_property
    def torch_shape(self) -> tuple[int, ...]:
        """Return the shape `(*batch, out, in, *spatial)` of torch's array."""
        return self.batch + self.weight

    @functools.cached_property
    def fan_in(self) -> int:
        """Return the number of inputs that feed one output: `in * prod(spatial)`."""
        return math.prod(self.weight[1:])

    @functools.cached_property
    def fan_out(self) -> int:
        """Return the number of outputs that one input feeds: `out * prod(spatial)`."""
        return self.weight[0] * math.prod(self.weight[2:])

    def to_torch(self, array: Array) -> Array:
        """Return your array with torch's axes."""
        return array.transpose(self.roles.order).reshape(self.torch_shape)

    def from_torch(self, array: Array) -> Array:
        """Return torch's array with your axes.

        Raises:
            ValueError: `array` does not have the shape `torch_shape`.
        """
        if array.shape != self.torch_shape:
            raise ValueError(
                f"`array` must have torch's shape {self.torch_shape} for {self.layout} and `shape` {self.shape}, "
                f"got {array.shape}"
            )
        order = self.roles.order
        inverse = tuple(order.index(axis) for axis in range(len(order)))
        return array.reshape(self._sizes(order)).transpose(inverse)

    def _sizes(self, axes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple([self.shape[axis] for axis in axes])


@functools.lru_cache(maxsize=1024)
def _view(layout: Layout, shape: tuple[int, ...]) -> View:
    rank = len(shape)
    batch, out, into = (_axes("axis", axes) for axes in (layout.batch_axis, layout.out_axis, layout.in_axis))
    least = max(max(axis + 1, -axis) for axis in batch + out + into)
    if rank < least:
        raise ValueError(f"`shape` must have at least {least} dimensions for layout {layout}, got {shape}")
    batch, out, into = (tuple(axis % rank for axis in axes) for axes in (batch, out, into))
    _distinct(layout, batch + out + into)
    spatial = tuple(axis for axis in range(rank) if axis not in batch + out + into)
    return View(layout, shape, Roles(batch, out, into, spatial))


def as_stored(shape: tuple[int, ...]) -> View:
    """Return a view for an array whose axes play no part: torch's array has the same shape."""
    return View(None, shape, Roles((), (), (), tuple(range(len(shape)))))


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


FLAX = Layout()
TORCH = Layout(in_axis=1, out_axis=0)
FLAX_CONV_TRANSPOSE = Layout(in_axis=-1, out_axis=-2)


def as_layout(value: Layout | str) -> Layout:
    """Return the layout that `value` is, or the one of a text such as "HWIO".

    O and I are torch's axes 0 and 1, and D, H and W are spatial axes. So "HWIO" and "IO" are `FLAX`, "OIHW" and "OI"
    are `TORCH`, with any number of spatial axes. No letter stands for stacked weights: the E of "EIO" is an expert
    to one reader and a spatial axis to another.

    Raises:
        TypeError: `value` is neither a Layout nor a text.
        ValueError: the text has other letters, or a letter twice, or lacks O or I.
    """
    if isinstance(value, Layout):
        return value
    if not isinstance(value, str):
        raise TypeError(
            f'`layout` must be a jaxinit.Layout such as jaxinit.TORCH or a text such as "HWIO", got {value!r}'
        )
    if not {"I", "O"} <= set(value) <= set("DHWIO") or len(set(value)) < len(value):
        raise ValueError(
            "`layout` must have the letters O and I once, and D, H or W for spatial axes, "
            f"got {value!r}. Name stacked axes by jaxinit.Layout(batch_axis=...)"
        )
    is_behind, is_in_front = value.endswith(("IO", "OI")) and value != "OI", value.startswith(("IO", "OI"))

    def axis(letter: str) -> int:
        index = value.index(letter)
        is_counted_back = is_behind or (not is_in_front and 2 * index >= len(value))
        return index - len(value) if is_counted_back else index

    return Layout(in_axis=axis("I"), out_axis=axis("O"))


def calculate_fan_in_and_fan_out(shape: Sequence[int], layout: Layout | str = FLAX) -> tuple[int, int]:
    """Return torch's `(fan_in, fan_out)` for a weight of `shape`, whatever the module.

    In torch's array `(out, in, *spatial)`::

        fan_in  = in  * prod(spatial)
        fan_out = out * prod(spatial)

    Args:
        shape: the shape of your array.
        layout: which of its axes are torch's, as a Layout or a text such as "OIHW".

    Raises:
        TypeError: `shape` is not a sequence of integers, or `layout` neither a Layout nor a text.
        ValueError: `shape` lacks an axis that `layout` names (in torch: fewer than two dimensions).

    Example:
        >>> calculate_fan_in_and_fan_out((3, 3, 64, 128))
        (576, 1152)
        >>> calculate_fan_in_and_fan_out((128, 64, 3, 3), layout="OIHW")
        (576, 1152)

    Differs from torch in taking a shape and a layout instead of a tensor.
    """
    view = as_layout(layout).view(_arguments.dimensions(shape))
    return view.fan_in, view.fan_out
