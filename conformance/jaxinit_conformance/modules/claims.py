"""Claims about whole modules: what `nnx.reset_parameters` draws and `nnx.load` loads, parameter by parameter.

The target has a namespace `nnx` with these two functions. If `nnx` has `initializers` too, the
distributions that they state are compared exactly.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from ..checks.check import PlannedCheck, Result, close, exact, judged
from ..reference.expected import Expected, constant
from ..statistics import deviations
from ..statistics.tests import Average, ChiSquare, Kolmogorov, Rates, Statistic, UniformExtremes, samples_for
from . import forward, pairs, signals
from .pairs.pair import ModelPair
from .parts import Drawn, Part, expected, kinds, parts, recorded

Distance = Callable[[np.ndarray, Expected], float]

ROUNDING = 1e-14
FORWARD = 1e-5
SUPPORT = 4000
"""The entries of each parameter that are checked. A support too wide by 1% is missed with probability 1e-17."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """Represent a statistic of the parameters of some kinds, with the deviations detected in layers and in models."""

    name: str
    statistic: Statistic
    distance: Distance
    kinds: frozenset[str]
    detected: tuple[float, float]


RANDOM = frozenset({"uniform", "triangular", "normal"})
CONSTANT = frozenset({"constant"})

# The largest samples first: the others are parts of them.
CLAIMS = (
    Claim("shape", Kolmogorov(), deviations.shape, RANDOM, (0.05, 0.1)),
    Claim("mean", Average(1.0), deviations.mean, RANDOM, (0.1, 0.2)),
    Claim("scale", ChiSquare(), deviations.scale, frozenset({"normal"}), (0.1, 0.15)),
    Claim("bounds", UniformExtremes(), deviations.bounds, frozenset({"uniform"}), (0.005, 0.02)),
)


def checks(nnx: Any, seed: int, quick: bool) -> Iterator[PlannedCheck]:
    """Yield every check of every pair of a run."""
    for pair in pairs.chosen(quick):
        yield from _PairChecks(pair, nnx, seed).checks()
    for pair in () if quick else pairs.DEEP:
        yield from signals.checks(pair, nnx.reset_parameters, seed)


class _PairChecks:
    """Represent the checks of one pair. What they share is computed when it is first needed."""

    def __init__(self, pair: ModelPair, nnx: Any, seed: int) -> None:
        self.pair, self._nnx = pair, nnx
        own = zlib.crc32(f"{pair.name} {pair.case}".encode())
        self._seed = seed, own
        self._drawn = Drawn(pair, nnx.reset_parameters, jax.random.fold_in(jax.random.key(seed), own))

    def checks(self) -> Iterator[PlannedCheck]:
        present = kinds(self.pair)
        yield self._exact("forward", self._forward)
        if hasattr(self._nnx, "initializers"):
            yield self._exact("distribution", self._distribution)
        for claim in CLAIMS:
            if claim.kinds & present:
                judge = functools.partial(self._judge, claim)
                yield PlannedCheck(self.pair.name, claim.name, self.pair.case, judge, statistic=claim.statistic.name)
        if RANDOM & present:
            yield self._exact("support", lambda: self._wrong(RANDOM, SUPPORT, deviations.outside, "outside"))
        if "constant" in present:
            yield self._exact("constants", lambda: self._wrong(CONSTANT, 1, _unequal, "differ"))

    def _exact(self, claim: str, judge: Callable[[], Result]) -> PlannedCheck:
        return exact(self.pair.name, claim, self.pair.case, judge)

    @functools.cached_property
    def _parts(self) -> dict[Part, Expected]:
        tensors = recorded(self.pair)[1]
        return {part: expected(part, tensors) for part in parts(self.pair, self._nnx.load)}

    def _of(self, kinds: frozenset[str]) -> dict[Part, Expected]:
        return {part: wanted for part, wanted in self._parts.items() if wanted.kind in kinds}

    def _forward(self) -> Result:
        return close(forward.difference(self.pair, self._nnx.load, np.random.default_rng(self._seed)), FORWARD)

    def _distribution(self) -> Result:
        """Compare what the initializers state with what torch called."""
        inits = self._nnx.initializers(self.pair.blank())
        return _stated({part: (inits.get(part.path), wanted) for part, wanted in self._parts.items()})

    def _judge(self, claim: Claim, rates: Rates) -> Result:
        """Judge the worst of the parameters, which share the rates."""
        found = self._of(claim.kinds)
        rates, detected = rates.over(len(found)), claim.detected[self.pair.is_model]
        arrays = self._drawn.values(list(found), samples_for(claim.statistic, detected, rates))
        seen = [claim.distance(array.ravel(), wanted) for array, wanted in zip(arrays, found.values(), strict=True)]
        samples, worst = min(array.size for array in arrays), int(np.argmax(seen))
        return judged(seen[worst], claim.statistic, detected, samples, rates, f" in {list(found)[worst].name}")

    def _wrong(self, kinds: frozenset[str], count: int, distance: Distance, what: str) -> Result:
        """Name the parts whose distance is not 0."""
        found = self._of(kinds)
        arrays = zip(found.items(), self._drawn.values(list(found), count), strict=True)
        return _none([part.name for (part, wanted), array in arrays if distance(array, wanted)], len(found), what)


def _unequal(values: np.ndarray, expected: Expected) -> float:
    return float((values != np.asarray(expected.loc, values.dtype)).any())


def _none(wrong: list[str], count: int, what: str) -> Result:
    """Return a result that passes if no name is wrong."""
    listed = f": {', '.join(wrong[:3])}{', ...' * (len(wrong) > 3)}" if wrong else ""
    return Result(not wrong, f"{len(wrong)} of {count} {what}{listed}", f"0 of {count} {what}")


def _stated(pairs: dict[Part, tuple[Any, Expected]]) -> Result:
    """Compare the distributions that initializers state, part by part, up to rounding."""
    seen = {part: max(map(wanted.distance, _distributions(init, part))) for part, (init, wanted) in pairs.items()}
    wrong = [part.name for part, distance in seen.items() if not distance <= ROUNDING]
    count = len({part.path for part in seen})
    if not wrong:
        return Result(True, f"{count} equal, largest difference {max(seen.values()):.2g}", f"{count} equal", ROUNDING)
    return _none(wrong, count, "differ")


def _distributions(init: Any, part: Part) -> list[Expected | None]:
    """Return what an initializer states of the entries of a part, or None where it states nothing."""
    if hasattr(init, "inits"):
        width = part.shape[-1] // len(init.inits)
        own = dataclasses.replace(part, shape=(*part.shape[:-1], width), start=0, stop=width)
        among = init.inits[part.start // width : -(-part.stop // width)]
        return [one for init in among for one in _distributions(init, own)]
    if isinstance(init, float):
        return [constant(init)]
    return [Expected.stated(init.distribution(part.shape)) if hasattr(init, "distribution") else None]
