"""The rates that each statistic states, measured: on true claims, and on deviations that it promises to catch."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from jaxinit_conformance.statistics.deviations import kolmogorov_distance
from jaxinit_conformance.statistics.tests import (
    Average,
    Binomial,
    ChiSquare,
    DistinctValues,
    Kolmogorov,
    Pearson,
    Rates,
    Statistic,
    TwoMeans,
    UniformExtremes,
    samples_for,
)

RATES = Rates(false_alarm=0.02, miss=0.02)
RUNS, SAMPLES = 400, 2000

Draw = Callable[[np.random.Generator], np.ndarray]
Measure = Callable[[np.ndarray], float]


def _distance_from_uniform(values: np.ndarray) -> float:
    seen, counts = np.unique(values, return_counts=True)
    claimed = np.clip(seen, 0, 1)
    return kolmogorov_distance(counts, claimed, claimed)


def _shifted(width: float) -> Draw:
    """Uniform whose distribution function is off by `width` in the middle."""
    return lambda rng: np.where(rng.random(SAMPLES) < 2 * width, 0.5, rng.random(SAMPLES))


def _scale(values: np.ndarray) -> float:
    return abs(float(np.sqrt((values**2).mean())) - 1)


def _pearson(values: np.ndarray) -> float:
    return float(((np.bincount(values, minlength=8) / SAMPLES - 1 / 8) ** 2).sum() * 8)


def _ends(values: np.ndarray) -> float:
    return float(max(values.min(), 1 - values.max()))


def _biased_cells(rng: np.random.Generator) -> np.ndarray:
    excess = math.sqrt(Pearson(8).detectable(SAMPLES, RATES) / 8)
    odds = np.full(8, 1 / 8)
    odds[::2] += excess
    odds[1::2] -= excess
    return rng.choice(8, SAMPLES, p=odds / odds.sum())


# The fourth power of a standard normal: mean 3, variance 96, third central moment 9504.
FOURTH = Average(math.sqrt(96), 9504 / 96**1.5, growth=1 / 3)

CASES: list[tuple[Statistic, Draw, Draw, Measure]] = [
    (
        Kolmogorov(),
        lambda rng: rng.random(SAMPLES),
        _shifted(Kolmogorov().detectable(SAMPLES, RATES)),
        _distance_from_uniform,
    ),
    (
        Average(1.0),
        lambda rng: rng.normal(size=SAMPLES),
        lambda rng: rng.normal(Average(1.0).detectable(SAMPLES, RATES), size=SAMPLES),
        lambda values: abs(values.mean()),
    ),
    (
        FOURTH,
        lambda rng: rng.normal(size=SAMPLES),
        lambda rng: rng.normal(scale=(1 + FOURTH.detectable(SAMPLES, RATES) / 3) ** 0.25, size=SAMPLES),
        lambda values: abs((values**4).mean() - 3),
    ),
    (
        ChiSquare(),
        lambda rng: rng.normal(size=SAMPLES),
        lambda rng: rng.normal(scale=1 - ChiSquare().detectable(SAMPLES, RATES), size=SAMPLES),
        _scale,
    ),
    (
        UniformExtremes(),
        lambda rng: rng.random(SAMPLES),
        lambda rng: rng.uniform(2 * UniformExtremes().detectable(SAMPLES, RATES), 1, size=SAMPLES),
        _ends,
    ),
    (
        Binomial(0.01),
        lambda rng: rng.random(SAMPLES) < 0.01,
        lambda rng: rng.random(SAMPLES) < Binomial(0.01).detectable(SAMPLES, RATES),
        lambda values: values.mean(),
    ),
    (Pearson(8), lambda rng: rng.integers(8, size=SAMPLES), _biased_cells, _pearson),
]


@pytest.mark.parametrize(("statistic", "true", "false", "measure"), CASES)
def test_both_rates_are_kept(
    statistic: Statistic, true: Draw, false: Draw, measure: Measure, rng: np.random.Generator
) -> None:
    threshold = statistic.threshold(SAMPLES, RATES)
    alarms = sum(measure(true(rng)) > threshold for _ in range(RUNS))
    misses = sum(measure(false(rng)) <= threshold for _ in range(RUNS))
    # More than this many would happen by chance once in 10^9 runs of this test.
    assert alarms <= stats.binom.isf(1e-9, RUNS, RATES.false_alarm)
    assert misses <= stats.binom.isf(1e-9, RUNS, RATES.miss)


@pytest.mark.parametrize("statistic", [case[0] for case in CASES], ids=lambda statistic: type(statistic).__name__)
def test_samples_follow_from_the_promised_deviation(statistic: Statistic) -> None:
    samples = samples_for(statistic, 0.05, RATES)
    assert statistic.detectable(samples, RATES) <= 0.05
    assert statistic.detectable(samples * 9 // 10, RATES) > 0.05


def test_one_percent_of_scale_needs_about_a_million_samples_at_the_rates_of_a_run() -> None:
    assert 0.006 < ChiSquare().detectable(1_000_000, Rates(1e-6, 1e-6).over(10)) < 0.008


def test_distinct_values_expects_what_is_seen(rng: np.random.Generator) -> None:
    chances = rng.dirichlet(np.full(500, 0.5))
    statistic = DistinctValues(chances)
    seen = [np.unique(rng.choice(500, 300, p=chances)).size for _ in range(RUNS)]
    spread = statistic.threshold(300, RATES) / stats.norm.isf(RATES.false_alarm / 2) * statistic.expected(300)
    assert abs(np.mean(seen) - statistic.expected(300)) < 7 * spread / math.sqrt(RUNS)


def test_rates_are_split_evenly() -> None:
    assert Rates(1e-6, 2e-6).over(4) == Rates(2.5e-7, 5e-7)
    assert Rates(1e-6, 1e-6).over(0) == Rates(1e-6, 1e-6)


def test_distance_looks_at_both_sides_of_a_step() -> None:
    uniform = np.array([0.2, 0.9])
    assert kolmogorov_distance(np.array([1, 1]), uniform, uniform) == pytest.approx(0.4)
    assert kolmogorov_distance(np.array([2]), np.array([0.7]), np.array([0.7])) == pytest.approx(0.7)


def test_two_means_keeps_both_rates_with_a_spread_that_it_estimates(rng: np.random.Generator) -> None:
    samples, wrong = 12, {0.0: 0, 1.0: 0}
    deviation = TwoMeans(3.0).detectable(samples, RATES)
    for _ in range(RUNS):
        for share in wrong:
            ours, theirs = rng.normal(share * deviation, 3.0, samples), rng.normal(0.0, 3.0, samples)
            spread = math.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 2)
            is_seen = abs(ours.mean() - theirs.mean()) > TwoMeans(spread).threshold(samples, RATES)
            wrong[share] += is_seen != bool(share)
    for count in wrong.values():
        assert count <= stats.binom.isf(1e-9, RUNS, 0.02)
