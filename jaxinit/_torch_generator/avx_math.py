"""log, cos and sin as torch computes them for normal numbers on x86, to the last bit.

torch evaluates the float32 polynomials of Moshier's Cephes library with AVX2 instructions
(aten/src/ATen/native/cpu/avx_mathfun.h), and its compiler fuses a product and a sum into
one instruction that rounds once. NumPy has no such instruction. `_fuse` computes the
product and the sum in float64, where the product of two float32 is exact, and then rounds
to float32. The sum is rounded twice, which could differ from one rounding. For none of the
2**24 possible arguments it does: tests compare them with torch. All other steps are single
float32 operations, so the results do not depend on the machine.
"""

import numpy as np

from jaxinit._torch_generator import aligned

_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def _as_float32(*numbers: float) -> tuple[float, ...]:
    return tuple(np.array(numbers, np.float32).tolist())


# Highest power first.
_LOG = _as_float32(
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_COS = _as_float32(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SIN = _as_float32(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)

# log(2) in two parts. The first is so short that float32 holds its products with exponents.
_LOG_2_HIGH, _LOG_2_LOW = _as_float32(0.693359375, -2.12194440e-4)

# Cephes subtracts three parts of pi / 4, one after the other. Only the last difference is rounded.
_HALF_PI = 2 * sum(_as_float32(0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8))
(_TWO_PI,) = _as_float32(2 * np.pi)

# In the bits of a float32: sqrt(1/2), where the exponent begins, and the way from bit 1 to the sign.
_SQRT_HALF_BITS, _MANTISSA_DIGITS, _SIGN_SHIFT = 0x3F3504F3, 23, 30


class AvxMath:
    """Represent radii, cosines and sines for up to `size` numbers at a time.

    A result is a view of a buffer, which the next call of the same method overwrites. The
    methods overwrite their argument too. The buffers are allocated once: new arrays of this
    size at each step would come from new pages of memory, at several times the cost.

    Args:
        size: the greatest size of an argument.

    Example:
        >>> math = AvxMath(2)
        >>> math.radius(np.array([0, 2**23], np.int32))
        array([-0.     ,  1.17741], dtype=float32)
        >>> math.cos_sin(np.array([0, 2**21], np.int32))
        array([[1.        , 0.70710677],
               [0.        , 0.7071068 ]], dtype=float32)
    """

    def __init__(self, size: int) -> None:
        self._results = aligned.empty((3, size), _SINGLE)
        self._singles = aligned.empty((4, size), _SINGLE)
        self._doubles = aligned.empty((2, size), _DOUBLE)

    def radius(self, points: np.ndarray) -> np.ndarray:
        """Return sqrt(-2 log(1 - points / 2**24)) in float32, for 32-bit integers below 2**24."""
        result: np.ndarray = self._results[2, : points.size]
        self._log(points, result)
        result *= np.float32(-2)
        np.sqrt(result, out=result)
        return result

    def cos_sin(self, points: np.ndarray) -> np.ndarray:
        """Return cos and sin of 2 pi points / 2**24 in float32, shape (2, n), for 32-bit integers below 2**24."""
        x, square, mask, _ = self._singles[:, : points.size]
        wide, wide_square = self._doubles[:, : points.size]
        cos, sin = result = self._results[:2, : points.size]
        x[...] = points
        x *= np.float32(_TWO_PI * 2.0**-24)
        points += 2**21
        points >>= 22  # the nearest multiple of pi / 2
        wide[...] = x
        wide -= np.multiply(points, _HALF_PI, out=wide_square)
        x[...] = wide
        np.multiply(x, x, out=square)
        wide_square[...] = square
        _polynomial(_SIN, wide_square, sin, wide)
        sin *= square
        _fuse(sin, x, x, wide)
        _polynomial(_COS, wide_square, cos, wide)
        cos *= square
        square *= np.float32(-0.5)
        _fuse(cos, wide_square, square, wide)
        cos += 1
        _turn(cos.view(np.int32), sin.view(np.int32), points, mask.view(np.int32))
        return result

    def _log(self, points: np.ndarray, result: np.ndarray) -> None:
        """Write log(1 - points / 2**24) as log(1 + x) + exponent * log(2), with 1 + x from sqrt(1/2) to sqrt(2)."""
        x, square, exponent, low = self._singles[:, : points.size]
        wide, wide_x = self._doubles[:, : points.size]
        x[...] = np.subtract(2**24, points, out=points)
        x *= np.float32(2.0**-24)
        bits = x.view(np.int32)
        np.subtract(bits, _SQRT_HALF_BITS, out=points)
        points >>= _MANTISSA_DIGITS
        exponent[...] = points
        points <<= _MANTISSA_DIGITS
        bits -= points
        x -= 1
        wide_x[...] = x
        _polynomial(_LOG, wide_x, result, wide)
        result *= x
        np.multiply(x, x, out=square)
        _fuse(result, square, np.multiply(exponent, np.float32(_LOG_2_LOW), out=low), wide)
        square *= np.float32(0.5)
        result -= square
        result += x
        exponent *= np.float32(_LOG_2_HIGH)
        result += exponent


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray, result: np.ndarray, wide: np.ndarray) -> None:
    """Write the value of the polynomial at the float64 array `x`, by Horner's rule. `wide` is scratch."""
    first, second, *rest = coefficients
    np.multiply(x, first, out=wide)
    wide += second
    result[...] = wide
    for coefficient in rest:
        _fuse(result, x, coefficient, wide)


def _fuse(a: np.ndarray, b: np.ndarray, c: np.ndarray | float, wide: np.ndarray) -> None:
    """Replace the float32 array `a` by a * b + c, rounded to float32 at the end only. `wide` is scratch."""
    wide[...] = a
    wide *= b
    wide += c
    a[...] = wide


def _turn(cos: np.ndarray, sin: np.ndarray, quarters: np.ndarray, mask: np.ndarray) -> None:
    """Turn angles by quarters of a circle, in the bits of their cosines and sines. `mask` is scratch.

    Odd quarters swap the two. The sine is negative in quarters 2 and 3, the cosine in 1 and 2.
    """
    np.bitwise_xor(cos, sin, out=mask)
    mask *= np.bitwise_and(quarters, 1)
    cos ^= mask
    sin ^= mask
    np.bitwise_and(quarters, 2, out=mask)
    mask <<= _SIGN_SHIFT
    sin ^= mask
    quarters += 1
    quarters &= 2
    quarters <<= _SIGN_SHIFT
    cos ^= quarters
