"""The entries of one array: moments, extremes, distinct values, and a histogram in twelve characters."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_MOST = 2**20
"""So many entries of an array are used. Of a larger array, every n-th index along each axis is."""
_ORDERED = 2**16
"""So many of these are sorted, for the distribution function and the number of distinct values."""
_POINTS = 1000
"""The distribution function is looked at in so many of the sorted entries."""
_COLUMNS = 12
_BARS = "▁▂▃▄▅▆▇█"


def part(array: Any) -> np.ndarray:
    """Return a JAX or NumPy array on the host, or evenly spaced indices of one with many entries.

    Index 0 is always there. Of an array on several devices with many entries, a part of each shard of this process is
    there, and the result is a vector.

    Example:
        >>> from jaxinit._descriptions.sample import part
        >>> part(np.zeros((3, 5))).shape, part(np.zeros((4096, 1024), np.int8)).shape
        ((3, 5), (1024, 1024))
    """
    is_here = not isinstance(array, jax.Array) or array.is_fully_addressable or array.is_fully_replicated
    if is_here and array.size <= _MOST:
        return np.asarray(array)
    # JAX could slice on the device, but not an array of one device where a mesh of several is set (jax 0.10).
    each = {str(shard.index): shard.data for shard in getattr(array, "addressable_shards", ())}
    parts = [_spaced(np.asarray(shard), _MOST // len(each)) for shard in each.values()]
    if len(parts) > 1:
        return np.concatenate([spaced.reshape(-1) for spaced in parts])
    return parts[0] if parts else _spaced(np.asarray(array), _MOST)


def _spaced(array: np.ndarray, most: int) -> np.ndarray:
    """Return evenly spaced indices along each axis, so many that `most` entries are left."""
    steps, sizes = [1] * array.ndim, list(array.shape)
    while math.prod(sizes) > most:
        axis = max(range(array.ndim), key=sizes.__getitem__)
        steps[axis] *= 2
        sizes[axis] = -(-array.shape[axis] // steps[axis])
    return array[tuple(slice(None, None, step) for step in steps)]


def real_parts(array: np.ndarray) -> np.ndarray:
    """Return the entries as a vector, of complex ones the real and the imaginary part."""
    flat = array.reshape(-1)
    return np.ascontiguousarray(flat).view(flat.real.dtype) if np.iscomplexobj(flat) else flat


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Represent the finite entries of an array."""

    finite: np.ndarray
    dtype: np.dtype
    """The dtype of the array. That of `finite` may be wider."""
    nan: int
    infinite: int
    is_complex: bool
    """Whether the array is complex. Then the real and imaginary parts are entries here."""

    @classmethod
    def of(cls, array: np.ndarray) -> "Sample":
        """Return the sample of an array."""
        is_complex = np.iscomplexobj(array)
        flat = real_parts(array)
        # NumPy sorts and searches float32 much faster than bfloat16.
        values = flat.astype(np.float32) if flat.dtype.itemsize < 4 or flat.dtype.kind == "b" else flat
        is_finite = np.isfinite(values)
        if is_finite.all():
            return cls(values, flat.dtype, 0, 0, is_complex)
        nan = int(np.isnan(values).sum())
        return cls(values[is_finite], flat.dtype, nan, int(values.size - is_finite.sum()) - nan, is_complex)

    @property
    def is_floating(self) -> bool:
        return jnp.issubdtype(self.dtype, jnp.floating)

    @property
    def size(self) -> int:
        return self.finite.size

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        """Return the least entry and the largest."""
        return (float(self.finite.min()), float(self.finite.max())) if self.size else (math.nan, math.nan)

    @functools.cached_property
    def is_constant(self) -> bool:
        return bool(self.size) and bool((self.finite == self.finite[0]).all())

    @functools.cached_property
    def ordered(self) -> np.ndarray:
        """Return some of the entries, or all of few, in increasing order."""
        # An odd step meets all columns of a matrix with an even number of them.
        return np.sort(self.finite[:: -(-self.size // _ORDERED) | 1])

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the values of the dtype that come before the least entry and after the largest."""
        ends = np.array(self.ends).astype(self.narrow)
        with np.errstate(over="ignore"):
            low, high = np.nextafter(ends, np.array([-math.inf, math.inf]).astype(self.narrow)).astype(np.float64)
        return float(low), float(high)

    @functools.cached_property
    def distinct(self) -> int:
        """Return the number of distinct values among the ordered entries."""
        return int(np.count_nonzero(self.ordered[1:] != self.ordered[:-1])) + 1 if self.size else 0

    @functools.cached_property
    def _exponent(self) -> int:
        """Return the exponent of the least power of two above all magnitudes. Powers of scaled entries never
        overflow.
        """
        return math.frexp(max(map(abs, self.ends)))[1]

    @functools.cached_property
    def _scaled(self) -> np.ndarray:
        return np.asarray(np.ldexp(self.finite.astype(np.float64), -self._exponent))

    @functools.cached_property
    def _scaled_moments(self) -> tuple[float, float]:
        mean = float(self._scaled.mean())
        return mean, 0.0 if self.is_constant else math.sqrt(float(np.square(self._scaled - mean).mean()))

    @functools.cached_property
    def moments(self) -> tuple[float, float]:
        """Return the mean and the standard deviation, NaN without entries."""
        if not self.size:
            return math.nan, math.nan
        with np.errstate(over="ignore"):  # an average may round up past the largest value
            mean, std = (float(np.ldexp(moment, self._exponent)) for moment in self._scaled_moments)
        return mean, std

    @property
    def kurtosis(self) -> float:
        """Return the fourth standardized moment, 3 for a normal distribution, or NaN without a standard deviation."""
        mean, std = self._scaled_moments if self.size else (0.0, 0.0)
        return float(np.square(np.square((self._scaled - mean) / std)).mean()) if std else math.nan

    @property
    def histogram(self) -> str:
        """Return twelve bars from the least entry to the largest, or nothing for equal entries."""
        low, high = (math.ldexp(end, -self._exponent) for end in self.ends) if self.size else (0.0, 0.0)
        if low == high:
            return ""
        scaled = np.ldexp(self.ordered.astype(np.float64), -self._exponent)
        counts = np.histogram((scaled - low) / (high - low), bins=_COLUMNS, range=(0, 1))[0]
        return "".join(_BARS[round(7 * count / counts.max())] for count in counts)

    @functools.cached_property
    def narrow(self) -> np.dtype:
        """Return the dtype that the entries were rounded to: bfloat16 or float16 if they all have such values."""
        if self.dtype.kind != "f" or self.dtype.itemsize < 4:
            return self.dtype
        with np.errstate(over="ignore"):
            for dtype in (np.dtype(jnp.bfloat16), np.dtype(np.float16)):
                few = self.ordered[:100]  # which almost always decide
                if (few.astype(dtype) == few).all() and (self.finite.astype(dtype) == self.finite).all():
                    return dtype
        return self.dtype

    @functools.cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return some distinct values, with the shares of ordered entries that are less, and that are not larger."""
        size = self.ordered.size
        values = np.unique(self.ordered[np.linspace(0, size - 1, min(size, _POINTS)).round().astype(int)])
        less, upto = (np.searchsorted(self.ordered, values, side=side) / size for side in ("left", "right"))
        return values, less, upto

    def is_narrow(self) -> bool:
        """Return whether a narrower dtype holds all entries, though they have many values."""
        return self.narrow != self.dtype and self.distinct >= 100
