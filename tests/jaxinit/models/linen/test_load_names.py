"""torch's weights into Linen models: names, files, stacks, and what does not fit."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.torch
import torch
from flax.core import FrozenDict, freeze

import jaxinit
from tests.jaxinit.models.linen.test_load import KEY, array
from tests.jaxinit.models.torch_layers import filled, is_close

pytestmark = pytest.mark.usefixtures("torch_seed")


class Gain(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.param("gain", jax.nn.initializers.ones, x.shape[-1:])[None]


class Model(nn.Module):
    def setup(self) -> None:
        self.body = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(4)])
        self.towers = [[nn.Dense(4)], [nn.Dense(4)]]
        self.gains = [Gain()]
        self.head = nn.Dense(2, param_dtype=jnp.bfloat16, dtype=jnp.float32)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.body(x)
        for (layer,) in self.towers:
            x = layer(x)
        return self.head(self.gains[0](x))


X = jnp.ones((1, 3))


def torch_model() -> dict[str, torch.Tensor]:
    def linear() -> torch.nn.Module:
        return torch.nn.Linear(4, 4)

    lists = torch.nn.ModuleList([torch.nn.ModuleList([linear()]), torch.nn.ModuleList([linear()])])
    body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), linear())
    model = torch.nn.ModuleDict({"body": body, "towers": lists, "head": torch.nn.Linear(4, 2)})
    return {**model.state_dict(), "gains.0.gain": torch.full((4,), 3.0)}


def test_names_of_lists_of_sequential_and_of_unknown_layers() -> None:
    own, state = Model().init(KEY, X), torch_model()
    variables, matched = jaxinit.linen.load(Model(), own, state, X)
    assert {path: names for path, (names,) in matched.items() if "bias" not in path} == {
        "body.layers_0.kernel": "body.0.weight",
        "body.layers_2.kernel": "body.2.weight",
        "towers_0_0.kernel": "towers.0.0.weight",
        "towers_1_0.kernel": "towers.1.0.weight",
        "head.kernel": "head.weight",
        "gains_0.gain": "gains.0.gain",
    }
    assert variables["params"]["head"]["kernel"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(variables["params"]["gains_0"]["gain"], [3, 3, 3, 3])
    np.testing.assert_array_equal(variables["params"]["towers_1_0"]["kernel"], state["towers.1.0.weight"].T)


def test_all_that_does_not_fit_is_listed_and_nothing_changes() -> None:
    own, state = Model().init(KEY, X), torch_model()
    before = jax.tree.map(np.asarray, own)
    state["head.weight"] = torch.zeros(3, 4)
    state["extra"] = state.pop("body.0.bias")
    with pytest.raises(ValueError, match="`state` does not fit") as raised:
        jaxinit.linen.load(Model(), own, state, X)
    assert set(str(raised.value).splitlines()[1:]) == {
        "missing body.0.bias, of shape (4,)",
        "head.weight must have shape (2, 4), got (3, 4)",
        "unexpected extra, of shape (4,)",
    }
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), before, own))


def test_a_file_of_safetensors_into_frozen_boxes(tmp_path: Any) -> None:
    theirs = torch.nn.Linear(8, 4)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    module = nn.Dense(4, kernel_init=nn.with_partitioning(jax.nn.initializers.zeros, ("x", None)))
    x = jnp.zeros((1, 8))
    with jax.set_mesh(jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))):
        own = jaxinit.linen.init(module, KEY, x)
        variables, _ = jaxinit.linen.load(module, freeze(own), tmp_path / "model.safetensors", x)
    assert isinstance(variables, FrozenDict)
    kernel = variables["params"]["kernel"]
    assert kernel.names == ("x", None)
    assert kernel.value.addressable_shards[0].data.shape == (1, 4)
    np.testing.assert_array_equal(kernel.value, theirs.weight.detach().T)


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
            scanned = nn.scan(Layer, variable_axes={"params": axis}, split_rngs={"params": True}, length=3)
            self.layers = scanned()

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
    empty = Ours().init(KEY, array(given))
    variables, matched = jaxinit.linen.load(Ours(), empty, theirs.state_dict(), array(given))
    assert matched["layers.2.attention.query.kernel"] == ("layers.2.attention.in_proj_weight",)
    is_close(Ours().apply(variables, array(given)), x)
    state = theirs.state_dict()
    del state["layers.1.norm.bias"]
    with pytest.raises(ValueError, match=r"missing layers\.1\.norm\.bias, of shape \(8,\)$"):
        jaxinit.linen.load(Ours(), empty, state, array(given))
