"""The statistics of an array of weights, and the initializers that may have drawn it.

Candidates are jaxinit's initializers, by the distribution of one entry, and each kind of distribution
with the numbers that the entries suggest. A candidate fits if chance explains the distance of the
distribution functions (Dvoretzky-Kiefer-Wolfowitz), the extremes and the scale (chi-square). Of
several that fit, those of hopeless likelihood are dropped: by Markov's inequality a false distribution
is 1 / p times as likely as the true one with probability at most p. A fitted number costs half the log
of the number of entries (https://doi.org/10.1214/aos/1176344136). A named distribution that is left is
preferred to fitted ones. The tests of all arrays share one budget of false alarms.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxinit

from ..reference.expected import Expected
from ..statistics.tests import RATES, Rates
from .files import flatten
from .sample import ARITHMETIC, Sample, distinct, histogram

_TESTS = 7  # shape, two of the extremes, scale, likelihood, mean, right angles
_FITTED_NUMBERS = 2
_ENOUGH = 100  # entries, for tests that use an approximation


@dataclasses.dataclass(frozen=True)
class Description:
    """The statistics of the finite entries of one array, NaN without any, and the nearest distributions."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    mean: float
    std: float
    skewness: float
    kurtosis: float
    low: float
    high: float
    distinct: int
    histogram: str
    nearest: str
    others: tuple[str, ...]
    """Distributions that fit as well as the nearest one."""
    wrong: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Candidate:
    name: str
    distribution: Any = None  # None for initializers that fill an array as a whole


def describe(tree: Any, layout: jaxinit.Layout = jaxinit.FLAX) -> list[Description]:
    """Describe each array of a tree, and name the nearest distribution.

    Args:
        tree: any tree of arrays; see `jaxinit_conformance.weights.files.flatten`.
        layout: which axes the fans are read off. For a torch state_dict use `jaxinit.TORCH`.

    Returns:
        A description of each array, in the order of their paths.

    Raises:
        TypeError: a leaf is not an array of numbers.

    Example:
        >>> kernel = jaxinit.xavier_uniform()(jax.random.key(0), (100, 300))
        >>> for found in describe({"dense": {"kernel": kernel, "bias": jnp.zeros(300)}}):
        ...     print(found.name, "-", found.nearest)
        dense.bias - zeros
        dense.kernel - xavier_uniform(), fans 100+300
    """
    arrays = flatten(tree)
    rates = RATES.over(_TESTS * len(arrays))
    return [_describe(name, array, layout, rates) for name, array in arrays.items()]


def _describe(name: str, array: np.ndarray, layout: jaxinit.Layout, rates: Rates) -> Description:
    values = array.reshape(-1)
    values = values.view(values.real.dtype) if np.iscomplexobj(values) else values
    sample = Sample(values[np.isfinite(values)], distinct(values), rates)
    candidates = _candidates(array, sample, layout)
    numbers = (*sample.moments, *sample.ends, sample.distinct, histogram(sample.finite))
    nearest, *others = (candidate.name for candidate in candidates)
    wrong = tuple(_wrong(array, values, sample, candidates))
    return Description(name, array.shape, str(array.dtype), *numbers, nearest, tuple(others), wrong)


def _candidates(array: np.ndarray, sample: Sample, layout: jaxinit.Layout) -> list[_Candidate]:
    """Return the candidates that fit, the nearest first. There is always one."""
    if whole := _as_a_whole(array, sample, layout):
        return [_Candidate(whole)]
    seen = sample.counts[0]
    if array.dtype.kind in "iub" or seen.size < 2 or not np.isfinite(seen).all():
        return [_Candidate(_UNKNOWN)]
    tables = (_rated(_named(array.shape, layout), sample), _rated(_fitted(sample), sample, _FITTED_NUMBERS))
    rates = [rate for table in tables for _, rate in table]
    least = max(rates, default=0.0) + math.log(sample.rates.false_alarm / max(len(rates), 1))
    named, fitted = ([pair for pair in table if pair[1] >= least] for table in tables)
    # Equal distributions differ by rounding alone. The sort is stable, and usual names are first.
    found = sorted(named or fitted, key=lambda pair: -round(pair[1], 1))
    return [candidate for candidate, _ in found] or [_Candidate(_UNKNOWN)]


