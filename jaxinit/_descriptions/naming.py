"""What an array may have been drawn from: the initializers that chance does not rule out.

Of several that fit, those of hopeless likelihood are dropped: by Markov's inequality a false distribution is 1 / p
times as likely as the true one with probability at most p. A fitted number costs half the log of the number of entries
(https://doi.org/10.1214/aos/1176344136).
"""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._descriptions import fit
from jaxinit._descriptions.sample import Sample
from jaxinit._initializers.base import Elementwise, Initializer
from jaxinit._initializers.elementwise import Bounded, constant, normal, ones, trunc_normal, uniform, zeros
from jaxinit._initializers.identity import dirac, eye
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._initializers.scaled import Scaled
from jaxinit._initializers.variance_scaling import (
    Kaiming,
    VarianceScaling,
    kaiming_normal,
    kaiming_uniform,
    xavier_normal,
    xavier_uniform,
)
from jaxinit.composed import concatenated, with_zero_row
from jaxinit.distributions import Distribution
from jaxinit.layouts import Layout

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Represent what entries may be drawn from: its name, and the distribution of one entry, or None if entries are
    dependent.
    """

    name: str
    distribution: Distribution | None


def text(init: Any, shape: Shape) -> str:
    """Return an initializer as the call that builds it, without defaults and layouts, and with the fans of a shape.

    Example:
        >>> from jaxinit._descriptions.naming import text
        >>> text(jaxinit.kaiming_uniform(a=math.sqrt(5)), (90, 200)), text(jaxinit.normal(std=0.02), (90, 200))
        ('kaiming_uniform(a=sqrt(5)), fan_in 90', 'normal(std=0.02)')
    """
    return f"{call(init)}{_fans(init, shape)}" if isinstance(init, Initializer) else getattr(init, "__name__", "")


def call(init: Initializer) -> str:
    """Return an initializer as the call that builds it, without defaults and layouts.

    Example:
        >>> from jaxinit._descriptions.naming import call
        >>> call(jaxinit.composed.concatenated((jaxinit.uniform(-1, 1), jaxinit.uniform(-1, 1), jaxinit.zeros())))
        'concatenated(2 x uniform(-1, 1), zeros())'
    """
    match init:
        case concatenated(inits=inits):
            given = [
                f"{len([*same])} x {one}".removeprefix("1 x ") for one, same in itertools.groupby(map(call, inits))
            ]
            given += [f"axis={init.axis}"] if init.axis != -1 else []
        case with_zero_row(init=inner, row=row):
            given = [call(inner), str(row)]
        case Scaled():
            return repr(init).replace("jaxinit.", "")
        case _:
            fields = [field for field in dataclasses.fields(init) if field.name not in _NOT_SHOWN]
            shown = [field.name for field in fields if getattr(init, field.name) != field.default]
            if isinstance(init, Bounded):
                given = [_number(bound) for bound in (init.a, init.b) if shown]
            else:
                given = [f"{name}={_number(getattr(init, name))}" for name in shown]
    return f"{type(init).__name__}({', '.join(given)})"


_NOT_SHOWN = ("dtype", "layout", "_gain")
_ROOTS = {math.sqrt(2): "sqrt(2)", math.sqrt(5): "sqrt(5)", math.sqrt(0.5): "sqrt(1/2)", 5 / 3: "5/3"}


def _number(value: Any) -> str:
    return _ROOTS.get(value) or f"{value:.4g}" if isinstance(value, float) else repr(value)


def _fans(init: Initializer, shape: Shape) -> str:
    if not isinstance(init, VarianceScaling):
        return ""
    view = init.view(shape)
    if isinstance(init, Kaiming):
        return f", {init.mode} {view.fan_in if init.mode == 'fan_in' else view.fan_out}"
    return f", fans {view.fan_in}+{view.fan_out}"


def candidates(array: np.ndarray, sample: Sample, shape: Shape, layout: Layout, rate: float) -> list[Candidate]:
    """Return what `array`, some or all entries of an array of `shape`, may be drawn from, the nearest first.

    An initializer with usual arguments comes before one with the numbers that the entries suggest.
    """
    if whole := as_a_whole(array, sample, layout, rate):
        return [whole]
    if sample.is_constant or not sample.size or sample.nan or sample.infinite or not sample.is_floating:
        return []
    usual, suggested = (
        _rated(_usual(shape, layout), sample, rate),
        _rated(_suggested(sample, rate), sample, rate, numbers=2),
    )
    likelihoods = [likelihood for _, likelihood in (*usual, *suggested)]
    least = max(likelihoods, default=0.0) + math.log(rate / max(1, len(likelihoods)))
    # Equal distributions differ by rounding alone. The sort is stable, and usual initializers are first.
    likely = ([pair for pair in table if pair[1] >= least] for table in (usual, suggested))
    found = next(filter(None, likely), [])
    return [each for each, _ in sorted(found, key=lambda pair: -round(pair[1], 1))]


def _rated(named: Iterable[Candidate], sample: Sample, rate: float, numbers: int = 0) -> list[tuple[Candidate, float]]:
    """Return the candidates that fit, with the logarithms of their likelihoods less the price of fitted numbers."""
    price = numbers / 2 * math.log(sample.size)
    pairs = [(each, each.distribution) for each in named if each.distribution is not None]
    return [
        (each, fit.log_likelihood(sample, distribution) - price)
        for each, distribution in pairs
        if fit.misfit(sample, distribution, rate) <= 1
    ]


_PLAIN = (
    *(normal(std=std) for std in (0.02, 0.01, 1.0)),
    *(trunc_normal(std=std, a=-2 * std, b=2 * std) for std in (0.02, 0.01, 1.0)),
    uniform(),
)
_GAINS: tuple[dict[str, Any], ...] = ({"a": math.sqrt(5)}, {}, {"nonlinearity": "linear"})


def _usual(shape: Shape, layout: Layout) -> Iterator[Candidate]:
    """Yield initializers with usual arguments, the most usual first."""
    for init in _PLAIN:
        yield Candidate(call(init), init.distribution(shape))
    with contextlib.suppress(ValueError):  # the array lacks axes of the layout
        for mode in ("fan_in", "fan_out"):
            for gain in _GAINS:
                for kaiming in (kaiming_uniform, kaiming_normal):
                    yield from _scaled(kaiming(**gain, mode=mode, layout=layout), shape)
        for factor in (1.0, math.sqrt(2), 5 / 3):
            for xavier in (xavier_uniform, xavier_normal):
                yield from _scaled(xavier(factor, layout=layout), shape)


def _scaled(init: Elementwise, shape: Shape) -> Iterator[Candidate]:
    """Yield a scheme and, for a normal, the truncated one of equal variance that jax.nn.initializers draws."""
    distribution, fans = init.distribution(shape), _fans(init, shape)
    yield Candidate(f"{call(init)}{fans}", distribution)
    if distribution.kind == "normal":
        yield Candidate(f"{call(init)} truncated at 2 sigma{fans}", _truncated(distribution.std / _KEPT))


def _truncated(std: float, mean: float = 0.0) -> Distribution:
    return trunc_normal(mean, std, mean - 2 * std, mean + 2 * std).distribution(())


_KEPT = float(_truncated(1.0).std)  # of a normal cut at 2 sigma. jax.nn.initializers divides by it


def _suggested(sample: Sample, rate: float) -> Iterator[Candidate]:
    """Yield each kind of distribution with the numbers that the entries suggest."""
    (mean, std), (low, high) = sample.moments, sample.bounds
    # Student's t of so many entries is below this for nearly all samples of mean 0.
    if abs(mean) * math.sqrt(sample.size) <= std * math.sqrt(2 * math.log(2 / rate)):
        bound = max(-low, high)
        mean, low, high = 0.0, -bound, bound
    widest = max(high - mean, mean - low) / 2
    if not 0 < std < math.inf or not math.isfinite(4 * widest):
        return
    # The extremes are a better estimate of the scale of a truncated normal than the std.
    cut = mean, widest, mean - 2 * widest, mean + 2 * widest
    for init, numbers in ((normal, (mean, std)), (uniform, (low, high)), (trunc_normal, cut)):
        rounded = init(*(float(f"{number:.3g}") for number in numbers))
        yield Candidate(f"about {call(rounded)}", init(*numbers).distribution(()))


def as_a_whole(array: np.ndarray, sample: Sample, layout: Layout, rate: float) -> Candidate | None:
    """Return the initializer that fills an array as a whole, or None."""
    if not array.size or sample.nan or sample.infinite or np.iscomplexobj(array):
        return None
    if sample.is_constant:
        value = sample.ends[0]
        init: Initializer = {0.0: zeros(), 1.0: ones()}.get(value) or constant(value)
        return Candidate(call(init), init.distribution(()) if isinstance(init, Elementwise) else None)
    if sample.distinct <= 2 and sample.ends == (0.0, 1.0):
        for init in (eye(layout=layout), dirac(layout=layout)):
            if is_drawn_alike(init, array):
                return Candidate(call(init), None)
    gain = orthogonal_gain(array, layout, rate) if sample.is_floating else None
    return None if gain is None else Candidate(call(orthogonal(float(f"{gain:.4g}"))), None)


def is_drawn_alike(init: Initializer, array: np.ndarray) -> bool:
    """Return whether an initializer that uses no random numbers draws this array."""
    with contextlib.suppress(ValueError):
        return bool((np.asarray(init(jax.random.key(0), array.shape)) == array.astype(np.float32)).all())
    return False


def orthogonal_gain(array: np.ndarray, layout: Layout, rate: float) -> float | None:
    """Return the length of rows or columns at right angles, if chance does not explain them, or None."""
    if array.ndim < 2:
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
        if odds * (len(rows) * (len(rows) + 1) / 2 - 1) < math.log(rate):
            off = np.abs(products - square * np.eye(len(rows))).max()
            return math.sqrt(square) if off <= rounding * square else None
    return None
