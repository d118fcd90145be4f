"""Uniform numbers between two bounds, rounded as torch rounds them."""

from collections.abc import Iterator

import numpy as np

from jaxinit._sampling import dtypes
from jaxinit._torch_generator import fma
from jaxinit._torch_generator.mt19937 import Chunk, Mersenne


def fill(values: np.ndarray, stream: Mersenne, low: float, high: float) -> None:
    """Draws low + (high - low) * point / grid for a flat array; what rounds to `high` is `low` instead."""
    real = dtypes.compute_dtype(values.dtype)
    digits = 53 if real == np.float64 else 24
    low, high = float(real.type(low)), float(real.type(high))
    lowest, highest = values.dtype.type(low), values.dtype.type(high)
    reaches = _between(np.array([2**digits - 1]), low, high, digits, real).astype(values.dtype) == highest

    def fill_chunks(chunks: Iterator[Chunk]) -> None:
        for places, points in chunks:
            part = values[places]
            part[...] = _between(points, low, high, digits, real)
            if reaches:
                np.copyto(part, lowest, where=part == highest)

    stream.share_chunks(values.size, digits, fill_chunks)


def _between(points: np.ndarray, low: float, high: float, digits: int, real: np.dtype) -> np.ndarray:
    """One rounding a number: counted from zero where zero is a point of the grid, as in U(-b, b), else fused."""
    width = float(real.type(high) - real.type(low))
    zero = _steps_to_zero(low, width, 2**digits)
    if zero is not None:
        points -= points.dtype.type(zero)
    share = points.astype(real)
    share *= real.type(2.0**-digits)
    fma.multiply_add(share, width, low if zero is None else 0.0)
    return share


def _steps_to_zero(low: float, width: float, grid: int) -> int | None:
    """Which point of `low + width * point / grid` is zero, exactly; None if no point is."""
    (low_above, low_below), (width_above, width_below) = low.as_integer_ratio(), width.as_integer_ratio()
    if width == 0:
        return None
    steps, rest = divmod(-low_above * width_below * grid, low_below * width_above)
    return steps if rest == 0 and 0 <= steps <= grid else None
