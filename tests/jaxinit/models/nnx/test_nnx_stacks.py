"""Stacks that `nnx.vmap` makes along any axis: the layers' own sizes tell which axis it is."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit.distributions import Uniform
from tests.jaxinit.draws import assert_drawn
from tests.jaxinit.models.nnx.test_models import arrays
from tests.jaxinit.models.torch_layers import filled

pytestmark = pytest.mark.usefixtures("torch_seed")
LAYERS = 4


def stacked(make: Callable[[nnx.Rngs], Any], axis: Any) -> Any:
    return nnx.split_rngs(splits=LAYERS)(nnx.vmap(make, in_axes=0, out_axes=axis))(nnx.Rngs(0))


class Block(nnx.Module):
    """Its sizes leave a choice of axes in some arrays: 4 layers of 4 features."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.fc1, self.fc2 = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)
        self.norm = nnx.GroupNorm(4, 2, rngs=rngs)
        self.scale = nnx.Param(jnp.ones(8))


MAKERS: dict[str, tuple[Callable[[nnx.Rngs], Any], str, int]] = {
    "Linear": (lambda rngs: nnx.Linear(64, 32, rngs=rngs), "kernel", 64),
    "LinearGeneral": (lambda rngs: nnx.LinearGeneral((2, 32), (4, 8), axis=(-2, -1), rngs=rngs), "kernel", 64),
    "Conv": (lambda rngs: nnx.Conv(16, 32, (3, 3), rngs=rngs), "kernel", 144),
    "ConvTranspose": (lambda rngs: nnx.ConvTranspose(16, 32, (3,), rngs=rngs), "kernel", 96),
    "LSTM": (lambda rngs: nnx.OptimizedLSTMCell(16, 64, rngs=rngs), "dense_h.kernel", 64),
    "Sequential": (
        lambda rngs: nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)),
        "layers.0.kernel",
        4,
    ),
}


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", MAKERS)
def test_the_fans_are_those_of_one_layer(name: str, axis: int) -> None:
    make, path, fan_in = MAKERS[name]
    layers = stacked(make, axis)
    jaxinit.nnx.reset_parameters(layers, nnx.Rngs(0))
    assert_drawn(arrays(layers)[path], Uniform(-(fan_in**-0.5), fan_in**-0.5))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_an_orthogonal_kernel_for_each_layer(axis: int) -> None:
    layers = stacked(lambda rngs: nnx.Linear(8, 8, use_bias=False, rngs=rngs), axis)
    jaxinit.nnx.apply(layers, lambda _: {"kernel": jaxinit.orthogonal()}, nnx.Rngs(0))
    for kernel in np.moveaxis(np.asarray(layers.kernel[...]), axis, 0):
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=1e-5)


def test_parameters_and_statistics_stacked_along_different_axes() -> None:
    def make(rngs: nnx.Rngs) -> nnx.Sequential:
        return nnx.Sequential(nnx.Linear(4, 5, rngs=rngs), nnx.BatchNorm(5, rngs=rngs))

    axes: Any = {nnx.Param: 1, nnx.BatchStat: 0, ...: 0}
    layers = stacked(make, nnx.StateAxes(axes))
    theirs = filled(
        torch.nn.ModuleList(
            [torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5)) for _ in range(LAYERS)]
        )
    )
    state = {name.replace(".", ".layers.", 1): tensor for name, tensor in theirs.state_dict().items()}
    jaxinit.nnx.load(nnx.Dict(blocks=layers), {f"blocks.{name}": tensor for name, tensor in state.items()})
    linear, norm = nnx.state(layers)["layers"][0], nnx.state(layers)["layers"][1]
    for layer in range(LAYERS):
        np.testing.assert_array_equal(linear["kernel"][:, layer].T, state[f"{layer}.layers.0.weight"])
        np.testing.assert_array_equal(norm["mean"][layer], state[f"{layer}.layers.1.running_mean"])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_list_of_torchs_into_a_stack_along_any_axis(axis: int) -> None:
    model = nnx.Dict(blocks=stacked(Block, axis))
    state = {
        f"blocks.{layer}.{name}": torch.randn(shape)
        for layer in range(LAYERS)
        for name, shape in {
            "fc1.weight": (8, 4),
            "fc1.bias": (8,),
            "fc2.weight": (4, 8),
            "fc2.bias": (4,),
            "norm.weight": (4,),
            "norm.bias": (4,),
            "scale": (8,),
        }.items()
    }
    jaxinit.nnx.load(model, state)
    for layer in range(LAYERS):
        kernel, scale = np.asarray(model.blocks.fc1.kernel[...]), np.asarray(model.blocks.scale[...])
        np.testing.assert_array_equal(np.take(kernel, layer, axis).T, state[f"blocks.{layer}.fc1.weight"])
        np.testing.assert_array_equal(np.take(scale, layer, axis), state[f"blocks.{layer}.scale"])


def test_an_axis_that_cannot_be_known_is_refused() -> None:
    layers = stacked(lambda rngs: nnx.Linear(LAYERS, LAYERS, rngs=rngs), 0)
    with pytest.raises(ValueError, match=r"cannot tell which axis of (kernel|bias) stacks layers, got shape \(4, 4"):
        jaxinit.nnx.reset_parameters(layers, nnx.Rngs(0))
    layers = stacked(lambda rngs: nnx.Linear(5, 6, rngs=rngs), 0)
    layers.in_features = 7
    with pytest.raises(ValueError, match="cannot tell which axis of kernel stacks layers"):
        jaxinit.nnx.load(layers, {})


def test_the_batch_axes_of_a_linear_general_are_its_own() -> None:
    layer: Any = nnx.LinearGeneral(4, 4, batch_axis={0: 4}, rngs=nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(layer, nnx.Rngs(0))
    assert_drawn(layer.kernel[...], Uniform(-0.5, 0.5))
