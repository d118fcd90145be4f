"""Norms over several axes, whose weights have these axes in torch, and norms that a user wrote."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from tests.jaxinit.models.torch_layers import array, assert_close, filled, run

pytestmark = pytest.mark.usefixtures("torch_seed")
AXES = (-2, -1)


@pytest.mark.parametrize(
    ("theirs", "ours"), [(torch.nn.LayerNorm, nn.LayerNorm), (torch.nn.RMSNorm, nn.RMSNorm)], ids=["layer", "rms"]
)
def test_a_norm_over_several_axes(theirs: Any, ours: Any) -> None:
    one, x = filled(theirs((4, 5), eps=1e-5)), torch.randn(2, 4, 5)
    module, state = ours(epsilon=1e-5, reduction_axes=AXES, feature_axes=AXES), one.state_dict()
    assert_close(run(module, state, array(x)), one(x))
    assert_close(run(module, {name: tensor.flatten() for name, tensor in state.items()}, array(x)), one(x))
    flat = run(ours(epsilon=1e-5), state, array(x.reshape(2, 20)))
    assert_close(flat.reshape(2, 4, 5), one(x))
    own, turned = module.init(jax.random.key(0), jnp.zeros((2, 4, 5))), {name: t.T for name, t in state.items()}
    with pytest.raises(ValueError, match=r"weight must have shape \(4, 5\), got \(5, 4\)"):
        jaxinit.linen.load(module, own, turned, array(x))


class RMSNorm(nnx.Module):
    """A norm as users write it: Flax's `RMSNorm` has a rule, and this has none."""

    def __init__(self, size: int, has_weight: bool = False) -> None:
        self.scale = nnx.Param(jnp.ones(size))
        if has_weight:
            self.weight = nnx.Param(jnp.ones(size))


class LinenRMSNorm(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.param("scale", nn.initializers.ones, x.shape[-1:])


def test_a_scale_of_a_users_norm_is_torchs_weight() -> None:
    state = {"norm.weight": np.arange(3.0)}
    model = nnx.Dict(norm=RMSNorm(3))
    assert jaxinit.nnx.load(model, state) == {"norm.scale": ("norm.weight",)}
    assert model["norm"].scale[...].tolist() == [0, 1, 2]
    saved = jaxinit.nnx.state_dict(model, names=list(state))
    assert saved["norm.weight"].tolist() == [0, 1, 2]
    module = LinenRMSNorm()
    variables = module.init(jax.random.key(0), jnp.ones(3))
    variables, _ = jaxinit.linen.load(module, variables, {"weight": np.arange(3.0)}, jnp.ones(3))
    assert variables["params"]["scale"].tolist() == [0, 1, 2]


def test_a_scale_leaves_torchs_weight_to_a_parameter_of_this_name() -> None:
    model = nnx.Dict(norm=RMSNorm(3, has_weight=True))
    with pytest.raises(ValueError, match=r"missing norm\.scale, of shape \(3,\)$"):
        jaxinit.nnx.load(model, {"norm.weight": np.arange(3.0)})


def test_only_a_vector_is_a_scale() -> None:
    model = nnx.Dict(norm=RMSNorm(3))
    model["norm"].scale = nnx.Param(jnp.ones((3, 3)))
    with pytest.raises(ValueError, match=r"missing norm\.scale, of shape \(3, 3\)\nunexpected norm\.weight"):
        jaxinit.nnx.load(model, {"norm.weight": np.ones((3, 3))})
