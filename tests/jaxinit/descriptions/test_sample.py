"""The statistics of one array are those of the definitions."""

import math

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxinit._descriptions.sample import Sample, part


def test_moments_are_those_of_the_definition(rng: np.random.Generator) -> None:
    values = rng.normal(3.0, 2.0, size=950)
    sample = Sample.of(values.reshape(19, 50))
    standardized = (values - values.mean()) / values.std()
    assert sample.moments == pytest.approx((values.mean(), values.std()))
    assert sample.kurtosis == pytest.approx((standardized**4).mean())
    assert sample.ends == (values.min(), values.max())


def test_without_entries_or_scatter_moments_are_nan() -> None:
    assert all(map(math.isnan, (*Sample.of(np.zeros(0)).moments, *Sample.of(np.zeros(0)).ends)))
    assert Sample.of(np.full(3, 0.1)).moments == pytest.approx((0.1, 0.0))
    assert math.isnan(Sample.of(np.full(3, 0.1)).kurtosis)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    sample = Sample.of(np.array([1.0, math.nan, math.inf, -math.inf, 3.0]))
    assert (sample.nan, sample.infinite, sample.moments) == (1, 2, (2.0, 1.0))


def test_both_parts_of_complex_entries_count_wherever_they_lie() -> None:
    array = np.array([1 + 2j, 9 + 9j, 3 + 4j, 9 + 9j], np.complex64)[::2]
    sample = Sample.of(array)
    assert (sample.is_complex, sample.dtype, [*sample.finite]) == (True, np.dtype("float32"), [1, 2, 3, 4])
    large = np.zeros(2**20 + 2, np.complex64)
    assert Sample.of(part(large)).size == large.size


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int16", "bool"])
def test_distinct_counts_values_not_bits(dtype: str) -> None:
    assert Sample.of(np.array([0.0, -0.0, 1.0, 1.0]).astype(jnp.dtype(dtype))).distinct == 2


def test_a_narrower_dtype_is_seen_where_it_holds_every_value(rng: np.random.Generator) -> None:
    values = rng.normal(size=3000)
    for dtype in (ml_dtypes.bfloat16, np.float16, np.float32, np.float64):
        wide = values.astype(dtype).astype(np.float64)
        expected = np.dtype(np.float64) if dtype is np.float32 else np.dtype(dtype)
        assert Sample.of(wide).narrow == expected
    assert Sample.of(values.astype(ml_dtypes.bfloat16)).narrow == ml_dtypes.bfloat16


def test_bars_count_the_entries_from_the_least_to_the_largest() -> None:
    assert Sample.of(np.repeat(np.arange(12.0), np.arange(12) + 1)).histogram == "▂▂▃▃▄▅▅▆▆▇▇█"
    assert Sample.of(np.ones(4)).histogram == ""


def test_points_are_shares_of_the_entries() -> None:
    values, less, upto = Sample.of(np.array([2.0, 1.0, 2.0, 4.0])).points
    assert [*values] == [1.0, 2.0, 4.0]
    assert [*less] == [0.0, 0.25, 0.75]
    assert [*upto] == [0.25, 0.75, 1.0]


@pytest.mark.parametrize("shape", [(2**21,), (4097, 1025), (3, 3, 512, 1024), (1, 2**22), (2**10, 2**10)])
def test_of_many_entries_evenly_spaced_ones_are_used(shape: tuple[int, ...]) -> None:
    array = np.broadcast_to(np.arange(shape[-1]), shape)
    used = part(array)
    assert used.size <= 2**20
    assert used.size > 2**20 / 2.1 or used.shape == shape
    assert used.ndim == len(shape)
    assert used.flat[0] == 0


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("axes", [("x", "y"), (None, "y"), (None, None)])
def test_of_many_entries_on_several_devices_a_part_of_each_shard_is_used(
    kind: AxisType, axes: tuple[str | None, str | None]
) -> None:
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(kind, kind))
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    large = jax.device_put(jnp.arange(2.0**21).reshape(2048, 1024), sharding)
    with jax.set_mesh(mesh):
        used = part(large)
    assert used.size == 2**20
    assert np.unique(used).size == used.size
    np.testing.assert_allclose(used.mean(), 2.0**20, rtol=0.01)
    small = jax.device_put(jnp.arange(64.0).reshape(8, 8), sharding)
    np.testing.assert_array_equal(part(small), np.arange(64.0).reshape(8, 8))
