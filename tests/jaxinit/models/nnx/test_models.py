"""Whole NNX models: which numbers go where, and what stays as it was."""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxinit
from jaxinit.distributions import Uniform
from tests import seeds
from tests.jaxinit.draws import assert_drawn

KEY = jax.random.key(seeds.fresh(__name__))


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


class Own(nnx.Module):
    """A layer without a rule."""

    def __init__(self) -> None:
        self.gain = nnx.Param(jnp.zeros(3))


def test_every_parameter_is_torchs() -> None:
    model = Block(nnx.Rngs(0))
    nnx.update(model, jax.tree.map(jnp.zeros_like, nnx.state(model, (nnx.Param, nnx.BatchStat))))
    jaxinit.nnx.reset_parameters(model, KEY)
    drawn = arrays(model)
    for path, fan_in in {"conv.kernel": 27, "conv.bias": 27, "hidden.0.kernel": 8, "head.bias": 8}.items():
        assert_drawn(drawn[path], Uniform(-(fan_in**-0.5), fan_in**-0.5))
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


def test_init_is_build_and_reset_in_one() -> None:
    model = Block(nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(model, KEY)
    built = jaxinit.nnx.init(Block, KEY)
    assert not changed(arrays(model), arrays(built))
    assert jnp.issubdtype(built.dropout.rngs.key[...].dtype, jax.dtypes.prng_key)


def test_init_draws_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> jax.Array:
        def draw() -> np.ndarray:
            drawn.append(1)
            return np.zeros((2, 2), np.float32)

        kernel: jax.Array = jax.pure_callback(draw, jax.ShapeDtypeStruct((2, 2), jnp.float32))
        return kernel

    drawn: list[int] = []
    monkeypatch.setitem(inspect.unwrap(nnx.Linear.__init__).__kwdefaults__, "kernel_init", never)
    model = jaxinit.nnx.init(lambda rngs: nnx.Linear(2, 2, rngs=rngs), KEY)
    assert not drawn
    assert model.kernel[...].any()

    def unknown(rngs: nnx.Rngs) -> Own:
        model = Own()
        model.gain = nnx.Param(jax.random.normal(rngs.params(), (3,)))
        return model

    with pytest.warns(UserWarning, match="gain"):
        assert jaxinit.nnx.init(unknown, KEY).gain[...].all()


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_sharded_init_and_reset_have_the_numbers_of_one_device(kind: AxisType) -> None:
    def build(rngs: nnx.Rngs) -> nnx.Linear:
        ones = functools.partial(jaxinit.ones(), out_sharding=PartitionSpec("x", None))
        kernel_init = nnx.with_partitioning(ones, ("x", None))
        return nnx.Linear(16, 8, kernel_init=kernel_init, rngs=rngs)

    with jax.set_mesh(jax.make_mesh((8,), ("x",), axis_types=(kind,))):
        model: Any = jaxinit.nnx.init(build, KEY)
        kernel = model.kernel[...]
        assert kernel.sharding.spec == PartitionSpec("x", None)
        assert kernel.addressable_shards[0].data.shape == (2, 8)
        assert (kernel == 1).all()  # as it was given
        bias = np.asarray(model.bias[...])
        jaxinit.nnx.reset_parameters(model, KEY)
        kernel = model.kernel[...]
        assert kernel.sharding.spec == PartitionSpec("x", None)
    alone: Any = nnx.Linear(16, 8, rngs=nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(alone, KEY)
    np.testing.assert_array_equal(bias, alone.bias[...])
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
        assert_drawn(drawn[path], Uniform(-(fan_in**-0.5), fan_in**-0.5))


def test_it_runs_under_jit_with_the_same_numbers() -> None:
    model, jitted = Block(nnx.Rngs(0)), Block(nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(model, KEY)
    nnx.jit(lambda model, key: jaxinit.nnx.reset_parameters(model, key))(jitted, KEY)
    assert not changed(arrays(model), arrays(jitted))
