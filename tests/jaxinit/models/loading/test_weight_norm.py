"""torch's weight_norm, old and parametrized, into plain layers and into Flax's WeightNorm."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from tests.jaxinit.models.loading.test_state_dict import assert_same, tensors, there_and_back
from tests.jaxinit.models.torch_layers import RNGS, array, assert_close

pytestmark = pytest.mark.usefixtures("torch_seed")
KINDS: dict[str, Callable[[Any], Any]] = {
    "old": torch.nn.utils.weight_norm,
    "parametrized": torch.nn.utils.parametrizations.weight_norm,
}
APIS = ["linen", "nnx"] if hasattr(nnx, "WeightNorm") else ["linen"]  # Flax 0.12.0 has none in NNX
kinds = pytest.mark.parametrize("kind", KINDS)


def torch_model(kind: str) -> Any:
    model = torch.nn.ModuleDict({"fc": KINDS[kind](torch.nn.Linear(3, 4))})
    for name, tensor in model.state_dict().items():
        if name.endswith(("_g", "original0")):
            tensor.uniform_(0.5, 1.5)
    return model


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y: jax.Array = nn.WeightNorm(nn.Dense(4, name="fc"))(x)
        return y


@kinds
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_a_plain_layer_gets_the_product(kind: str) -> None:
    theirs, x = torch_model(kind), torch.randn(2, 3)
    ours = nnx.Dict(fc=nnx.Linear(3, 4, rngs=RNGS))
    state = there_and_back(ours, theirs.state_dict(), names=theirs.state_dict())
    assert_close(ours.fc(array(x)), theirs["fc"](x))
    theirs.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in state.items()})
    assert_close(ours.fc(array(x)), theirs["fc"](x))
    assert there_and_back(ours, theirs.state_dict()).keys() == {"fc.weight", "fc.bias"}


@kinds
@pytest.mark.parametrize("api", APIS)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_weight_norm_of_flax_keeps_scale_and_direction(api: str, kind: str) -> None:
    theirs, x = torch_model(kind), torch.randn(2, 3)
    state, given = theirs.state_dict(), array(x)
    if api == "nnx":
        ours: Any = nnx.Dict(fc=nnx.WeightNorm(nnx.Linear(3, 4, rngs=RNGS), rngs=RNGS))
        jaxinit.nnx.load(ours, state)
        direction = ours.fc.layer_instance.kernel[...]
        assert_close(ours.fc(given), theirs["fc"](x))
    else:
        ours = LinenNet()
        variables, _ = jaxinit.linen.load(ours, ours.init(RNGS.params(), given), state, given)
        direction = variables["params"]["fc"]["kernel"]
        assert_close(ours.apply(variables, given), theirs["fc"](x))
        (scale,) = variables["params"]["WeightNorm_0"].values()
        np.testing.assert_array_equal(
            scale, np.ravel(state[next(name for name in state if name.endswith(("_g", "0")))])
        )
    np.testing.assert_array_equal(direction.T, state[next(name for name in state if name.endswith(("_v", "1")))])


@kinds
@pytest.mark.parametrize("api", APIS)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_weight_norm_goes_back(api: str, kind: str) -> None:
    theirs = torch_model(kind)
    ours: Any = nnx.Dict(fc=nnx.WeightNorm(nnx.Linear(3, 4, rngs=RNGS), rngs=RNGS)) if api == "nnx" else LinenNet()
    x = jnp.ones((1, 3))
    assert_same(there_and_back(ours, theirs.state_dict(), x, names=theirs.state_dict()), tensors(theirs))
    old = {"fc.weight_g", "fc.weight_v", "fc.bias"}
    assert there_and_back(ours, theirs.state_dict(), x).keys() == old
