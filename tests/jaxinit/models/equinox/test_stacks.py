"""Layers that `eqx.filter_vmap` stacks: scanned layers and ensembles."""

import inspect
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TorchGenerator
from jaxinit.distributions import Uniform
from tests.jaxinit.draws import assert_drawn
from tests.jaxinit.models.equinox.pairs import PAIRS
from tests.jaxinit.models.equinox.test_layers import arrays
from tests.jaxinit.models.equinox.test_models import KEY
from tests.jaxinit.models.torch_layers import filled
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = pytest.mark.usefixtures("torch_seed")
LAYERS = 4
KEYS = jax.random.split(KEY, LAYERS)


class Block(eqx.Module):
    """As many layers as features, so that sizes alone would leave a choice."""

    norm: eqx.nn.LayerNorm
    attn: eqx.nn.MultiheadAttention
    up: eqx.nn.Linear
    scale: jax.Array

    def __init__(self, key: jax.Array) -> None:
        self.norm = eqx.nn.LayerNorm(LAYERS)
        self.attn = eqx.nn.MultiheadAttention(2, LAYERS, key=key)
        self.up = eqx.nn.Linear(LAYERS, LAYERS, key=key)
        self.scale = jax.numpy.ones(3)


class Stack(eqx.Module):
    blocks: Block

    def __init__(self, key: jax.Array) -> None:
        self.blocks = eqx.filter_vmap(Block)(jax.random.split(key, LAYERS))


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(LAYERS)
        self.attn = torch.nn.MultiheadAttention(LAYERS, 2, bias=False)
        self.up = torch.nn.Linear(LAYERS, LAYERS)
        self.scale = torch.nn.Parameter(torch.ones(3))


jaxinit.equinox.register(Block, lambda _: {"scale": jaxinit.ones()})


def torch_stack() -> torch.nn.Module:
    return torch.nn.ModuleDict({"blocks": torch.nn.ModuleList(TorchBlock() for _ in range(LAYERS))})


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize(
    ("name", "path", "fan_in"),
    [("Linear", "weight", 3), ("Conv2d", "weight", 24), ("ConvTranspose2d", "bias", 36), ("GRUCell", "weight_hh", 5)],
)
def test_stacked_layers_have_the_fans_of_one(name: str, path: str, fan_in: int, axis: int) -> None:
    layers = eqx.filter_vmap(PAIRS[name].equinox, out_axes=axis)(KEYS)
    drawn = arrays(jaxinit.equinox.reset_parameters(layers, KEY))[path]
    assert drawn.shape[axis] == LAYERS
    assert_drawn(drawn, Uniform(-(fan_in**-0.5), fan_in**-0.5))


def test_an_ensemble() -> None:
    ensemble = eqx.filter_vmap(lambda key: eqx.nn.MLP(3, 2, 8, 2, key=key))(KEYS)
    new = jaxinit.equinox.apply(ensemble, {"**/weight": jaxinit.orthogonal()}, KEY)
    for weight in np.asarray(new.layers[1].weight):
        np.testing.assert_allclose(weight @ weight.T, np.eye(8), atol=1e-5)
    drawn = arrays(jaxinit.equinox.reset_parameters(ensemble, KEY))
    assert_drawn(drawn["layers.0.weight"], Uniform(-(3**-0.5), 3**-0.5))


@pytest.mark.skipif("scan" not in inspect.signature(eqx.nn.MLP).parameters, reason="equinox 0.13.2 scans no MLP")
def test_layers_of_a_scanned_mlp() -> None:
    model = eqx.nn.MLP(3, 2, 8, 4, scan=True, key=KEY)
    drawn = arrays(jaxinit.equinox.reset_parameters(model, KEY))
    assert drawn["layers.1.weight"].shape == (3, 8, 8)
    assert_drawn(drawn["layers.1.weight"], Uniform(-(8**-0.5), 8**-0.5))


def test_torch_has_a_list() -> None:
    theirs = filled(torch_stack())
    model, names = jaxinit.equinox.load(Stack(KEY), theirs.state_dict())
    assert names["blocks.2.up.weight"] == ("blocks.2.up.weight",)
    for index, layer in enumerate(theirs["blocks"]):  # type: ignore[index]
        np.testing.assert_array_equal(model.blocks.up.weight[index], layer.up.weight.detach())
        np.testing.assert_array_equal(model.blocks.scale[index], layer.scale.detach())
    back = jaxinit.equinox.state_dict(model, names=list(theirs.state_dict()))
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(back[name], tensor, err_msg=name)


@as_on_avx2
def test_a_stack_is_torchs_list_from_torchs_seed(seed: int) -> None:
    model = jaxinit.equinox.init(Stack, generator := TorchGenerator(seed))
    expected = torch.manual_seed(seed)
    theirs = torch_stack().state_dict()
    assert_same_state(generator, expected)
    for name, array in jaxinit.equinox.state_dict(model, names=list(theirs)).items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_a_stack_has_the_initializers_of_one_layer() -> None:
    inits: Any = jaxinit.equinox.initializers(Stack(KEY))
    assert inits["blocks.up.bias"] == jaxinit.uniform(-0.5, 0.5)
