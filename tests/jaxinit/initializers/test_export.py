"""Every initializer lowers for every platform, and costs nothing to describe."""

import re
import tracemalloc

import chex
import jax
import jax.numpy as jnp
import pytest

from tests.jaxinit import cases

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@cases.each_name
def test_lowers_for_every_platform(name: str, dtype: str) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    with jax.enable_x64(dtype == "float64"):
        key = jax.random.key(0)
        draw = jax.jit(lambda key: init(key, shape, dtype))
        exported = jax.export.export(draw, platforms=PLATFORMS)(key)
        assert exported.platforms == PLATFORMS
        assert [(aval.shape, aval.dtype) for aval in exported.out_avals] == [(shape, jnp.dtype(dtype))]


# Each device can compute its own part of these alone. A loop or a call is of such operations too.
LOCAL = {
    "abs", "add", "and", "bitcast_convert", "broadcast_in_dim", "case", "clamp", "compare", "concatenate", "constant",
    "convert", "custom_call", "divide", "iota", "maximum", "mesh", "minimum", "multiply", "negate", "not", "or",
    "remainder", "reshape", "return", "select", "shift_left", "shift_right_arithmetic", "shift_right_logical",
    "slice", "sqrt", "subtract", "while", "xor",
}  # fmt: skip


@pytest.mark.parametrize("name", cases.ELEMENTWISE)
def test_a_tpu_needs_no_communication_for_elementwise_draws(name: str) -> None:
    init, mesh = cases.build(name), jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    draw = jax.jit(lambda key: init(key, (64, 64), out_sharding=sharding))
    program = jax.export.export(draw, platforms=["tpu"])(jax.random.key(0)).mlir_module()
    assert set(re.findall(r"stablehlo\.(\w+)", program)) <= LOCAL
    assert set(re.findall(r"custom_call @(\w+)", program)) <= {"Sharding"}


@cases.each_name
def test_an_exported_initializer_draws_the_same(name: str) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    exported = jax.export.export(jax.jit(lambda key: init(key, shape)))(jax.random.key(0))
    cases.assert_same(name, exported.call(jax.random.key(5)), init(jax.random.key(5), shape))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@cases.each_name
def test_a_huge_shape_is_described_at_once(name: str, dtype: str) -> None:
    init = cases.build(name)
    shape = (3, 100_000, 100_000) if name == "dirac" else (100_000, 100_000)
    tracemalloc.start()
    described = jax.eval_shape(lambda key: init(key, shape, dtype), jax.random.key(0))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The whole array takes at least 20 GB.
    assert most < 2e7
    chex.assert_shape(described, shape)
    assert described.dtype == jnp.dtype(dtype)
