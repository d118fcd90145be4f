"""Normal numbers from uniform ones as torch pairs them: by blocks of 16 in large arrays, one by one in small.

Of each 16 uniform numbers the first eight give radii and the last eight angles; the
cosines take the places of the first, the sines those of the last.
"""

import math
from collections.abc import Iterator

import numpy as np

from jaxinit._sampling import dtypes
from jaxinit._torch_generator import fma, polar
from jaxinit._torch_generator.mt19937 import CHUNK, Mersenne

_BLOCK = 16


def fill(
    values: np.ndarray, stream: Mersenne, mean: float, std: float, exact: bool, where: np.ndarray | None = None
) -> None:
    """Draws N(mean, std**2) for every place of a flat array, and with `where` keeps only those that it marks."""
    real = dtypes.compute_dtype(values.dtype)
    if values.size < _BLOCK:
        drawn = fma.multiply_add(_one_by_one(stream, values.size), std, mean)
        # torch narrows by way of float32.
        np.copyto(values, drawn.astype(real).astype(values.dtype), where=True if where is None else where)
        return
    most = min(values.size, CHUNK) // 2
    pairs = polar.select(real, exact, most)
    points, normals = polar.aligned((2, most), np.dtype(f"i{real.itemsize}")), polar.aligned((2 * most,), real)
    for places, blocks in _blocks(stream, values.size, values.dtype):
        halves, drawn = _halves(blocks, points[:, : blocks.size // 2]), normals[: blocks.size]
        kept = None if where is None else where[places]
        _interleave(_normals(halves, kept, pairs, mean, std), drawn)
        np.copyto(values[places], drawn, where=True if kept is None else kept, casting="unsafe")


def _one_by_one(stream: Mersenne, size: int) -> np.ndarray:
    """Standard normal numbers in float64; of each pair the sine waits in the generator for the next place."""
    return np.array([_next(stream) for _ in range(size)], np.float64)


def _next(stream: Mersenne) -> float:
    if stream.normal is not None:
        value, stream.normal = stream.normal, None
        return value
    turn, tail = (stream.points(2, 53) * 2.0**-53).tolist()
    radius, angle = math.sqrt(-2 * math.log1p(-tail)), 2 * math.pi * turn
    stream.normal = radius * math.sin(angle)
    return radius * math.cos(angle)


def _blocks(stream: Mersenne, size: int, dtype: np.dtype) -> Iterator[tuple[slice, np.ndarray]]:
    """The places of an array and the uniform numbers for them; later ones overwrite earlier.

    Where 16 does not divide the size, torch draws the last 16 places afresh, from 16 more
    numbers; in float32 and float64 the numbers that those places had are spent.
    """
    digits = 53 if dtype == np.float64 else 24
    whole = size - size % _BLOCK
    yield from stream.chunks(whole, digits)
    if whole < size:
        stream.points(size - whole if dtype in (np.float32, np.float64) else 0, digits)
        yield slice(size - _BLOCK, size), stream.points(_BLOCK, digits)


def _eights(array: np.ndarray) -> np.ndarray:
    """Eight entries as one record, which NumPy copies whole."""
    return array.view(np.dtype((np.void, _BLOCK // 2 * array.itemsize)))


def _halves(blocks: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """All the first eights, and all the last eights: shape (2, size / 2)."""
    np.copyto(_eights(halves), _eights(blocks).reshape(-1, 2).T)
    return halves


def _interleave(halves: np.ndarray, blocks: np.ndarray) -> None:
    """Back to the order of blocks."""
    for place, half in enumerate(_eights(halves)):
        _eights(blocks).reshape(-1, 2)[:, place] = half


def _normals(halves: np.ndarray, kept: np.ndarray | None, pairs: polar.Pairs, mean: float, std: float) -> np.ndarray:
    """The normal numbers by halves; where only some are kept, no more are computed than their pairs need."""
    if kept is None:
        return fma.multiply_add(pairs(*halves), std, mean)
    needed = _halves(kept, np.empty(halves.shape, bool)).any(axis=0)
    result = np.zeros(halves.shape, np.dtype(f"f{halves.itemsize}"))
    result[:, needed] = fma.multiply_add(pairs(*halves[:, needed]), std, mean)
    return result