def _rated(candidates: Iterable[_Candidate], sample: Sample, numbers: int = 0) -> list[tuple[_Candidate, float]]:
    """Return the candidates that fit, with the logarithms of their likelihoods less the price of fitted `numbers`."""
    found = [(candidate, Expected.stated(candidate.distribution)) for candidate in candidates]
    price = numbers / 2 * math.log(sample.finite.size)
    return [(candidate, sample.likelihood(expected) - price) for candidate, expected in found if sample.fits(expected)]


_UNKNOWN = "none of the known"
_PLAIN = (
    *(jaxinit.normal(std=std) for std in (0.02, 0.01, 1.0)),
    *(jaxinit.trunc_normal(std=std, a=-2 * std, b=2 * std) for std in (0.02, 0.01, 1.0)),
    jaxinit.uniform(),
)
_KAIMING: dict[str, dict[str, Any]] = {
    "a=sqrt(5)": {"a": math.sqrt(5)},
    "": {},
    "nonlinearity='linear'": {"nonlinearity": "linear"},
}
_XAVIER = {"": 1.0, "gain=sqrt(2)": math.sqrt(2), "gain=5/3": 5 / 3}


def _named(shape: tuple[int, ...], layout: jaxinit.Layout) -> Iterator[_Candidate]:
    """Yield the distributions that have a name, the usual ones first."""
    for init in _PLAIN:
        yield _Candidate(repr(init).removeprefix("jaxinit.").replace("mean=0.0, ", ""), init.distribution(shape))
    with contextlib.suppress(ValueError):  # the array lacks axes of the layout
        fans = jaxinit.calculate_fan_in_and_fan_out(shape, layout)
        for mode, fan in zip(("fan_in", "fan_out"), fans, strict=True):
            where = "" if mode == "fan_in" else "mode='fan_out'"
            for text, gain in _KAIMING.items():
                label = f"({', '.join(filter(None, (text, where)))}), {mode} {fan}"
                for kaiming in (jaxinit.kaiming_uniform, jaxinit.kaiming_normal):
                    yield from _scaled(kaiming(**{**gain, "mode": mode}, layout=layout), label, shape)
        for text, factor in _XAVIER.items():
            for xavier in (jaxinit.xavier_uniform, jaxinit.xavier_normal):
                yield from _scaled(xavier(factor, layout=layout), f"({text}), fans {fans[0]}+{fans[1]}", shape)


def _scaled(init: Any, label: str, shape: tuple[int, ...]) -> Iterator[_Candidate]:
    """Yield a scheme and, for a normal, the truncated one of equal variance that jax.nn.initializers draws."""
    name, distribution = f"{type(init).__name__}{label}", init.distribution(shape)
    yield _Candidate(name, distribution)
    if distribution.kind == "normal":
        yield _Candidate(f"{name}, truncated at 2 sigma", _truncated(distribution.std / _KEPT))


def _truncated(std: float, mean: float = 0.0) -> Any:
    return jaxinit.trunc_normal(mean, std, mean - 2 * std, mean + 2 * std).distribution(())


_KEPT = _truncated(1.0).std  # of a normal cut at 2 sigma; jax.nn.initializers divides by it


def _fitted(sample: Sample) -> Iterator[_Candidate]:
    """Yield each kind of distribution, with the numbers that the entries suggest."""
    (mean, std, *_), (low, high) = sample.moments, sample.ends
    mean, about = (0.0, "") if sample.is_centred() else (mean, f"mean {mean:.3g}, ")
    yield _Candidate(f"normal, {about}std {std:.3g}", jaxinit.normal(mean, std).distribution(()))
    bound = max(-low, high)
    name = f"uniform, {low:.3g} to {high:.3g}" if about else f"uniform, bound {bound:.3g}"
    yield _Candidate(name, jaxinit.uniform(*((low, high) if about else (-bound, bound))).distribution(()))
    # The extremes are a better estimate of the scale of a truncated normal than the std.
    widest = max(high - mean, mean - low) / 2 * (1 + ARITHMETIC)
    yield _Candidate(f"normal truncated at 2 sigma, {about}std {std:.3g}", _truncated(widest, mean))


