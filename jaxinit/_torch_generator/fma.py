"""x * scale + offset with a single rounding, as processors do it in one instruction and NumPy cannot.

torch's compiled loops fuse the two wherever they meet. A product that is rounded before the
sum would differ from torch's result in every other last bit.
"""

import numpy as np

from jaxinit._torch_generator import aligned

# A float64 is halfway between two float32 if, of the bits that float32 drops, only the first is set.
_DROPPED, _HALFWAY = 2**29 - 1, 2**28

# Veltkamp's factor: splits 53 bits into 26 and 27.
_SPLIT = 2.0**27 + 1

Pair = tuple[np.ndarray, np.ndarray]


class MultiplyAdd:
    """Replace flat arrays by x * scale + offset, rounded once. A zero of the result is positive.

    Args:
        dtype: that of the arrays, float32 or float64. `scale` and `offset` are first rounded to it.
        scale: the factor.
        offset: the summand.
        size: the greatest size of an array. Buffers of this size are allocated once.

    Example:
        >>> x = np.array([1 + 2.0**-23], np.float32)
        >>> x * x - np.float32(1 + 2.0**-22)
        array([0.], dtype=float32)
        >>> MultiplyAdd(x.dtype, float(x[0]), -(1 + 2.0**-22), 1)(x)
        >>> x
        array([1.4210855e-14], dtype=float32)
    """

    def __init__(self, dtype: np.dtype, scale: float, offset: float, size: int) -> None:
        self._scale, self._offset = float(dtype.type(scale)), float(dtype.type(offset))
        has_buffers = dtype == np.float32 and self._offset != 0
        self._sums, self._dropped = aligned.empty((2, size if has_buffers else 0), np.dtype(np.float64))

    def __call__(self, x: np.ndarray) -> None:
        if self._offset == 0:
            if self._scale != 1:
                x *= x.dtype.type(self._scale)
            x += 0
        elif x.dtype == np.float32:
            self._in_double(x)
        else:
            x[...] = _by_parts(x, self._scale, self._offset)

    def _in_double(self, x: np.ndarray) -> None:
        """Compute in float64, where the product is exact.

        Rounding the sum twice matters only if it lies halfway between two float32.
        """
        total, dropped = self._sums[: x.size], self._dropped[: x.size].view(np.int64)
        total[...] = x
        total *= self._scale
        total += self._offset
        np.bitwise_and(total.view(np.int64), _DROPPED, out=dropped)
        (halfway,) = (dropped == _HALFWAY).nonzero()
        if halfway.size:
            total[halfway] = _rounded_to_odd(*_two_sum(x[halfway].astype(np.float64) * self._scale, self._offset))
        x[...] = total


def _by_parts(x: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """Compute in float64 alone, after Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008."""
    high, low = _two_product(x, scale)
    carried, rest = _two_sum(low, offset)
    total, left = _two_sum(high, carried)
    result: np.ndarray = total + _rounded_to_odd(*_two_sum(rest, left))
    return result


def _two_sum(a: np.ndarray, b: np.ndarray | float) -> Pair:
    """Return a + b, and what the rounding lost."""
    total = a + b
    b_kept = total - a
    return total, (a - (total - b_kept)) + (b - b_kept)


def _two_product(a: np.ndarray, b: float) -> Pair:
    """Return a * b, and what the rounding lost."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(np.asarray(b))
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: np.ndarray) -> Pair:
    """Split a float64 into a sum of two with half the digits each."""
    spread = a * _SPLIT
    high = spread - (spread - a)
    return high, a - high


def _rounded_to_odd(total: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Round the exact sum to the neighbour whose last bit is 1, if it has no float64. It can be rounded again."""
    bits = total.view(np.int64)
    away_from_zero = np.where((lost > 0) == (total > 0), 1, -1)
    step = np.where((lost != 0) & (bits & 1 == 0), away_from_zero, 0)
    return (bits + step).view(np.float64)
