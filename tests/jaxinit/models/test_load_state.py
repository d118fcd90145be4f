"""How `load` finds torch's names in a state, what it refuses, and what it leaves as it is."""

import math
import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.torch
import torch
from flax import nnx
from flax.core import FrozenDict, freeze

import jaxinit
from tests.jaxinit.models.torch_layers import APIS, RNGS, array, assert_close, filled, gru_cell, run

X = jnp.ones((1, 3))
pytestmark = pytest.mark.usefixtures("torch_seed")


class NnxModel(nnx.Module):
    def __init__(self) -> None:
        self.body = nnx.Sequential(nnx.Linear(3, 4, rngs=RNGS), nnx.relu, nnx.Linear(4, 4, rngs=RNGS))
        self.towers = nnx.List([nnx.List([nnx.Linear(4, 4, rngs=RNGS)]) for _ in range(2)])
        self.scale = nnx.Param(jnp.ones(2))
        self.head = nnx.Linear(4, 2, param_dtype=jnp.bfloat16, rngs=RNGS)


class Scale(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.param("scale", jax.nn.initializers.ones, x.shape[-1:])[None]


class LinenModel(nn.Module):
    def setup(self) -> None:
        self.body = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(4)])
        self.towers = [[nn.Dense(4)], [nn.Dense(4)]]
        self.gains = [Scale()]
        self.head = nn.Dense(2, param_dtype=jnp.bfloat16, dtype=jnp.float32)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.body(x)
        for (layer,) in self.towers:
            x = layer(x)
        return self.gains[0](self.head(x))


def torch_state(scale: str) -> dict[str, torch.Tensor]:
    """The state of the model in torch, where the parameter of no module is called `scale`."""
    towers = torch.nn.ModuleList([torch.nn.ModuleList([torch.nn.Linear(4, 4)]) for _ in range(2)])
    body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
    model = torch.nn.ModuleDict({"body": body, "towers": towers, "head": torch.nn.Linear(4, 2)})
    return {**model.state_dict(), scale: torch.full((2,), 3.0)}


def assert_unchanged(before: Any, after: Any) -> None:
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), before, after))


def test_names_of_lists_of_sequential_and_of_own_parameters() -> None:
    model, state = NnxModel(), torch_state("scale")
    names = jaxinit.nnx.load(model, state)
    assert {path: name for path, (name,) in names.items() if "bias" not in path} == {
        "body.layers.0.kernel": "body.0.weight",
        "body.layers.2.kernel": "body.2.weight",
        "towers.0.0.kernel": "towers.0.0.weight",
        "towers.1.0.kernel": "towers.1.0.weight",
        "head.kernel": "head.weight",
        "scale": "scale",
    }
    assert model.head.kernel[...].dtype == jnp.bfloat16
    np.testing.assert_array_equal(model.scale[...], [3, 3])
    np.testing.assert_array_equal(nnx.state(model)["body"]["layers"][2]["kernel"][...], state["body.2.weight"].T)


