"""A program of a user, which type checkers accept: `make lint` runs mypy --strict and pyright on it."""

from typing import assert_type

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jaxinit


class Net(nnx.Module):
    """A model with defaults of torch, layer by layer."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 8, (3, 3), **jaxinit.defaults.conv(3, (3, 3)), rngs=rngs)
        self.norm = nnx.BatchNorm(8, **jaxinit.defaults.batch_norm(), rngs=rngs)
        self.embed = nnx.Embed(10, 4, **jaxinit.defaults.embedding(0), rngs=rngs)
        self.cell = nnx.OptimizedLSTMCell(4, 8, **jaxinit.defaults.lstm(8), rngs=rngs)
        attention = jaxinit.defaults.multihead_attention(8)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, **attention, rngs=rngs)
        self.act = nnx.PReLU(**jaxinit.defaults.prelu())
        self.head = nnx.Linear(8, 2, **jaxinit.defaults.linear(8), rngs=rngs)


def init_weights(module: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    """Return initializers for the layers of `apply`."""
    return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.zeros()} if isinstance(module, nnx.Linear) else None


def in_nnx() -> dict[str, tuple[str, ...]]:
    """Initialize and load a model of NNX."""
    net = jaxinit.nnx.init(Net, nnx.Rngs(0))
    assert_type(net, Net)
    jaxinit.nnx.register(Net, lambda _: {"embed.embedding": jaxinit.normal(std=0.02)})
    order = ["embed", "conv", "norm", "cell", "attention", "act", "head"]
    jaxinit.nnx.reset_parameters(net, jaxinit.TorchGenerator(0), order=order)
    jaxinit.nnx.apply(net, init_weights, jax.random.key(0), only="head")
    return dict(jaxinit.nnx.load(net, {"head.weight": np.ones((2, 8))}, strict=False))


def in_linen() -> jax.Array:
    """Initialize a model of Linen."""
    module = nn.Dense(3, **jaxinit.defaults.linear(2))
    variables = jaxinit.linen.init(module, jax.random.key(0), jnp.ones((1, 2)))
    kernel = jaxinit.kaiming_uniform(a=5**0.5, layout=jaxinit.FLAX)(jax.random.key(0), (2, 3), jnp.float32)
    assert_type(kernel, jax.Array)
    bias = jaxinit.normal()(nnx.Rngs(0), (3,))
    assert isinstance(variables["params"]["kernel"], jax.Array)
    return kernel + bias[None]


class Head(eqx.Module):
    """A model of Equinox."""

    linear: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.linear = eqx.nn.Linear(8, 2, key=key)


def in_equinox() -> dict[str, np.ndarray]:
    """Initialize, load and save models of Equinox, with a state and without one."""
    head = jaxinit.equinox.init(Head, jax.random.key(0))
    assert_type(head, Head)
    head = jaxinit.equinox.reset_parameters(head, jaxinit.TorchGenerator(0), order=["linear"])
    head = jaxinit.equinox.apply(head, {"**/bias": jaxinit.zeros()}, jax.random.key(0), only=lambda model: model.linear)
    jaxinit.equinox.register(Head, lambda _: {"linear.weight": jaxinit.normal(std=0.02)})
    norm, state = jaxinit.equinox.init(
        eqx.nn.make_with_state(lambda _: eqx.nn.BatchNorm(8, "batch", mode="batch")), jax.random.key(0)
    )
    assert_type(norm, eqx.nn.BatchNorm)
    (norm, state), names = jaxinit.equinox.load((norm, state), {"weight": np.ones(8)}, strict=False)
    assert_type(state, eqx.nn.State)
    assert names["weight"] == ("weight",)
    return jaxinit.equinox.state_dict(head)


def described() -> list[str]:
    """Describe and compare models."""
    found, module = jaxinit.describe(Net(nnx.Rngs(0)), layout="HWIO"), nn.Dense(3)
    assert_type(found.rows[0].is_default, bool | None)
    variables = module.init(jax.random.key(0), jnp.ones((1, 2)))
    both = jaxinit.compare(variables, {"weight": np.ones((3, 2))}, module, jnp.ones((1, 2)), rename={"w": "weight"})
    assert_type(both.equal, bool)
    return [*(row.path for row in found.rows), *both.missing, *(row.verdict for row in both.rows)]


def mistakes() -> None:
    """Make mistakes that a type checker sees. One that it does not see is an ignored error too many."""
    jaxinit.defaults.linear(8)["scale_init"]  # type: ignore
    jaxinit.nnx.init(nn.Dense(3), nnx.Rngs(0))  # type: ignore
    jaxinit.nnx.reset_parameters(nn.Dense(3), nnx.Rngs(0))  # type: ignore
    jaxinit.kaiming_uniform(nonlinearity=2)  # type: ignore
    jaxinit.equinox.init(nn.Dense(3), jax.random.key(0))  # type: ignore
    jaxinit.equinox.reset_parameters(nn.Dense(3), jax.random.key(0))  # type: ignore
    jaxinit.describe({}, layout=2)  # type: ignore
    nnx.Linear(8, 2, **jaxinit.defaults.embedding(), rngs=nnx.Rngs(0))  # type: ignore
