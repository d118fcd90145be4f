"""Regions: the part of a tensor that a view of it covers, such as `weight[padding_idx]` or `bias[n // 4 : n // 2]`.

torch knows a view by sizes, strides and an offset. Here it is a slice of the tensor, after
axes of the tensor were split where the view splits them. A diagonal or every second row of an
odd number is not a slice. Then the entries are gathered one by one.
"""

import dataclasses
import itertools
import math
from typing import Any, Self

import numpy as np

Shape = tuple[int, ...]


def strides_of(shape: Shape) -> Shape:
    """Return the strides of a contiguous tensor.

    Example:
        >>> strides_of((2, 3, 4))
        (12, 4, 1)
    """
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


@dataclasses.dataclass(frozen=True)
class Region:
    """Represent a slice of a tensor that is seen as `split`, with its axes in another `order`, then given the shape
    `size`.

    Example:
        >>> row = Region.of_view((4, 3), size=(3,), strides=(1,), offset=6)
        >>> row.start, row.stop
        ((2, 0), (3, 3))
        >>> row.read(np.arange(12).reshape(4, 3))
        array([6, 7, 8])
    """

    split: Shape
    start: Shape
    stop: Shape
    order: Shape
    compact: Shape
    size: Shape

    @classmethod
    def of_view(cls, shape: Shape, size: Shape, strides: Shape, offset: int) -> Self | None:
        """Return the region of a contiguous tensor of `shape` that a view covers, or None if it is not a slice."""
        axes = [(n, stride) for n, stride in zip(size, strides, strict=True) if n > 1 and stride > 0]
        steps = {stride for n, stride in zip(shape, strides_of(shape), strict=True) if n > 1}
        cuts = sorted({1, *steps, *(stride for _, stride in axes)}, reverse=True)
        ends = [math.prod(shape), *cuts]
        if 0 in (*shape, *size) or any(longer % shorter for longer, shorter in itertools.pairwise(ends)):
            return None
        split = tuple(longer // shorter for longer, shorter in itertools.pairwise(ends))
        start = tuple(offset // cut % n for cut, n in zip(cuts, split, strict=True))
        count = [1] * len(split)
        order: list[int] = []
        for n, stride in axes:
            covered = _cover(n, cuts.index(stride), split, start, count)
            if covered is None or set(covered) & set(order):
                return None
            order += covered
        rest = [axis for axis in range(len(split)) if axis not in order]
        compact = tuple(n if stride > 0 else 1 for n, stride in zip(size, strides, strict=True))
        stop = tuple(first + n for first, n in zip(start, count, strict=True))
        return cls(split, start, stop, (*rest, *order), compact, size)

    @property
    def counts(self) -> Shape:
        """Return the sizes of the slice."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def is_whole(self) -> bool:
        """Return whether every entry of the tensor is in the region."""
        return self.counts == self.split

    @property
    def is_identity(self) -> bool:
        """Return whether the region is the tensor itself, up to a reshape."""
        return self.is_whole and self.order == tuple(range(len(self.split))) and self.compact == self.size

    def read(self, array: Any) -> Any:
        """Return the entries of an array that the region covers, in the shape `size`."""
        if self.is_identity:
            return array.reshape(self.size)
        slices = tuple(slice(start, stop) for start, stop in zip(self.start, self.stop, strict=True))
        part = array.reshape(self.split)[slices].transpose(self.order).reshape(self.compact)
        xp = array.__array_namespace__()
        return part if self.compact == self.size else xp.broadcast_to(part, self.size)

    def write(self, array: Any, value: Any) -> Any:
        """Return the array with `value`, of shape `size`, in the region.

        The result is selected entry by entry, which needs no communication between devices.
        """
        xp = array.__array_namespace__()
        ordered = tuple(self.counts[axis] for axis in self.order)
        part = value.reshape(ordered).transpose(tuple(np.argsort(self.order)))
        if self.is_whole:
            return part.reshape(array.shape)
        margins = [(a, n - b) for a, b, n in zip(self.start, self.stop, self.split, strict=True)]
        padded = xp.pad(part, margins)
        return xp.where(self._mask(xp), padded, array.reshape(self.split)).reshape(array.shape)

    def inverse(self, shape: Shape) -> "Region":
        """Return the region of `value` that is the tensor of `shape` after `write`, if the region is whole."""
        split = tuple(self.counts[axis] for axis in self.order)
        order = tuple(int(axis) for axis in np.argsort(self.order))
        return Region(split, (0,) * len(split), split, order, shape, shape)

    def _mask(self, xp: Any) -> Any:
        mask = xp.ones((1,) * len(self.split), bool)
        for axis, (start, stop, n) in enumerate(zip(self.start, self.stop, self.split, strict=True)):
            if (start, stop) != (0, n):
                shape = (1,) * axis + (n,) + (1,) * (len(self.split) - axis - 1)
                places = xp.arange(n).reshape(shape)
                mask = mask & (places >= start) & (places < stop)
        return mask

    def __str__(self) -> str:
        ends = zip(self.start, self.stop, self.split, strict=True)
        parts = [":" if (a, b) == (0, n) else f"{a}:{b}" for a, b, n in ends]
        while len(parts) > 1 and parts[-1] == ":":
            parts.pop()
        return f"[{', '.join(parts)}]"


@dataclasses.dataclass(frozen=True)
class Strided:
    """Represent the entries of a flat tensor at `offset + sum(index * strides)`.

    Example:
        >>> diagonal = Strided(size=(3,), strides=(4,), offset=0)
        >>> diagonal.read(np.arange(9).reshape(3, 3))
        array([0, 4, 8])
    """

    size: Shape
    strides: Shape
    offset: int
    is_identity = False

    def read(self, array: Any) -> Any:
        """Return the entries of an array that the region covers, in the shape `size`."""
        return array.reshape(-1)[self._places(array.__array_namespace__())]

    def write(self, array: Any, value: Any) -> Any:
        """Return the array with `value`, of shape `size`, in the region."""
        xp = array.__array_namespace__()
        places, flat = self._places(xp).reshape(-1), array.reshape(-1)
        if xp is np:
            flat = flat.copy()
            flat[places] = value.reshape(-1)
        else:
            flat = flat.at[places].set(value.reshape(-1))
        return flat.reshape(array.shape)

    def _places(self, xp: Any) -> Any:
        places = xp.full((1,) * len(self.size), self.offset)
        for axis, (n, stride) in enumerate(zip(self.size, self.strides, strict=True)):
            places = places + stride * xp.arange(n).reshape((1,) * axis + (n,) + (1,) * (len(self.size) - axis - 1))
        return places

    def __str__(self) -> str:
        return f"[{self.offset}::{', '.join(map(str, self.strides))}]"


def region_of(shape: Shape, size: Shape, strides: Shape, offset: int) -> Region | Strided | None:
    """Return the part of a contiguous tensor of `shape` that a view covers, or None if it is not within the tensor."""
    last = offset + sum((n - 1) * stride for n, stride in zip(size, strides, strict=True))
    is_within = 0 not in size and last < math.prod(shape)
    return Region.of_view(shape, size, strides, offset) or (Strided(size, strides, offset) if is_within else None)


def _cover(n: int, axis: int, split: Shape, start: Shape, count: list[int]) -> list[int] | None:
    """Set the sizes in `count` of the axes that `n` steps along `axis` cover, and return them from the outermost."""
    covered = [axis]
    while n > split[axis]:
        if n % split[axis] or start[axis] or axis == 0:
            return None
        count[axis], n, axis = split[axis], n // split[axis], axis - 1
        covered.insert(0, axis)
    count[axis] = n
    return covered if start[axis] + n <= split[axis] else None
