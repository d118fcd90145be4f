"""Two trees of arrays, parameter by parameter: were they drawn from the same distributions?

The distance of the two distribution functions (Dvoretzky-Kiefer-Wolfowitz, twice) and the ratio
of the two scales are tested. The test of the ratio is chi-square: exact for normals, cautious for
lighter tails, widened for heavier ones. The tests of all parameters share one budget of false
alarms. Each row says which deviation its number of entries detects. A distance is at most 1, so entries
that detect no distance below 1 are too few to call two distributions the same.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from ..statistics import deviations
from ..statistics.tests import RATES, ChiSquare, Kolmogorov, Rates
from .files import flatten
from .sample import moments

_PAIRS = 2**20
_TESTS = 2

Verdict = Literal["same", "differs", "undecided", "error"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One parameter in both trees: the distance of the distribution functions, and the ratio of the stds, B to A."""

    name: str
    other: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    verdict: Verdict
    distance: float = math.nan
    detectable: float = math.nan
    """The smallest distance that so many entries detect at both error rates."""
    ratio: float = math.nan
    detectable_ratio: float = math.nan


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The parameters of two trees, and the names that only one tree has."""

    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    """Names that only A has."""
    unexpected: tuple[str, ...]
    """Names that only B has."""

    @property
    def same(self) -> bool:
        differing = any(row.verdict in ("differs", "error") for row in self.rows)
        return not (differing or self.missing or self.unexpected)


def compare(a: Any, b: Any, mapping: Mapping[str, str] | None = None) -> Comparison:
    """Compare the distributions of two trees of arrays, parameter by parameter.

    Args:
        a: any tree of arrays; see `jaxinit_conformance.weights.files.flatten`.
        b: another tree. Shapes may be transposed, as between layouts.
        mapping: names in A to names in B, where they differ. Torch's and Flax's names of a parameter, as `weight`
            and `kernel`, need none.

    Returns:
        A row for each parameter that both trees have, and the names that only one has.

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
    first, second, given = flatten(a), flatten(b), dict(mapping or {})
    for tree, known, names in (("A", first, given), ("B", second, given.values())):
        if absent := [name for name in names if name not in known]:
            raise ValueError(f"`mapping` must name parameters of {tree}, got {absent[0]!r}")
    alike = _alike_names({*first} - {*second, *given}, {*second} - {*first, *given.values()})
    partners = {name: name for name in first} | alike | given
    pairs = [(name, partners[name]) for name in first if partners[name] in second]
    rates = RATES.over(_TESTS * len(pairs))
    rows = tuple(_row(name, other, first[name], second[other], rates) for name, other in pairs)
    missing = tuple(name for name in first if partners[name] not in second)
    met = {other for _, other in pairs}
    return Comparison(rows, missing, tuple(name for name in second if name not in met))


_RUNNING = {"mean": "running_mean", "var": "running_var"}
_TORCH_NAMES = dict.fromkeys(("kernel", "scale", "embedding"), "weight") | _RUNNING


def _alike_names(only_a: Iterable[str], only_b: Iterable[str]) -> dict[str, str]:
    """Return the names in A and B that torch and Flax give to one parameter, where no other name fits."""
    alike: dict[str, tuple[list[str], list[str]]] = {}
    for side, names in enumerate((only_a, only_b)):
        for name in names:
            in_torch = re.sub(r"[^./]+$", lambda last: _TORCH_NAMES.get(last[0], last[0]), name)
            alike.setdefault(in_torch, ([], []))[side].append(name)
    return {a[0]: b[0] for a, b in alike.values() if len(a) == len(b) == 1}


def _row(name: str, other: str, a: np.ndarray, b: np.ndarray, rates: Rates) -> Row:
    shapes = a.shape, b.shape
    if a.size != b.size:
        return Row(name, other, shapes, "error")
    if not a.size:
        return Row(name, other, shapes, "same")
    a, b = _alike(a, b)
    distance = deviations.between(_part(a), _part(b))
    samples = min(a.size, _PAIRS)
    limit, detectable = Kolmogorov(sides=2).threshold(samples, rates), Kolmogorov(sides=2).detectable(samples, rates)
    ratio, scale_limit, scale_detectable = _scales(a, b, rates)
    verdict = _constants(a, b)
    if verdict is None:
        differs = distance > limit or abs(math.log(ratio)) > scale_limit or np.isnan(a).any() != np.isnan(b).any()
        verdict = "differs" if differs else "undecided" if detectable >= 1 else "same"
    return Row(name, other, shapes, verdict, distance, detectable, ratio, math.exp(scale_detectable))


def _alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries of both as float64, rounded to the dtype with fewer digits."""
    parts = [values.reshape(-1) for values in (a, b)]
    parts = [values.view(values.real.dtype) if np.iscomplexobj(values) else values for values in parts]
    floating = [values.dtype for values in parts if jnp.issubdtype(values.dtype, jnp.floating)]
    if len(floating) == 2:
        coarser = min(floating, key=lambda dtype: int(jnp.finfo(dtype).nmant))
        with np.errstate(over="ignore"):
            parts = [values.astype(coarser) for values in parts]
    return parts[0].astype(np.float64), parts[1].astype(np.float64)


def _part(values: np.ndarray) -> np.ndarray:
    """Return all entries sorted, or a random part of many. NaN comes last."""
    if values.size > _PAIRS:
        values = values[np.random.default_rng(0).choice(values.size, _PAIRS, replace=False, shuffle=False)]
    return np.sort(values)


def _constants(a: np.ndarray, b: np.ndarray) -> Verdict | None:
    """Compare equal arrays and constants, which needs no statistics. Return None for any other arrays."""
    if np.array_equal(a, b):
        return "same"
    values = [each[0] if (each == each[0]).all() else None for each in (a, b)]
    if a.size == 1 or values == [None, None]:
        return None
    return "same" if values[0] == values[1] else "differs"


def _scales(a: np.ndarray, b: np.ndarray, rates: Rates) -> tuple[float, float, float]:
    """Return the ratio of the stds, the limit of its absolute logarithm, and the detectable one."""
    (_, std_a, _, kurtosis_a), (_, std_b, _, kurtosis_b) = (moments(each) for each in (a, b))
    if not (std_a > 0 and std_b > 0 and math.isfinite(std_a + std_b)):
        return math.nan, math.inf, math.inf
    heavier = math.sqrt(max(kurtosis_a - 1, kurtosis_b - 1, 2.0) / 2)
    # Both scales may be off in opposite directions, so their ratio may be off by twice the limit of one.
    limit, drift = (
        2 * heavier * _atanh(ChiSquare().threshold(a.size - 1, Rates(rate / 2, 1.0)))
        for rate in (rates.false_alarm, rates.miss)
    )
    return std_b / std_a, limit, limit + drift


def _atanh(share: float) -> float:
    """Return half the log of the ratio of two scales that are off by `share` in opposite directions."""
    return math.atanh(share) if share < 1 else math.inf
