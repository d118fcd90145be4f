"""Normals cut off at numbers of standard deviations, as in JAX. Those of timm are in tests/other_models."""

import math
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxinit
from jaxinit import FLAX, TORCH, Layout, TorchGenerator
from jaxinit._initializers.text import from_text
from jaxinit._models.correspondence import with_layout
from jaxinit._models.stacks import for_stack
from jaxinit.composed import truncated
from jaxinit.distributions import Constant, TruncatedNormal

KEY = jax.random.key(0)
UNTYPED: Any = truncated
SHAPE = (48, 40)
LECUN = truncated(jaxinit.kaiming_normal(nonlinearity="linear"), keep_std=True)
GLOROT = truncated(jaxinit.xavier_normal(), keep_std=True)
HE = truncated(jaxinit.kaiming_normal(nonlinearity="relu"), keep_std=True)


def assert_quantiles(init: Any, drawn: np.ndarray, uniform: np.ndarray) -> None:
    """Our cdf of each draw is the uniform number that the draw is the quantile of, scaled to [0, 1]."""
    distribution = init.distribution(SHAPE)
    assert isinstance(distribution, TruncatedNormal)
    loc, scale = distribution.loc, distribution.scale
    low, high = (distribution.low - loc) / scale, (distribution.high - loc) / scale
    first, last = erf(low), erf(high)
    cdf = scipy.stats.truncnorm(low, high, loc=loc, scale=scale).cdf(drawn)
    np.testing.assert_allclose(cdf, (uniform - first) / (last - first), atol=1e-12)


def erf(sigmas: float) -> float:
    return math.erf(sigmas / math.sqrt(2))


@pytest.mark.parametrize(
    ("init", "lower", "upper", "of_jax"),
    [
        (truncated(jaxinit.normal(std=0.02)), -2, 2, jax.nn.initializers.truncated_normal(0.02)),
        (
            truncated(jaxinit.normal(std=0.5), -1, 3),
            -1,
            3,
            jax.nn.initializers.truncated_normal(0.5, lower=-1.0, upper=3.0),
        ),
        (LECUN, -2, 2, jax.nn.initializers.lecun_normal()),
        (GLOROT, -2, 2, jax.nn.initializers.glorot_normal()),
        (HE, -2, 2, jax.nn.initializers.he_normal()),
    ],
    ids=["truncated_normal", "truncated_normal with bounds", "lecun_normal", "glorot_normal", "he_normal"],
)
def test_jax_draws_the_same_distribution(init: Any, lower: float, upper: float, of_jax: Any, seed: int) -> None:
    """JAX, too, takes quantiles of a uniform number, which jax.random.uniform draws from the same key."""
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        uniform = np.asarray(jax.random.uniform(key, SHAPE, jnp.float64, erf(lower), erf(upper)))
        drawn = np.asarray(of_jax(key, SHAPE, jnp.float64))
    assert_quantiles(init, drawn, uniform)


@pytest.mark.parametrize(("lower", "upper"), [(-2, 2), (-1, 3), (0.5, 4), (-math.inf, 1), (-math.inf, math.inf)])
def test_keep_std_is_the_std_of_the_draws(lower: float, upper: float) -> None:
    kept = truncated(jaxinit.normal(0.3, 0.02), lower, upper, keep_std=True).distribution(())
    assert math.isclose(kept.std, 0.02, rel_tol=1e-13)
    plain = truncated(jaxinit.normal(0.3, 0.02), lower, upper).distribution(())
    assert math.isclose(plain.std, 0.02 * scipy.stats.truncnorm(lower, upper).std(), rel_tol=1e-9)
    assert plain.support == (0.3 + lower * 0.02, 0.3 + upper * 0.02)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_it_has_the_numbers_of_trunc_normal_with_values_for_bounds(dtype: str, seed: int) -> None:
    ours, values = truncated(jaxinit.normal(std=0.02)), jaxinit.trunc_normal(std=0.02, a=-0.04, b=0.04)
    assert ours.distribution(()) == values.distribution(())
    with jax.enable_x64(dtype == "float64"):
        for source in (lambda: jax.random.key(seed), lambda: TorchGenerator(seed)):
            one, other = ours(source(), (33, 5), dtype), values(source(), (33, 5), dtype)
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    "init",
    [LECUN, truncated(jaxinit.normal(0.5, dtype="bfloat16"), upper=math.inf), 0.5 * with_layout(GLOROT, TORCH) / 3],
    ids=repr,
)
def test_it_is_a_value(init: Any) -> None:
    assert from_text(repr(init)) == init == pickle.loads(pickle.dumps(init))
    assert init(KEY, SHAPE).dtype == (init.dtype or "float32")


def test_it_has_the_layout_and_the_dtype_of_the_initializer() -> None:
    inner = jaxinit.kaiming_normal(layout=TORCH, dtype="bfloat16")
    assert (truncated(inner).layout, truncated(inner).dtype) == (TORCH, "bfloat16")
    assert truncated(jaxinit.kaiming_normal(), layout="OI", dtype="bfloat16") == truncated(inner)
    assert with_layout(truncated(inner), FLAX) == truncated(jaxinit.kaiming_normal(dtype="bfloat16"))
    assert for_stack(LECUN, 3, 1) == with_layout(LECUN, Layout(batch_axis=0))
    plain = truncated(jaxinit.normal())
    assert for_stack(plain, 2, 1) == with_layout(plain, TORCH) == plain
    assert plain(KEY, (7,)).shape == (7,)


def test_what_has_no_spread_is_constant() -> None:
    assert truncated(jaxinit.normal(0.3, 0.0)).distribution(()) == Constant(0.3)
    with pytest.warns(UserWarning, match="has no elements") as caught:
        assert LECUN(KEY, (0, 3)).shape == (0, 3)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "init", [jaxinit.uniform(), 0.5 * jaxinit.xavier_uniform(), jaxinit.orthogonal(), LECUN, None, jax.nn.relu]
)
def test_an_initializer_that_is_not_normal_is_refused(init: Any) -> None:
    message = r"`init` must be an initializer with a normal distribution, such as jaxinit.normal\(\) or .*, got "
    with pytest.raises(TypeError, match=message):
        UNTYPED(init)


@pytest.mark.parametrize("bounds", [(2, -2), (1, 1), (math.inf, math.inf)])
def test_bounds_in_the_wrong_order_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"`lower` must be less than `upper`, got lower=.* and upper="):
        truncated(jaxinit.normal(), *bounds)
    with pytest.raises(ValueError, match="`upper` must be a number, got nan"):
        truncated(jaxinit.normal(), upper=math.nan)


def test_trunc_normal_is_torchs_whose_bounds_are_values() -> None:
    assert jaxinit.trunc_normal(std=0.02).distribution(()) == TruncatedNormal(0.0, 0.02, -2.0, 2.0)
