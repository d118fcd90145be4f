"""What `init` leaves as a Linen model gave it: initializers of layers, and what depends on the parameters."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit.distributions import Uniform
from tests.jaxinit.draws import assert_drawn
from tests.jaxinit.models.linen.test_models import KEY

HALF = jax.nn.initializers.constant(0.5)
SOURCES: list[Callable[[], Any]] = [lambda: KEY, lambda: {"params": KEY}, lambda: jaxinit.TorchGenerator(5)]


class Policy(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> Any:
        x = nn.Dense(64, name="body")(x)
        x = nn.BatchNorm(use_running_average=False, scale_init=jaxinit.zeros(), name="norm")(x)
        slopes = [nn.PReLU(negative_slope_init=slope, name=name)(x) for name, slope in (("given", 0.5), ("own", 0.01))]
        return slopes, nn.Dense(4, kernel_init=jaxinit.orthogonal(0.01), bias_init=HALF, name="head")(x)


@pytest.mark.parametrize("source", SOURCES)
def test_given_initializers_stay(source: Callable[[], Any]) -> None:
    variables = jaxinit.linen.init(Policy(), source(), jnp.zeros((1, 8)))
    params = variables["params"]
    assert_drawn(np.asarray(params["body"]["kernel"]), Uniform(-(8**-0.5), 8**-0.5))
    np.testing.assert_allclose(np.linalg.svd(params["head"]["kernel"], compute_uv=False), 0.01, rtol=1e-4)
    assert (params["head"]["bias"] == 0.5).all()
    assert not params["norm"]["scale"].any()
    assert (variables["batch_stats"]["norm"]["var"] == 1).all()
    assert [float(params[name]["negative_slope"]) for name in ("given", "own")] == [0.5, 0.25]


def test_subclasses_give_initializers_by_their_defaults() -> None:
    class Head(nn.Dense):
        kernel_init: Any = HALF

    params = jaxinit.linen.init(Head(4), KEY, jnp.zeros((1, 64)))["params"]
    assert (params["kernel"] == 0.5).all()
    assert_drawn(np.asarray(params["bias"]), Uniform(-1 / 8, 1 / 8))


@pytest.mark.parametrize("source", SOURCES)
def test_parts_of_a_layer_have_its_initializers(source: Callable[[], Any]) -> None:
    layer = nn.MultiHeadDotProductAttention(2, kernel_init=jaxinit.orthogonal(3.0))
    params = jaxinit.linen.init(layer, source(), jnp.zeros((1, 5, 8)))["params"]
    for part in ("query", "out"):
        kernel = np.asarray(params[part]["kernel"]).reshape(8, 8)
        np.testing.assert_allclose(kernel @ kernel.T, 9 * np.eye(8), atol=1e-4)
    cell = nn.OptimizedLSTMCell(16, recurrent_kernel_init=HALF)
    params = jaxinit.linen.init(cell, source(), (jnp.zeros(16), jnp.zeros(16)), jnp.zeros(4))["params"]
    assert (params["hi"]["kernel"] == 0.5).all()
    assert_drawn(np.asarray(params["ii"]["kernel"]), Uniform(-1 / 4, 1 / 4))


@pytest.mark.parametrize("source", [KEY, jaxinit.TorchGenerator(5)])
def test_stacks_keep_what_their_layers_were_given(source: Any) -> None:
    class Step(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return nn.Dense(4, kernel_init=jaxinit.orthogonal(), name="given")(nn.Dense(4, name="own")(x)), None

    module = nn.scan(Step, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)()
    params = jaxinit.linen.init(module, source, jnp.zeros((1, 4)), None)["params"]
    for kernel in np.asarray(params["given"]["kernel"]):
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(4), atol=1e-5)
    for array in (params["own"]["kernel"], params["given"]["bias"]):
        assert_drawn(np.asarray(array), Uniform(-1 / 2, 1 / 2))


class ActNorm(nn.Module):
    """Normalize by the first batch, as Glow does."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shift: jax.Array = self.param("shift", lambda _: -x.mean(0, keepdims=True))
        scale: jax.Array = self.param("scale", lambda _: 1 / (x.std(0, keepdims=True) + 1e-6))
        is_first = self.variable("cache", "is_first", lambda: jnp.asarray(self.is_initializing()))
        assert is_first.value.shape == ()
        return (x + shift) * scale


class Flow(nn.Module):
    """A layer, in a scan or alone, before an ActNorm."""

    is_scanned: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> Any:
        if self.is_scanned:
            scan = nn.scan(Layer, variable_axes={"params": 1}, split_rngs={"params": True}, length=3)
            return ActNorm(name="norm")(scan(name="layers")(x, None)[0])
        return ActNorm(name="norm")(nn.Dense(4, kernel_init=HALF)(nn.Dense(4)(x)))


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return nn.Dense(4)(x), None


@pytest.mark.filterwarnings("ignore:no initialization rule")
@pytest.mark.parametrize("is_scanned", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_what_depends_on_the_parameters_sees_those_that_are_drawn(source: Any, is_scanned: bool) -> None:
    flow, x = Flow(is_scanned), 3 * jax.random.normal(KEY, (256, 4)) + 1
    variables = jaxinit.linen.init(flow, source(), x)
    assert variables["cache"]["norm"]["is_first"]
    y: Any = flow.apply(variables, x)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(y.std(0), 1, atol=1e-3)


@pytest.mark.usefixtures("torchs_qr")
def test_torch_draws_a_layer_before_what_it_was_given(seed: int) -> None:
    torch.manual_seed(seed)
    first, head = torch.nn.Linear(8, 64), torch.nn.Linear(64, 4)
    torch.nn.init.orthogonal_(head.weight, 0.01)
    last = torch.nn.Linear(4, 4)
    module = nn.Sequential([nn.Dense(64), nn.Dense(4, kernel_init=jaxinit.orthogonal(0.01)), nn.Dense(4)])
    params = jaxinit.linen.init(module, jaxinit.TorchGenerator(seed), jnp.zeros((1, 8)))["params"]
    np.testing.assert_array_equal(params["layers_0"]["kernel"], first.weight.detach().T)
    np.testing.assert_array_equal(params["layers_1"]["kernel"], head.weight.detach().T)
    np.testing.assert_array_equal(params["layers_1"]["bias"], head.bias.detach())
    np.testing.assert_array_equal(params["layers_2"]["kernel"], last.weight.detach().T)
