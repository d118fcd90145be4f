"""What torch has in a `state_dict` beside parameters: buffers, and second names of tied tables."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit

X = jnp.ones((1, 3))
pytestmark = pytest.mark.usefixtures("torch_seed")


class Buffer(nnx.Variable[jax.Array]):
    """A kind of variable that a user has for torch's buffers."""


class Quantizer(nnx.Module):
    def __init__(self) -> None:
        self.codebook = Buffer(jnp.zeros((5, 3)))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
        self.fc = nnx.Linear(3, 2, rngs=nnx.Rngs(0))


class LinenQuantizer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        codebook = self.variable("buffers", "codebook", lambda: jnp.zeros((5, 3)))
        return nn.Dense(2, name="fc")(x) @ codebook.value[:2, :2]


STATE = {"codebook": np.ones((5, 3)), "fc.weight": np.ones((2, 3)), "fc.bias": np.ones(2)}
WITHOUT = {name: array for name, array in STATE.items() if name != "codebook"}
WRONG = {**STATE, "codebook": np.ones((3, 5))}


def test_buffers_of_nnx() -> None:
    model = Quantizer()
    jaxinit.nnx.load(model, WITHOUT)
    assert not model.codebook[...].any()
    assert jaxinit.nnx.load(model, STATE)["codebook"] == ("codebook",)
    assert model.codebook[...].all()
    with pytest.raises(ValueError, match=r"codebook must have shape \(5, 3\), got \(3, 5\)"):
        jaxinit.nnx.load(model, WRONG)


def test_buffers_of_linen() -> None:
    module = LinenQuantizer()
    own = module.init(jax.random.key(0), X)
    assert not jaxinit.linen.load(module, own, WITHOUT, X)[0]["buffers"]["codebook"].any()
    variables, matched = jaxinit.linen.load(module, own, STATE, X)
    assert matched["codebook"] == ("codebook",)
    assert variables["buffers"]["codebook"].all()
    with pytest.raises(ValueError, match=r"codebook must have shape \(5, 3\), got \(3, 5\)"):
        jaxinit.linen.load(module, own, WRONG, X)


def test_a_tied_head_is_the_table_again() -> None:
    class Net(nnx.Module):
        def __init__(self) -> None:
            self.wte = nnx.Embed(6, 4, rngs=nnx.Rngs(0))

    table = torch.randn(6, 4)
    matched = jaxinit.nnx.load(Net(), {"wte.weight": table, "lm_head.weight": table.clone()})
    assert matched == {"wte.embedding": ("wte.weight",)}
    with pytest.raises(ValueError, match=r"unexpected lm_head\.weight, of shape \(6, 4\)$"):
        jaxinit.nnx.load(Net(), {"wte.weight": table, "lm_head.weight": table + 1})
