"""An initializer that was given to a layer is drawn after the layer's own draw, as PPO's `layer_init` in torch does."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.nnx.test_models import arrays
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = [as_on_avx2, pytest.mark.usefixtures("torchs_qr")]
SIZES = (4, 64), (64, 64), (64, 2)
GAINS = math.sqrt(2), math.sqrt(2), 0.01
BIAS = jaxinit.constant(0.0)


def layer_init(layer: torch.nn.Linear, std: float) -> torch.nn.Linear:
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, 0.0)
    return layer


class TorchAgent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 4, 3)
        self.actor = torch.nn.ModuleList(
            layer_init(torch.nn.Linear(*size), gain) for size, gain in zip(SIZES, GAINS, strict=True)
        )
        self.log_std = torch.nn.Parameter(torch.empty(20).normal_())
        self.last = torch.nn.Linear(4, 4)


class Agent(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.actor = nnx.List(
            [
                nnx.Linear(*size, kernel_init=jaxinit.orthogonal(gain), bias_init=BIAS, rngs=rngs)
                for size, gain in zip(SIZES, GAINS, strict=True)
            ]
        )
        self.log_std = nnx.Param(jnp.zeros(20))
        self.last = nnx.Linear(4, 4, rngs=rngs)


class AgentByMethod(Agent):
    def reset_parameters(self, source: Any) -> None:
        self.last.kernel[...] = jaxinit.normal()(source, (4, 4)).T


class LinenAgent(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        out = nn.Conv(4, (3, 3), name="stem")(x).sum()
        for index, ((_, size), gain) in enumerate(zip(SIZES, GAINS, strict=True)):
            y = nn.Dense(size, kernel_init=jaxinit.orthogonal(gain), bias_init=BIAS, name=f"actor_{index}")(y)
        out += self.param("log_std", nn.initializers.zeros, (20,)).sum()
        return out + nn.Dense(4, name="last")(jnp.ones((1, 4))).sum() + y.sum()


jaxinit.nnx.register(Agent, lambda _: {"log_std": jaxinit.normal()})
jaxinit.linen.register(LinenAgent, lambda *_: {"log_std": jaxinit.normal()})


def assert_torchs(drawn: dict[str, np.ndarray], loaded: dict[str, np.ndarray]) -> None:
    assert drawn.keys() == loaded.keys()
    for path, array in loaded.items():
        np.testing.assert_array_equal(drawn[path], array, err_msg=path)


@pytest.mark.parametrize("build", [Agent, AgentByMethod])
def test_an_agent_of_ppo_is_drawn_layer_by_layer(build: Any, seed: int) -> None:
    expected = torch.manual_seed(seed)
    module = TorchAgent()
    if build is AgentByMethod:
        torch.nn.init.normal_(module.last.weight)
    model = jaxinit.nnx.init(build, generator := TorchGenerator(seed))
    assert_same_state(generator, expected)
    loaded = build(nnx.Rngs(0))
    jaxinit.nnx.load(loaded, module.state_dict())
    assert_torchs(arrays(model), arrays(loaded))


def test_so_is_one_of_linen(seed: int) -> None:
    expected = torch.manual_seed(seed)
    module, inputs = TorchAgent(), (jnp.zeros((1, 5, 5, 3)), jnp.zeros((1, 4)))
    variables = jaxinit.linen.init(LinenAgent(), generator := TorchGenerator(seed), *inputs)
    assert_same_state(generator, expected)
    loaded, _ = jaxinit.linen.load(LinenAgent(), variables, module.state_dict(), *inputs)
    flat = [
        {jax.tree_util.keystr(path): np.asarray(array) for path, array in jax.tree_util.tree_leaves_with_path(each)}
        for each in (variables, loaded)
    ]
    assert_torchs(*flat)


def test_a_rule_of_the_module_around_comes_after_what_was_given() -> None:
    class Around(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.head = nnx.Linear(4, 4, kernel_init=jaxinit.zeros(), bias_init=jaxinit.ones(), rngs=rngs)

    jaxinit.nnx.register(Around, lambda _: {"head.kernel": jaxinit.constant(2.0)})
    for source in (nnx.Rngs(0), TorchGenerator(0)):
        drawn = arrays(jaxinit.nnx.init(Around, source))
        assert (drawn["head.kernel"] == 2).all()
        assert (drawn["head.bias"] == 1).all()
