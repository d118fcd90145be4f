"""Whether the port draws each parameter from torch's distribution.

Where torch draws every entry from one distribution, the entries of the port are tested against it: by the distance of
the distribution functions, by the scale of a normal and by the extremes. Any other parameter, such as an embedding with
a row of zeros, is compared with draws of torch's own: entries that are constant there must be equal, and the rest must
have the same distribution function. All tests of a port share one budget of false alarms.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxinit

from ..modules.claims import CLAIMS
from ..modules.pairs.compile import compile_unoptimized
from ..reference.expected import Expected
from ..statistics import deviations
from ..statistics.tests import Kolmogorov, Rates, UniformExtremes, samples_for
from .finding import Drawn, Finding
from .models.model import Arrays, PortModel
from .sources import Part

DISTANCE = 0.05
"""The distance of distribution functions that is detected, if a parameter has entries enough."""

MODELS = 1024
"""The most models that are drawn to get entries of a small parameter."""

COINCIDENCE = 1e-9
"""The probability that an entry of a model that torch draws at random is taken for a constant."""


class Draws:
    """Represent the parameters of a port, drawn from keys: all once, and small ones from many keys."""

    def __init__(self, port: PortModel, key: jax.Array) -> None:
        self._port, self._key = port, key

    def models(self, count: int) -> list[Arrays]:
        """Return the arrays of `count` models."""
        keys = [self._key, *jax.random.split(self._key, count)][:count]
        return [{path: np.asarray(array) for path, array in self._model(key).items()} for key in keys]

    @functools.cached_property
    def once(self) -> Arrays:
        """Return the arrays of the first model."""
        return self.models(1)[0]

    @functools.cached_property
    def _model(self) -> Callable[[jax.Array], Arrays]:
        return compile_unoptimized(self._arrays, self._key)

    def entries(self, parts: Sequence[Part], count: int) -> list[np.ndarray]:
        """Return the entries of each part, of as many models as `count` entries need."""
        needed = {part.path: 1 for part in parts}
        for part in parts:
            models = min(MODELS, -(-count // max(1, int(part.where.sum()))))
            needed[part.path] = max(needed[part.path], models)
        several = {path: models for path, models in needed.items() if models > 1}
        arrays = {path: self.once[path][None] for path in needed} | self._several(several)
        return [np.concatenate([part.of(array) for array in arrays[part.path]]) for part in parts]

    def _several(self, needed: Mapping[str, int]) -> Arrays:
        """Return stacked arrays of several models. XLA leaves out what computes the other arrays."""
        if not needed:
            return {}

        def arrays(key: jax.Array) -> Arrays:
            found = self._arrays(key)
            return {path: found[path] for path in needed}

        keys = jax.random.split(self._key, max(needed.values()))
        drawn = compile_unoptimized(lambda keys: jax.lax.map(arrays, keys), keys)(keys)
        return {path: np.asarray(drawn[path][:models]) for path, models in needed.items()}

    def _arrays(self, key: jax.Array) -> Arrays:
        return {path: jnp.asarray(array) for path, array in self._port.arrays(self._port.draw(key)).items()}


def compare(draws: Draws, torch_draws: "TorchDraws", parts: Sequence[Part], rates: Rates) -> tuple[Drawn, ...]:
    """Return what each part of each parameter is drawn from, in torch and in the port."""
    own = rates.over(len(parts) * (len(CLAIMS) + 1))
    entries = draws.entries(parts, samples_for(Kolmogorov(), DISTANCE, own))
    return tuple(_drawn(part, values, torch_draws, own) for part, values in zip(parts, entries, strict=True))


class TorchDraws:
    """Represent what torch draws: the distribution of each tensor, and arrays of samples in the axes of the port."""

    def __init__(self, recipe: Any, loaded: Callable[[Any], Arrays], key: jax.Array) -> None:
        """Record what makes arrays of torch tensors: `loaded`, called with a state, returns them by path."""
        self._distributions = {
            name: each.distribution for each in recipe.parameters for name in (each.name, *each.aliases)
        }
        self._recipe, self._loaded, self._key = recipe, loaded, key

    def expected(self, part: Part) -> Expected | None:
        """Return the distribution of an entry of a part, or None if torch draws the entries differently."""
        stated = [self._distributions.get(name) for name in part.tensors]
        return None if None in stated else Expected.of_sum([Expected.stated(each) for each in stated])

    @functools.cached_property
    def samples(self) -> list[Arrays]:
        """Return samples of all parameters, so many that only entries that torch does not draw are equal in all.

        One entry is equal in two of them with probability eps at most, the rounding of the coarsest dtype.
        """
        recorded = [each for each in self._recipe.parameters if jnp.issubdtype(jnp.dtype(each.dtype), jnp.inexact)]
        entries = sum(math.prod(each.shape) for each in recorded)
        eps = max(float(jnp.finfo(each.dtype).eps) for each in recorded)
        repeats = math.ceil(math.log(max(1, entries) / COINCIDENCE) / -math.log(eps))
        return [self._loaded(self._recipe.sample(key)) for key in jax.random.split(self._key, 1 + repeats)]


def _drawn(part: Part, values: np.ndarray, torch_draws: TorchDraws, rates: Rates) -> Drawn:
    expected = torch_draws.expected(part)
    if expected is None:
        samples = np.stack([part.of(sample[part.path]) for sample in torch_draws.samples])
        same, about = _like_samples(values, samples, rates), _sampled(part, samples)
    else:
        same, about = _like(values, expected, rates), told(expected)
    detectable = 0.0 if expected and expected.kind == "constant" else Kolmogorov().detectable(values.size, rates)
    port = about if same else _described(values) + _default_of_flax(values, part)
    return Drawn(part.path, part.name, part.tensors, part.where.shape, about, port, same, values.size, detectable)


def _like(values: np.ndarray, expected: Expected, rates: Rates) -> bool:
    """Return whether chance explains how far values lie from a distribution."""
    if expected.kind == "constant":
        return bool((values == np.asarray(expected.loc).astype(values.dtype)).all())
    if deviations.outside(values, expected):
        return False
    fitting = [claim for claim in CLAIMS if expected.kind in claim.kinds or claim.name == "shape"]
    claims = [claim for claim in fitting if claim.name != "bounds"]
    return _reaches_both_ends(values, expected, rates) and all(
        claim.distance(values, expected) <= claim.statistic.threshold(values.size, rates) for claim in claims
    )


def _reaches_both_ends(values: np.ndarray, expected: Expected, rates: Rates) -> bool:
    """Return whether values reach as far as so many should. A truncated normal stops short of a normal's tails."""
    low, high = float(values.min()), float(values.max())
    short = max(expected.scipy.cdf(low), expected.scipy.sf(high))
    return bool(short <= UniformExtremes().threshold(values.size, rates) + _rounding(values.dtype, expected))


