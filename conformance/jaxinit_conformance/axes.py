"""How arrays of the cases map to torch's, written as one letter an axis.

`i` and `o` are torch's axes 1 and 0, `b` stacks independent weights, any other letter is
spatial: Flax's conv kernel is `xyio`, torch's `oixy`. Kept apart from jaxinit's own
layouts, which are under test.
"""

import math

import numpy as np

Shape = tuple[int, ...]


def is_flax(axes: str) -> bool:
    """Whether no layout need be named: these are the axes of a Flax kernel, or play no part at all."""
    parts = [letter for letter in axes if letter in "iob"]
    return not parts or (axes.endswith("io") and len(parts) == 2)


def layout_arguments(axes: str) -> dict[str, tuple[int, ...]]:
    """The arguments of a Layout for these axes."""
    return {
        name: tuple(position for position, letter in enumerate(axes) if letter == part)
        for name, part in (("in_axis", "i"), ("out_axis", "o"), ("batch_axis", "b"))
    }


def torch_shape(shape: Shape, axes: str) -> Shape:
    """The shape `(out, in, *spatial)` of each of torch's weights."""
    size = {part: math.prod(n for n, letter in zip(shape, axes, strict=True) if letter == part) for part in "oi"}
    return (size["o"], size["i"], *(n for n, letter in zip(shape, axes, strict=True) if letter not in "oib"))


def to_torch(array: np.ndarray, axes: str) -> np.ndarray:
    """torch's weights `(weights, out, in, *spatial)` in an array `(..., *shape)`; leading axes stack too."""
    stacked = array.ndim - len(axes)
    letters = "b" * stacked + axes
    rank = {"b": 0, "o": 1, "i": 2}
    order = sorted(range(array.ndim), key=lambda axis: rank.get(letters[axis], 3))
    return array.transpose(order).reshape(-1, *torch_shape(array.shape[stacked:], axes))
