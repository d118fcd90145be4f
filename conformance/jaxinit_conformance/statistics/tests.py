"""Hypothesis tests whose two error rates are chosen before any number is drawn.

A statistic is one number that is 0 for a perfect match. Its *threshold* is exceeded with
probability at most `false_alarm` if the claim is true. Its *detectable* deviation is the
smallest one for which the threshold is exceeded with probability at least 1 - `miss`. The
number of samples follows from the deviation that a check must detect. The rates of a run are
split evenly over its checks, so the union bound (Bonferroni) holds for the run.

The design is that of `tfp.distributions.internal.statistical_testing`:
https://github.com/tensorflow/probability
"""

import dataclasses
import math
from typing import ClassVar, Protocol

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Rates:
    """Represent the probabilities of the two errors: a true claim fails, or a deviation of the detectable size
    passes.
    """

    false_alarm: float
    miss: float

    def over(self, checks: int) -> "Rates":
        """Return the rates of one of `checks` checks that together keep these rates."""
        return Rates(self.false_alarm / max(checks, 1), self.miss / max(checks, 1))


RATES = Rates(false_alarm=1e-6, miss=1e-6)
"""The rates of a whole run, however many checks it has."""


class Statistic(Protocol):
    """Represent a deviation from a claim, and what a number of samples can tell about it."""

    name: ClassVar[str]

    def threshold(self, samples: int, rates: Rates) -> float: ...

    def detectable(self, samples: int, rates: Rates) -> float: ...


