"""Distribution functions are scipy's, and a true distribution is refused no more often than is stated."""

import math
import unittest.mock
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from scipy import stats

import jaxinit
from jaxinit._descriptions import fit
from jaxinit._descriptions.cdf import cdf, log_mass, rounded_cdf
from jaxinit._descriptions.sample import Sample
from jaxinit.distributions import Constant, Normal, Random, Triangular, TruncatedNormal, Uniform

CASES: list[tuple[Random, Any]] = [
    (Uniform(-0.125, 0.125), stats.uniform(-0.125, 0.25)),
    (Triangular(-0.5, 0.25), stats.triang(0.5, -0.5, 0.75)),
    (Normal(0.3, 0.02), stats.norm(0.3, 0.02)),
    (TruncatedNormal(0.0, 0.02, -0.04, 0.04), stats.truncnorm(-2, 2, 0, 0.02)),
    (TruncatedNormal(1.0, 2.0, 0.0, 9.0), stats.truncnorm(-0.5, 4, 1, 2)),
    (TruncatedNormal(0.0, 1.0, 8.0, 9.0), stats.truncnorm(8, 9)),
    (TruncatedNormal(0.0, 1.0, -300.0, 300.0), stats.norm(0, 1)),
]
IDS = [f"{each.kind} {index}" for index, (each, _) in enumerate(CASES)]


@pytest.mark.parametrize(("distribution", "scipys"), CASES, ids=IDS)
def test_the_distribution_function_is_scipys(distribution: Random, scipys: Any) -> None:
    x = scipys.ppf(np.linspace(0.0001, 0.9999, 99))
    x = np.concatenate([x, [distribution.mean - 99 * distribution.std, distribution.mean + 99 * distribution.std]])
    np.testing.assert_allclose(cdf(distribution, x), scipys.cdf(x), rtol=1e-9, atol=1e-14)


def test_far_windows_keep_their_digits() -> None:
    # Beyond 38 sigma the normal's tail underflows. There the density falls like exp(-40 d).
    found = cdf(TruncatedNormal(0.0, 1.0, 40.0, 41.0), np.array([40.0, 40.01, 41.0]))
    np.testing.assert_allclose(found, [0.0, -math.expm1(-0.40005) / 1.0, 1.0], atol=1e-3)
    assert log_mass(TruncatedNormal(0.0, 1.0, 8.0, 9.0)) == pytest.approx(math.log(stats.norm.sf(8) - stats.norm.sf(9)))


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn])
def test_the_distribution_of_rounded_numbers(dtype: Any, rng: np.random.Generator) -> None:
    rounded = np.sort(rng.normal(size=100_000).astype(dtype).astype(np.float32))
    values = np.unique(rounded)
    less, upto = (np.searchsorted(rounded, values, side=side) / rounded.size for side in ("left", "right"))
    expected_less, expected_upto = rounded_cdf(Normal(0.0, 1.0), values.astype(dtype))
    limit = fit.distance_limit(rounded.size, 1e-11)
    assert max(abs(less - expected_less).max(), abs(upto - expected_upto).max()) <= limit


@pytest.mark.parametrize(("distribution", "scipys"), CASES[:5], ids=IDS[:5])
@pytest.mark.parametrize("size", [5, 60, 2000])
def test_a_true_distribution_is_refused_at_the_stated_rate(
    distribution: Random, scipys: Any, size: int, rng: np.random.Generator
) -> None:
    runs, rate = 300, 0.01
    entries = scipys.rvs((runs, size), random_state=rng)
    refused = sum(fit.misfit(Sample.of(each), distribution, rate) > 1 for each in entries)
    assert refused <= stats.binom.isf(1e-11, runs, min(1.0, fit.TESTS * rate))


@pytest.mark.parametrize(("distribution", "scipys"), CASES[:5], ids=IDS[:5])
@pytest.mark.parametrize("size", [60, 2000])
def test_another_scale_is_found_where_that_is_stated(
    distribution: Random, scipys: Any, size: int, rng: np.random.Generator
) -> None:
    share, mean = fit.detectable(size, distribution, 1e-7), distribution.mean
    assert math.isinf(share) is (distribution == TruncatedNormal(1.0, 2.0, 0.0, 9.0))
    for factor in (1 + share, 1 - share):
        if 0 < factor < math.inf:
            entries = mean + factor * (scipys.rvs((100, size), random_state=rng) - mean)
            assert all(fit.misfit(Sample.of(each), distribution, 1e-7) > 1 for each in entries)


def test_likelihoods_are_those_of_the_densities(rng: np.random.Generator) -> None:
    for distribution, scipys in CASES[:6]:
        entries = scipys.rvs(500, random_state=rng)
        found = fit.log_likelihood(Sample.of(entries), distribution)
        assert found == pytest.approx(scipys.logpdf(entries).sum(), rel=1e-9)


def test_constants_are_compared_exactly() -> None:
    for dtype in (np.float32, ml_dtypes.bfloat16):
        sample = Sample.of(np.full(3, 0.1, dtype))
        assert fit.misfit(sample, Constant(0.1), 1e-7) == 0.0
        assert fit.misfit(sample, Constant(0.11), 1e-7) == math.inf
    assert fit.misfit(Sample.of(np.array([0.0, 1e-30])), Constant(0.0), 1e-7) == math.inf


def test_integers_and_empty_arrays_fit_no_distribution() -> None:
    for array in (np.arange(3), np.zeros(0)):
        assert fit.misfit(Sample.of(array), Normal(0.0, 1.0), 1e-7) == math.inf
    assert fit.detectable(0, Normal(0.0, 1.0), 1e-7) == math.inf


def test_moments_rule_out_most_initializers(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    # Distribution functions take most of the time. Of about 40 initializers, few have the right scale.
    counted = unittest.mock.Mock(wraps=fit._shape)
    monkeypatch.setattr(fit, "_shape", counted)
    jaxinit.describe([rng.normal(0.0, 0.0371, (512, 512))])
    assert 1 <= counted.call_count <= 4
