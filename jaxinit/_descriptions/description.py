"""The value that `jaxinit.describe` returns: a row for each array of a model."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np

from jaxinit._descriptions import default, fit, naming, table
from jaxinit._descriptions.arrays import Named
from jaxinit._descriptions.sample import Sample, part
from jaxinit._initializers.base import Elementwise
from jaxinit.distributions import Distribution
from jaxinit.layouts import Layout


@dataclasses.dataclass(frozen=True)
class Row:
    """Represent one array: its numbers, what it may be drawn from, and whether that is torch's default."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    mean: float
    std: float
    low: float
    high: float
    histogram: str
    drawn_from: tuple[str, ...]
    """Initializers that chance does not rule out, the nearest first. Empty if none is known."""
    distribution: Distribution | None
    """What one entry is drawn from, as the first of `drawn_from` says."""
    default: str | None
    """What torch draws the array from, or None if no rule knows its layer."""
    is_default: bool | None
    """Whether the entries agree with torch's default."""
    detectable: float
    """Another scale is found with probability 1 - 1e-6 if it differs from the default's by this share or more.

    It is infinite for a default without a test of the scale.
    """
    used: int
    """The number of entries that were looked at."""
    wrong: tuple[str, ...]
    """What looks wrong, such as NaN."""

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True, repr=False)
class Description(table.Printed):
    """Represent the arrays of a model, in its order. It prints as a table."""

    rows: tuple[Row, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        columns = "parameter", "shape", "dtype", "mean", "std", "histogram", "drawn from"
        return (*columns, "torch's default") if self._knows_defaults else columns

    @property
    def lines(self) -> list[table.Line]:
        return [
            table.Line((*_cells(row), _mark(row))[: len(self.headings)], row.is_default is False) for row in self.rows
        ]

    @property
    def notes(self) -> list[str]:
        return [*self._wrong(), *self._left_out(), *self._errors(), self.summary()]

    @property
    def _knows_defaults(self) -> bool:
        return any(row.default for row in self.rows)

    def _wrong(self) -> Iterator[str]:
        for row in self.rows:
            if row.wrong:
                yield f"{row.path} looks wrong: {', '.join(row.wrong)}"

    def _left_out(self) -> Iterator[str]:
        for row in self.rows:
            if row.used < row.size:
                yield f"{row.path}: {row.used:,} of {row.size:,} entries are used"

    def _errors(self) -> Iterator[str]:
        judged = [row for row in self.rows if row.is_default is not None]
        if judged:
            yield f"A `no` is wrong with probability {fit.FALSE_ALARM:g} at most, in all rows together."
        random = sorted((row for row in judged if 0 < row.detectable < math.inf), key=lambda row: row.detectable)
        if random:
            off = dict.fromkeys(f"{_percent(row.detectable)} in {row.path}" for row in (random[0], random[-1]))
            yield f"A scale that is off by {' or by '.join(off)} is found with the same certainty."

    def summary(self) -> str:
        """Return how many arrays and entries there are, and how many look wrong or are not torch's default."""
        count, wrong = len(self.rows), sum(bool(row.wrong) for row in self.rows)
        text = f"{count} array{'' if count == 1 else 's'}, {wrong} of which look wrong; {self.size:,} entries"
        judged = [row.is_default for row in self.rows if row.is_default is not None]
        return f"{text}; {judged.count(False)} of {len(judged)} not torch's default" if judged else text

    @property
    def size(self) -> int:
        """Return the number of entries in all arrays."""
        return sum(row.size for row in self.rows)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 1 else f"{100 * share:,.0f}%"


def _cells(row: Row) -> tuple[str, ...]:
    others = len(row.drawn_from) - 1
    names = f"{row.drawn_from[0]}{f' or {others} more' if others else ''}" if row.drawn_from else ""
    return row.path, str(row.shape), row.dtype, _number(row.mean), _number(row.std), row.histogram, names


def _mark(row: Row) -> str:
    match row.is_default:
        case True:
            return "yes"
        case False:
            return f"no: {row.default}"
    return "" if row.default is None else f"unknown: {row.default}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value + 0.0:.3g}"  # without the sign of zero


def described(arrays: Sequence[Named], layout: Layout) -> Description:
    """Describe arrays, those without a rule by their fans in `layout`."""
    return Description(tuple(_row(named, layout, fit.FALSE_ALARM / max(1, len(arrays))) for named in arrays))


def _row(named: Named, layout: Layout, rate: float) -> Row:
    shape = tuple(named.array.shape)
    array = np.asarray(named.array) if default.looks_at_places(named.default) else part(named.array)
    sample = Sample.of(array)
    verdict = _judged(named, array, sample, rate)
    found = _drawn_from(named, array, sample, verdict, layout, rate / fit.TESTS)
    is_whole = bool(found) and (found[0].distribution is None or sample.is_constant)
    (mean, std), (low, high) = sample.moments, sample.ends
    return Row(
        named.path, shape, str(array.dtype), mean, std, low, high, sample.histogram,
        tuple(each.name for each in found), found[0].distribution if found else None,
        None if named.default is None else naming.text(named.default, named.layer_shape),
        verdict.agrees, verdict.detectable, array.size, tuple(_wrong(array, sample, verdict.agrees, is_whole)),
    )  # fmt: skip


def _judged(named: Named, array: np.ndarray, sample: Sample, rate: float) -> default.Verdict:
    if named.default is None:
        return default.Verdict(None)
    return default.judged(named.default, _layers(named, array), named.layer_shape, rate, sample)


def _layers(named: Named, array: np.ndarray) -> np.ndarray:
    return named.layers(array) if array.shape == tuple(named.array.shape) else array[None]


def _drawn_from(
    named: Named, array: np.ndarray, sample: Sample, verdict: default.Verdict, layout: Layout, rate: float
) -> list[naming.Candidate]:
    """Return torch's default and what the module keeps, if chance rules neither out, or what the entries suggest."""
    shape, given = named.layer_shape, named.given
    found = [named.default] if verdict.agrees else []
    if isinstance(given, Elementwise) and given not in found:
        distribution = given.distribution(shape)
        found += [given] if fit.misfit(sample, distribution, rate) <= 1 else []
    known = [
        naming.Candidate(naming.text(init, shape), init.distribution(shape) if isinstance(init, Elementwise) else None)
        for init in found
    ]
    return known or naming.candidates(_layers(named, array)[0], sample, shape, named.layout(layout), rate)


_ENOUGH = 100  # entries, for the number of distinct ones to show a grid


def _wrong(array: np.ndarray, sample: Sample, agrees: bool | None, is_whole: bool) -> Iterator[str]:
    """Yield what looks wrong, whatever the array is drawn from."""
    if not array.size:
        yield "zero-size"
    for count, word in ((sample.nan, "NaN"), (sample.infinite, "infinite")):
        if count:
            yield f"{count} {word}"
    if not sample.is_floating:
        if array.ndim:  # a scalar counts, as BatchNorm's num_batches_tracked
            yield f"{array.dtype}, not floating"
    elif sample.is_narrow():
        yield f"{array.dtype} that holds only {sample.narrow} values"
    elif not (agrees or is_whole) and sample.distinct < _expected_distinct(sample) / 2:
        yield f"only {sample.distinct} distinct values"
    if sample.is_constant and sum(size > 1 for size in array.shape) > 1 and not agrees:
        yield "constant"


def _expected_distinct(sample: Sample) -> float:
    """Return the number of distinct values of a good sampler, or fewer: most dtypes have several binades."""
    if sample.ordered.size < _ENOUGH:
        return 0.0
    digits = int(jnp.finfo(sample.dtype).nmant)
    grid = 2.0 ** (digits + 2 if digits < 23 else digits)
    return -grid * math.expm1(-sample.ordered.size / grid)
