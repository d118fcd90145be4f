"""The value that `jaxinit.compare` returns: a row for each parameter of two models.

Numbers that differ are tested for one distribution: by the distance of the two distribution functions, and by the ratio
of the two scales. The test of the ratio is exact for normals, cautious for lighter tails, and widened for heavier ones.
The tests of all parameters share one budget of false alarms. A distance is at most 1, so entries that detect no
distance below 1 are too few to call two distributions the same.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np

from jaxinit._descriptions import fit, table
from jaxinit._descriptions.pairs import Pair, Pairs
from jaxinit._descriptions.sample import Sample, part, real_parts

Verdict = Literal["equal", "equal values", "same distribution", "differs", "too few entries to tell", "sizes differ"]
_TESTS = 2


@dataclasses.dataclass(frozen=True)
class Row:
    """Represent one parameter in two models."""

    name: str
    other: str
    """The name in the second model. Of several tensors that make the parameter, their names with a plus."""
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    verdict: Verdict
    difference: float = math.nan
    """The largest difference of two entries at one place, NaN if the places are not known."""
    distance: float = math.nan
    """The distance of the two distribution functions: the largest difference of the shares of entries up to a value."""
    detectable: float = math.nan
    """The smallest distance that is found with probability 1 - 1e-6."""
    ratio: float = math.nan
    """The std of the second model as a multiple of the first's."""
    detectable_ratio: float = math.nan


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison(table.Printed):
    """Represent the parameters of two models, and the names that only one of them has. It prints as a table."""

    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    """Names that only the first model has."""
    unexpected: tuple[str, ...]
    """Names that only the second model has."""
    problems: tuple[str, ...]
    """What else does not fit, in the words of `load`."""

    @property
    def equal(self) -> bool:
        """Return whether both models have the same parameters, equal to the bit."""
        return all(row.verdict == "equal" for row in self.rows) and not self._unmatched

    @property
    def same(self) -> bool:
        """Return whether both models have the same parameters, and no difference of two distributions was found."""
        return not (any(row.verdict in ("differs", "sizes differ") for row in self.rows) or self._unmatched)

    @property
    def _unmatched(self) -> bool:
        return bool(self.missing or self.unexpected or self.problems)

    @property
    def headings(self) -> tuple[str, ...]:
        return "parameter", "in B", "shape", "dtype", "difference", "std ratio", "distance", "verdict"

    @property
    def lines(self) -> list[table.Line]:
        return [table.Line(_cells(row), row.verdict in ("differs", "sizes differ")) for row in self.rows]

    @property
    def notes(self) -> list[str]:
        return [
            *(f"missing in B: {name}" for name in self.missing),
            *(f"only in B: {name}" for name in self.unexpected),
            *self.problems,
            *self._power(),
            *([] if self.rows else [_NO_NAMES]),
            self.summary(),
        ]

    def _power(self) -> Iterator[str]:
        tested = sorted((row for row in self.rows if row.detectable < 1), key=lambda row: row.detectable)
        if tested:
            found = dict.fromkeys(f"{row.detectable:.2g} in {row.name}" for row in (tested[0], tested[-1]))
            yield f"`differs` is wrong with probability {fit.FALSE_ALARM:g} at most, in all rows together."
            yield f"A distance of {' or of '.join(found)} is found with the same certainty."

    def summary(self) -> str:
        """Return how many parameters are equal, and how many differ, in one line."""
        counts = {verdict: sum(row.verdict == verdict for row in self.rows) for verdict in get_args(Verdict)}
        told = ", ".join(f"{count} {_WORDS[verdict]}" for verdict, count in counts.items() if count)
        unmatched = f"{len(self.missing)} missing in B, {len(self.unexpected)} only in B"
        return f"{len(self.rows)} parameter{'' if len(self.rows) == 1 else 's'}: {told or 'none in both'}; {unmatched}"


_NO_NAMES = (
    "No parameter has the same name in both. Pass `rename`. For variables of Linen, pass the module and its inputs: "
    "compare(variables, state, module, x)"
)

_WORDS: dict[str, str] = {
    "equal": "equal to the bit",
    "equal values": "of equal values",
    "same distribution": "without a difference in distribution",
    "differs": "from other distributions",
    "too few entries to tell": "with too few entries to tell",
    "sizes differ": "of other sizes",
}


def _cells(row: Row) -> tuple[str, ...]:
    other = "" if row.other == row.name else row.other
    shape, dtype = (" / ".join(dict.fromkeys(map(str, both))) for both in (row.shapes, row.dtypes))
    return row.name, other, shape, dtype, *map(_number, (row.difference, row.ratio, row.distance)), row.verdict


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def compared(pairs: Pairs) -> Comparison:
    """Compare the two arrays of each pair."""
    rate = fit.FALSE_ALARM / max(1, _TESTS * len(pairs.pairs))
    return Comparison(tuple(_row(pair, rate) for pair in pairs.pairs), pairs.missing, pairs.unexpected, pairs.problems)


