"""Arrays outside `jit` on a CPU: no program is compiled for a shape.

A program for each shape takes longer to compile than to run, for most layers. Here one
program computes a fixed number of entries from any place on. The array is filled with them
piece by piece, and has the values that a program for its shape computes.
"""

import math
from collections.abc import Callable

import jax
import numpy as np

from jaxinit import _arguments
from jaxinit._sampling.bits import can_be_counted

PIECE = 2**16
_AHEAD = 8  # pieces that are computed while one is copied
_ALIGNMENT = 64  # of an array on the host that JAX takes over without a copy


def can_fill(key: jax.Array | np.ndarray, size: int) -> bool:
    """Return whether an array drawn with `key` can be filled piece by piece: outside of traces, on one CPU."""
    if not isinstance(key, jax.Array) or _arguments.is_traced(key) or not is_eager():
        return False
    return [device.platform for device in key.devices()] == ["cpu"] and can_be_counted(key, size)


def is_eager() -> bool:
    """Return whether the code runs outside of traces, and with no mesh set."""
    return jax.sharding.get_abstract_mesh().empty and not _arguments.is_staged()


def fill(key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, draw: Callable[[np.uint32], jax.Array]) -> jax.Array:
    """Return the array whose entries from `start` on are `draw(start)`, beside `key`."""
    flat = _empty(math.prod(shape), dtype)
    starts = range(0, flat.size, PIECE)
    pieces = [draw(np.uint32(start)) for start in starts[:_AHEAD]]
    for index, start in enumerate(starts):
        if index + _AHEAD < len(starts):
            pieces.append(draw(np.uint32(starts[index + _AHEAD])))
        part = flat[start : start + PIECE]
        part[:] = np.asarray(pieces.pop(0))[: part.size]
    filled: jax.Array = jax.device_put(flat.reshape(shape), key.sharding if key.committed else None)
    return filled


def constant(value: np.ndarray, shape: tuple[int, ...]) -> jax.Array:
    """Return an array of one value."""
    flat = _empty(math.prod(shape), value.dtype)
    flat[:] = value
    filled: jax.Array = jax.device_put(flat.reshape(shape))
    return filled


def _empty(size: int, dtype: np.dtype) -> np.ndarray:
    memory = np.empty(size * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size * dtype.itemsize].view(dtype)
