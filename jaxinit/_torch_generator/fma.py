"""x * scale + offset with a single rounding, as processors do it in one instruction and NumPy cannot.

torch's compiled loops fuse the two wherever they meet, so a product rounded on its own
would differ from torch's in every other last bit.
"""

import numpy as np

# A float64 exactly between two float32: the first bit that float32 drops, and no other.
_DROPPED, _HALFWAY = 2**29 - 1, 2**28

# Veltkamp's factor: splits 53 bits into 26 and 27.
_SPLIT = 2.0**27 + 1

Pair = tuple[np.ndarray, np.ndarray]


def multiply_add(x: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """x * scale + offset, rounded once, and in place where that needs no care.

    The numbers enter in the dtype of `x`, float32 or float64.

    Example:
        >>> x = np.array([1 + 2.0**-23], np.float32)
        >>> x * x - np.float32(1 + 2.0**-22), multiply_add(x, float(x[0]), -(1 + 2.0**-22))
        (array([0.], dtype=float32), array([1.4210855e-14], dtype=float32))
    """
    scale, offset = float(x.dtype.type(scale)), float(x.dtype.type(offset))
    if offset == 0:
        if scale != 1:
            x *= x.dtype.type(scale)
        x += 0  # no zero keeps a minus
        return x
    return _in_double(x, scale, offset) if x.dtype == np.float32 else _by_parts(x, scale, offset)


def _in_double(x: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """In float64 the product is exact, and rounding the sum twice matters only halfway between two float32."""
    product = x.astype(np.float64)
    product *= scale
    total = product + offset
    halfway = (total.view(np.int64) & _DROPPED) == _HALFWAY
    if halfway.any():
        total[halfway] = _rounded_to_odd(*_two_sum(product[halfway], offset))
    return total.astype(np.float32)


def _by_parts(x: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms, 2008."""
    high, low = _two_product(x, scale)
    carried, rest = _two_sum(low, offset)
    total, left = _two_sum(high, carried)
    result: np.ndarray = total + _rounded_to_odd(*_two_sum(rest, left))
    return result


def _two_sum(a: np.ndarray, b: np.ndarray | float) -> Pair:
    """a + b, and what its rounding lost."""
    total = a + b
    b_kept = total - a
    return total, (a - (total - b_kept)) + (b - b_kept)


def _two_product(a: np.ndarray, b: float) -> Pair:
    """a * b, and what its rounding lost."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(np.asarray(b))
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: np.ndarray) -> Pair:
    spread = a * _SPLIT
    high = spread - (spread - a)
    return high, a - high


def _rounded_to_odd(total: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Where something was lost, the neighbour of the exact sum whose last bit is 1: it can be rounded again."""
    bits = total.view(np.int64)
    away_from_zero = np.where((lost > 0) == (total > 0), 1, -1)
    step = np.where((lost != 0) & (bits & 1 == 0), away_from_zero, 0)
    return (bits + step).view(np.float64)