def test_names_of_lists_in_linen() -> None:
    own, state = LinenModel().init(RNGS.params(), X), torch_state("gains.0.scale")
    variables, names = jaxinit.linen.load(LinenModel(), own, state, X)
    assert {path: name for path, (name,) in names.items() if "bias" not in path} == {
        "body.layers_0.kernel": "body.0.weight",
        "body.layers_2.kernel": "body.2.weight",
        "towers_0_0.kernel": "towers.0.0.weight",
        "towers_1_0.kernel": "towers.1.0.weight",
        "head.kernel": "head.weight",
        "gains_0.scale": "gains.0.scale",
    }
    assert variables["params"]["head"]["kernel"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(variables["params"]["gains_0"]["scale"], [3, 3])
    np.testing.assert_array_equal(variables["params"]["towers_1_0"]["kernel"], state["towers.1.0.weight"].T)


@pytest.mark.parametrize("api", APIS)
def test_all_that_does_not_fit_is_listed_and_nothing_changes(api: str) -> None:
    model: Any = NnxModel() if api == "nnx" else LinenModel()
    state = torch_state("scale" if api == "nnx" else "gains.0.scale")
    variables = nnx.state(model) if api == "nnx" else model.init(RNGS.params(), X)
    before = jax.tree.map(np.asarray, variables)
    state["head.weight"] = torch.zeros(3, 4)
    state["extra"] = state.pop("body.0.bias")
    with pytest.raises(ValueError, match="`state` does not fit") as raised:
        jaxinit.nnx.load(model, state) if api == "nnx" else jaxinit.linen.load(model, variables, state, X)
    assert set(str(raised.value).splitlines()[1:]) == {
        "missing body.0.bias, of shape (4,)",
        "head.weight must have shape (2, 4), got (3, 4)",
        "unexpected extra, of shape (4,)",
    }
    assert_unchanged(before, nnx.state(model) if api == "nnx" else variables)


def test_a_nonzero_bias_that_flax_does_not_have_is_refused() -> None:
    theirs, ours = torch.nn.GRUCell(3, 5), nnx.GRUCell(3, 5, rngs=RNGS)
    before = jax.tree.map(np.asarray, nnx.state(ours))
    with pytest.raises(
        ValueError, match=r"`bias_hh\[2\]` \(of 3 blocks\) is nonzero, but the model \(GRUCell\) has no such bias\. Add"
    ):
        jaxinit.nnx.load(ours, theirs.state_dict())
    assert_unchanged(before, nnx.state(ours))
    x, h = torch.randn(2, 3), torch.randn(2, 5)
    assert_close(run(gru_cell(3, 5, rngs=RNGS), theirs.state_dict(), array(h), array(x))[0], theirs(x, h))
    with torch.no_grad():
        theirs.bias_hh[10:] = 0
    assert_close(run(ours, theirs.state_dict(), array(h), array(x))[0], theirs(x, h))


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (
            lambda: 3,
            TypeError,
            "`state` must be a dict of arrays, the path of a checkpoint or several, got <class 'int'>",
        ),
        (lambda: {1: np.ones(3)}, TypeError, "`state` must have names as keys, got 1"),
        (
            lambda: dict(torch.nn.Linear(2, 2).named_parameters()),
            TypeError,
            r"`state` must hold arrays, such as torch's state_dict\(\), got for weight",
        ),
    ],
    ids=["number", "keys", "parameters"],
)
def test_a_wrong_state_is_refused(state: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        jaxinit.nnx.load(nnx.Linear(2, 2, rngs=RNGS), state())


def test_a_file_of_safetensors(tmp_path: Any) -> None:
    model, again, state = NnxModel(), NnxModel(), torch_state("scale")
    state["head.weight"] = state["head.weight"].bfloat16()
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    jaxinit.nnx.load(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(model.head.kernel[...].astype(np.float32), state["head.weight"].T.float())
    jaxinit.nnx.load(again, state)
    assert_unchanged(nnx.state(model), nnx.state(again))


def test_a_file_of_safetensors_into_frozen_boxes(tmp_path: Any) -> None:
    theirs = torch.nn.Linear(8, 4)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    module, x = nn.Dense(4, kernel_init=nn.with_partitioning(jax.nn.initializers.zeros, ("x", None))), jnp.zeros((1, 8))
    with jax.set_mesh(jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))):
        own = jaxinit.linen.init(module, RNGS.params(), x)
        variables, _ = jaxinit.linen.load(module, freeze(own), tmp_path / "model.safetensors", x)
    assert isinstance(variables, FrozenDict)
    kernel = variables["params"]["kernel"]
    assert kernel.names == ("x", None)
    assert kernel.value.addressable_shards[0].data.shape == (1, 4)
    np.testing.assert_array_equal(kernel.value, theirs.weight.detach().T)


def test_a_shared_module_has_both_names_in_torch() -> None:
    class Tied(nnx.Module):
        def __init__(self) -> None:
            self.encoder = nnx.Linear(3, 3, rngs=RNGS)
            self.decoder = self.encoder

    shared, model = torch.nn.Linear(3, 3), Tied()
    state = torch.nn.ModuleDict({"encoder": shared, "decoder": shared}).state_dict()
    jaxinit.nnx.load(model, state)
    np.testing.assert_array_equal(model.encoder.kernel[...], state["encoder.weight"].T)
    state["encoder.weight"] = state["encoder.weight"] + 1
    with pytest.raises(ValueError, match=r"encoder\.weight and decoder\.weight must be equal"):
        jaxinit.nnx.load(model, state)