def _as_a_whole(array: np.ndarray, sample: Sample, layout: jaxinit.Layout) -> str | None:
    """Return the name of an initializer that fills the array as a whole, or None."""
    if not array.size or sample.finite.size < array.size or np.iscomplexobj(array):
        return None
    if sample.distinct == 1:
        value = sample.ends[0]
        return {0.0: "zeros", 1.0: "ones"}.get(value, f"constant({value:g})")
    if sample.distinct == 2 and sample.ends == (0.0, 1.0):
        for init in (jaxinit.eye(layout=layout), jaxinit.dirac(layout=layout)):
            with contextlib.suppress(ValueError):
                if (np.asarray(init(jax.random.key(0), array.shape)) == array.astype(np.float32)).all():
                    return type(init).__name__
    gain = _orthogonal(array, layout, sample.rates)
    return None if gain is None else f"orthogonal(gain={gain:.4g})"


def _orthogonal(array: np.ndarray, layout: jaxinit.Layout, rates: Rates) -> float | None:
    """Return the length of rows or columns at right angles, if chance does not explain them, or None."""
    if array.dtype.kind in "iub" or array.ndim < 2:
        return None
    with contextlib.suppress(ValueError), np.errstate(over="ignore", invalid="ignore"):
        matrix = layout.to_torch(array)
        matrix = matrix.reshape(matrix.shape[0], -1)
        few, long = sorted(matrix.shape)
        rows = (matrix if len(matrix) == few else matrix.T)[:64].astype(np.float64)
        products = rows @ rows.T
        square = products.trace() / len(rows)
        rounding = 1e-4 + 8 * float(jnp.finfo(array.dtype).eps) / math.sqrt(long)
        # The logarithm of the probability that a product of independent rows is as close to 0.
        odds = math.log(rounding * math.sqrt(long))
        if odds * (len(rows) * (len(rows) + 1) / 2 - 1) < math.log(rates.false_alarm):
            off = np.abs(products - square * np.eye(len(rows))).max()
            return math.sqrt(square) if off <= rounding * square else None
    return None


def _wrong(array: np.ndarray, values: np.ndarray, sample: Sample, candidates: list[_Candidate]) -> Iterator[str]:
    """Yield what looks wrong."""
    if not values.size:
        yield "zero-size"
    for count, word in ((np.isnan(values).sum(), "NaN"), (np.isinf(values).sum(), "infinite")):
        if count:
            yield f"{count} {word}"
    whole = candidates[0].distribution is None and candidates[0].name != _UNKNOWN
    if array.dtype.kind in "iub":
        if array.ndim:  # a scalar counts, as BatchNorm's num_batches_tracked
            yield f"{array.dtype}, not floating"
    elif sample.distinct >= _ENOUGH and sample.narrow.itemsize < min(values.itemsize, 4):
        yield f"{array.dtype} that holds only {sample.narrow.dtype} values"
    elif not whole and sample.distinct < _expected_distinct(values) / 2:
        yield f"only {sample.distinct} distinct values"
    if sample.distinct == 1 and array.ndim > 1:
        yield "constant"
    if {candidate.distribution and candidate.distribution.kind for candidate in candidates} == {"truncated_normal"}:
        yield "truncated at 2 sigma"
    designed = whole or candidates[0].distribution == jaxinit.uniform().distribution(())
    judged = sample.finite.size >= _ENOUGH and array.dtype.kind not in "iub" and not designed
    if judged and sample.moments[1] > 0 and not sample.is_centred():
        yield f"mean off by {abs(sample.moments[0]) / sample.moments[1]:.2g} standard deviations"


def _expected_distinct(values: np.ndarray) -> float:
    """Return the number of distinct values of a good sampler, or fewer: most dtypes have several binades."""
    if values.size < _ENOUGH or values.dtype.kind in "iub":
        return 0.0
    digits = int(jnp.finfo(values.dtype).nmant)
    grid = 2.0 ** (digits + 2 if digits < 23 else digits)
    return -grid * math.expm1(-values.size / grid)
