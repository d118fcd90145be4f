"""Normal numbers from uniform ones by the Box-Muller transform: in blocks of 16 in large arrays, one by one in small.

    sqrt(-2 log(1 - u)) cos(2 pi v),  sqrt(-2 log(1 - u)) sin(2 pi v)

The first eight uniform numbers of a block are u, the last eight v. The cosines take the
places of the first eight, the sines those of the last. torch does the same in
aten/src/ATen/native/cpu/DistributionTemplates.h.
"""

import math
from collections.abc import Iterator

import numpy as np

from jaxinit._sampling import dtypes
from jaxinit._torch_generator import aligned, fma
from jaxinit._torch_generator.avx_math import AvxMath
from jaxinit._torch_generator.mt19937 import CHUNK, Chunk, Mersenne

_BLOCK = 16


def fill(values: np.ndarray, stream: Mersenne, mean: float, std: float, where: np.ndarray | None = None) -> None:
    """Draw N(mean, std**2) for every place of a flat array, and with `where` keep only those that it marks."""
    if values.size < _BLOCK:
        drawn = _one_by_one(stream, values.size)
        fma.MultiplyAdd(drawn.dtype, std, mean, drawn.size)(drawn)
        # torch narrows by way of float32.
        narrowed = drawn.astype(dtypes.compute_dtype(values.dtype)).astype(values.dtype)
        np.copyto(values, narrowed, where=True if where is None else where)
        return

    def fill_chunks(chunks: Iterator[Chunk]) -> None:
        transform = _Transform(values.dtype, mean, std, min(values.size, CHUNK))
        for places, points in chunks:
            kept = None if where is None else where[places]
            drawn = transform(points, kept)
            np.copyto(values[places], drawn, where=True if kept is None else kept, casting="unsafe")

    digits = 53 if values.dtype == np.float64 else 24
    rest = values.size % _BLOCK
    stream.share_chunks(values.size - rest, digits, fill_chunks)
    if rest:
        # torch draws the last 16 places afresh. In float32 and float64 it has drawn for the rest before.
        stream.points(rest if values.dtype in (np.float32, np.float64) else 0, digits)
        fill_chunks(iter([(slice(values.size - _BLOCK, values.size), stream.points(_BLOCK, digits))]))


def _one_by_one(stream: Mersenne, size: int) -> np.ndarray:
    """Draw standard normal numbers in float64. Of each pair the sine waits in the generator for the next place."""
    return np.array([_next(stream) for _ in range(size)], np.float64)


def _next(stream: Mersenne) -> float:
    if stream.normal is not None:
        value, stream.normal = stream.normal, None
        return value
    turn, tail = (stream.points(2, 53) * 2.0**-53).tolist()
    radius, angle = math.sqrt(-2 * math.log1p(-tail)), 2 * math.pi * turn
    stream.normal = radius * math.sin(angle)
    return radius * math.cos(angle)


class _Transform:
    """Transform by Box and Muller for up to `size` points at a time. The next call overwrites the result."""

    def __init__(self, dtype: np.dtype, mean: float, std: float, size: int) -> None:
        real = dtypes.compute_dtype(dtype)
        self._pairs = _float64_pairs if real == np.float64 else _Float32Pairs(size // 2)
        self._multiply_add = fma.MultiplyAdd(real, std, mean, size)
        self._values = aligned.empty((size,), real)

    def __call__(self, points: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
        """Return the normal numbers in the order of blocks. Only those of the pairs that `kept` needs have values."""
        result = self._values[: points.size]
        # The points by halves, in the same memory. They are not needed when the result is written.
        halves = _split(points, result.view(points.dtype))
        if kept is None:
            _merge(self._pairs(*halves), result)
        else:
            needed = _split(kept, np.empty_like(kept)).any(axis=0)
            normals = np.zeros(halves.shape, result.dtype)
            normals[:, needed] = self._pairs(*halves[:, needed])
            _merge(normals, result)
        self._multiply_add(result)
        return result


class _Float32Pairs:
    """Represent the transform by torch's own float32 functions."""

    def __init__(self, size: int) -> None:
        self._math = AvxMath(size)

    def __call__(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        pairs = self._math.cos_sin(last)
        pairs *= self._math.radius(first)
        return pairs


def _float64_pairs(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Transform by the C library's functions, as in torch.

    NumPy calls them for complex numbers: log1p(x + 0j) is log(1 + x), and exp(ix) is
    cos(x) + i sin(x). For real numbers NumPy has its own functions on some processors.
    """
    radius = np.sqrt(-2 * np.log1p(first * -(2.0**-53) + 0j).real)
    turned = np.exp(1j * (2 * np.pi * (last * 2.0**-53)))
    return np.stack([radius * turned.real, radius * turned.imag])


def _eights(array: np.ndarray) -> np.ndarray:
    """View eight entries as one record, which NumPy copies whole: the shape is (blocks, 2)."""
    return array.view(np.dtype((np.void, _BLOCK // 2 * array.itemsize))).reshape(-1, 2)


def _split(blocks: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Copy all first eights and all last eights into `out`, and return it in shape (2, size / 2)."""
    halves = out.reshape(2, -1)
    for half, eights in zip(halves, _eights(blocks).T, strict=True):
        half.view(eights.dtype)[...] = eights
    return halves


def _merge(halves: np.ndarray, out: np.ndarray) -> None:
    """Copy two halves back to the order of blocks."""
    for half, eights in zip(halves, _eights(out).T, strict=True):
        eights[...] = half.view(eights.dtype)
