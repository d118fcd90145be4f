"""A check: one claim about one initializer in one case, and the result for it."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..reference import torch_init
from ..statistics.tests import Rates, Statistic, samples_for
from ..targets import Init, Target, draw, seed
from .cases import Case

Shown = float | str | None


@dataclasses.dataclass(frozen=True)
class Result:
    """What was seen, beside what the claim allows; `detectable` is the smallest deviation sure to be caught."""

    passed: bool
    observed: Shown
    expected: Shown
    detectable: Shown = None
    samples: int | None = None


@dataclasses.dataclass(frozen=True)
class Check:
    """What a check is about."""

    initializer: str
    claim: str
    case: str
    statistic: str | None = dataclasses.field(default=None, kw_only=True)
    """What decides, where chance has a part."""

    @property
    def statistical(self) -> bool:
        return self.statistic is not None

    @property
    def id(self) -> str:
        return f"{self.initializer}: {self.claim} [{self.case}]"


@dataclasses.dataclass(frozen=True)
class PlannedCheck(Check):
    """A claim that can be evaluated at given error rates; exact claims ignore them."""

    evaluate: Callable[[Rates], Result]

    @property
    def identity(self) -> Check:
        """What to keep of a check that is done: with `evaluate` go the arrays that it holds."""
        return Check(self.initializer, self.claim, self.case, statistic=self.statistic)


def exact(initializer: str, claim: str, case: str, evaluate: Callable[[], Result]) -> PlannedCheck:
    """A check without chance."""
    return PlannedCheck(initializer, claim, case, lambda _: evaluate())


def equal(observed: object, expected: object) -> Result:
    """Result of equality."""
    return Result(observed == expected, str(observed), str(expected))


def close(observed: float, allowed: float) -> Result:
    """Result that a deviation, which only rounding may cause, is at most `allowed`."""
    return Result(bool(observed <= allowed), float(observed), f"at most {allowed:.3g}", allowed)


@dataclasses.dataclass(frozen=True)
class StatisticalCheck:
    """A statistical claim: the statistic, the deviation that must be caught, and how to measure one."""

    claim: str
    statistic: Statistic
    deviation: float
    measure: Callable[[int], tuple[float, int]]
    """From the samples needed to the deviation seen and the samples used."""

    def planned(self, case: Case) -> PlannedCheck:
        return PlannedCheck(case.initializer, self.claim, case.label, self.evaluate, statistic=self.statistic.name)

    def evaluate(self, rates: Rates) -> Result:
        observed, samples = self.measure(samples_for(self.statistic, self.deviation, rates))
        threshold = self.statistic.threshold(samples, rates)
        detectable = self.statistic.detectable(samples, rates)
        # Too few samples for what is promised is a failure, however small the deviation seen.
        passed = bool(observed <= threshold and detectable <= self.deviation)
        return Result(passed, float(observed), f"at most {threshold:.3g}", detectable, samples)


class Sample:
    """The arrays that a target draws for one case, one key each; drawn when first needed, and kept."""

    def __init__(self, target: Target, case: Case, key: jax.Array) -> None:
        self.case, self.key = case, key
        self._target = target
        self._arrays: np.ndarray | None = None

    @property
    def is_drawn(self) -> bool:
        return self._arrays is not None

    def init(self) -> Init:
        return self._target.build(self.case.initializer, self.case.keywords, self.case.axes)

    def longer(self) -> "Sample":
        """Under the same keys, arrays twice as long that begin with this case's shape."""
        shape = (2 * self.case.shape[0], *self.case.shape[1:])
        return Sample(self._target, dataclasses.replace(self.case, shape=shape), self.key)

    def arrays(self, count: int) -> np.ndarray:
        """The first `count` arrays, stacked."""
        if self._arrays is None or len(self._arrays) < count:
            # A power of two, so that cases whose counts differ a little share one program.
            keys = jax.vmap(lambda index: jax.random.fold_in(self.key, index))(np.arange(2 ** (count - 1).bit_length()))
            self._arrays = draw(self.init(), keys, self.case.shape, self.case.dtype)
        return self._arrays[:count]

    def array(self, index: int) -> np.ndarray:
        """The array of one key, drawn anew and by itself."""
        return np.asarray(self.init()(jax.random.fold_in(self.key, index), self.case.shape, jnp.dtype(self.case.dtype)))

    def values(self, count: int) -> np.ndarray:
        """At least `count` entries, in whole arrays, flat."""
        return self.arrays(-(-count // math.prod(self.case.shape))).reshape(-1)

    def torch_values(self, count: int) -> np.ndarray:
        """As many entries as torch draws them, from a seed of this case's own."""
        case = self.case
        tensors = -(-count // math.prod(case.torch_shape))
        with torch_init.seeded(seed(self.key)):
            drawn = torch_init.fill(case.initializer, case.keywords, case.torch_shape, case.dtype, tensors)
        return drawn.reshape(-1)[:count]
