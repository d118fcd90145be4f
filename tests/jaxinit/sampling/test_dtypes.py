"""Dtypes: drawn in float32, rounded once, and never outside the support."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxinit
from jaxinit._initializers.base import Elementwise
from jaxinit.distributions import Normal, Uniform
from tests.jaxinit import cases
from tests.jaxinit.draws import FALSE_ALARM

FLOAT8 = sorted(name for name in dir(jnp) if name.startswith("float8") and float(jnp.finfo(getattr(jnp, name)).min) < 0)
LOW = ["float16", "bfloat16", *FLOAT8]

DRAWS = [
    jaxinit.uniform(),
    jaxinit.uniform(-1.0, 0.0),
    jaxinit.uniform(0.1, 0.3),
    jaxinit.uniform(-0.7, 0.7),
    jaxinit.uniform(1.0, 1.001),
    jaxinit.normal(),
    jaxinit.normal(0.3, 10.0),
    jaxinit.normal(std=1e-3),
    jaxinit.trunc_normal(),
    jaxinit.trunc_normal(a=-0.3, b=0.1),
    jaxinit.trunc_normal(a=3.1, b=9.0),
    jaxinit.kaiming_uniform(),
    jaxinit.xavier_normal(),
]


def finite_values(dtype: str) -> np.ndarray:
    """Every finite value of a dtype of 8 or 16 bits, as float64, in order."""
    parsed = jnp.dtype(dtype)
    patterns = np.arange(2 ** (8 * parsed.itemsize), dtype=f"uint{8 * parsed.itemsize}")
    with np.errstate(invalid="ignore"):
        values = patterns.view(parsed).astype(np.float64)
    return np.unique(values[np.isfinite(values)])


def inside(dtype: str, init: Elementwise, shape: tuple[int, ...]) -> tuple[float, float]:
    """The least and the greatest value of the dtype in the support, found by looking at each."""
    distribution = init.distribution(shape)
    low, high = distribution.support
    values = finite_values(dtype)
    below = values < high if isinstance(distribution, Uniform) else values <= high
    allowed = values[(values >= low) & below]
    return float(allowed.min()), float(allowed.max())


def distinct_in(dtype: str, init: Elementwise) -> bool:
    """Whether the dtype has a value in the support at all."""
    low, high = init.distribution((32, 32)).support
    values = finite_values(dtype)
    return bool(((values >= low) & (values < high)).any())


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("init", DRAWS, ids=repr)
def test_low_precision_is_float32_rounded_once_inside_the_support(init: Elementwise, dtype: str, seed: int) -> None:
    if not distinct_in(dtype, init):
        return
    shape = (32, 32)
    distribution = init.distribution(shape)
    if max(abs(distribution.mean), distribution.std) < float(jnp.finfo(dtype).smallest_subnormal) / 4:
        with pytest.raises(ValueError, match="`dtype` must have values as small as the distribution's"):
            init(jax.random.key(seed), shape, dtype)
        return
    values = np.asarray(init(jax.random.key(seed), shape, dtype))
    exact = np.asarray(init(jax.random.key(seed), shape, jnp.float32))
    least, greatest = inside(dtype, init, shape)
    assert values.dtype == jnp.dtype(dtype)
    np.testing.assert_array_equal(
        values.astype(np.float64), np.clip(exact, np.float32(least), np.float32(greatest)).astype(dtype).astype(float)
    )
    assert values.astype(np.float64).min() >= least
    assert values.astype(np.float64).max() <= greatest


@pytest.mark.parametrize("dtype", LOW)
def test_a_support_between_two_values_gives_the_nearest(dtype: str) -> None:
    one = float(np.asarray(1.0).astype(dtype))
    values = jaxinit.uniform(1.00001, 1.00002)(jax.random.key(0), (8,), dtype)
    assert set(np.asarray(values).astype(float).tolist()) == {one}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("support", [(1.0, 1.0 + 2**-20), (-1.0, 0.0), (1e6, 1e6 + 1), (-3.0, -2.9)])
def test_uniform_never_reaches_its_upper_bound(support: tuple[float, float], dtype: str, seed: int) -> None:
    with jax.enable_x64(dtype == "float64"):
        values = np.asarray(jaxinit.uniform(*support)(jax.random.key(seed), (200_000,), dtype)).astype(np.float64)
    assert values.min() >= support[0]
    assert values.max() < support[1]


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("name", ["orthogonal", "sparse"])
def test_structured_ones_are_float32_rounded_once(name: str, dtype: str) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    exact = np.asarray(init(jax.random.key(0), shape, jnp.float32))
    rounded = np.asarray(init(jax.random.key(0), shape, dtype)).astype(np.float64)
    np.testing.assert_array_equal(rounded, exact.astype(dtype).astype(np.float64))


@pytest.mark.parametrize("dtype", [*LOW, "float32", "complex64", "int8", "int32", "uint16"])
@pytest.mark.parametrize("name", cases.NOT_RANDOM)
def test_what_is_not_random_works_in_every_dtype(name: str, dtype: str) -> None:
    values = cases.build(name)(jax.random.key(0), cases.shape_of(name), dtype)
    expected = np.asarray(cases.build(name)(jax.random.key(0), cases.shape_of(name))).astype(dtype)
    assert values.dtype == jnp.dtype(dtype)
    assert np.asarray(values).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float8_e8m0fnu"])
@pytest.mark.parametrize("name", cases.RANDOM)
def test_random_values_need_a_signed_inexact_dtype(name: str, dtype: str) -> None:
    message = f"`dtype` must be a signed floating or complex dtype for random values, got {dtype}"
    with pytest.raises(ValueError, match=message):
        cases.build(name)(jax.random.key(0), cases.shape_of(name), dtype)


@pytest.mark.parametrize(
    ("val", "dtype"),
    [
        (1e6, "float16"),
        (1e39, "float32"),
        (1000.0, "float8_e4m3fn"),
        (300, "uint8"),
        (-1, "uint8"),
        (2**40, "int32"),
        (math.inf, "int32"),
        (1e39 + 1j, "complex64"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(val: float, dtype: str) -> None:
    with pytest.raises(ValueError, match=rf"`val` must fit in dtype {dtype}, got "):
        jaxinit.constant(val)(jax.random.key(0), (2,), dtype)


def test_a_complex_constant_needs_a_complex_dtype() -> None:
    with pytest.raises(ValueError, match=r"`val` must be real for dtype float32, got \(1\+2j\)"):
        jaxinit.constant(1 + 2j)(jax.random.key(0), (2,), "float32")
    assert jaxinit.constant(1 + 2j)(jax.random.key(0), (2,), "complex64").tolist() == [1 + 2j, 1 + 2j]


def test_large_integers_stay_exact() -> None:
    with jax.enable_x64(True):
        assert jaxinit.constant(2**60 + 1)(jax.random.key(0), (1,), "int64").tolist() == [2**60 + 1]


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="`dtype` must be wide enough for the distribution, got float32 for Normal"):
        jaxinit.normal(1e300)(jax.random.key(0), (2,))
    with jax.enable_x64(True):
        assert jaxinit.normal(1e300)(jax.random.key(0), (2,), "float64").tolist() == [1e300, 1e300]


def test_float64_without_x64_says_so() -> None:
    with pytest.warns(UserWarning, match="`dtype` float64 needs jax_enable_x64; float32 is used instead"):
        assert jaxinit.normal()(jax.random.key(0), (2,), "float64").dtype == jnp.float32
    with pytest.warns(UserWarning, match="`dtype` float64 needs jax_enable_x64; float32 is used instead"):
        jaxinit.normal(dtype=np.dtype("float64"))(jax.random.key(0), (2,))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_parts_are_torchs(dtype: str, seed: int) -> None:
    with jax.enable_x64(dtype == "complex128"):
        key = jax.random.key(seed)
        uniform = np.asarray(jaxinit.uniform(-1.0, 3.0)(key, (20_000,), dtype))
        normal = np.asarray(jaxinit.normal(0.5, 2.0)(key, (20_000,), dtype))
        scaled = np.asarray(jaxinit.kaiming_normal()(key, (100, 200), dtype)).ravel()
    assert {uniform.dtype, normal.dtype, scaled.dtype} == {np.dtype(dtype)}
    for part in (np.real, np.imag):
        assert stats.kstest(part(uniform), stats.uniform(-1.0, 4.0).cdf).pvalue > FALSE_ALARM
        # torch adds the mean to both parts, and gives each half of the variance.
        assert stats.kstest(part(normal), stats.norm(0.5, math.sqrt(2.0)).cdf).pvalue > FALSE_ALARM
        assert stats.kstest(part(scaled), stats.norm(0.0, 0.1).cdf).pvalue > FALSE_ALARM
    for values in (uniform, normal, scaled):
        assert abs(np.corrcoef(values.real, values.imag)[0, 1]) * math.sqrt(values.size) < 7.5


def test_complex_words_are_those_of_the_key(seed: int) -> None:
    key = jax.random.key(seed)
    words = np.asarray(jax.random.bits(key, (2, 5, 7)))
    real, imag = cases.values_of_words(Normal(0.0, 1 / math.sqrt(2.0)), words)
    np.testing.assert_array_equal(np.asarray(jaxinit.normal()(key, (5, 7), "complex64")), real + 1j * imag)


def test_a_truncated_normal_refuses_complex_as_torch_does() -> None:
    with pytest.raises(ValueError, match=r"`dtype` must be real for a truncated_normal distribution.*got complex64"):
        jaxinit.trunc_normal()(jax.random.key(0), (2,), "complex64")


@pytest.mark.parametrize(
    "init",
    [
        jaxinit.uniform(1e6, 2e6),
        jaxinit.normal(0.0, 1e6),
        jaxinit.trunc_normal(1e6, 1.0, 1e6, 2e6),
        jaxinit.orthogonal(1e6),
    ],
    ids=repr,
)
def test_a_dtype_that_ends_before_the_values_is_refused(init: jaxinit.Initializer) -> None:
    with pytest.raises(ValueError, match="`dtype` must be wide enough for the distribution, got float16"):
        init(jax.random.key(0), (4, 4), jnp.float16)


def test_pythons_own_float_means_the_default_dtype() -> None:
    assert jaxinit.normal()(jax.random.key(0), (2,), float).dtype == jnp.float32


@pytest.mark.parametrize("name", ["", ",", "f4,f4", "float3"])
def test_a_text_that_names_no_dtype_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="`dtype` must be a dtype"):
        jaxinit.normal(dtype=name)


@pytest.mark.parametrize("name", [*LOW, "float32", "float64", "complex64", "complex128", "int8", "uint32", "bool"])
def test_every_dtype_is_known_by_its_name(name: str) -> None:
    assert jaxinit.zeros(dtype=name).dtype == jnp.dtype(name)


@pytest.mark.parametrize("dtype", ["float6_e2m3fn", "float6_e3m2fn", ">f4", "longdouble"])
@pytest.mark.parametrize("name", ["uniform", "zeros", "eye", "orthogonal"])
def test_a_dtype_that_xla_cannot_compute_with_is_refused(name: str, dtype: str) -> None:
    with pytest.raises(TypeError, match=r"`dtype` must be a dtype (that XLA can compute with|of numbers), got "):
        cases.build(name)(jax.random.key(0), cases.shape_of(name), jnp.dtype(dtype))


def test_a_dtype_that_would_round_every_draw_to_zero_is_refused() -> None:
    key = jax.random.key(0)
    with pytest.raises(
        ValueError, match=r"`dtype` must have values as small as .* got float4_e2m1fn, whose least is 0.5"
    ):
        jaxinit.uniform(-0.1, 0.1)(key, (8, 8), "float4_e2m1fn")
    with pytest.raises(ValueError, match="`dtype` must have values as small as"):
        jaxinit.normal(std=1e-9)(key, (8, 8), "float16")
    assert not jaxinit.normal(std=0.0)(key, (8, 8), "float4_e2m1fn").any()
    assert jaxinit.normal()(key, (64, 64), "float4_e2m1fn").any()