def _row(pair: Pair, rate: float) -> Row:
    a, b = (np.asarray(array) for array in pair.arrays)
    known = *pair.names, (a.shape, b.shape), (str(a.dtype), str(b.dtype))
    if a.size != b.size:
        return Row(*known, "sizes differ")
    if a.shape == b.shape and _same_bits(a, b):
        return Row(*known, "equal", 0.0)
    difference = _difference(a, b)
    if difference == 0 or not a.size:
        return Row(*known, "equal values", difference)
    row = _by_distribution(Row(*known, "differs", difference), *_alike(part(a), part(b)), rate)
    return dataclasses.replace(row, verdict="differs") if _differ_outside_of_parts(a, b, row.verdict) else row


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    one, other = (np.ascontiguousarray(each).reshape(-1).view(np.uint8) for each in (a, b))
    return a.dtype == b.dtype and np.array_equal(one, other)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest absolute difference, NaN for other shapes. A part of large arrays is converted at a time."""
    if a.shape != b.shape:
        return math.nan
    if not a.size:
        return 0.0
    flat, other = a.reshape(-1), b.reshape(-1)
    chunks = ((flat[i : i + 2**20], other[i : i + 2**20]) for i in range(0, flat.size, 2**20))
    with np.errstate(invalid="ignore", over="ignore"):
        # Python's max would lose a NaN, which NumPy's keeps.
        return float(np.max([_differences(one, two).max() for one, two in chunks]))


def _differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the absolute differences in float64, at least 1 where two integers differ that float64 cannot tell."""
    wide = np.complex128 if np.iscomplexobj(a) or np.iscomplexobj(b) else np.float64
    one, two = a.astype(wide), b.astype(wide)
    differences: np.ndarray = np.where(one == two, 0.0, np.abs(one - two))
    return np.maximum(differences, a != b) if _are_integers(a, b) else differences


def _are_integers(a: np.ndarray, b: np.ndarray) -> bool:
    return all(np.issubdtype(each.dtype, np.integer) for each in (a, b))


def _differ_outside_of_parts(a: np.ndarray, b: np.ndarray, verdict: Verdict) -> bool:
    """Return whether one array alone holds NaN, or two with the same constant in all entries looked at have others."""
    if (a != a).any() != (b != b).any():
        return True
    if verdict != "equal values":
        return False
    flat = (a.reshape(-1), b.reshape(-1)) if _are_integers(a, b) else _alike(a, b)
    one, other = flat if a.shape == b.shape else map(np.sort, flat)
    return not np.array_equal(one, other, equal_nan=True)


def _alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries of both as float64, rounded to the dtype with fewer digits."""
    parts = [real_parts(values) for values in (a, b)]
    floating = [values.dtype for values in parts if jnp.issubdtype(values.dtype, jnp.floating)]
    if len(floating) == 2:
        coarser = min(floating, key=lambda dtype: int(jnp.finfo(dtype).nmant))
        with np.errstate(over="ignore"):
            parts = [values.astype(coarser) for values in parts]
    return parts[0].astype(np.float64), parts[1].astype(np.float64)


def _by_distribution(row: Row, a: np.ndarray, b: np.ndarray, rate: float) -> Row:
    """Return the row with the distance of the two distributions, the ratio of their scales, and the verdict."""
    first, second = Sample.of(a), Sample.of(b)
    size = min(first.size, second.size)
    if not size or a.size == 1:
        return dataclasses.replace(row, verdict=_told_by_nan(first, second) or "too few entries to tell")
    sizes = first.ordered.size, second.ordered.size
    limit, drift = (sum(fit.distance_limit(each, own / 2) for each in sizes) for own in (rate, fit.MISS))
    detectable = limit + drift
    distance, scales = _distance(first, second), _Scales.of(first, second, rate)
    verdict: Verdict = "differs" if distance > limit or scales.differ else "same distribution"
    if verdict != "differs" and detectable >= 1:
        verdict = "too few entries to tell"
    told = _told_by_nan(first, second) or _told_by_constants(first, second)
    row = dataclasses.replace(row, distance=distance, detectable=detectable, verdict=told or verdict)
    return dataclasses.replace(row, ratio=scales.ratio, detectable_ratio=scales.detectable)


def _told_by_nan(first: Sample, second: Sample) -> Verdict | None:
    kinds = [(bool(each.nan), bool(each.infinite)) for each in (first, second)]
    return None if kinds[0] == kinds[1] else "differs"


def _told_by_constants(first: Sample, second: Sample) -> Verdict | None:
    """Compare constants, which needs no statistics. Return None for any other arrays."""
    values = [each.ends[0] if each.is_constant else None for each in (first, second)]
    if values == [None, None]:
        return None
    return "equal values" if values[0] == values[1] else "differs"


def _distance(first: Sample, second: Sample) -> float:
    """Return the largest difference of the shares of entries up to a value, at about 2000 of the values."""
    values = np.union1d(first.points[0], second.points[0])
    shares = [
        np.searchsorted(each.ordered, values, side=side) / each.ordered.size
        for each in (first, second)
        for side in ("left", "right")
    ]
    return float(max(np.abs(shares[0] - shares[2]).max(), np.abs(shares[1] - shares[3]).max()))


@dataclasses.dataclass(frozen=True)
class _Scales:
    """Represent the ratio of two stds, and the limit of the ratio that chance explains. The limit of 1 / ratio is the
    same.
    """

    ratio: float
    limit: float
    detectable: float

    @classmethod
    def of(cls, first: Sample, second: Sample, rate: float) -> "_Scales":
        (_, one), (_, other) = first.moments, second.moments
        if not (one > 0 and other > 0 and math.isfinite(one + other)):
            return cls(math.nan, math.inf, math.inf)
        heavier = math.sqrt(max(first.kurtosis - 1, second.kurtosis - 1, 2.0) / 2)
        # Both scales may be off in opposite directions, so their ratio may be off by twice the limit of one.
        limit, drift = (
            2 * heavier * math.atanh(min(fit.scale_limit(min(first.size, second.size) - 1, own / 2), 1 - 1e-9))
            for own in (rate, fit.MISS)
        )
        return cls(other / one, math.exp(limit), math.exp(limit + drift))

    @property
    def differ(self) -> bool:
        return max(self.ratio, 1 / self.ratio) > self.limit
