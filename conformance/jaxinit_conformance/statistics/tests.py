"""Tests whose two error rates are chosen, not discovered.

Every statistic measures how far a sample lies from a claim, as one number that is 0 for a
perfect match. It knows the *threshold* that a sample of a true claim exceeds with
probability at most `false_alarm`, and from it the *detectable* deviation: the smallest
one that a sample exceeds the threshold for with probability at least 1 - `miss`. How many
samples a check draws follows from the deviation that it promises to catch. The rates of a
run are split evenly over its checks (Bonferroni), so the union bound holds for the run.

After the design of TensorFlow Probability's statistical_testing.
"""

import dataclasses
import math
from typing import ClassVar, Protocol

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Rates:
    """Probabilities of the two errors: a true claim refused, a promised deviation passed."""

    false_alarm: float
    miss: float

    def over(self, checks: int) -> "Rates":
        """Each check's part when the errors of `checks` checks together keep these rates."""
        return Rates(self.false_alarm / max(checks, 1), self.miss / max(checks, 1))


RATES = Rates(false_alarm=1e-6, miss=1e-6)
"""For a whole run, however many checks it has."""


class Statistic(Protocol):
    """A deviation from a claim, with what `samples` of them can tell."""

    name: ClassVar[str]

    def threshold(self, samples: int, rates: Rates) -> float: ...

    def detectable(self, samples: int, rates: Rates) -> float: ...


def samples_for(statistic: Statistic, promised: float, rates: Rates) -> int:
    """The fewest samples with which `statistic` detects a deviation of `promised`."""
    most = 2
    while statistic.detectable(most, rates) > promised:
        most *= 2
    fewest = most // 2
    while most - fewest > max(1, most // 1000):
        middle = (most + fewest) // 2
        fewest, most = (fewest, middle) if statistic.detectable(middle, rates) <= promised else (middle, most)
    return most


def _two_sided(rates: Rates) -> float:
    return float(stats.norm.isf(rates.false_alarm / 2))


@dataclasses.dataclass(frozen=True)
class Kolmogorov:
    """Largest distance between the empirical and the claimed distribution function.

    By the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant, for every
    distribution and sample size. Two sides are two samples of one size, compared with each
    other; each may then stray from its own distribution. By `slack` a true claim may be off.
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
    """Distance of an average from its claimed value, where one term has standard deviation `spread`.

    Normal approximation, with the skewness of the terms brought in by one Cornish-Fisher term.
    A deviation of d may raise the spread, by a factor of up to 1 + `growth` d: where the
    scale of x is off, the average of x^4 and its spread are off by the same factor.
    By `slack` a true claim may be off.
    """

    name: ClassVar[str] = "average"
    spread: float = 1.0
    skewness: float = 0.0
    growth: float = 0.0
    slack: float = 0.0

    def threshold(self, samples: int, rates: Rates) -> float:
        z = _two_sided(rates)
        bend = abs(self.skewness) * (z * z - 1) / (6 * math.sqrt(samples))
        return self.slack + self.spread * (z + bend) / math.sqrt(samples)

    def detectable(self, samples: int, rates: Rates) -> float:
        drift = self.spread * float(stats.norm.isf(rates.miss)) / math.sqrt(samples)
        if drift * self.growth >= 1:
            return math.inf
        return (self.threshold(samples, rates) + drift) / (1 - drift * self.growth)


@dataclasses.dataclass(frozen=True)
class ChiSquare:
    """Relative distance of a normal's standard deviation from its claimed one, about the claimed mean.

    Exact: the sum of squares of n standard normals is chi-square with n degrees of freedom.
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
    """Distance of the means of two normal samples of one size, whose common `spread` was estimated from both.

    Student's t with 2 (n - 1) degrees of freedom; what is detectable is known as well as the spread is.
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
    """How far the extremes of a uniform sample stop short of its bounds, as a share of the width.

    Exact: all n samples miss an end of relative length e with probability (1 - e)^n. A
    value beyond a bound needs no statistics; a bound too wide by e goes unnoticed with
    probability (1 - e)^n as well.
    """

    name: ClassVar[str] = "extremes"

    def threshold(self, samples: int, rates: Rates) -> float:
        return -math.expm1(math.log(rates.false_alarm / 2) / samples)

    def detectable(self, samples: int, rates: Rates) -> float:
        return self.threshold(samples, rates) - math.expm1(math.log(rates.miss) / samples)


@dataclasses.dataclass(frozen=True)
class Binomial:
    """Share of the samples that show an event whose probability is at most `chance`.

    Exact: the number of such samples is binomial.
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
    """Chi-square over `cells` equally likely cells per sample, as the excess that one sample carries.

    The deviation is sum over cells of (share - expected)^2 / expected, by which a wrong
    distribution shifts the statistic of n samples by n times that.
    """

    name: ClassVar[str] = "Pearson's chi-square"
    cells: int

    def threshold(self, samples: int, rates: Rates) -> float:
        return float(stats.chi2.isf(rates.false_alarm, self.cells - 1)) / samples

    def detectable(self, samples: int, rates: Rates) -> float:
        critical = self.threshold(samples, rates) * samples
        shift = critical
        while stats.ncx2.cdf(critical, self.cells - 1, shift) > rates.miss:
            shift *= 1.05
        return shift / samples


@dataclasses.dataclass(frozen=True, eq=False)
class DistinctValues:
    """Relative distance of the number of different values seen from the number to be expected.

    Normal approximation; whether one value is seen makes it less likely that another is,
    so the variance is at most that of independent sightings.
    """

    name: ClassVar[str] = "distinct values"
    chances: np.ndarray
    """The probability of each value that there is."""

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


def kolmogorov_distance(values: np.ndarray, below: np.ndarray, upto: np.ndarray) -> float:
    """Largest distance of the empirical distribution of sorted distinct `values` given as counts.

    Args:
        values: how often each distinct value was seen, in increasing order.
        below: the claimed probability of less than each value.
        upto: the claimed probability of at most each value.
    """
    reached = np.cumsum(values) / values.sum()
    before = np.concatenate([[0.0], reached[:-1]])
    return float(max(np.abs(reached - upto).max(), np.abs(before - below).max()))