def samples_for(statistic: Statistic, detected: float, rates: Rates) -> int:
    """Return the fewest samples with which `statistic` detects a deviation of size `detected`, to 0.1%."""
    # Doubling, then bisection. No formula: the detectable deviation of a binomial is a step function.
    most = 2
    while statistic.detectable(most, rates) > detected:
        most *= 2
    fewest = most // 2
    while most - fewest > max(1, most // 1000):
        middle = (most + fewest) // 2
        fewest, most = (fewest, middle) if statistic.detectable(middle, rates) <= detected else (middle, most)
    return most


def _two_sided(rates: Rates) -> float:
    return float(stats.norm.isf(rates.false_alarm / 2))


@dataclasses.dataclass(frozen=True)
class Kolmogorov:
    """Represent the largest distance between the empirical and the claimed distribution function.

    The bound is the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant
    (https://doi.org/10.1214/aop/1176990746), for every distribution and sample size. With two
    `sides` two samples of one size are compared with each other. A true claim may be off by `slack`.
    """

    name: ClassVar[str] = "Kolmogorov-Smirnov"
    sides: int = 1
    slack: float = 0.0

    def threshold(self, samples: int, rates: Rates) -> float:
        return self.slack + self.sides * _massart(samples, rates.false_alarm / self.sides)

    def detectable(self, samples: int, rates: Rates) -> float:
        return self.threshold(samples, rates) + self.sides * _massart(samples, rates.miss / self.sides)


def _massart(samples: int, probability: float) -> float:
    return math.sqrt(math.log(2 / probability) / (2 * samples))


@dataclasses.dataclass(frozen=True)
class Average:
    """Represent the distance of an average from its claimed value, where one term has standard deviation `spread`.

    The bound is the normal approximation, with one Cornish-Fisher term for the skewness.
    A deviation of d raises the spread by a factor of at most 1 + `growth` d: if the scale of x
    is off, the average of x^4 and its spread are off by the same factor. A true claim may be
    off by `slack`.
    """

    name: ClassVar[str] = "average"
    spread: float = 1.0
    skewness: float = 0.0
    growth: float = 0.0
    slack: float = 0.0

    def threshold(self, samples: int, rates: Rates) -> float:
        z = _two_sided(rates)
        # Cornish-Fisher: https://en.wikipedia.org/wiki/Cornish-Fisher_expansion
        bend = abs(self.skewness) * (z * z - 1) / (6 * math.sqrt(samples))
        return self.slack + self.spread * (z + bend) / math.sqrt(samples)

    def detectable(self, samples: int, rates: Rates) -> float:
        drift = self.spread * float(stats.norm.isf(rates.miss)) / math.sqrt(samples)
        # The d with d = threshold + drift * (1 + growth * d). There is none if the spread grows as fast as d.
        if drift * self.growth >= 1:
            return math.inf
        return (self.threshold(samples, rates) + drift) / (1 - drift * self.growth)


@dataclasses.dataclass(frozen=True)
class ChiSquare:
    """Represent the relative distance of a normal's standard deviation from its claimed one, about the claimed mean.

    The bound is exact: the sum of squares of n standard normals is chi-square with n degrees of freedom.
    """

    name: ClassVar[str] = "chi-square"

    def threshold(self, samples: int, rates: Rates) -> float:
        low, high = (stats.chi2.ppf(rates.false_alarm / 2, samples), stats.chi2.isf(rates.false_alarm / 2, samples))
        return float(max(1 - math.sqrt(low / samples), math.sqrt(high / samples) - 1))

    def detectable(self, samples: int, rates: Rates) -> float:
        threshold = self.threshold(samples, rates)
        low, high = (stats.chi2.ppf(rates.miss, samples), stats.chi2.isf(rates.miss, samples))
        above = (1 + threshold) / math.sqrt(low / samples) - 1
        below = 1 - (1 - threshold) / math.sqrt(high / samples)
        return float(max(above, below))


@dataclasses.dataclass(frozen=True)
class TwoMeans:
    """Represent the distance of the means of two normal samples of one size, with one `spread` estimated from both.

    The bound is Student's t with 2 (n - 1) degrees of freedom. The detectable deviation is as
    uncertain as the spread.
    """

    name: ClassVar[str] = "Student's t"
    spread: float

    def threshold(self, samples: int, rates: Rates) -> float:
        return self._of(rates.false_alarm / 2, samples)

    def detectable(self, samples: int, rates: Rates) -> float:
        return self.threshold(samples, rates) + self._of(rates.miss, samples)

    def _of(self, probability: float, samples: int) -> float:
        return float(stats.t.isf(probability, 2 * (samples - 1))) * self.spread * math.sqrt(2 / samples)


@dataclasses.dataclass(frozen=True)
class UniformExtremes:
    """Represent how far the extremes of a uniform sample stop short of its bounds, as a share of the width.

    The bound is exact: n samples all miss an end of relative length e with probability (1 - e)^n.
    A bound that is too wide by e is missed with the same probability.
    """

    name: ClassVar[str] = "extremes"

    def threshold(self, samples: int, rates: Rates) -> float:
        return -math.expm1(math.log(rates.false_alarm / 2) / samples)

    def detectable(self, samples: int, rates: Rates) -> float:
        return self.threshold(samples, rates) - math.expm1(math.log(rates.miss) / samples)


@dataclasses.dataclass(frozen=True)
class Binomial:
    """Represent the share of the samples that show an event whose probability is at most `chance`.

    The bound is exact: the number of such samples is binomial.
    """

    name: ClassVar[str] = "binomial"
    chance: float

    def threshold(self, samples: int, rates: Rates) -> float:
        return float(stats.binom.isf(rates.false_alarm, samples, self.chance)) / samples

    def detectable(self, samples: int, rates: Rates) -> float:
        most = round(self.threshold(samples, rates) * samples)
        return 1.0 if most == samples else float(stats.beta.isf(rates.miss, most + 1, samples - most))


@dataclasses.dataclass(frozen=True)
class Pearson:
    """Represent Pearson's chi-square of `cells` equally likely cells, divided by the number of samples.

    The deviation is the sum over cells of (share - expected)^2 / expected. A wrong
    distribution shifts the statistic of n samples by n times that.
    """

    name: ClassVar[str] = "Pearson's chi-square"
    cells: int

    def threshold(self, samples: int, rates: Rates) -> float:
        return float(stats.chi2.isf(rates.false_alarm, self.cells - 1)) / samples

    def detectable(self, samples: int, rates: Rates) -> float:
        critical = self.threshold(samples, rates) * samples
        # The statistic of a wrong distribution is noncentral chi-square.
        shift = critical
        while stats.ncx2.cdf(critical, self.cells - 1, shift) > rates.miss:
            shift *= 1.05
        return shift / samples


@dataclasses.dataclass(frozen=True, eq=False)
class DistinctValues:
    """Represent the relative distance of the number of distinct values from the number that is expected.

    The bound is the normal approximation. A value that is seen makes another less likely, so
    the variance is at most that of independent values.
    """

    name: ClassVar[str] = "distinct values"
    chances: np.ndarray
    """The probability of each value."""

    def expected(self, samples: int) -> float:
        return float(self._seen(samples).sum())

    def threshold(self, samples: int, rates: Rates) -> float:
        return _two_sided(rates) * self._spread(samples)

    def detectable(self, samples: int, rates: Rates) -> float:
        return self.threshold(samples, rates) + float(stats.norm.isf(rates.miss)) * self._spread(samples)

    def _seen(self, samples: int) -> np.ndarray:
        seen: np.ndarray = -np.expm1(samples * np.log1p(-np.minimum(self.chances, 1 - 1e-16)))
        return seen

    def _spread(self, samples: int) -> float:
        seen = self._seen(samples)
        return math.sqrt((seen * (1 - seen)).sum()) / float(seen.sum())
