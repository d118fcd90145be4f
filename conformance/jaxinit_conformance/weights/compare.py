"""Whether entries come from a distribution, or from the same one as other entries.

Against a distribution that is known, see `Sample.fits`. Two trees are compared parameter by
parameter: the distance of the two distribution functions (Dvoretzky-Kiefer-Wolfowitz, twice)
and the ratio of the two scales (chi-square; exact for normals, cautious for lighter tails,
widened for heavier ones). The false alarms of all parameters share one budget, and each row
says which deviation its number of entries would have caught.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from scipy import stats

from ..reference.expected import Expected
from ..statistics.deviations import kolmogorov_distance
from ..statistics.tests import RATES, ChiSquare, Kolmogorov, Rates, UniformExtremes
from . import files

ARITHMETIC = 2.0**-21
"""Rounding of a bound that was computed in float32, as a share of the width."""

_SAMPLES = 2**17
_PAIRS = 2**20
_TESTS = 2

Verdict = Literal["same", "differs", "undecided", "error"]


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """The finite entries of an array, what tests ask of them, and the error rates of one test."""

    finite: np.ndarray
    distinct: int
    rates: Rates

    @functools.cached_property
    def moments(self) -> tuple[float, float, float, float]:
        return files.moments(self.finite)

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        return (float(self.finite.min()), float(self.finite.max())) if self.finite.size else (math.nan, math.nan)

    @functools.cached_property
    def narrow(self) -> np.ndarray:
        return files.narrowed(self.finite)

    @functools.cached_property
    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct values in increasing order with their counts, of a random part when there are many."""
        part = self.narrow
        if part.size > _SAMPLES:
            part = part[np.random.default_rng(0).choice(part.size, _SAMPLES, replace=False, shuffle=False)]
        return np.unique(part, return_counts=True)

    def is_centred(self) -> bool:
        mean, std, *_ = self.moments
        freedom = self.finite.size - 1
        return abs(mean) * math.sqrt(freedom) <= std * float(stats.t.isf(self.rates.false_alarm / 2, freedom))

    def fits(self, expected: Expected) -> bool:
        return self._scale_fits(expected) and self._ends_fit(expected) and self._shape_fits(expected)

    def _scale_fits(self, expected: Expected) -> bool:
        if expected.kind != "normal":
            return True
        mean, std, *_ = self.moments
        ratio = math.hypot(std, mean - expected.loc) / expected.scale
        grid = jnp.finfo(self.narrow.dtype)
        rounding = max(float(grid.eps), float(grid.smallest_subnormal) / expected.scale) ** 2
        return abs(ratio - 1) <= ChiSquare().threshold(self.finite.size, self.rates) + rounding

    def _ends_fit(self, expected: Expected) -> bool:
        """Neither short of where so many entries reach, nor beyond where any would lie."""
        middle = sum(self.ends) / 2
        ends = middle + (np.array(self.ends) - middle) * (1 - ARITHMETIC)
        below, upto = expected.rounded_cdf(ends.astype(self.narrow.dtype))
        short, outside = max(below[0], 1 - upto[1]), min(upto[0], 1 - below[1])
        size = self.finite.size
        return bool(short <= UniformExtremes().threshold(size, self.rates) and outside > self.rates.false_alarm / size)

    def _shape_fits(self, expected: Expected) -> bool:
        seen, counts = self.counts
        distance = kolmogorov_distance(counts, *expected.rounded_cdf(seen))
        return distance <= Kolmogorov().threshold(int(counts.sum()), self.rates)

    def likelihood(self, expected: Expected) -> float:
        """The logarithm of the probability of the rounded entries."""
        seen, counts = self.counts
        below, upto = expected.rounded_cdf(seen)
        return float(counts @ np.log(np.maximum(upto - below, 2.0**-56)))


