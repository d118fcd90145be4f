"""Whole NNX models: which numbers go where, and what stays as it was."""

import functools
import secrets
import warnings
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxinit
from jaxinit import models
from jaxinit.distributions import Uniform

KEY = jax.random.key(secrets.randbelow(2**31))


class Block(nnx.Module):
    """A module of each common kind."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.hidden = nnx.List([nnx.Linear(8, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)])
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(8, 5, rngs=rngs)


def arrays(model: nnx.Module) -> dict[str, np.ndarray]:
    """Parameters and statistics by their paths, joined with dots."""
    state: Any = nnx.state(model, (nnx.Param, nnx.BatchStat))
    leaves = jax.tree_util.tree_flatten_with_path(nnx.to_pure_dict(state))[0]
    return {".".join(str(part.key) for part in path): np.asarray(leaf) for path, leaf in leaves}


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {path for path, array in after.items() if not np.array_equal(before[path], array)}


def test_every_parameter_is_torchs() -> None:
    model = Block(nnx.Rngs(0))
    nnx.update(model, jax.tree.map(jnp.zeros_like, nnx.state(model, (nnx.Param, nnx.BatchStat))))
    jaxinit.nnx.reset_parameters(model, KEY)
    drawn = arrays(model)
    for path, bound in {"conv.kernel": 27, "conv.bias": 27, "hidden.0.kernel": 8, "head.bias": 8}.items():
        assert 0.5 / np.sqrt(bound) < abs(drawn[path]).max() <= 1 / np.sqrt(bound)
        assert np.unique(drawn[path]).size == drawn[path].size
    for path, value in {"norm.scale": 1, "norm.bias": 0, "norm.mean": 0, "norm.var": 1}.items():
        assert (drawn[path] == value).all()


def test_a_layers_numbers_do_not_depend_on_other_layers() -> None:
    class More(Block):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.earlier = nnx.Linear(2, 2, rngs=rngs)
            super().__init__(rngs)

    one, other = Block(nnx.Rngs(0)), More(nnx.Rngs(1))
    for model in (one, other):
        jaxinit.nnx.reset_parameters(model, KEY)
    assert not changed(arrays(other), arrays(one))
    drawn = arrays(one)
    assert not np.array_equal(drawn["hidden.0.kernel"], drawn["hidden.1.kernel"])


def test_rngs_give_another_key_each_time() -> None:
    model, rngs = nnx.Linear(3, 4, rngs=nnx.Rngs(0)), nnx.Rngs(7)
    jaxinit.nnx.reset_parameters(model, rngs)
    first = arrays(model)
    jaxinit.nnx.reset_parameters(model, rngs)
    assert changed(first, arrays(model)) == {"kernel", "bias"}
    jaxinit.nnx.reset_parameters(model, nnx.Rngs(7))
    assert not changed(first, arrays(model))


def test_what_is_shared_stays_shared_and_is_set_once() -> None:
    class Tied(nnx.Module):
        def __init__(self) -> None:
            self.second = nnx.Linear(3, 3, rngs=nnx.Rngs(0))
            self.first = self.second

    class Single(nnx.Module):
        def __init__(self) -> None:
            self.first = nnx.Linear(3, 3, rngs=nnx.Rngs(0))

    tied, single = Tied(), Single()
    jaxinit.nnx.reset_parameters(tied, KEY)
    jaxinit.nnx.reset_parameters(single, KEY)
    assert tied.first is tied.second
    np.testing.assert_array_equal(tied.second.kernel[...], single.first.kernel[...])


def test_dtype_and_metadata_are_kept() -> None:
    kernel_init = nnx.with_metadata(nnx.initializers.ones, note="mine")
    model = nnx.Linear(4, 4, param_dtype=jnp.bfloat16, kernel_init=kernel_init, rngs=nnx.Rngs(0))
    before = model.kernel
    jaxinit.nnx.reset_parameters(model, KEY)
    assert model.kernel is before
    assert model.kernel[...].dtype == jnp.bfloat16
    assert model.kernel.get_metadata()["note"] == "mine"


class Own(nnx.Module):
    """A layer that no rule knows."""

    def __init__(self) -> None:
        self.gain = nnx.Param(jnp.zeros(3))


def test_unknown_layers_are_listed_and_untouched() -> None:
    class Around(nnx.Module):
        def __init__(self) -> None:
            self.own, self.linear = Own(), nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    model = Around()
    before = arrays(model)
    with pytest.warns(UserWarning, match=r"no rule knows their layers: own\.gain; .*register") as warned:
        jaxinit.nnx.reset_parameters(model, KEY)
    assert warned[0].filename == __file__
    assert changed(before, arrays(model)) == {"linear.kernel", "linear.bias"}


def test_layers_can_be_taught() -> None:
    class Mine(Own):
        pass

    class Below(Mine):
        pass

    jaxinit.nnx.register(Mine, lambda layer: {"gain": jaxinit.constant(len(layer.gain[...]))})
    model = Below()
    jaxinit.nnx.reset_parameters(model, KEY)
    np.testing.assert_array_equal(model.gain[...], [3, 3, 3])
    with pytest.raises(TypeError, match=r"`kind` must be a class of nnx.Module, got 3"):
        jaxinit.nnx.register(3, lambda _: None)


def test_a_method_of_its_own_comes_after_the_modules_in_it() -> None:
    class Attention(nnx.Module):
        def __init__(self) -> None:
            self.project, self.scale = nnx.Linear(4, 4, rngs=nnx.Rngs(0)), nnx.Param(jnp.zeros(2))

        def reset_parameters(self, rngs: nnx.Rngs) -> None:
            self.project.bias = nnx.Param(jnp.full(4, 2.0))
            self.scale[...] = jax.random.normal(rngs.params(), (2,))

    for model in (Attention(), jaxinit.nnx.init(lambda _: Attention(), KEY)):
        jaxinit.nnx.reset_parameters(model, KEY)
        drawn = arrays(model)
        assert (drawn["project.bias"] == 2).all()
        assert abs(drawn["project.kernel"]).max() <= 0.5
        assert drawn["scale"].all()


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


def test_init_keeps_them_where_flax_sees_them() -> None:
    class Masked(nnx.Module):
        def __init__(self, mask: Any) -> None:
            self.mask = mask
            self.head = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    assert (jaxinit.nnx.init(lambda _: Masked(nnx.Variable(jnp.ones(3))), KEY).mask[...] == 1).all()
    with pytest.raises(ValueError, match=r"`build` must keep arrays in an nnx.Variable, got a plain one in mask"):
        jaxinit.nnx.init(lambda _: Masked(jnp.ones(3)), KEY)


def test_a_variable_that_holds_several_arrays_stays() -> None:
    model: Any = Own()
    model.gain = nnx.Param({("kernel",): jnp.ones(3)})
    with pytest.warns(UserWarning, match="gain"):
        jaxinit.nnx.reset_parameters(model, KEY)
    assert (jax.tree.leaves(model.gain)[0] == 1).all()


def three_by_three(*_: Any) -> jax.Array:
    return jnp.zeros((3, 3), jnp.int32)


MISUSES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: jaxinit.nnx.reset_parameters(nnx.Linear, KEY), TypeError, "`model` must be an nnx.Module, got <class"),
    (lambda: jaxinit.nnx.initializers(3), TypeError, "`model` must be an nnx.Module, got 3"),
    (lambda: jaxinit.nnx.init(lambda _: 3, KEY), TypeError, "`build` must return an nnx.Module, got 3"),
    (lambda: jaxinit.nnx.init(Block(nnx.Rngs(0)), KEY), TypeError, "`build` must be a function of nnx.Rngs, got"),
    (
        lambda: jaxinit.nnx.reset_parameters(Block(nnx.Rngs(0)), jax.random.split(KEY)),
        ValueError,
        r"`rngs` must be a single key \(use jax.vmap for a batch\), got keys of shape \(2,\)",
    ),
    (lambda: jaxinit.nnx.register(Block, None), TypeError, "`rule` must be a function of a layer, got None"),
    (lambda: jaxinit.nnx.apply(Block(nnx.Rngs(0)), None, KEY), TypeError, "`fn` must be a function of a module"),
    (
        lambda: jaxinit.nnx.apply(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), lambda _: {"kernel": three_by_three}, KEY),
        ValueError,
        r"the initializer of kernel must return float32\[2, 2\], got int32\[3, 3\]",
    ),
    (
        lambda: jaxinit.nnx.apply(Block(nnx.Rngs(0)), init_weights, KEY, only=["head"]),
        TypeError,
        r"`only` must be a pattern as a string, got \['head'\]",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), MISUSES, ids=lambda value: "")
def test_misuse_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("rngs", [0, "key", None])
def test_what_is_no_source_of_keys_is_refused(rngs: Any) -> None:
    model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match=r"`rngs` must be nnx\.Rngs, a JAX key or a TorchGenerator, got"):
        jaxinit.nnx.reset_parameters(model, rngs)


def init_weights(module: Any) -> dict[str, Callable[..., jax.Array]] | None:
    if isinstance(module, nnx.Linear):
        return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
    return {"conv.kernel": jax.nn.initializers.ones} if isinstance(module, Block) else None


def test_apply_asks_every_module() -> None:
    model = Block(nnx.Rngs(0))
    before = arrays(model)
    jaxinit.nnx.apply(model, init_weights, KEY)
    after = arrays(model)
    expected = {"hidden.0", "hidden.1", "head"}
    assert changed(before, after) == {f"{path}.{name}" for path in expected for name in ("kernel", "bias")} | {
        "conv.kernel"
    }
    assert (after["head.bias"] == np.float32(0.01)).all()
    assert (after["conv.kernel"] == 1).all()


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("head", {"head.kernel", "head.bias"}),
        ("hidden.*.bias", {"hidden.0.bias", "hidden.1.bias"}),
        ("*.kernel", {"hidden.0.kernel", "hidden.1.kernel", "head.kernel", "conv.kernel"}),
        ("norm", set()),
    ],
)
def test_only_what_matches_is_drawn(only: str, expected: set[str]) -> None:
    model = Block(nnx.Rngs(0))
    before = arrays(model)
    jaxinit.nnx.apply(model, init_weights, KEY, only=only)
    assert changed(before, arrays(model)) == expected


@pytest.mark.parametrize(
    ("fn", "only", "error", "message"),
    [
        (lambda _: {"kernl": jaxinit.ones()}, None, ValueError, r"name parameters of conv \(Conv\), .*'kernl'"),
        (lambda _: jaxinit.ones(), None, TypeError, "`fn` must return a dict of initializers for conv"),
        (lambda _: {"kernel": 1.0}, None, TypeError, "`fn` must return a dict of initializers for conv"),
        (lambda _: None, "haed", ValueError, "`only` must match the path of a parameter, got 'haed'; there are .*head"),
        (lambda m: {"bias": jaxinit.eye()} if type(m) is nnx.Linear else None, None, ValueError, "2 dimensions|axis"),
    ],
)  # fmt: skip
def test_a_wrong_answer_changes_nothing(
    fn: Callable[[Any], Any], only: str | None, error: type[Exception], message: str
) -> None:
    model = Block(nnx.Rngs(0))
    before = arrays(model)
    with pytest.raises(error, match=message):
        jaxinit.nnx.apply(model, fn, KEY, only=only)
    assert not changed(before, arrays(model))


def test_init_is_build_and_reset_in_one() -> None:
    model = Block(nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(model, KEY)
    built = jaxinit.nnx.init(Block, KEY)
    assert not changed(arrays(model), arrays(built))
    assert jnp.issubdtype(built.dropout.rngs.key[...].dtype, jax.dtypes.prng_key)


def test_what_init_leaves_to_build_is_as_flax_builds_it() -> None:
    def build(rngs: nnx.Rngs) -> Any:
        model: Any = Own()
        model.first, model.second = (nnx.Param(jax.random.normal(rngs.params(), (3,))) for _ in range(2))
        model.dropout = nnx.Dropout(0.5, rngs=rngs)
        model.rngs = rngs
        return model

    with pytest.warns(UserWarning, match="first, gain, second"):
        ours = jaxinit.nnx.init(build, KEY)
    theirs = build(nnx.Rngs(models.key_at(KEY, ("build",))))
    assert {type(stream) for stream in (ours.dropout.rngs, ours.rngs.default)} == {nnx.RngStream}
    assert int(ours.rngs.default.count[...]) == 3
    chex.assert_trees_all_equal(*(nnx.to_pure_dict(nnx.state(model)) for model in (ours, theirs)))


def test_init_does_not_count_as_flax_does_which_takes_time_by_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: nnx.RngStream) -> jax.Array:
        raise AssertionError

    monkeypatch.setattr(nnx.RngStream, "__call__", slow)
    assert jaxinit.nnx.init(Block, KEY).head.bias[...].any()


def test_init_draws_nothing_twice() -> None:
    def never(*_: Any) -> jax.Array:
        def draw() -> np.ndarray:
            drawn.append(1)
            return np.zeros((2, 2), np.float32)

        kernel: jax.Array = jax.pure_callback(draw, jax.ShapeDtypeStruct((2, 2), jnp.float32))
        return kernel

    drawn: list[int] = []
    model = jaxinit.nnx.init(lambda rngs: nnx.Linear(2, 2, kernel_init=never, rngs=rngs), KEY)
    assert not drawn
    assert model.kernel[...].any()

    def unknown(rngs: nnx.Rngs) -> Own:
        model = Own()
        model.gain = nnx.Param(jax.random.normal(rngs.params(), (3,)))
        return model

    with pytest.warns(UserWarning, match="gain"):
        assert jaxinit.nnx.init(unknown, KEY).gain[...].all()


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_sharded_init_has_the_numbers_of_one_device(kind: AxisType) -> None:
    def build(rngs: nnx.Rngs) -> nnx.Linear:
        ones = functools.partial(jaxinit.ones(), out_sharding=PartitionSpec("x", None))
        kernel_init = nnx.with_partitioning(ones, ("x", None))
        return nnx.Linear(16, 8, kernel_init=kernel_init, rngs=rngs)

    with jax.set_mesh(jax.make_mesh((8,), ("x",), axis_types=(kind,))):
        model = jaxinit.nnx.init(build, KEY)
        kernel = model.kernel[...]
        assert kernel.sharding.spec == PartitionSpec("x", None)
        assert kernel.addressable_shards[0].data.shape == (2, 8)
        again = np.asarray(kernel)
        jaxinit.nnx.reset_parameters(model, KEY)
        assert model.kernel[...].sharding.spec == PartitionSpec("x", None)
    alone = nnx.Linear(16, 8, rngs=nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(alone, KEY)
    np.testing.assert_array_equal(again, alone.kernel[...])
    assert not changed(arrays(alone), arrays(model))


def test_a_models_sharding_is_kept() -> None:
    model = Block(nnx.Rngs(0))
    sharding = NamedSharding(jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,)), PartitionSpec("x"))
    state: Any = nnx.state(model, nnx.Param)
    state["head"]["kernel"] = state["head"]["kernel"].replace(jax.device_put(jnp.zeros((8, 5)), sharding))
    nnx.update(model, state)
    jaxinit.nnx.reset_parameters(model, KEY)
    assert model.head.kernel[...].sharding == sharding
    jaxinit.nnx.apply(model, lambda m: {"kernel": jax.nn.initializers.ones} if m is model.head else None, KEY)
    assert model.head.kernel[...].sharding == sharding


def test_stacked_layers_have_the_fans_of_one() -> None:
    @nnx.vmap(in_axes=0, out_axes=0)
    def build(key: jax.Array) -> nnx.Sequential:
        rngs = nnx.Rngs(key)
        return nnx.Sequential(nnx.Conv(4, 6, (3,), rngs=rngs), nnx.Linear(6, 6, rngs=rngs))

    model: Any = build(jax.random.split(jax.random.key(0), 5))
    jaxinit.nnx.reset_parameters(model, KEY)
    drawn = arrays(model)
    assert drawn["layers.0.kernel"].shape == (5, 3, 4, 6)
    for path, fan_in in {"layers.0.kernel": 12, "layers.1.kernel": 6, "layers.1.bias": 6}.items():
        assert 0.7 / np.sqrt(fan_in) < abs(drawn[path]).max() <= 1 / np.sqrt(fan_in)
        assert np.unique(drawn[path]).size == drawn[path].size


def test_it_runs_under_jit_with_the_same_numbers() -> None:
    model, jitted = Block(nnx.Rngs(0)), Block(nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(model, KEY)
    nnx.jit(lambda model, key: jaxinit.nnx.reset_parameters(model, key))(jitted, KEY)
    assert not changed(arrays(model), arrays(jitted))


def test_an_attention_that_torch_has_not_is_unknown() -> None:
    model = nnx.MultiHeadAttention(2, 8, qkv_features=4, decode=False, rngs=nnx.Rngs(0))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        jaxinit.nnx.reset_parameters(model, KEY)
    # Its parts are plain layers, which are known.
    assert not seen
    bound = abs(np.asarray(model.query.kernel[...])).max()
    assert isinstance(jaxinit.kaiming_uniform(a=5**0.5).distribution((8, 4)), Uniform)
    assert bound <= 1 / np.sqrt(8)
