"""An NNX model as Flax keeps it: arrays that are no parameters, and what `init` leaves to the constructor."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from jaxinit._sampling.source import KeySource
from tests.jaxinit.models.nnx.test_models import KEY, Block, Own

ARRAYS: list[Callable[[], Any]] = [
    lambda: jnp.ones(3),
    lambda: np.ones(3),
    lambda: nnx.data(jnp.ones(3)),
    lambda: nnx.data({("name",): jnp.ones(3)}),
    lambda: jax.random.key(3),
]


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_that_are_no_variables_stay(array: Callable[[], Any]) -> None:
    class Masked(nnx.Module):
        def __init__(self) -> None:
            self.mask = array()
            self.head = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    model = Masked()
    before = model.mask
    jaxinit.nnx.reset_parameters(model, KEY)
    jaxinit.nnx.apply(model, lambda _: None, KEY)
    jaxinit.nnx.load(model, {"head.weight": np.ones((2, 2)), "head.bias": np.ones(2)})
    assert set(jaxinit.nnx.initializers(model)) == {"head.kernel", "head.bias"}
    assert (model.head.kernel[...] == 1).all()
    chex.assert_trees_all_equal(model.mask, before)


@pytest.mark.parametrize("array", [*ARRAYS, lambda: nnx.data([jnp.ones(3), {"cos": jnp.ones(3)}])])
def test_init_builds_arrays_that_are_no_variables(array: Callable[[], Any]) -> None:
    class Masked(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.mask = array()
            self.head = nnx.Linear(2, 2, rngs=rngs)

    chex.assert_trees_all_equal(jaxinit.nnx.init(Masked, KEY).mask, Masked(nnx.Rngs(0)).mask)


def test_a_variable_that_holds_several_arrays_stays() -> None:
    model: Any = Own()
    model.gain = nnx.Param({("kernel",): jnp.ones(3)})
    with pytest.warns(UserWarning, match="gain"):
        jaxinit.nnx.reset_parameters(model, KEY)
    assert (jax.tree.leaves(model.gain)[0] == 1).all()


def test_what_init_leaves_to_build_is_as_flax_builds_it() -> None:
    def build(rngs: nnx.Rngs) -> Any:
        model: Any = Own()
        model.first, model.second = (nnx.Param(jax.random.normal(rngs.params(), (3,))) for _ in range(2))
        model.dropout = nnx.Dropout(0.5, rngs=rngs)
        model.rngs = rngs
        return model

    with pytest.warns(UserWarning, match="first, gain, second"):
        ours = jaxinit.nnx.init(build, KEY)
    theirs = build(nnx.Rngs(KeySource(KEY).at(("build",)).key))
    assert {type(stream) for stream in (ours.dropout.rngs, ours.rngs.default)} == {nnx.RngStream}
    assert int(ours.rngs.default.count[...]) == 3
    streams, arrays = zip(*(nnx.split(model, nnx.RngState, ...)[1:] for model in (ours, theirs)), strict=True)
    chex.assert_trees_all_equal(*map(nnx.to_pure_dict, streams))
    # Compiled, JAX's own draw may round a last bit otherwise.
    chex.assert_trees_all_close(*map(nnx.to_pure_dict, arrays), rtol=1e-6)


def test_the_abstract_run_does_not_count_as_flax_does_which_takes_time_by_the_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fast(stream: nnx.RngStream) -> jax.Array:
        assert not isinstance(stream.count[...], jax.core.Tracer)
        return original(stream)

    original = nnx.RngStream.__call__
    monkeypatch.setattr(nnx.RngStream, "__call__", fast)
    bias = jaxinit.nnx.init(Block, KEY).head.bias
    assert bias is not None
    assert bias[...].any()
