"""Arrays on cache lines: vector loads do not straddle two lines, and JAX takes such an array without a copy."""

import math

import numpy as np

# XLA uses a host buffer in place if it begins at a multiple of 64 bytes.
_LINE = 64


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an uninitialized array that begins on a cache line.

    Example:
        >>> empty((3, 5), np.dtype("float32")).ctypes.data % 64
        0
    """
    size = dtype.itemsize * math.prod(shape)
    raw = np.empty(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(dtype).reshape(shape)
