"""Whole Linen models: which numbers go where, and what stays as it was."""

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import FrozenDict, freeze

import jaxinit
from jaxinit._models.linen_trace import flat
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


ROW = jnp.zeros((3,))


def test_layers_without_a_rule_are_listed_and_as_flax_draws_them() -> None:
    own = Around().init(jax.random.key(1), ROW)
    with pytest.warns(UserWarning, match=r"no initialization rule for own\.gain\. .*linen\.register") as warned:
        reset = jaxinit.linen.reset_parameters(Around(), own, KEY, ROW)
    assert warned[0].filename == __file__
    assert changed(own, reset) == {f"{path}.{name}" for path in ("own.inner", "linear") for name in ("kernel", "bias")}
    with pytest.warns(UserWarning, match=r"own\.gain\. ") as warned:
        fresh = jaxinit.linen.init(Around(), KEY, ROW)
    assert warned[0].filename == __file__
    by_flax = Around().init(KEY, ROW)
    assert_flax_drew(fresh["params"]["own"]["gain"], by_flax["params"]["own"]["gain"])
    assert fresh["cache"] == by_flax["cache"]
    assert not changed({"params": reset["params"]["linear"]}, {"params": fresh["params"]["linear"]})


def test_a_subclass_that_keeps_other_parameters_has_no_rule() -> None:
    class Renamed(nn.Dense):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            w: jax.Array = self.param("w", jax.nn.initializers.ones, (3,))
            return x * w

    with pytest.warns(UserWarning, match=r"no initialization rule for w\. "):
        assert (arrays(jaxinit.linen.init(Renamed(3), KEY, ROW))["w"] == 1).all()
    jaxinit.linen.register(Renamed, lambda _, shapes: {"w": jaxinit.uniform(b=float(len(shapes["kernel"])))})
    with pytest.raises(KeyError, match="kernel"):
        jaxinit.linen.init(Renamed(3), KEY, ROW)


def test_a_rule_can_be_registered() -> None:
    class Mine(Own):
        pass

    class Below(Mine):
        pass

    seen = []

    def rule(layer: Mine, shapes: Any) -> dict[str, Any]:
        seen.append((type(layer), layer.size, dict(shapes)))
        return {"gain": jaxinit.constant(layer.size), "inner.kernel": jaxinit.zeros()}

    jaxinit.linen.register(Mine, rule)
    drawn = arrays(jaxinit.linen.init(Around(Below), KEY, ROW))
    assert seen == [(Below, 3, {"gain": (3,), "inner.kernel": (3, 3), "inner.bias": (3,)})]
    np.testing.assert_array_equal(drawn["own.gain"], [3, 3, 3])
    assert not drawn["own.inner.kernel"].any()
    assert drawn["own.inner.bias"].any()
    assert abs(drawn["own.inner.bias"]).max() <= 1 / math.sqrt(3)
    with pytest.raises(TypeError, match=r"`kind` must be a class of flax\.linen\.Module, got 3"):
        jaxinit.linen.register(3, lambda *_: None)
    jaxinit.linen.register(Mine, lambda *_: {"gian": jaxinit.ones()})
    with pytest.raises(ValueError, match=r"`rule` must name parameters of own \(Below\), gain, .*, got 'gian'"):
        jaxinit.linen.init(Around(Below), KEY, ROW)


def test_a_method_of_its_own_speaks_for_the_modules_in_it() -> None:
    class Attention(Own):
        def reset_parameters(self, shapes: Any) -> Any:
            return {
                name: jaxinit.xavier_uniform(gain=100.0) if len(shape) > 1 else jaxinit.constant(self.size)
                for name, shape in shapes.items()
            }

    drawn = arrays(jaxinit.linen.init(Around(Attention), KEY, ROW))
    for name in ("gain", "inner.bias"):
        np.testing.assert_array_equal(drawn[f"own.{name}"], [3, 3, 3])
    assert 1 < abs(drawn["own.inner.kernel"]).max() <= 100
    assert abs(drawn["linear.kernel"]).max() <= 1


