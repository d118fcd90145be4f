"""PPO's actor and critic: each layer is built, then drawn orthogonal, as CleanRL's `layer_init` does."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import jaxinit

SIZE, WIDTH, ACTIONS = 6, 32, 3
INPUTS = np.random.default_rng(0).normal(size=(4, SIZE)).astype(np.float32)


def layer_init(layer: torch.nn.Linear, std: float = math.sqrt(2)) -> torch.nn.Linear:
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, 0.0)
    return layer


class TorchAgent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.critic, self.actor = torch_layers(1, 1.0), torch_layers(ACTIONS, 0.01)
        self.log_std = torch.nn.Parameter(torch.zeros(1, ACTIONS))

    def forward(self, x: Any) -> Any:
        return torch.cat([self.critic(x), self.actor(x), self.log_std.expand(len(x), -1)], dim=-1)


def torch_layers(features: int, std: float) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        layer_init(torch.nn.Linear(SIZE, WIDTH)),
        torch.nn.Tanh(),
        layer_init(torch.nn.Linear(WIDTH, features), std),
    )


class Agent(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.critic, self.actor = layers(1, 1.0, rngs), layers(ACTIONS, 0.01, rngs)
        self.log_std = nnx.Param(jnp.zeros((1, ACTIONS)))

    def __call__(self, x: Any) -> Any:
        spread = jnp.broadcast_to(self.log_std[...], (len(x), ACTIONS))
        return jnp.concatenate([self.critic(x), self.actor(x), spread], axis=-1)


def layers(features: int, std: float, rngs: nnx.Rngs) -> nnx.Sequential:
    return nnx.Sequential(layer(SIZE, WIDTH, math.sqrt(2), rngs), jnp.tanh, layer(WIDTH, features, std, rngs))


def layer(size: int, features: int, std: float, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(size, features, kernel_init=jaxinit.orthogonal(std), bias_init=jaxinit.zeros(), rngs=rngs)
