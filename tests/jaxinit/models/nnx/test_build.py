"""`init` builds the model that Flax builds: its streams of keys, its GraphDef and metadata, its type."""

import concurrent.futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from tests.jaxinit.models.nnx.test_models import KEY, Block


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.linear, self.dropout = nnx.Linear(4, 4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
        self.rngs = rngs


def streams() -> nnx.Rngs:
    return nnx.Rngs(params=0, dropout=1, noise=2)


def test_streams_of_keys_are_kept() -> None:
    flax, ours = Net(streams()), jaxinit.nnx.init(Net, rngs := streams())
    assert ours.rngs is rngs
    states = [nnx.to_flat_state(nnx.state(net, nnx.RngState)) for net in (flax, ours)]
    for (path, theirs), (own_path, own) in zip(*map(list, states), strict=True):
        assert (path, theirs.get_metadata()) == (own_path, own.get_metadata())
        assert (jax.tree.leaves(theirs)[0] == jax.tree.leaves(own)[0]).all(), path
    nnx.reseed(ours, dropout=7)
    first = ours.dropout(jnp.ones((1, 64)))
    nnx.reseed(ours, dropout=7)
    np.testing.assert_array_equal(ours.dropout(jnp.ones((1, 64))), first)


@pytest.mark.parametrize("kind", [Net, Block, lambda rngs: nnx.OptimizedLSTMCell(4, 4, rngs=rngs)])
def test_the_model_is_the_one_that_flax_builds(kind: Any) -> None:
    flax, ours = kind(nnx.Rngs(0)), jaxinit.nnx.init(kind, nnx.Rngs(0))
    assert nnx.graphdef(flax) == nnx.graphdef(ours)
    assert list(vars(flax)) == list(vars(ours))
    jax.tree.map(lambda *_: None, flax, ours)  # raises where metadata differ


def test_jit_does_not_trace_anew() -> None:
    traces = []

    @nnx.jit
    def forward(net: Net, x: jax.Array) -> jax.Array:
        traces.append(1)
        return net.linear(x)

    for net in (Net(nnx.Rngs(0)), jaxinit.nnx.init(Net, nnx.Rngs(0)), jaxinit.nnx.init(Net, nnx.Rngs(1))):
        forward(net, jnp.ones((1, 4)))
    assert len(traces) == 1


def test_init_under_jit_has_the_same_numbers() -> None:
    eager = jaxinit.nnx.init(Block, nnx.Rngs(3))
    jitted = nnx.jit(lambda: jaxinit.nnx.init(Block, nnx.Rngs(3)))()
    for one, other in zip(*(jax.tree.leaves(nnx.state(net, nnx.Param)) for net in (eager, jitted)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_may_be_initialized_inside_of_another() -> None:
    class Outer(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.policy = jaxinit.nnx.init(lambda rngs: nnx.Linear(4, 4, kernel_init=jaxinit.ones(), rngs=rngs), rngs)
            self.head = nnx.Linear(4, 4, rngs=rngs)

    model = jaxinit.nnx.init(Outer, KEY)
    assert (model.policy.kernel[...] == 1).all()
    assert np.asarray(model.head.bias).any()


def test_constructors_of_other_threads_run_as_they_are() -> None:
    constructor = nnx.Linear.__init__

    def build(rngs: nnx.Rngs) -> nnx.Linear:
        assert nnx.Linear.__init__ is not constructor
        others.append(pool.submit(lambda: nnx.Linear(4, 4, rngs=nnx.Rngs(0))).result())
        return nnx.Linear(4, 4, rngs=rngs)

    others: list[nnx.Linear] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        model = jaxinit.nnx.init(build, KEY)
    assert nnx.Linear.__init__ is constructor
    for other in others:
        assert vars(other).keys() == vars(model).keys()
        np.testing.assert_array_equal(other.kernel, nnx.Linear(4, 4, rngs=nnx.Rngs(0)).kernel)


def test_constructors_are_restored_after_an_error() -> None:
    constructor = nnx.Linear.__init__
    with pytest.raises(TypeError, match="in_features"):
        jaxinit.nnx.init(lambda rngs: nnx.Linear(out_features=4, rngs=rngs), KEY)  # type: ignore[call-arg]
    assert nnx.Linear.__init__ is constructor
