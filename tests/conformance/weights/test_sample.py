"""The statistics of one array are those of the definitions."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jaxinit_conformance.weights import sample


def test_moments_are_those_of_the_definition(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_CHUNK", 100)
    values = rng.normal(3.0, 2.0, size=950)
    mean, std, skewness, kurtosis = sample.moments(values)
    standardized = (values - values.mean()) / values.std()
    assert (mean, std) == pytest.approx((values.mean(), values.std()))
    assert (skewness, kurtosis) == pytest.approx(((standardized**3).mean(), (standardized**4).mean()))
    assert np.isnan(sample.moments(values[:0])).all()
    assert np.isnan(sample.moments(np.full(3, 0.1))[2:]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int16", "bool"])
def test_distinct_counts_values_not_bits(dtype: str) -> None:
    assert sample.distinct(np.array([0.0, -0.0, 1.0, 1.0]).astype(jnp.dtype(dtype))) == 2


def test_narrowed_keeps_every_value(rng: np.random.Generator) -> None:
    values = rng.normal(size=3000)
    for dtype, narrow in ((np.float64, np.float32), (ml_dtypes.bfloat16, ml_dtypes.bfloat16), (np.float16, np.float16)):
        found = sample.narrowed(values.astype(dtype).astype(np.float64))
        assert found.dtype == narrow
        np.testing.assert_array_equal(found, values.astype(narrow))
