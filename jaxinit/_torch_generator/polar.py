"""Pairs of independent normal numbers: radius sqrt(-2 log(1 - u)) and angle 2 pi v, by the functions asked for.

Each transform takes the whole numbers of u and of v, and gives the cosines' and the
sines' normal numbers as an array of shape (2, size).
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from jaxinit._torch_generator import avx_math

Pairs = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Up to this value of 2**24 (1 - u) the radius is at least 4, and an ulp of it 2**-21.
_TAIL = int(2**24 * math.exp(-8))

# Vector loads that straddle two lines of the cache cost twice as much.
_LINE = 64


def select(real: np.dtype, exact: bool, most: int) -> Pairs:
    """The transform for `most` pairs at a time: NumPy's functions, or exactly those that torch calls."""
    if real == np.float64:
        return _double_exact if exact else _double
    return _single_exact if exact else _Single(most)


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array without values that begins on a line of the cache."""
    size = dtype.itemsize * math.prod(shape)
    raw = np.empty(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(dtype).reshape(shape)


class _Single:
    """By NumPy's float32 functions; the result lasts until the next call.

    Radii below 4, cosines and sines are an ulp or so off torch's, and greater radii are
    torch's own: so a pair is within 2**-21 of torch's, and within 2**-20 std once scaled.
    """

    def __init__(self, most: int) -> None:
        self._buffers = aligned((4, most), np.dtype(np.float32))

    def __call__(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        radius, angle = self._buffers[:2, : first.size]
        pairs = self._buffers[2:, : first.size]
        np.copyto(radius, np.subtract(2**24, first, out=first), casting="same_kind")
        (tail,) = (first <= _TAIL).nonzero()
        radius *= np.float32(2.0**-24)
        np.log(radius, out=radius)
        radius *= np.float32(-2)
        np.sqrt(radius, out=radius)
        radius[tail] = _tail_radii()[first[tail] - 1]
        np.copyto(angle, last, casting="same_kind")
        angle *= np.float32(2 * np.pi * 2.0**-24)
        np.cos(angle, out=pairs[0])
        np.sin(angle, out=pairs[1])
        pairs *= radius
        return pairs


@functools.cache
def _tail_radii() -> np.ndarray:
    return avx_math.radius(2**24 - np.arange(1, _TAIL + 1))


def _single_exact(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """By torch's float32 functions."""
    pairs: np.ndarray = avx_math.radius(first) * np.stack(avx_math.cos_sin(last))
    return pairs


def _double(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """By NumPy's float64 functions, which differ from the C library's in few last bits or none."""
    radius = np.sqrt(-2 * np.log(1 - first * 2.0**-53))
    angle = 2 * np.pi * (last * 2.0**-53)
    pairs: np.ndarray = radius * np.stack([np.cos(angle), np.sin(angle)])
    return pairs


def _double_exact(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """By those of the C library, as in torch; one number at a time."""
    log, cos, sin = (np.vectorize(function, otypes=[np.float64]) for function in (math.log, math.cos, math.sin))
    radius = np.sqrt(-2 * log(1 - first * 2.0**-53))
    angle = 2 * np.pi * (last * 2.0**-53)
    pairs: np.ndarray = radius * np.stack([cos(angle), sin(angle)])
    return pairs