@dataclasses.dataclass(frozen=True)
class Row:
    """One parameter in both trees; a distance of distribution functions and a ratio of standard deviations, B to A."""

    name: str
    other: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    verdict: Verdict
    distance: float = math.nan
    detectable: float = math.nan
    """The smallest distance that these entries would have shown, with both rates kept."""
    ratio: float = math.nan
    detectable_ratio: float = math.nan


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All parameters of two trees, and the names that only one of them has."""

    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    """In A without a partner in B."""
    unexpected: tuple[str, ...]
    """In B without a partner in A."""

    @property
    def same(self) -> bool:
        differing = any(row.verdict in ("differs", "error") for row in self.rows)
        return not (differing or self.missing or self.unexpected)


def compare(a: Any, b: Any, mapping: Mapping[str, str] | None = None) -> Comparison:
    """Whether two trees of arrays were drawn from the same distributions.

    Args:
        a: any tree of arrays; see `jaxinit_conformance.weights.files.flatten`.
        b: another; shapes may be transposed, as between layouts.
        mapping: names of B by names of A, where they are not the same.

    Returns:
        A row for each parameter that both have, and the names that only one has.

    Raises:
        TypeError: a leaf is not an array of numbers.
        ValueError: `mapping` names a parameter that is absent.

    Example:
        >>> a = {"kernel": jaxinit.kaiming_normal()(jax.random.key(0), (100, 300))}
        >>> b = {"weight": jaxinit.xavier_normal()(jax.random.key(1), (100, 300)).T}
        >>> (row,) = compare(a, b, {"kernel": "weight"}).rows
        >>> row.verdict, round(row.ratio, 1)
        ('differs', 0.5)
    """
    ours, theirs = files.flatten(a), files.flatten(b)
    partners = {name: name for name in ours} | dict(mapping or {})
    for tree, known, names in (("A", ours, mapping or {}), ("B", theirs, (mapping or {}).values())):
        if absent := [name for name in names if name not in known]:
            raise ValueError(f"`mapping` must name parameters of {tree}, got {absent[0]!r}")
    pairs = [(name, partners[name]) for name in ours if partners[name] in theirs]
    rates = RATES.over(_TESTS * len(pairs))
    rows = tuple(_row(name, other, ours[name], theirs[other], rates) for name, other in pairs)
    missing = tuple(name for name in ours if partners[name] not in theirs)
    met = {other for _, other in pairs}
    return Comparison(rows, missing, tuple(name for name in theirs if name not in met))


def _row(name: str, other: str, a: np.ndarray, b: np.ndarray, rates: Rates) -> Row:
    shapes = a.shape, b.shape
    if a.size != b.size:
        return Row(name, other, shapes, "error")
    if not a.size:
        return Row(name, other, shapes, "same")
    a, b = _alike(a, b)
    distance = _distance(_part(a), _part(b))
    samples = min(a.size, _PAIRS)
    limit, detectable = Kolmogorov(sides=2).threshold(samples, rates), Kolmogorov(sides=2).detectable(samples, rates)
    ratio, scale_limit, scale_detectable = _scales(a, b, rates)
    verdict = _constants(a, b)
    if verdict is None:
        differs = distance > limit or abs(math.log(ratio)) > scale_limit or np.isnan(a).any() != np.isnan(b).any()
        verdict = "differs" if differs else "undecided" if limit >= 1 and scale_limit == math.inf else "same"
    return Row(name, other, shapes, verdict, distance, detectable, ratio, math.exp(scale_detectable))


def _alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The entries of both as float64, rounded to the dtype of fewer digits."""
    parts = [values.reshape(-1) for values in (a, b)]
    parts = [values.view(values.real.dtype) if np.iscomplexobj(values) else values for values in parts]
    floating = [values.dtype for values in parts if jnp.issubdtype(values.dtype, jnp.floating)]
    if len(floating) == 2:
        coarser = min(floating, key=lambda dtype: int(jnp.finfo(dtype).nmant))
        with np.errstate(over="ignore"):
            parts = [values.astype(coarser) for values in parts]
    return parts[0].astype(np.float64), parts[1].astype(np.float64)


def _part(values: np.ndarray) -> np.ndarray:
    """All entries in order, or those of a random part when there are many; NaN last."""
    if values.size > _PAIRS:
        values = values[np.random.default_rng(0).choice(values.size, _PAIRS, replace=False, shuffle=False)]
    return np.sort(values)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    seen = np.concatenate([a, b])
    shares = (np.searchsorted(each, seen, side="right") / each.size for each in (a, b))
    return float(np.abs(np.subtract(*shares)).max())


def _constants(a: np.ndarray, b: np.ndarray) -> Verdict | None:
    """Whether constants are equal, which needs no statistics; None where nothing is constant."""
    values = [each[0] if (each == each[0]).all() else None for each in (a, b)]
    if a.size == 1 or values == [None, None]:
        return None
    return "same" if values[0] == values[1] else "differs"


def _scales(a: np.ndarray, b: np.ndarray, rates: Rates) -> tuple[float, float, float]:
    """The ratio of the standard deviations, how far its logarithm may lie from 0, and how far it is sure to be seen."""
    (_, std_a, _, kurtosis_a), (_, std_b, _, kurtosis_b) = (files.moments(each) for each in (a, b))
    if not (std_a > 0 and std_b > 0 and math.isfinite(std_a + std_b)):
        return math.nan, math.inf, math.inf
    heavier = math.sqrt(max(kurtosis_a - 1, kurtosis_b - 1, 2.0) / 2)
    limit, drift = (
        2 * heavier * _atanh(ChiSquare().threshold(a.size - 1, Rates(rate / 2, 1.0)))
        for rate in (rates.false_alarm, rates.miss)
    )
    return std_b / std_a, limit, limit + drift


def _atanh(share: float) -> float:
    """Half of log((1 + share) / (1 - share)), the ratio of two scales off by `share` in opposite directions."""
    return math.atanh(share) if share < 1 else math.inf
