"""The bits are those of `jax.random.bits`, for every shape and every kind of key."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxinit._sampling import bits as module
from jaxinit._sampling.bits import bits

each_word = pytest.mark.parametrize("word", [jnp.uint32, jnp.uint64])


def assert_jaxs(key: jax.Array, shape: tuple[int, ...], word: Any) -> None:
    with jax.enable_x64(True):
        drawn = jax.jit(lambda key: bits(key, shape, word))(key)
        assert drawn.dtype == word
        np.testing.assert_array_equal(drawn, jax.random.bits(key, shape, word))


@each_word
@given(shape=st.lists(st.integers(0, 9), max_size=4).map(tuple), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_any_shape_has_the_bits_of_jax(word: Any, shape: tuple[int, ...], seed: int) -> None:
    assert_jaxs(jax.random.key(seed), shape, word)


@each_word
@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_every_kind_of_key_has_the_bits_of_jax(impl: str, word: Any, seed: int) -> None:
    assert_jaxs(jax.random.key(seed, impl=impl), (3, 5), word)


def test_legacy_keys_have_the_bits_of_jax(seed: int) -> None:
    assert_jaxs(jax.random.PRNGKey(seed), (3, 5), jnp.uint32)


def test_without_partitionable_threefry_the_bits_are_still_those_of_jax(seed: int) -> None:
    with jax.threefry_partitionable(False):
        assert_jaxs(jax.random.key(seed), (4, 6), jnp.uint32)


def test_keys_can_be_mapped_over(seed: int) -> None:
    keys = jax.random.split(jax.random.key(seed), 5)
    mapped = jax.vmap(lambda key: bits(key, (7,), jnp.uint32))(keys)
    np.testing.assert_array_equal(mapped, [jax.random.bits(key, (7,)) for key in keys])


def test_each_device_computes_its_own_part(seed: int) -> None:
    sharding = NamedSharding(jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,)), PartitionSpec("x"))
    draw = jax.jit(lambda key: bits(key, (64, 8), jnp.uint32), out_shardings=sharding)
    key = jax.random.key(seed)
    np.testing.assert_array_equal(draw(key), jax.random.bits(key, (64, 8)))
    assert "[64,8]" not in (draw.lower(key).compile().as_text() or "")


def test_an_index_beyond_32_bits_is_left_to_jax() -> None:
    program = jax.jit(lambda key: bits(key, (2**17, 2**16), jnp.uint32)).trace(jax.random.key(0))
    assert "platform_index" not in str(program.jaxpr)
    assert "platform_index" in str(jax.make_jaxpr(lambda key: bits(key, (2**3,), jnp.uint32))(jax.random.key(0)))


def test_the_index_of_an_entry_is_its_place_in_the_flat_array() -> None:
    shape = (3, 4, 5)
    np.testing.assert_array_equal(module._index(shape), np.arange(60, dtype=np.uint32).reshape(shape))
