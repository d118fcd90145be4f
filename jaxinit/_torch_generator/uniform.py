"""Uniform numbers between two bounds, rounded as torch rounds them."""

from collections.abc import Iterator

import numpy as np

from jaxinit._sampling import dtypes
from jaxinit._torch_generator import fma
from jaxinit._torch_generator.mt19937 import CHUNK, Chunk, Mersenne


def fill(values: np.ndarray, stream: Mersenne, low: float, high: float) -> None:
    """Draw low + (high - low) * point / grid for a flat array, and replace what rounds to `high` by `low`."""
    real = dtypes.compute_dtype(values.dtype)
    low, high = float(real.type(low)), float(real.type(high))
    lowest, highest = values.dtype.type(low), values.dtype.type(high)
    digits = 53 if real == np.float64 else 24
    greatest = _Scaling(real, low, high, 1)(np.array([2**digits - 1]))
    reaches = greatest.astype(values.dtype) == highest

    def fill_chunks(chunks: Iterator[Chunk]) -> None:
        scale = _Scaling(real, low, high, min(values.size, CHUNK))
        for places, points in chunks:
            part = values[places]
            part[...] = scale(points)
            if reaches:
                np.copyto(part, lowest, where=part == highest)

    stream.share_chunks(values.size, digits, fill_chunks)


class _Scaling:
    """Scale up to `size` points of the grid to the bounds, with one rounding a number.

    If zero is a point of the grid, as in U(-b, b), points are counted from there. Otherwise
    the product and the sum are fused.
    """

    def __init__(self, dtype: np.dtype, low: float, high: float, size: int) -> None:
        self._dtype, self._digits = dtype, 53 if dtype == np.float64 else 24
        width = float(dtype.type(high) - dtype.type(low))
        self._zero = _steps_to_zero(low, width, 2**self._digits)
        self._multiply_add = fma.MultiplyAdd(dtype, width, low if self._zero is None else 0.0, size)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        if self._zero is not None:
            points -= points.dtype.type(self._zero)
        share = points.astype(self._dtype)
        share *= self._dtype.type(2.0**-self._digits)
        self._multiply_add(share)
        return share


def _steps_to_zero(low: float, width: float, grid: int) -> int | None:
    """Return the point for which `low + width * point / grid` is exactly zero. None if there is none."""
    (low_above, low_below), (width_above, width_below) = low.as_integer_ratio(), width.as_integer_ratio()
    if width == 0:
        return None
    steps, rest = divmod(-low_above * width_below * grid, low_below * width_above)
    return steps if rest == 0 and 0 <= steps <= grid else None
