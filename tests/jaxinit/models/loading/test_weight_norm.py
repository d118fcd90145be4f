"""torch's weight_norm, old and parametrized, into plain layers and into Flax's WeightNorm."""

import functools
import re
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
from tests.jaxinit.models.torch_layers import RNGS, array, assert_close, filled

pytestmark = pytest.mark.usefixtures("torch_seed")
KINDS: dict[str, Callable[..., Any]] = {
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


@kinds
@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_a_plain_layer_gets_the_product_over_any_axis(dim: int | None, kind: str) -> None:
    theirs: Any = filled(torch.nn.ModuleDict({"fc": KINDS[kind](torch.nn.Linear(3, 4), dim=dim)}))
    ours, x = nnx.Dict(fc=nnx.Linear(3, 4, rngs=RNGS)), torch.randn(2, 3)
    jaxinit.nnx.load(ours, theirs.state_dict())
    assert_close(ours.fc(array(x)), theirs["fc"](x))


class Transposed(nn.Module):
    """With a norm for each input channel, as torch has it by default, or for each output channel."""

    feature_axes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layer = nn.ConvTranspose(4, (3,), padding="VALID", name="fc")
        y: jax.Array = nn.WeightNorm(layer, feature_axes=self.feature_axes)(x)
        return y


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("api", APIS)
def test_a_scale_is_loaded_along_the_axis_that_it_has_in_torch(api: str, dim: int) -> None:
    """The two axes have equal sizes, so nothing else tells them apart."""
    wrap = torch.nn.utils.parametrizations.weight_norm
    theirs: Any = filled(torch.nn.ModuleDict({"fc": wrap(torch.nn.ConvTranspose1d(4, 4, 3), dim=dim)}))
    state, x = theirs.state_dict(), torch.randn(2, 4, 5)
    given = jnp.moveaxis(array(x), 1, 2)

    def loaded(feature_axes: int) -> Callable[[jax.Array], Any]:
        call: Callable[[jax.Array], Any]
        if api == "linen":
            ours = Transposed(feature_axes)
            variables, _ = jaxinit.linen.load(ours, ours.init(RNGS.params(), given), state, given)
            back = jaxinit.linen.state_dict(ours, variables, given, names=state)
            call = functools.partial(ours.apply, variables)
        else:
            layer = nnx.ConvTranspose(4, 4, (3,), padding="VALID", rngs=RNGS)
            call = nnx.WeightNorm(layer, feature_axes=feature_axes, rngs=RNGS)
            jaxinit.nnx.load(nnx.Dict(fc=call), state)
            back = jaxinit.nnx.state_dict(nnx.Dict(fc=call), names=state)
        assert_same(back, {name: np.asarray(tensor) for name, tensor in state.items()})
        return call

    assert_close(jnp.moveaxis(loaded(-2 + dim)(given), 2, 1), theirs["fc"](x))
    expected, got = ((4, 1, 1), (1, 4, 1)) if dim else ((1, 4, 1), (4, 1, 1))
    with pytest.raises(ValueError, match=re.escape(f"fc.weight_g must have shape {expected}, got {got}")):
        loaded(-1 - dim)


class Gates(nnx.Module):
    """Its parameters are named as those of weight_norm, but are not."""

    def __init__(self) -> None:
        self.w, self.w_g, self.w_v = (nnx.Param(jnp.zeros((2, 3))) for _ in range(3))


@pytest.mark.parametrize("names", [("w", "w_g", "w_v"), ("w_g", "w_v"), ("w", "w_g")])
def test_parameters_with_such_names_are_left_alone(names: tuple[str, ...]) -> None:
    ours = Gates()
    for name in {"w", "w_g", "w_v"} - {*names}:
        delattr(ours, name)
    state = {name: np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32) for name in names}
    assert_same(there_and_back(ours, state), state)
