"""Each parameter is marked where it is not drawn as torch draws it, and not otherwise."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from jaxinit._descriptions import fit
from jaxinit._descriptions.description import Description
from tests import seeds


class Net(nnx.Module):
    """A layer of each kind whose default differs."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 16, (3, 3), rngs=rngs)
        self.up = nnx.ConvTranspose(4, 6, (2, 2), rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.linear = nnx.Linear(40, 50, rngs=rngs)
        self.embed = nnx.Embed(50, 40, rngs=rngs)
        self.gru = nnx.GRUCell(20, 30, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, 32, decode=False, rngs=rngs)
        self.act = nnx.PReLU()


def net() -> Any:
    return jaxinit.nnx.init(Net, nnx.Rngs(seeds.fresh(__name__)))


def marks(found: Description) -> dict[str, bool | None]:
    return {row.path: row.is_default for row in found.rows}


def test_a_model_with_torchs_defaults_has_no_mark() -> None:
    found = jaxinit.describe(net())
    assert set(marks(found).values()) == {True}
    assert {row.path: row.drawn_from[0] for row in found.rows} == {row.path: row.default for row in found.rows}
    assert not any(row.wrong for row in found.rows)


def test_flax_has_other_defaults_for_most_layers() -> None:
    found = marks(jaxinit.describe(Net(nnx.Rngs(seeds.fresh(__name__)))))
    same = {path for path, is_default in found.items() if is_default}
    norms = {f"norm.{name}" for name in ("scale", "bias", "mean", "var")}
    attention = {f"attention.{name}.bias" for name in ("query", "key", "value", "out")}
    # Flax's PReLU starts at 0.01, and torch's at 0.25.
    assert same == norms | attention


def scaled(model: Any, path: str, factor: float) -> Any:
    *modules, name = path.split(".")
    module = model
    for each in modules:
        module = getattr(module, each)
    variable = getattr(module, name)
    variable[...] = variable[...] * jnp.asarray(factor, variable.dtype)
    return model


@pytest.mark.parametrize("path", ["conv.kernel", "linear.bias", "embed.embedding", "gru.dense_h.kernel"])
def test_the_deviation_that_is_stated_is_found(path: str) -> None:
    detectable = {row.path: row.detectable for row in jaxinit.describe(net()).rows}[path]
    for factor in (1 + detectable, 1 - detectable) if detectable < 1 else (1 + detectable,):
        found = marks(jaxinit.describe(scaled(net(), path, factor)))
        assert {path for path, is_default in found.items() if not is_default} == {path}


def test_a_scale_off_by_less_is_no_false_alarm() -> None:
    found = jaxinit.describe(scaled(net(), "conv.kernel", 1 + 1e-7))
    assert set(marks(found).values()) == {True}


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("norm.scale", lambda x: x.at[3].set(1.001)),
        ("norm.mean", lambda x: x.at[0].set(1e-6)),
        ("attention.query.bias", lambda x: x + 1e-9),
        ("gru.dense_i.bias", lambda x: x.at[-1].set(0.2)),  # outside of uniform(-0.183, 0.183), not of the sum of two
        ("act.negative_slope", lambda x: x * 0.5),
        ("linear.kernel", lambda x: x.at[0, 0].set(jnp.nan)),
        ("linear.kernel", lambda x: x.at[0, 0].set(0.2)),
        ("linear.kernel", jnp.abs),
    ],
)
def test_a_small_change_is_marked(path: str, change: Any) -> None:
    model = net()
    module, name = model, path.rpartition(".")[2]
    for each in path.split(".")[:-1]:
        module = getattr(module, each)
    getattr(module, name)[...] = change(getattr(module, name)[...])
    found = marks(jaxinit.describe(model))
    assert {path for path, is_default in found.items() if not is_default} == {path}


def test_an_initializer_that_the_layer_keeps_is_named() -> None:
    module, x = nn.Dense(100, kernel_init=jaxinit.normal(std=0.0371)), jnp.ones((1, 100))
    variables = module.init(jax.random.key(seeds.fresh(__name__)), x)
    kernel, _ = jaxinit.describe(variables, module, x).rows
    assert kernel.drawn_from == ("normal(std=0.0371)",)
    assert kernel.default == "kaiming_uniform(a=sqrt(5)), fan_in 100"
    assert kernel.is_default is False


