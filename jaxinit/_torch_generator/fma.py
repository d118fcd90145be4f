"""x * scale + offset with a single rounding, as processors do it in one instruction and NumPy cannot.

torch's compiled loops fuse the two wherever they meet. A product that is rounded before the
sum would differ from torch's result in every other last bit.
"""

import numpy as np

# A float64 is halfway between two float32 if, of the bits that float32 drops, only the first is set.
_DROPPED, _HALFWAY = 2**29 - 1, 2**28

# Veltkamp's factor: splits 53 bits into 26 and 27.
_SPLIT = 2.0**27 + 1

# Temporary arrays of this many float64 are so small that freeing them returns no pages to the system.
_BLOCK = 2**13

Pair = tuple[np.ndarray, np.ndarray]


def multiply_add(x: np.ndarray, scale: float, offset: float) -> None:
    """Replace a flat array by x * scale + offset, rounded once. A zero of the result is positive.

    `scale` and `offset` are first rounded to the dtype of `x`, float32 or float64.

    Example:
        >>> x = np.array([1 + 2.0**-23], np.float32)
        >>> x * x - np.float32(1 + 2.0**-22)
        array([0.], dtype=float32)
        >>> multiply_add(x, float(x[0]), -(1 + 2.0**-22))
        >>> x
        array([1.4210855e-14], dtype=float32)
    """
    scale, offset = float(x.dtype.type(scale)), float(x.dtype.type(offset))
    if offset == 0:
        if scale != 1:
            x *= x.dtype.type(scale)
        x += 0
        return
    fuse = _in_double if x.dtype == np.float32 else _by_parts
    for start in range(0, x.size, _BLOCK):
        part = x[start : start + _BLOCK]
        part[...] = fuse(part, scale, offset)


def _in_double(x: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """Compute in float64, where the product is exact.

    Rounding the sum twice matters only if it lies halfway between two float32.
    """
    total = x.astype(np.float64)
    total *= scale
    total += offset
    (halfway,) = ((total.view(np.int64) & _DROPPED) == _HALFWAY).nonzero()
    if halfway.size:
        total[halfway] = _rounded_to_odd(*_two_sum(x[halfway].astype(np.float64) * scale, offset))
    return total


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
