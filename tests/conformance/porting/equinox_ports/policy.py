"""PPO's actor and critic in Equinox, drawn by a rule for each path."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxinit

from ..ports.policy import ACTIONS, SIZE, WIDTH


class Agent(eqx.Module):
    critic: eqx.nn.Sequential
    actor: eqx.nn.Sequential
    log_std: jax.Array

    def __init__(self, key: jax.Array) -> None:
        self.critic, self.actor = layers(1, key), layers(ACTIONS, key)
        self.log_std = jnp.zeros((1, ACTIONS))

    def __call__(self, x: Any) -> Any:
        return jnp.concatenate([self.critic(x), self.actor(x), self.log_std[0]])


def layers(features: int, key: jax.Array) -> eqx.nn.Sequential:
    first, last = eqx.nn.Linear(SIZE, WIDTH, key=key), eqx.nn.Linear(WIDTH, features, key=key)
    return eqx.nn.Sequential([first, eqx.nn.Lambda(jnp.tanh), last])


def build(key: jax.Array) -> Agent:
    rules = {
        "**/bias": jaxinit.zeros(),
        "actor.2.weight": jaxinit.orthogonal(0.01),
        "critic.2.weight": jaxinit.orthogonal(1.0),
        "**/weight": jaxinit.orthogonal(math.sqrt(2)),
    }
    return jaxinit.equinox.apply(Agent(key), rules, key)
