"""log, cos and sin as torch computes them for normal draws on x86, to the last bit.

torch evaluates the polynomials of Moshier's Cephes library in float32, eight values at a
time, and its compiler fuses each product into the sum that follows. Here every value is a
float32 number held in float64, where a product of two is exact; a sum is then rounded
once more. That double rounding is harmless, and no other step rounds, so the results are
the same on every machine. All 2**24 arguments that can occur agree with torch's.
"""

import numpy as np

_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)

# log(2) in two parts, the first short enough that its multiples are exact.
_LOG_2 = (0.693359375, float(np.float32(-2.12194440e-4)))

# pi / 2 as the three parts of pi / 4 that Cephes subtracts in turn: exactly, but for the last.
_HALF_PI = 2 * (0.78515625 + 2.4187564849853515625e-4 + float(np.float32(3.77489497744594108e-8)))
_TWO_PI = float(np.float32(2 * np.pi))

# cos(quarter * pi / 2); the sine is three quarters on.
_COS_QUARTER = np.array([1, 0, -1, 0, 1, 0, -1, 0], np.float32)

_ROOT_HALF_BITS = 0x3F3504F3


def radius(points: np.ndarray) -> np.ndarray:
    """sqrt(-2 log(1 - points / 2**24)), float32, of whole numbers below 2**24.

    Example:
        >>> radius(np.array([0, 2**23]))
        array([-0.     ,  1.17741], dtype=float32)
    """
    return np.sqrt(np.float32(-2) * _log(((2**24 - points) * 2.0**-24).astype(np.float32)))


def cos_sin(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of 2 pi points / 2**24, float32, of whole numbers below 2**24.

    Example:
        >>> cosine, sine = cos_sin(np.array([0, 2**21]))
        >>> cosine, sine
        (array([1.        , 0.70710677], dtype=float32), array([0.       , 0.7071068], dtype=float32))
    """
    quarter = (points + 2**21) >> 22
    angle = _rounded(_TWO_PI * (points * 2.0**-24))
    rest = _rounded(angle - quarter * _HALF_PI)
    square = _rounded(rest * rest)
    cosine, sine = _cos(square), _sin(rest, square)
    turned_cosine, turned_sine = _COS_QUARTER[quarter], _COS_QUARTER[quarter + 3]
    return turned_cosine * cosine - turned_sine * sine, turned_sine * cosine + turned_cosine * sine


def _log(u: np.ndarray) -> np.ndarray:
    """log(1 + x) + exponent * log(2), for u = (1 + x) * 2**exponent and 1 + x from sqrt(1/2) to sqrt(2)."""
    bits = u.view(np.int32)
    exponent = (bits - np.int32(_ROOT_HALF_BITS)) >> 23
    x = (bits - (exponent << 23)).view(np.float32).astype(np.float64) - 1
    square = _rounded(x * x)
    cubic = _rounded(x * _polynomial(_LOG, x))
    tail = _rounded(cubic * square + _rounded(exponent * _LOG_2[1]))
    tail = _rounded(tail - square / 2)
    total: np.ndarray = _rounded(x + tail) + exponent * _LOG_2[0]
    return total.astype(np.float32)


def _cos(square: np.ndarray) -> np.ndarray:
    tail = _rounded(square * _polynomial(_COS, square))
    return (_rounded(tail * square - square / 2) + 1).astype(np.float32)


def _sin(x: np.ndarray, square: np.ndarray) -> np.ndarray:
    total: np.ndarray = _rounded(square * _polynomial(_SIN, square)) * x + x
    return total.astype(np.float32)


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Horner's rule, highest power first, each step fused."""
    first, *rest = (float(np.float32(coefficient)) for coefficient in coefficients)
    result = np.full_like(x, first)
    for coefficient in rest:
        result *= x
        result += coefficient
        _rounded(result)
    return result


def _rounded(x: np.ndarray) -> np.ndarray:
    """To the nearest float32, in place."""
    x[...] = x.astype(np.float32)
    return x
