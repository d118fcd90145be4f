"""From a key to an array: one set of values however the draw is run."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxinit
from jaxinit._sampling.sample import sample
from jaxinit.distributions import Normal, Random, TruncatedNormal, Uniform
from tests.jaxinit import cases
from tests.jaxinit.draws import FALSE_ALARM, assert_drawn

EACH_DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_the_bits_are_those_of_the_key(impl: str, seed: int) -> None:
    key = jax.random.key(seed, impl=impl)
    expected = (jax.random.bits(key, (5, 7)) >> jnp.uint32(8)).astype(jnp.float32) * 2.0**-24
    chex.assert_trees_all_equal(jaxinit.uniform()(key, (5, 7)), expected)
    words = np.asarray(jax.random.bits(key, (5, 7)))
    for init in (jaxinit.normal(1.0, 0.3), jaxinit.trunc_normal(), jaxinit.kaiming_normal()):
        distribution = init.distribution((5, 7))
        assert isinstance(distribution, Normal | TruncatedNormal)
        chex.assert_trees_all_equal(np.asarray(init(key, (5, 7))), cases.values_of_words(distribution, words))


def test_float64_draws_have_53_bits(seed: int) -> None:
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        words = jax.random.bits(key, (1000,), jnp.uint64)
        expected = (words >> jnp.uint64(11)).astype(jnp.float64) * 2.0**-53
        values = jaxinit.uniform()(key, (1000,), jnp.float64)
        chex.assert_trees_all_equal(values, expected)
        assert jaxinit.uniform()(key, (2,)).dtype == jnp.float64
        normals = np.asarray(jaxinit.normal()(key, (1000,), jnp.float64))
    np.testing.assert_array_equal(normals, cases.values_of_words(Normal(0.0, 1.0), np.asarray(words)))


@EACH_DTYPE
@cases.each_name
def test_eager_jit_vmap_and_scan_agree(name: str, dtype: str, seed: int) -> None:
    init, shape = cases.build(name), cases.shape_of(name)

    def draw(key: jax.Array) -> jax.Array:
        return init(key, shape, dtype)

    with jax.enable_x64(dtype == "float64"):
        keys = jax.random.split(jax.random.key(seed), 3)
        eager = jnp.stack([draw(key) for key in keys])
        assert eager.dtype == dtype
        cases.assert_same(name, jax.jit(draw)(keys[1]), eager[1])
        scanned = jax.lax.scan(lambda carry, key: (carry, draw(key)), None, keys)[1]
        for values in (jax.vmap(draw)(keys), scanned):
            cases.assert_same(name, values, eager)


@pytest.mark.parametrize("name", cases.RANDOM)
def test_bits_survive_fusion_with_what_follows(name: str, seed: int) -> None:
    # With its numbers folded in as constants XLA would round otherwise than it does eagerly.
    init, shape, key = cases.build(name), cases.shape_of(name), jax.random.key(seed)
    inlined = jax.jit(lambda key: (init(key, shape), init(key, shape) * 2 + 1))(key)
    cases.assert_same(name, inlined[0], init(key, shape))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64", "complex64"])
@pytest.mark.parametrize(
    "distribution",
    [
        Uniform(-1.0, 1.0),
        Normal(0.0, 0.1),
        *(TruncatedNormal(0.0, 1.0, a, b) for a, b in [(-2.0, 2.0), (8.0, 9.0), (0.5, 0.501)]),
    ],
    ids=str,
)
def test_a_draw_needs_no_array_besides_its_result(distribution: Random, dtype: str) -> None:
    # In one loop over the entries the bits are drawn once. Two loops keep an array, and draw them twice.
    if dtype == "complex64" and isinstance(distribution, TruncatedNormal):
        return
    with jax.enable_x64(dtype == "float64"):
        draw = jax.jit(lambda key: sample(distribution, key, (64, 64), jnp.dtype(dtype)))
        memory = draw.lower(jax.random.key(0)).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 100


@pytest.mark.parametrize(
    "distribution", [Uniform(-1.0, 1.0), Normal(0.0, 1.0), TruncatedNormal(0.0, 1.0, 8.0, 9.0)], ids=str
)
def test_no_scalar_enters_a_traced_draw(distribution: Random) -> None:
    """JAX prints the operations that scalars enter, each time that Flax asks a tracer for its sharding."""
    traced = jax.make_jaxpr(lambda key: sample(distribution, key, (3, 4), np.dtype("float32")))(jax.random.key(0))
    assert traced.eqns
    assert all(np.shape(operand.aval) for equation in traced.eqns for operand in equation.invars[1:])


@pytest.mark.parametrize(("name", "scale"), [("normal", "std"), ("xavier_uniform", "gain"), ("orthogonal", "gain")])
def test_a_constant_key_gives_the_same_values_under_jit(name: str, scale: str) -> None:
    init, shape = cases.build(name, **{scale: 0.1234567}), cases.shape_of(name)
    folded = jax.jit(lambda: init(jax.random.key(3), shape))()
    cases.assert_same(name, folded, init(jax.random.key(3), shape))


@cases.each_name
def test_x64_changes_nothing_when_the_dtype_is_given(name: str, seed: int) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    without = init(jax.random.key(seed), shape, jnp.float32)
    with jax.enable_x64(True):
        cases.assert_same(name, init(jax.random.key(seed), shape, jnp.float32), without)


@pytest.mark.parametrize("name", cases.RANDOM)
def test_legacy_keys_draw_what_typed_ones_draw(name: str, seed: int) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    typed = init(jax.random.key(seed), shape)
    cases.assert_same(name, init(jax.random.PRNGKey(seed), shape), typed)
    cases.assert_same(name, init(np.asarray(jax.random.PRNGKey(seed)), shape), typed)  # type: ignore[arg-type]  # NumPy's too


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
@pytest.mark.parametrize("name", cases.RANDOM)
def test_keys_of_every_kind_agree_with_jit(name: str, impl: str, seed: int) -> None:
    init, shape, key = cases.build(name), cases.shape_of(name), jax.random.key(seed, impl=impl)
    eager = init(key, shape)
    cases.assert_same(name, jax.jit(lambda key: init(key, shape))(key), eager)
    assert not bool((eager == init(jax.random.key(seed ^ 1, impl=impl), shape)).all())


@pytest.mark.parametrize("name", cases.NOT_RANDOM)
def test_what_is_not_random_needs_no_key(name: str, seed: int) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    chex.assert_trees_all_equal(
        init(None, shape),  # type: ignore[arg-type]  # no key at all
        init(jax.random.key(seed), shape),
    )


@pytest.mark.parametrize("name", cases.RANDOM)
def test_another_key_gives_other_values(name: str, seed: int) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    first, second = (init(key, shape) for key in jax.random.split(jax.random.key(seed)))
    # Zeros of sparse coincide. Of the rest at most a handful in 2^24.
    assert int(((first == second) & (first != 0)).sum()) < 8


@pytest.mark.parametrize("name", cases.RANDOM_ELEMENTWISE)
def test_draws_follow_their_distribution(name: str, seed: int) -> None:
    init = cases.build(name)
    values = np.asarray(init(jax.random.key(seed), (200, 250)))
    distribution = init.distribution((200, 250))  # type: ignore[attr-defined]  # which these have
    assert_drawn(values, distribution)
    # Rows and columns share nothing: a sum of products of 50000 pairs is all but normal.
    centred = (values - distribution.mean) / distribution.std
    for pairs in (centred[1:] * centred[:-1], centred[:, 1:] * centred[:, :-1]):
        assert abs(pairs.mean()) * math.sqrt(pairs.size) < 7.5


@pytest.mark.parametrize(
    "window", [(8.0, 9.0), (-9.0, -8.0), (12.0, 13.0), (3.0, math.inf), (-math.inf, -3.0), (1.0, 1.001), (-50.0, 60.0)]
)
@EACH_DTYPE
def test_truncated_draws_follow_their_distribution(window: tuple[float, float], dtype: str, seed: int) -> None:
    with jax.enable_x64(dtype == "float64"):
        values = np.asarray(jaxinit.trunc_normal(0.0, 1.0, *window)(jax.random.key(seed), (20_000,), dtype), np.float64)
    assert np.isfinite(values).all()
    assert values.min() >= np.array(window[0], dtype)
    assert values.max() <= np.array(window[1], dtype)
    low, high = window
    if low + high < 0:
        values, low, high = -values, -high, -low
    # Upper tails, which keep their digits out there.
    share = (stats.norm.sf(low) - stats.norm.sf(values)) / (stats.norm.sf(low) - stats.norm.sf(high))
    assert stats.kstest(share, "uniform").pvalue > FALSE_ALARM
    assert max((values == low).sum(), (values == high).sum()) <= 20
    assert len(np.unique(values)) > (15_000 if high - low > 0.01 else 5_000)


@pytest.mark.parametrize("name", cases.NAMES)
@pytest.mark.parametrize("size", [0, 1])
def test_shapes_without_elements_and_with_one(name: str, size: int) -> None:
    shape = (size,) * len(cases.shape_of(name))
    init, key = cases.build(name), jax.random.key(0)
    if name.startswith("kaiming") and size == 0:
        with pytest.warns(UserWarning, match=r"`shape` \(0, 0\) has no elements, so there is nothing to initialize"):
            values = init(key, shape)
    else:
        values = init(key, shape)
    chex.assert_shape(values, shape)
    assert bool(jnp.isfinite(values).all())


@pytest.mark.parametrize("name", [name for name in cases.NAMES if not name.startswith("kaiming")])
@pytest.mark.parametrize("part", [0, -1])
def test_shapes_with_one_empty_axis(name: str, part: int) -> None:
    shape = list(cases.shape_of(name))
    shape[part] = 0
    chex.assert_shape(cases.build(name)(jax.random.key(0), shape), tuple(shape))


@pytest.mark.parametrize("name", [name for name in cases.ELEMENTWISE if name not in cases.WITH_LAYOUT])
def test_shapes_without_axes(name: str) -> None:
    chex.assert_shape(cases.build(name)(jax.random.key(0), ()), ())
