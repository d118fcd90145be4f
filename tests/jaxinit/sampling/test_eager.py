"""Outside `jit` on a CPU arrays are filled piece by piece: the values of `jit`, without a program for each shape."""

import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxinit
from jaxinit._sampling import eager
from tests.jaxinit import cases

# One piece and less, a piece and a bit, and more pieces than are computed ahead.
SHAPES = [(1,), (eager.PIECE - 1,), (2, eager.PIECE // 2), (eager.PIECE + 1,), (11, 3, eager.PIECE // 3)]


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """The events of compilation while a test runs."""
    events: list[str] = []

    def note(event: str, duration_secs: float, **_: str | int) -> None:
        if "backend_compile" in event:
            events.append(event)

    checks_leaks = jax.config.values["jax_check_tracer_leaks"]
    jax.config.update("jax_check_tracer_leaks", False)  # JAX keeps no program while it checks
    jax.monitoring.register_event_duration_secs_listener(note)
    yield events
    jax.monitoring.clear_event_listeners()
    jax.config.update("jax_check_tracer_leaks", checks_leaks)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn", "float64", "complex64"])
@pytest.mark.parametrize("name", ["kaiming_uniform", "normal"])
def test_an_array_filled_by_pieces_is_that_of_jit(name: str, dtype: str, seed: int) -> None:
    init = cases.build(name, **({"mode": "fan_out"} if "kaiming" in name else {}))
    with jax.enable_x64(dtype == "float64"):
        key = jax.random.key(seed)
        for shape in SHAPES:
            shape = shape if len(shape) > 1 else (1, *shape)
            cases.assert_same(name, init(key, shape, dtype), jax.jit(lambda key: init(key, shape, dtype))(key))  # noqa: B023


@pytest.mark.parametrize("name", [*cases.RANDOM_ELEMENTWISE, "constant"])
def test_another_shape_compiles_nothing(name: str, compilations: list[str]) -> None:
    init, key = cases.build(name), jax.random.key(0)
    init(key, (3, 5))
    compilations.clear()
    for shape in [(7, 3), (2, 3, 4), (400, 300)]:
        init(key, shape)
    assert not compilations
    jax.jit(lambda key: init(key, (7, 3)))(key)
    assert compilations


@pytest.mark.parametrize("name", ["uniform", "zeros"])
def test_jax_takes_over_the_memory_that_was_filled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = eager._empty(300 * 400, np.dtype(np.float32))
    monkeypatch.setattr(eager, "_empty", lambda size, dtype: filled)
    array = cases.build(name)(jax.random.key(0), (300, 400))
    assert array.unsafe_buffer_pointer() == filled.ctypes.data


def test_a_donated_array_is_not_written_to() -> None:
    array = jaxinit.ones()(jax.random.key(0), (1000,))
    moved = jax.jit(lambda x: x * 2, donate_argnums=0)(array)
    assert float(moved.sum()) == 2000


def test_the_array_lies_where_its_key_lies() -> None:
    key, device = jax.random.key(0), jax.devices()[3]
    there = jaxinit.normal()(jax.device_put(key, device), (20,))
    assert there.devices() == {device}
    assert there.committed
    here = jaxinit.normal()(key, (20,))
    assert not here.committed
    np.testing.assert_array_equal(here, there)


def test_what_cannot_be_filled_by_pieces() -> None:
    key = jax.random.key(0)
    assert eager.can_fill(key, 10)
    assert not eager.can_fill(key, 2**32)
    assert not eager.can_fill(np.zeros(2, np.uint32), 10)
    assert not eager.can_fill(jax.random.key(0, impl="rbg"), 10)
    with jax.threefry_partitionable(False):
        assert not eager.can_fill(key, 10)
    mesh = jax.make_mesh((8,), ("x",))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    assert eager.can_fill(jax.device_put(key, jax.devices()[1]), 10)
    assert not eager.can_fill(jax.device_put(key, everywhere), 10)
    with jax.set_mesh(mesh):
        assert not eager.can_fill(key, 10)
    jax.eval_shape(lambda: pytest.fail("staged") if eager.can_fill(key, 10) else jnp.zeros(()))
    assert math.prod(jax.eval_shape(lambda: jaxinit.zeros()(key, (2**20, 2**20))).shape) == 2**40
