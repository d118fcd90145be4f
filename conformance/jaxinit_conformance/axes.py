"""How your array maps to a torch array, written as one letter an axis.

`i` and `o` are the axes 1 and 0 in torch, `b` stacks independent weights, and any other letter
is spatial. A Flax conv kernel is `xyio`, and the torch array is `oixy`. Nothing here uses the
layouts of jaxinit, since those are under test.
"""

import math

import numpy as np

Shape = tuple[int, ...]


def is_flax(axes: str) -> bool:
    """Return whether these are the axes of a Flax kernel, or have no part in the fans."""
    parts = [letter for letter in axes if letter in "iob"]
    return not parts or (axes.endswith("io") and len(parts) == 2)


def layout_arguments(axes: str) -> dict[str, tuple[int, ...]]:
    """Return the arguments of a `Layout` for these axes."""
    return {
        name: tuple(position for position, letter in enumerate(axes) if letter == part)
        for name, part in (("in_axis", "i"), ("out_axis", "o"), ("batch_axis", "b"))
    }


def torch_shape(shape: Shape, axes: str) -> Shape:
    """Return the shape `(out, in, *spatial)` of the torch array."""
    size = {part: math.prod(n for n, letter in zip(shape, axes, strict=True) if letter == part) for part in "oi"}
    return (size["o"], size["i"], *(n for n, letter in zip(shape, axes, strict=True) if letter not in "oib"))


def to_torch(array: np.ndarray, axes: str) -> np.ndarray:
    """Return the torch arrays `(weights, out, in, *spatial)` of an array `(..., *shape)`. Leading axes stack too."""
    stacked = array.ndim - len(axes)
    letters = "b" * stacked + axes
    rank = {"b": 0, "o": 1, "i": 2}
    order = sorted(range(array.ndim), key=lambda axis: rank.get(letters[axis], 3))
    return array.transpose(order).reshape(-1, *torch_shape(array.shape[stacked:], axes))