def _rounding(dtype: Any, expected: Expected) -> float:
    """Return how far the extremes in a dtype may be from the bounds of a uniform, as a share of the range."""
    if expected.kind != "uniform":
        return 0.0
    return float(jnp.finfo(dtype).eps) * max(abs(expected.low), abs(expected.high)) / expected.scale


def _like_samples(values: np.ndarray, samples: np.ndarray, rates: Rates) -> bool:
    """Return whether values are constant where torch's samples are, and elsewhere have the same distribution."""
    fixed = (samples == samples[0]).all(axis=0)
    models = values.reshape(-1, fixed.size)
    if (models[:, fixed] != samples[0, fixed].astype(values.dtype)).any():
        return False
    ours, theirs = models[:, ~fixed].ravel(), samples[:, ~fixed].ravel()
    if not theirs.size:
        return True
    size = min(ours.size, theirs.size)
    distance = deviations.between(*(np.sort(each[:size].astype(np.float64)) for each in (ours, theirs)))
    return distance <= Kolmogorov(sides=2).threshold(size, rates)


def told(expected: Expected) -> str:
    """Return a distribution in short: N(0, 0.02), U(-0.1, 0.1) or a constant."""
    match expected.kind:
        case "constant":
            return f"{expected.loc:.3g}"
        case "normal":
            return f"N({expected.loc:.3g}, {expected.scale:.3g})"
        case "uniform":
            return f"U({expected.low:.3g}, {expected.high:.3g})"
        case "triangular":
            return f"the sum of two U({expected.low / 2:.3g}, {expected.high / 2:.3g})"
    return f"N({expected.loc:.3g}, {expected.scale:.3g}) truncated to [{expected.low:.3g}, {expected.high:.3g}]"


def _sampled(part: Part, samples: np.ndarray) -> str:
    """Return what torch draws, and which entries it does not draw, such as a row of padding."""
    first, fixed = samples[0], (samples == samples[0]).all(axis=0)
    if fixed.all():
        return f"the same entries each time, from {first.min():.3g} to {first.max():.3g}"
    if not fixed.any():
        return _described(first)
    where = np.argwhere(part.where)[fixed][0].tolist()
    constant = _described(first[fixed])
    return f"{_described(first[~fixed])} except {fixed.sum()} entries that are always {constant}, the first at {where}"


def _described(values: np.ndarray) -> str:
    """Return what values are drawn from, as far as they tell."""
    (found,) = jaxinit.describe({"values": values[: 2**18]}).rows
    match getattr(found.distribution, "kind", None):
        case "constant":
            return f"{found.low:.3g}"
        case "uniform":
            return f"U({found.low:.2g}, {found.high:.2g})"
        case "truncated_normal":
            return f"a normal cut at {found.low:.2g} and {found.high:.2g}, with std {found.std:.2g}"
        case "normal":
            mean = 0.0 if abs(found.mean) < 5 * found.std / math.sqrt(values.size) else found.mean
            return f"N({mean:.2g}, {found.std:.2g})"
    return f"entries with mean {found.mean:.3g}, std {found.std:.3g}, from {found.low:.3g} to {found.high:.3g}"


def _default_of_flax(values: np.ndarray, part: Part) -> str:
    """Return words that name Flax's default, which has the variance 1 / fan_in, if the entries are like it."""
    shape, name = part.where.shape, part.path.rpartition(".")[2]
    fans = [math.prod(shape[:axis]) for axis in range(1, len(shape))] if name == "kernel" else shape[-1:]
    near = max(0.03, 7 / math.sqrt(2 * values.size))  # seven standard errors of the std of normal numbers
    is_like = name in ("kernel", "embedding") and any(abs(values.std() * math.sqrt(fan) - 1) < near for fan in fans)
    return " (Flax's default)" if is_like else ""


def findings(drawn: Sequence[Drawn]) -> Iterator[Finding]:
    """Yield the parameters that the port draws otherwise."""
    for each in drawn:
        if not each.same:
            yield Finding(each.path, "distribution", f"`{each.name}`: torch draws {each.torch}, yours {each.port}")


def copies(once: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Yield parameters that are drawn with the same numbers as another one."""
    seen: dict[tuple[tuple[int, ...], bytes], str] = {}
    for path, array in once.items():
        if array.size > 1 and (array != array.flat[0]).any():
            other = seen.setdefault((array.shape, array.tobytes()), path)
            if other != path:
                yield Finding(path, "distribution", f"`{path}`: drawn with the same numbers as `{other}`")