@pytest.mark.parametrize("axis", [0, 1])
def test_torchs_list_of_layers_into_a_scan(axis: int) -> None:
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            y = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, name="norm")(x)
            return x + nn.MultiHeadDotProductAttention(2, name="attention")(y), None

    class Ours(nn.Module):
        def setup(self) -> None:
            self.first = nn.Dense(8)
            self.layers = nn.scan(Layer, variable_axes={"params": axis}, split_rngs={"params": True}, length=3)()

        def __call__(self, x: jax.Array) -> jax.Array:
            y: jax.Array = self.layers(self.first(x), None)[0]
            return y

    def layer() -> torch.nn.Module:
        attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        torch.nn.init.normal_(attention.in_proj_bias)
        return torch.nn.ModuleDict({"attention": attention, "norm": filled(torch.nn.LayerNorm(8))})

    layers = torch.nn.ModuleList([layer() for _ in range(3)])
    theirs, given = torch.nn.ModuleDict({"first": torch.nn.Linear(3, 8), "layers": layers}), torch.randn(2, 4, 3)
    x = theirs["first"](given)
    for one in layers:
        y = one["norm"](x)  # type: ignore[index]  # a ModuleDict
        x = x + one["attention"](y, y, y)[0]  # type: ignore[index]  # a ModuleDict
    empty = jax.tree.map(lambda x: jnp.zeros(x.shape), jax.eval_shape(Ours().init, RNGS.params(), array(given)))
    variables, names = jaxinit.linen.load(Ours(), empty, theirs.state_dict(), array(given))
    assert names["layers.2.attention.query.kernel"] == ("layers.2.attention.in_proj_weight",)
    assert_close(Ours().apply(variables, array(given)), x)
    state = theirs.state_dict()
    del state["layers.1.norm.bias"]
    with pytest.raises(ValueError, match=r"missing layers\.1\.norm\.bias, of shape \(8,\)$"):
        jaxinit.linen.load(Ours(), empty, state, array(given))


@pytest.mark.parametrize(
    ("given", "dtype", "message"),
    [
        (np.full((2,), 1 + 2j), jnp.float32, "x must be real for an array of float32, got complex128"),
        (np.array([-7e4, math.nan]), jnp.float16, "x must have values within those of float16, got 70000"),
        (np.array([1e39, math.inf]), jnp.bfloat16, "x must have values within those of bfloat16, got inf"),
        (np.array([1, 500]), jnp.float8_e4m3fn, "x must have values within those of float8_e4m3fn, got 500"),
        (np.array([0.5, 1]), jnp.int32, "x must have values of int32, got others in float64"),
        (np.array([2**40, 1]), jnp.int32, "x must have values of int32, got others in int64"),
    ],
)
def test_values_that_a_dtype_cannot_hold_are_refused(given: np.ndarray, dtype: Any, message: str) -> None:
    model = nnx.Dict(x=nnx.Param(jnp.zeros(2, dtype)))
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxinit.nnx.load(model, {"x": given})
    assert not model.x[...].astype(jnp.float32).any()


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.array([65504.0, -math.inf]), jnp.float16),
        (np.array([math.nan, 3.3895e38], np.float32), jnp.bfloat16),
        (np.array([True, False]), jnp.float32),
        (np.array([1.0, 2.0]), jnp.int32),
        (np.array([1.0, 2.0]), jnp.complex64),
    ],
)
def test_values_that_a_dtype_can_hold_are_rounded(given: np.ndarray, dtype: Any) -> None:
    model = nnx.Dict(x=nnx.Param(jnp.zeros(2, dtype)))
    jaxinit.nnx.load(model, {"x": given})
    expected = given.astype(np.complex128)
    np.testing.assert_allclose(np.asarray(model.x[...]).astype(np.complex128), expected, rtol=2**-8)
