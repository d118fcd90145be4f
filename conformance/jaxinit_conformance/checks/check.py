"""A check: one claim about one initializer in one case, how it is judged, and the result."""

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
Measure = Callable[[int], tuple[float, int]]
"""From the number of samples needed to the deviation seen and the number of samples used."""


@dataclasses.dataclass(frozen=True)
class Result:
    """Represent what was observed, and what the claim allows."""

    passed: bool
    observed: Shown
    expected: Shown
    detectable: Shown = None
    """The smallest deviation that fails the check, but for the miss rate."""
    samples: int | None = None


@dataclasses.dataclass(frozen=True)
class Check:
    """Represent one claim about one initializer, or one torch module, in one case."""

    initializer: str
    claim: str
    case: str
    statistic: str | None = dataclasses.field(default=None, kw_only=True)
    """The name of the statistic that decides, or None if nothing is random."""

    @property
    def statistical(self) -> bool:
        return self.statistic is not None

    @property
    def id(self) -> str:
        return f"{self.initializer}: {self.claim} [{self.case}]"


@dataclasses.dataclass(frozen=True)
class PlannedCheck(Check):
    """Represent a check that can be evaluated at given error rates. Exact checks ignore the rates."""

    evaluate: Callable[[Rates], Result]

    @property
    def identity(self) -> Check:
        """Return the check without `evaluate`, which holds arrays."""
        return Check(self.initializer, self.claim, self.case, statistic=self.statistic)


def exact(initializer: str, claim: str, case: str, judge: Callable[[], Result]) -> PlannedCheck:
    """Return a check without chance."""
    return PlannedCheck(initializer, claim, case, lambda _: judge())


def equal(observed: object, expected: object) -> Result:
    """Return a result that passes if both are equal."""
    return Result(observed == expected, str(observed), str(expected))


def close(observed: float, allowed: float) -> Result:
    """Return a result that passes if a rounding error is at most `allowed`."""
    return Result(bool(observed <= allowed), float(observed), f"at most {allowed:.3g}", allowed)


def judged(
    observed: float, statistic: Statistic, detected: float, samples: int, rates: Rates, where: str = ""
) -> Result:
    """Return a result that passes if the deviation is below the threshold, and the wanted one is detectable."""
    threshold, detectable = statistic.threshold(samples, rates), statistic.detectable(samples, rates)
    # Too few samples fail: a small deviation then proves nothing.
    passed = bool(observed <= threshold and detectable <= detected)
    return Result(
        passed, f"{observed:.3g}{where}" if where else observed, f"at most {threshold:.3g}", detectable, samples
    )


@dataclasses.dataclass(frozen=True)
class StatisticalCheck:
    """Represent a claim with a statistic, the deviation that it must detect, and how to measure one."""

    claim: str
    statistic: Statistic
    deviation: float
    measure: Measure

    def planned(self, case: Case) -> PlannedCheck:
        return PlannedCheck(case.initializer, self.claim, case.label, self.evaluate, statistic=self.statistic.name)

    def evaluate(self, rates: Rates) -> Result:
        observed, samples = self.measure(samples_for(self.statistic, self.deviation, rates))
        return judged(float(observed), self.statistic, self.deviation, samples, rates)


class Sample:
    """Represent the arrays that a target draws for one case, one key each. They are drawn when needed, and kept."""

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
        """Return arrays twice as long along the first axis, drawn with the same keys."""
        shape = (2 * self.case.shape[0], *self.case.shape[1:])
        return Sample(self._target, dataclasses.replace(self.case, shape=shape), self.key)

    def arrays(self, count: int) -> np.ndarray:
        """Return the first `count` arrays, stacked."""
        if self._arrays is None or len(self._arrays) < count:
            # A power of two, so that cases of almost equal counts share one compiled program.
            keys = jax.vmap(lambda index: jax.random.fold_in(self.key, index))(np.arange(2 ** (count - 1).bit_length()))
            self._arrays = draw(self.init(), keys, self.case.shape, self.case.dtype)
        return self._arrays[:count]

    def array(self, index: int) -> np.ndarray:
        """Draw the array of one key again, by itself."""
        return np.asarray(self.init()(jax.random.fold_in(self.key, index), self.case.shape, jnp.dtype(self.case.dtype)))

    def values(self, count: int) -> np.ndarray:
        """Return at least `count` entries of whole arrays, flat."""
        return self.arrays(-(-count // math.prod(self.case.shape))).reshape(-1)

    def torch_values(self, count: int) -> np.ndarray:
        """Return `count` entries that torch draws from a seed of this case."""
        case = self.case
        tensors = -(-count // math.prod(case.torch_shape))
        with torch_init.seeded(seed(self.key)):
            drawn = torch_init.fill(case.initializer, case.keywords, case.torch_shape, case.dtype, tensors)
        return drawn.reshape(-1)[:count]