def test_parameters_with_a_rule_are_not_drawn_by_flax() -> None:
    def never(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
        def draw() -> np.ndarray:
            drawn.append(1)
            return np.ones(shape, dtype)

        drawn_by_host: jax.Array = jax.pure_callback(draw, jax.ShapeDtypeStruct(shape, dtype))
        return drawn_by_host

    class Mixed(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return Own()(nn.Dense(3, kernel_init=never)(x))

    drawn: list[int] = []
    with pytest.warns(UserWarning, match="gain"):
        jaxinit.linen.init(Mixed(), KEY, ROW)
    assert not drawn


def init_weights(module: Any) -> dict[str, Callable[..., jax.Array]] | None:
    if isinstance(module, nn.Dense):
        return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
    return {"conv.kernel": jax.nn.initializers.ones} if isinstance(module, Block) else None


def test_apply_asks_every_module() -> None:
    own = flaxs()
    after = jaxinit.linen.apply(Block(), own, init_weights, KEY, X)
    expected = {"hidden_0", "hidden_1", "head"}
    assert changed(own, after) == {f"{path}.{name}" for path in expected for name in ("kernel", "bias")} | {
        "conv.kernel"
    }
    assert (arrays(after)["head.bias"] == np.float32(0.01)).all()
    assert (arrays(after)["conv.kernel"] == 1).all()


def test_apply_gives_outer_modules_the_last_word_and_each_module_once() -> None:
    asked: list[str] = []

    def fn(module: Any) -> Any:
        asked.append(type(module).__name__)
        assert module.scope is None
        inits = {nn.Dense: {"bias": jaxinit.ones()}, Block: {"head.bias": jaxinit.constant(2)}}
        return inits.get(type(module))

    after = arrays(jaxinit.linen.apply(Block(), flaxs(), fn, KEY, X))
    assert (after["head.bias"] == 2).all()
    assert (after["hidden_0.bias"] == 1).all()
    assert asked[-1] == "Block"
    assert sorted(asked) == ["BatchNorm", "Block", "Conv", "Dense", "Dense", "Dense", "Dropout"]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("head", {"head.kernel", "head.bias"}),
        ("hidden_*.bias", {"hidden_0.bias", "hidden_1.bias"}),
        ("norm", set()),
    ],
)
def test_only_what_matches_is_drawn(only: str, expected: set[str]) -> None:
    own = flaxs()
    assert changed(own, jaxinit.linen.apply(Block(), own, init_weights, KEY, X, only=only)) == expected


@pytest.mark.parametrize(
    ("fn", "only", "error", "message"),
    [
        (lambda _: {"kernl": jaxinit.ones()}, None, ValueError, r"name parameters of conv \(Conv\), .*'kernl'"),
        (lambda _: jaxinit.ones(), None, TypeError, "`fn` must return a dict of initializers for conv"),
        (lambda _: None, "haed", ValueError, "`only` must match the path of a parameter, got 'haed'. Paths are .*head"),
    ],
)
def test_wrong_answers_name_what_is_right(fn: Any, only: str | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        jaxinit.linen.apply(Block(), flaxs(), fn, KEY, X, only=only)


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


def test_transformed_modules_have_rules() -> None:
    class Mapped(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> Any:
            x = nn.remat(nn.Dense)(3, name="remat")(x)
            x = nn.jit(nn.Dense)(3, name="jit")(x)
            return nn.RNN(nn.GRUCell(3, name="gru"))(x[None])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = arrays(jaxinit.linen.init(Mapped(), KEY, jnp.zeros((2, 3))))
    assert drawn["gru.hn.bias"].any()
    assert drawn["jit.bias"].any()
    assert drawn["remat.bias"].any()


def test_a_table_that_is_only_read_has_a_rule() -> None:
    class Tied(nn.Module):
        def setup(self) -> None:
            self.embed = nn.Embed(50, 40)

        def __call__(self, x: jax.Array) -> jax.Array:
            return x @ self.embed.embedding.T

    drawn = arrays(jaxinit.linen.init(Tied(), KEY, jnp.zeros((1, 40))))
    assert abs(drawn["embed.embedding"]).max() > 2


def test_weights_that_are_not_the_layers_own_have_no_rule() -> None:
    class Transposed(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            def flipped(variables: Any) -> Any:
                return jax.tree.map(lambda x: x.T, variables)

            dense = nn.map_variables(nn.Dense, "params", flipped, flipped, init=True, mutable=True)
            return dense(2, use_bias=False, name="dense")(x)

    own = Transposed().init(KEY, ROW)
    assert own["params"]["dense"]["kernel"].shape == (2, 3)
    with pytest.warns(UserWarning, match=r"dense\.kernel"):
        assert_flax_drew(jaxinit.linen.init(Transposed(), KEY, ROW), own)


def test_modules_that_share_a_scope_are_both_asked() -> None:
    class LowRank(nn.Module):
        def setup(self) -> None:
            self.inner = nn.Dense(3)
            nn.share_scope(self, self.inner)

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return self.inner(x) @ self.param("a", jax.nn.initializers.zeros, (3, 3))

        def reset_parameters(self, shapes: Any) -> Any:
            return {"a": jaxinit.eye()}

    drawn = arrays(jaxinit.linen.init(LowRank(), KEY, ROW))
    np.testing.assert_array_equal(drawn["a"], np.eye(3))
    assert drawn["bias"].any()


def test_a_module_run_by_itself_is_not_the_model() -> None:
    class Nested(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            other = nn.Dense(2)
            other.apply(other.init(jax.random.key(0), x), x)
            return nn.Dense(3, name="own")(x)

    assert arrays(jaxinit.linen.init(Nested(), KEY, ROW)).keys() == {"own.kernel", "own.bias"}


def test_an_attention_that_torch_lacks_is_made_of_linear_layers() -> None:
    drawn = arrays(jaxinit.linen.init(nn.MultiHeadDotProductAttention(2, qkv_features=4), KEY, SEQUENCE))
    assert 0.5 / math.sqrt(8) < abs(drawn["query.kernel"]).max() <= 1 / math.sqrt(8)
    assert drawn["query.bias"].any()


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