def test_another_rule_counts_as_the_default() -> None:
    class Scale(nnx.Module):
        def __init__(self) -> None:
            self.gain, self.other = nnx.Param(jnp.full(3, 0.5)), nnx.Param(jnp.ones(3))

    jaxinit.nnx.register(Scale, lambda layer: {"gain": jaxinit.constant(0.5)})
    gain, other = jaxinit.describe(Scale()).rows
    assert (gain.default, gain.is_default) == ("constant(val=0.5)", True)
    assert (other.default, other.is_default, other.drawn_from) == (None, None, ("ones()",))


WHOLE = {
    "a": jaxinit.orthogonal(2.0),
    "b": jaxinit.eye(),
    "c": jaxinit.composed.with_zero_row(jaxinit.normal(), 3),
    "d": jaxinit.sparse(0.1),
}


class Whole(nnx.Module):
    """Parameters that are drawn as a whole."""

    def __init__(self) -> None:
        for name, init in WHOLE.items():
            setattr(self, name, nnx.Param(init(jax.random.key(seeds.fresh(__name__)), (8, 20))))


jaxinit.nnx.register(Whole, lambda layer: WHOLE)


def test_arrays_that_are_drawn_as_a_whole() -> None:
    model: Any = Whole()
    assert marks(jaxinit.describe(model)) == {"a": True, "b": True, "c": True, "d": None}
    model.a[...] = model.a[...] * 1.01
    model.b[...] = model.b[...].at[0, 0].set(0.0)
    model.c[...] = model.c[...].at[3, 0].set(0.1)
    assert marks(jaxinit.describe(model)) == {"a": False, "b": False, "c": False, "d": None}


class Stack(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        block = nn.scan(Block, variable_axes={"params": 1}, split_rngs={"params": True}, length=5)
        return block(name="blocks")(x, None)[0]


class Block(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return nn.Dense(30)(x), None


def test_stacked_layers_are_judged_by_the_fans_of_one() -> None:
    module, x = Stack(), jnp.ones((2, 30))
    variables = jaxinit.linen.init(module, jax.random.key(seeds.fresh(__name__)), x)
    rows = {row.path: row for row in jaxinit.describe(variables, module, x).rows}
    kernel = rows["blocks.Dense_0.kernel"]
    assert (kernel.shape, kernel.default) == ((30, 5, 30), "kaiming_uniform(a=sqrt(5)), fan_in 30")
    assert all(row.is_default for row in rows.values())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_marks_in_every_precision(dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        rngs = nnx.Rngs(seeds.fresh(__name__))
        model = jaxinit.nnx.init(lambda rngs: nnx.Linear(90, 200, param_dtype=jnp.dtype(dtype), rngs=rngs), rngs)
        assert set(marks(jaxinit.describe(model)).values()) == {True}


def test_of_large_arrays_a_part_is_used(rng: np.random.Generator) -> None:
    rngs = nnx.Rngs(seeds.fresh(__name__))
    model = jaxinit.nnx.init(lambda rngs: nnx.Linear(1100, 2000, rngs=rngs), rngs)
    kernel, _ = jaxinit.describe(model).rows
    assert (kernel.used, kernel.is_default) == (550_000, True)
    assert "kernel: 550,000 of 2,200,000 entries are used" in str(jaxinit.describe(model))


def test_false_alarms_are_as_rare_as_stated(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    # At a rate of 0.3 for each model, 200 models have more than 100 false alarms with probability below 1e-9.
    monkeypatch.setattr(fit, "FALSE_ALARM", 0.3)
    alarms = 0
    for _ in range(200):
        entries = jnp.asarray(rng.uniform(-0.1, 0.1, (100, 30)).astype(np.float32))
        layer = nnx.Linear(100, 30, use_bias=False, rngs=nnx.Rngs(0))
        layer.kernel[...] = entries
        alarms += jaxinit.describe(layer).rows[0].is_default is False
    assert alarms <= 100
