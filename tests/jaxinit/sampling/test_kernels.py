"""The kernels, fed with chosen random words: accurate, symmetric, monotone, and never outside the window."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from jaxinit._sampling import normal_quantile
from jaxinit.distributions import Normal, TruncatedNormal, Uniform
from tests.jaxinit.cases import values_of_words

INF = math.inf

# In parent sigmas, the far end above. Each kernel, and both sides of every switch between two kernels.
WINDOWS = [
    (-2.0, 2.0),
    (-INF, INF),
    (0.0, INF),
    (-0.5, INF),
    (0.0, 1.0),
    (0.1, 3.0),
    (1.0, 2.5),
    (3.9, INF),
    (3.99, 4.5),
    (4.0, 4.5),
    (4.0, INF),
    (5.0, 6.0),
    (8.0, 9.0),
    (12.0, 13.0),
    (12.0, INF),
    (37.0, 39.0),
    (-100.0, 100.0),
    (-3.0, 1e6),
    (-0.009, 0.009),
    (-0.02, 0.02),
    (0.5, 0.51),
    (0.5, 0.53),
    (20.0, 20.0005),
    (20.0, 20.01),
]
EACH_DTYPE = pytest.mark.parametrize("dtype", [np.uint32, np.uint64])

Words = np.ndarray


def spread_words(dtype: type[np.uint32 | np.uint64]) -> Words:
    """Words over the whole range, dense at both ends, sorted."""
    bits = 8 * np.dtype(dtype).itemsize
    ends = [2**power + offset for power in range(bits) for offset in (-1, 0, 1)]
    middle = [round(2**bits * share) for share in np.linspace(0.001, 0.999, 40)]
    words = {word % 2**bits for end in ends for word in (end, -end - 1)} | set(middle)
    return np.array(sorted(words), dtype)


def upper_tail(z: mpmath.mpf) -> mpmath.mpf:
    return mpmath.erfc(z / mpmath.sqrt(2)) / 2


def mass_below(window: tuple[float, float], x: mpmath.mpf) -> mpmath.mpf:
    """P(X <= x) of N(0, 1) in the window. The working digits cover every cancellation here."""
    low, high = (mpmath.mpf(end) for end in window)
    x = min(max(x, low), high)
    return (upper_tail(low) - upper_tail(x)) / (upper_tail(low) - upper_tail(high))


def assert_quantiles(
    window: tuple[float, float], words: Words, values: np.ndarray, spacings: int, slack: float
) -> None:
    """Each value lies within so many float spacings of the quantile of its word's middle.

    `slack` is the error allowed in the mass on either side, relative to it.
    """
    bits = 8 * words.dtype.itemsize
    with mpmath.workdps(60):
        for word, value in zip(words, values, strict=True):
            share = (mpmath.mpf(int(word)) + 0.5) / 2**bits
            reach = spacings * mpmath.mpf(float(np.spacing(abs(value))))
            below, above = (mass_below(window, mpmath.mpf(float(value)) + side * reach) for side in (-1, 1))
            allowed = slack * min(share, 1 - share)
            assert below - allowed <= share <= above + allowed, (window, hex(word), value, float(below), float(above))


def draw(window: tuple[float, float], words: Words) -> np.ndarray:
    return values_of_words(TruncatedNormal(0.0, 1.0, *window), words)


@pytest.mark.parametrize("window", WINDOWS)
def test_truncated_normal_is_the_quantile_of_its_word(window: tuple[float, float]) -> None:
    words = spread_words(np.uint32)[::3]
    assert_quantiles(window, words, draw(window, words), spacings=8, slack=4e-6)


@pytest.mark.parametrize("window", WINDOWS)
def test_truncated_normal_is_the_quantile_of_its_word_in_float64(window: tuple[float, float]) -> None:
    words = spread_words(np.uint64)[::6]
    assert_quantiles(window, words, draw(window, words), spacings=8, slack=1e-11)


@pytest.mark.parametrize("window", WINDOWS)
@EACH_DTYPE
def test_truncated_normal_is_monotone_and_inside(
    window: tuple[float, float], dtype: type[np.uint32 | np.uint64]
) -> None:
    words = spread_words(dtype)
    values = draw(window, words)
    assert np.isfinite(values).all()
    spacing = np.spacing(np.abs(values)).max()
    # Rounding may cross a bound or swap neighbours by a few ulps. Draws are clipped after.
    assert values.min() >= window[0] - 4 * spacing
    assert values.max() <= window[1] + 4 * spacing
    assert np.diff(values).min() >= -2 * spacing
    assert len(np.unique(values)) >= min(40, (window[1] - window[0]) / spacing / 8)


@pytest.mark.parametrize("window", [w for w in WINDOWS if math.isfinite(w[0]) and math.isfinite(w[1])])
def test_no_mass_piles_up_at_a_bound(window: tuple[float, float]) -> None:
    # The words whose quantile is ten spacings inside must not give the bound.
    for bound, inward in ((window[0], 1), (window[1], -1)):
        inside = np.float32(bound) + inward * 10 * np.spacing(np.float32(max(abs(bound), 1e-3)))
        with mpmath.workdps(60):
            mass = mass_below(window, mpmath.mpf(float(inside)))
            word = min(int(mpmath.ceil(mass * 2**32)), 2**32 - 1)
        value = draw(window, np.array([word], np.uint32))[0]
        assert (value - np.float32(bound)) * inward > 0


@EACH_DTYPE
@pytest.mark.parametrize("window", [w for w in WINDOWS if w[0] != -w[1]])
def test_a_mirrored_window_gives_the_opposite_values(
    window: tuple[float, float], dtype: type[np.uint32 | np.uint64]
) -> None:
    words = spread_words(dtype)
    np.testing.assert_array_equal(draw((-window[1], -window[0]), words), -draw(window, words))


@EACH_DTYPE
@pytest.mark.parametrize("std", [1.0, 0.02, 3.7])
def test_a_normal_of_a_word_and_of_its_complement_are_opposite(dtype: type[np.uint32 | np.uint64], std: float) -> None:
    words = spread_words(dtype)
    values, opposite = values_of_words(Normal(0.0, std), words), values_of_words(Normal(0.0, std), ~words)
    np.testing.assert_array_equal(values, -opposite)
    assert (values != 0).all()


@pytest.mark.parametrize(("dtype", "ulps", "reach"), [(np.uint32, 6, 6.2), (np.uint64, 16, 9.0)])
def test_normal_is_accurate_to_a_few_ulps(dtype: type[np.uint32 | np.uint64], ulps: int, reach: float) -> None:
    words = spread_words(dtype)
    bits = 8 * np.dtype(dtype).itemsize
    lower = words[words < 2 ** (bits - 1)]
    # In the lower half the share of a word has all its digits in float64.
    quantiles = stats.norm.ppf((lower.astype(np.float64) + 0.5) / 2.0**bits)
    values = values_of_words(Normal(0.0, 1.0), lower)
    near_zero = lower > 2**bits * 0.49
    errors = np.abs(values - quantiles) / np.spacing(np.abs(values))
    assert errors[~near_zero].max() <= ulps
    assert np.abs(values - quantiles)[near_zero].max() < 4 * np.finfo(values.dtype).eps
    assert values.min() < -reach


def test_normal_is_accurate_beside_zero() -> None:
    # P(0 < Z < z) = z * phi(0) to first order. The smallest steps are half a word from the middle.
    offsets = np.array([0, 1, 2, 100, 10**5], np.uint32)
    expected = (offsets + 0.5) / 2.0**32 * math.sqrt(2 * math.pi)
    np.testing.assert_allclose(values_of_words(Normal(0.0, 1.0), offsets + np.uint32(2**31)), expected, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "digits"), [(np.uint32, 24), (np.uint64, 53)])
def test_uniform_is_the_top_bits(dtype: type[np.uint32 | np.uint64], digits: int) -> None:
    words = spread_words(dtype)
    top = (words >> dtype(8 * np.dtype(dtype).itemsize - digits)).astype(np.float64) * 2.0**-digits
    np.testing.assert_array_equal(values_of_words(Uniform(0.0, 1.0), words), top)
    np.testing.assert_array_equal(values_of_words(Uniform(-1.0, 1.0), words), 2 * top - 1)
    np.testing.assert_array_equal(values_of_words(Uniform(-4.0, 0.0), words), 4 * (top - 1))


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.1), (-0.1, 0.1), (3.0, 3.5), (-1e-3, 7.0), (5.0, 5.0), (-2.0, -1.9)])
def test_any_uniform_is_the_stretched_top_bits(low: float, high: float) -> None:
    words = spread_words(np.uint32)
    top = (words >> np.uint32(8)).astype(np.float64) * 2.0**-24
    values = values_of_words(Uniform(low, high), words)
    tolerance = 2 * np.spacing(np.float32(max(abs(low), abs(high))))
    np.testing.assert_allclose(values, low + (high - low) * top, rtol=0, atol=tolerance)
    assert (np.diff(values) >= 0).all()


@pytest.mark.parametrize("place", [lambda w: w * 0.25, lambda w: w * 0.25 + 10.0, lambda w: w * 3e-8 - 1e-7])
@pytest.mark.parametrize("window", [(-2.0, 2.0), (8.0, 9.0), (0.5, 0.502), (5.0, INF)])
def test_mean_and_std_move_and_stretch(place: Callable[[np.ndarray], np.ndarray], window: tuple[float, float]) -> None:
    loc, one = place(np.array([0.0, 1.0])).tolist()
    words = spread_words(np.uint64)
    low, high = place(np.array(window)).tolist()
    values = values_of_words(TruncatedNormal(loc, one - loc, low, high), words)
    # Sorted, as rounding decides which end of a symmetric window the words count from.
    np.testing.assert_allclose(np.sort(values), place(np.sort(draw(window, words))), rtol=1e-11)


SHAPES = [(4, 4), (1,), (5,), (8, 16), (33,), (3, 3, 8, 8)]


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize("window", [(-INF, INF), (-2.0, 2.0), (4.5, INF), (8.0, 9.0), (0.5, 0.501)])
def test_values_do_not_depend_on_the_shape_of_their_block(
    window: tuple[float, float], dtype: type[np.uint32 | np.uint64], seed: int
) -> None:
    # Each device computes one block of a sharded array, in a loop that the compiler makes for its shape.
    words = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (64, 64), dtype, endpoint=True)
    distribution = TruncatedNormal(0.25, 0.75, *window) if window != (-INF, INF) else Normal(0.25, 0.75)
    whole = values_of_words(distribution, words).ravel()
    for shape in SHAPES:
        block = values_of_words(distribution, words.ravel()[: math.prod(shape)].reshape(shape))
        np.testing.assert_array_equal(block.ravel(), whole[: block.size])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_polynomial_alone_does_not_depend_on_the_shape_of_its_block(dtype: str, seed: int) -> None:
    # Without `unfused` up to half of these differ, with every version of jax.
    with jax.enable_x64(True):
        s = np.random.default_rng(seed).uniform(0, 5, (64, 64)).astype(dtype)
        polynomial = jax.jit(functools.partial(normal_quantile._polynomial, normal_quantile.RATIOS[s.dtype][0]))
        whole = np.asarray(polynomial(s)).ravel()
        for shape in SHAPES:
            block = np.asarray(polynomial(s.ravel()[: math.prod(shape)].reshape(shape)))
            np.testing.assert_array_equal(block.ravel(), whole[: block.size])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["log", "log1p"])
def test_logarithms_are_accurate_to_two_ulps(name: str, dtype: str) -> None:
    near_one = np.concatenate([-np.geomspace(1e-30, 0.5, 300), np.geomspace(1e-30, 0.5, 300), [0.0]])
    x = (1 + near_one if name == "log" else near_one).astype(dtype)
    if name == "log":
        exponents = np.linspace(np.finfo(dtype).minexp, np.finfo(dtype).maxexp - 1, 400).astype(int)
        x = np.concatenate([x, np.ldexp(np.linspace(1, 1.99, 400), exponents).astype(dtype)])
    with jax.enable_x64(True):
        values = np.asarray(jax.jit(getattr(normal_quantile, name))(jnp.asarray(x)))
    exact = np.array([float(getattr(mpmath, name)(mpmath.mpf(float(each)))) for each in x])
    np.testing.assert_allclose(values, exact, rtol=2 * float(np.finfo(dtype).eps), atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_logarithm_does_not_depend_on_the_shape_of_its_block(dtype: str, seed: int) -> None:
    # jnp.log does on jax 0.12: one entry in a thousand, by an ulp, in a block of (3, 3, 8, 8).
    with jax.enable_x64(True):
        log = jax.jit(normal_quantile.log)
        x = np.random.default_rng(seed).uniform(1e-9, 1, (64, 64)).astype(dtype)
        whole = np.asarray(log(x)).ravel()
        for shape in SHAPES:
            block = np.asarray(log(x.ravel()[: math.prod(shape)].reshape(shape)))
            np.testing.assert_array_equal(block.ravel(), whole[: block.size])
