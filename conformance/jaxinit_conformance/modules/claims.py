"""Claims about whole modules: what `nnx.reset_parameters` draws and `nnx.load` loads, parameter by parameter.

Of a target with a namespace `nnx` that has these two functions; if it has `initializers`
too, the distributions that these state are compared exactly.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from ..checks.check import PlannedCheck, Result, close, exact
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
"""Entries of each parameter that are looked at: a support too wide by 1% goes unnoticed with probability 1e-17."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A way to look at draws: at parameters of these kinds, with these deviations promised of layers and of models."""

    name: str
    statistic: Statistic
    distance: Distance
    kinds: frozenset[str]
    promised: tuple[float, float]


RANDOM = frozenset({"uniform", "triangular", "normal"})

# The largest samples first: those of the others are parts of them.
CLAIMS = (
    Claim("shape", Kolmogorov(), deviations.shape, RANDOM, (0.05, 0.1)),
    Claim("mean", Average(1.0), deviations.mean, RANDOM, (0.1, 0.2)),
    Claim("scale", ChiSquare(), deviations.scale, frozenset({"normal"}), (0.1, 0.15)),
    Claim("bounds", UniformExtremes(), deviations.bounds, frozenset({"uniform"}), (0.005, 0.02)),
)


def checks(nnx: Any, seed: int, quick: bool) -> Iterator[PlannedCheck]:
    """Every claim about every pair of a run."""
    for pair in pairs.chosen(quick):
        yield from _Pair(pair, nnx, seed).checks()
    for pair in () if quick else pairs.DEEP:
        yield from signals.checks(pair, nnx.reset_parameters, seed)


class _Pair:
    """A pair under test; what its claims share is found when first needed."""

    def __init__(self, pair: ModelPair, nnx: Any, seed: int) -> None:
        self.pair, self._nnx = pair, nnx
        own = zlib.crc32(f"{pair.name} {pair.case}".encode())
        self._seed = seed, own
        self._drawn = Drawn(pair, nnx.reset_parameters, jax.random.fold_in(jax.random.key(seed), own))

    def checks(self) -> Iterator[PlannedCheck]:
        yield self._exact("forward", self._forward)
        if hasattr(self._nnx, "initializers"):
            yield self._exact("distribution", self._distribution)
        for claim in CLAIMS:
            if claim.kinds & kinds(self.pair):
                judge = functools.partial(self._judge, claim)
                yield PlannedCheck(self.pair.name, claim.name, self.pair.case, judge, statistic=claim.statistic.name)
        if RANDOM & kinds(self.pair):
            yield self._exact("support", self._support)
        if "constant" in kinds(self.pair):
            yield self._exact("constants", self._constants)

    def _exact(self, claim: str, evaluate: Callable[[], Result]) -> PlannedCheck:
        return exact(self.pair.name, claim, self.pair.case, evaluate)

    @functools.cached_property
    def _parts(self) -> dict[Part, Expected]:
        tensors = recorded(self.pair)[1]
        return {part: expected(part, tensors) for part in parts(self.pair, self._nnx.load)}

    def _of(self, kinds: frozenset[str]) -> dict[Part, Expected]:
        return {part: theirs for part, theirs in self._parts.items() if theirs.kind in kinds}

    def _forward(self) -> Result:
        return close(forward.difference(self.pair, self._nnx.load, np.random.default_rng(self._seed)), FORWARD)

    def _distribution(self) -> Result:
        """What the initializers state of themselves against what torch called."""
        inits = self._nnx.initializers(self.pair.blank())
        return stated({part: (inits.get(part.path), theirs) for part, theirs in self._parts.items()})

    def _judge(self, claim: Claim, rates: Rates) -> Result:
        """The worst of the parameters; they share the rates."""
        found = self._of(claim.kinds)
        rates, promised = rates.over(len(found)), claim.promised[self.pair.is_model]
        arrays = self._drawn.values(list(found), samples_for(claim.statistic, promised, rates))
        seen = [claim.distance(array.ravel(), theirs) for array, theirs in zip(arrays, found.values(), strict=True)]
        samples, worst = min(array.size for array in arrays), int(np.argmax(seen))
        threshold, detectable = (f(samples, rates) for f in (claim.statistic.threshold, claim.statistic.detectable))
        observed = f"{seen[worst]:.3g} in {list(found)[worst].name}"
        passed = bool(seen[worst] <= threshold and detectable <= promised)
        return Result(passed, observed, f"at most {threshold:.3g}", detectable, samples)

    def _support(self) -> Result:
        found = self._of(RANDOM)
        arrays = self._drawn.values(list(found), SUPPORT)
        wrong = [
            part.name
            for (part, theirs), array in zip(found.items(), arrays, strict=True)
            if deviations.outside(array, theirs)
        ]
        return _none(wrong, f"of {len(found)} outside")

    def _constants(self) -> Result:
        found = self._of(frozenset({"constant"}))
        arrays = self._drawn.values(list(found), 1)
        wrong = [
            part.name
            for (part, theirs), array in zip(found.items(), arrays, strict=True)
            if (array != np.asarray(theirs.loc, array.dtype)).any()
        ]
        return _none(wrong, f"of {len(found)} differ")


def _none(wrong: list[str], what: str) -> Result:
    """Result that a list of names is empty."""
    listed = f": {', '.join(wrong[:3])}{', ...' * (len(wrong) > 3)}" if wrong else ""
    return Result(not wrong, f"{len(wrong)} {what}{listed}", f"0 {what}")


def stated(pairs: dict[Part, tuple[Any, Expected]]) -> Result:
    """Initializers' own statements, part by part, against distributions; equal up to rounding."""
    seen = {part: max(map(theirs.distance, _stated(init, part))) for part, (init, theirs) in pairs.items()}
    wrong = [part.name for part, distance in seen.items() if not distance <= ROUNDING]
    count = len({part.path for part in seen})
    if not wrong:
        return Result(True, f"{count} equal, largest difference {max(seen.values()):.2g}", f"{count} equal", ROUNDING)
    return _none(wrong, f"of {count} differ")


def _stated(init: Any, part: Part) -> list[Expected | None]:
    """What an initializer says of the entries of a part; None where it says nothing."""
    if hasattr(init, "inits"):
        width = part.shape[-1] // len(init.inits)
        own = dataclasses.replace(part, shape=(*part.shape[:-1], width), start=0, stop=width)
        among = init.inits[part.start // width : -(-part.stop // width)]
        return [one for init in among for one in _stated(init, own)]
    if isinstance(init, float):
        return [constant(init)]
    return [Expected.stated(init.distribution(part.shape)) if hasattr(init, "distribution") else None]
