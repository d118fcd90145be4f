"""Whole Linen models: which numbers go where, and what stays as it was."""

import functools
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import FrozenDict, freeze

import jaxinit
from jaxinit._models.flax.linen_trace import flat
from jaxinit._models.matching import dotted
from tests import seeds

KEY = jax.random.key(seeds.fresh(__name__))


def arrays(variables: Any) -> dict[str, np.ndarray]:
    """Parameters and statistics by their paths, joined with dots."""
    return {dotted(path[1:]): np.asarray(leaf) for path, leaf in flat(nn.unbox(variables)).items()}


def changed(before: Any, after: Any) -> set[str]:
    old = arrays(before)
    return {path for path, array in arrays(after).items() if not np.array_equal(old[path], array)}


def assert_flax_drew(drawn: Any, expected: Any) -> None:
    """Flax's own numbers, whose last bit another program may round otherwise."""
    chex.assert_trees_all_close(drawn, expected, rtol=1e-6)


class Block(nn.Module):
    """A module of each common kind."""

    def setup(self) -> None:
        self.conv = nn.Conv(8, (3, 3))
        self.norm = nn.BatchNorm(use_running_average=False)
        self.hidden = [nn.Dense(8), nn.Dense(8)]
        self.dropout = nn.Dropout(0.5, deterministic=False)
        self.head = nn.Dense(5)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.norm(self.conv(x))
        for layer in self.hidden:
            x = self.dropout(layer(layer(x)))
        return self.head(x)


X = jnp.zeros((1, 4, 4, 3))
SEQUENCE = jnp.zeros((1, 4, 8))


@functools.cache
def flaxs() -> Any:
    return Block().init(KEY, X)


@functools.cache
def torchs() -> Any:
    return jaxinit.linen.init(Block(), KEY, X)


class Own(nn.Module):
    """A layer without a rule."""

    size: int = 3

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        gain = self.param("gain", jax.nn.initializers.normal(), (self.size,))
        self.variable("cache", "calls", lambda: jnp.ones((), jnp.int32))
        return nn.Dense(self.size, name="inner")(x * gain)


class Around(nn.Module):
    kind: type[Own] = Own

    def setup(self) -> None:
        self.own, self.linear = self.kind(), nn.Dense(3)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.own(self.linear(x))


def test_init_is_reset_parameters_of_what_flax_makes() -> None:
    own = jax.tree.map(jnp.zeros_like, flaxs())
    before = jax.tree.map(np.asarray, own)
    reset = jaxinit.linen.reset_parameters(Block(), own, KEY, X)
    fresh = torchs()
    assert not changed(reset, fresh)
    assert not changed(before, own)
    assert changed(before, reset) == set(arrays(reset)) - {"norm.mean", "norm.bias"}
    assert flat(fresh).keys() == flat(own).keys()
    assert type(fresh) is type(own)


def test_inputs_may_be_abstract() -> None:
    fresh = jaxinit.linen.init(Block(), KEY, jax.ShapeDtypeStruct(X.shape, X.dtype))
    assert not changed(fresh, torchs())


def test_a_layers_numbers_do_not_depend_on_other_layers() -> None:
    class More(nn.Module):
        def setup(self) -> None:
            self.earlier = nn.Dense(3)
            self.conv = nn.Conv(8, (3, 3))

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.conv(self.earlier(x))

    one, other = (arrays(jaxinit.linen.init(module, KEY, X)) for module in (Block(), More()))
    np.testing.assert_array_equal(one["conv.kernel"], other["conv.kernel"])
    assert not np.array_equal(one["hidden_0.kernel"], one["hidden_1.kernel"])


def test_the_kind_of_variables_and_their_dtypes_are_kept() -> None:
    own = jax.tree.map(lambda x: x.astype(jnp.bfloat16), freeze(flaxs()))
    reset = jaxinit.linen.reset_parameters(Block(), own, KEY, X)
    assert isinstance(reset, FrozenDict)
    assert isinstance(reset["params"], FrozenDict)
    assert {leaf.dtype for leaf in jax.tree.leaves(reset)} == {jnp.dtype(jnp.bfloat16)}


def test_keys_and_arguments_are_those_of_flaxs_init() -> None:
    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
            x = x + jax.random.normal(self.make_rng("noise"), x.shape) if train else x
            return nn.Dense(2)(x)

        def other(self, x: jax.Array) -> jax.Array:
            return self(x, train=False)

    x, keys = jnp.zeros((1, 3)), {"params": KEY, "noise": jax.random.key(0)}
    one = jaxinit.linen.init(Noisy(), keys, x, train=True)
    assert not changed(one, jaxinit.linen.init(Noisy(), KEY, x, method="other"))
    assert not changed(one, jaxinit.linen.reset_parameters(Noisy(), one, keys, x, train=False))


ROW = jnp.zeros((3,))


@pytest.mark.parametrize(
    ("variables", "key", "error", "message"),
    [
        (None, KEY, TypeError, "`variables` must be a dict of collections, as `module.init` returns, got None"),
        ({"kernel": 1}, KEY, ValueError, r"`variables` must hold collections of the module, \['params'\], got \['k"),
        (
            {"params": {"kernel": jnp.zeros((2, 4)), "bias": jnp.zeros(5)}},
            KEY,
            ValueError,
            r"the shapes that the module has for these inputs: params\.kernel \(3, 5\), got \(2, 4\)$",
        ),
        ({}, 0, TypeError, "`key` must be a JAX PRNG key"),
        ({}, {"dropout": KEY}, ValueError, r"`key` must be a key, or a dict with a key of 'params', got \['dropout'\]"),
    ],
)
def test_what_does_not_fit_the_module_is_refused(variables: Any, key: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        jaxinit.linen.reset_parameters(nn.Dense(5), variables, key, ROW)


def test_it_runs_under_jit_with_the_same_numbers() -> None:
    fresh = torchs()
    assert not changed(fresh, jax.jit(lambda key: jaxinit.linen.init(Block(), key, X))(KEY))
    reset = jax.jit(lambda own, key: jaxinit.linen.reset_parameters(Block(), own, key, X))
    assert not changed(fresh, reset(jax.tree.map(jnp.zeros_like, fresh), KEY))
    with pytest.warns(UserWarning, match="gain"):
        jitted = jax.jit(lambda key, row: jaxinit.linen.init(Around(), key, row))(KEY, ROW)
    with pytest.warns(UserWarning, match="gain"):
        alone = jaxinit.linen.init(Around(), KEY, ROW)
    assert changed(alone, jitted) <= {"own.gain"}
    assert_flax_drew(jitted, alone)
