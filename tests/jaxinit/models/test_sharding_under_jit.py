"""A sharded model keeps its sharding under jit, whether or not a mesh is set."""

import contextlib
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxinit
from tests import seeds

KEY = jax.random.key(seeds.fresh(__name__))
ROW = jnp.zeros((1, 8))
DENSE = nn.Dense(16, use_bias=False)


def orthogonal(_: Any) -> dict[str, Any]:
    return {"kernel": jaxinit.orthogonal()}


NNX: list[Callable[[Any, jax.Array], None]] = [
    jaxinit.nnx.reset_parameters,
    lambda model, key: jaxinit.nnx.apply(model, orthogonal, key),
    lambda model, key: jaxinit.nnx.apply(model, lambda _: {"kernel": jax.nn.initializers.normal()}, key),
]
LINEN: list[Callable[[Any, jax.Array], Any]] = [
    lambda variables, key: jaxinit.linen.reset_parameters(DENSE, variables, key, ROW),
    lambda variables, key: jaxinit.linen.apply(DENSE, variables, orthogonal, key, ROW),
    lambda variables, _: jaxinit.linen.load(DENSE, variables, {"weight": np.ones((16, 8), np.float32)}, ROW)[0],
]


@pytest.fixture(params=[(kind, is_set) for kind in (AxisType.Auto, AxisType.Explicit) for is_set in (False, True)])
def kernel(request: pytest.FixtureRequest) -> Any:
    kind, is_set = request.param
    mesh = jax.make_mesh((8,), ("x",), axis_types=(kind,))
    with jax.set_mesh(mesh) if is_set else contextlib.nullcontext():
        yield jax.device_put(jnp.zeros((8, 16)), NamedSharding(mesh, PartitionSpec(None, "x")))


def assert_alike(eager: jax.Array, jitted: jax.Array, kernel: jax.Array) -> None:
    for array in (eager, jitted):
        assert array.sharding.is_equivalent_to(kernel.sharding, 2)
    np.testing.assert_allclose(eager, jitted, atol=1e-6)
    assert np.asarray(eager).any()


@pytest.mark.parametrize("verb", NNX)
def test_nnx(verb: Callable[[Any, jax.Array], None], kernel: jax.Array) -> None:
    found = []
    for run in (verb, nnx.jit(verb)):
        model = nnx.Linear(8, 16, use_bias=False, rngs=nnx.Rngs(0))
        nnx.update(model, {"kernel": model.kernel.replace(kernel)})
        run(model, KEY)
        found.append(model.kernel[...])
    assert_alike(found[0], found[1], kernel)


@pytest.mark.parametrize("verb", LINEN)
def test_linen(verb: Callable[[Any, jax.Array], Any], kernel: jax.Array) -> None:
    variables = {"params": {"kernel": kernel}}
    found = [run(variables, KEY)["params"]["kernel"] for run in (verb, jax.jit(verb))]
    assert_alike(found[0], found[1], kernel)


def test_no_device_draws_more_than_its_own_entries(kernel: jax.Array) -> None:
    reset = jax.jit(lambda kernel, key: LINEN[0]({"params": {"kernel": kernel}}, key))
    program = reset.lower(kernel, KEY).compile().as_text() or ""
    assert "f32[8,2]" in program
    assert "f32[8,16]" not in program


def test_init_under_jit_follows_out_shardings(kernel: jax.Array) -> None:
    def build(key: jax.Array) -> jax.Array:
        model = jaxinit.nnx.init(lambda rngs: nnx.Linear(8, 16, rngs=rngs), key)
        return model.kernel[...]

    assert_alike(
        jax.device_put(build(KEY), kernel.sharding), jax.jit(build, out_shardings=kernel.sharding)(KEY), kernel
    )
