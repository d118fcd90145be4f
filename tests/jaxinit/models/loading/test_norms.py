"""torch's norms over several axes, whose weights have these axes."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
import torch

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
