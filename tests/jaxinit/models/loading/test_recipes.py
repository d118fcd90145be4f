"""A recipe is drawn straight into a Flax model."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxinit


def build() -> torch.nn.Module:
    layer = torch.nn.Linear(3, 2)
    torch.nn.init.normal_(layer.weight, std=0.5)
    return layer


RECIPE = jaxinit.record(build)


@pytest.fixture
def state() -> dict[str, np.ndarray]:
    """What torch draws from seed 5."""
    torch.manual_seed(5)
    return {name: tensor.numpy() for name, tensor in build().state_dict().items()}


def test_nnx_loads_what_torchs_seed_gives(state: dict[str, np.ndarray]) -> None:
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    assert jaxinit.nnx.load(model, RECIPE, rngs=jaxinit.TorchGenerator(5)) == {
        "kernel": ("weight",),
        "bias": ("bias",),
    }
    np.testing.assert_array_equal(model.kernel[...], state["weight"].T)
    np.testing.assert_array_equal(nnx.state(model)["bias"][...], state["bias"])


def test_linen_loads_what_torchs_seed_gives(state: dict[str, np.ndarray]) -> None:
    module, x = nn.Dense(2), jnp.zeros((1, 3))
    variables: Any = module.init(jax.random.key(0), x)
    variables, _ = jaxinit.linen.load(module, variables, RECIPE, x, key=jaxinit.TorchGenerator(5))
    np.testing.assert_array_equal(variables["params"]["kernel"], state["weight"].T)


def test_a_key_draws_a_recipe() -> None:
    model, key = nnx.Linear(3, 2, rngs=nnx.Rngs(0)), jax.random.key(1)
    jaxinit.nnx.load(model, RECIPE, rngs=key)
    np.testing.assert_array_equal(model.kernel[...], RECIPE.sample(key)["weight"].T)


def test_a_sharded_model_stays_sharded() -> None:
    sharding = NamedSharding(jax.make_mesh((2,), ("x",), axis_types=(AxisType.Auto,)), PartitionSpec(None, "x"))
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    model.kernel[...] = jax.device_put(model.kernel[...], sharding)
    jaxinit.nnx.load(model, RECIPE, rngs=jax.random.key(1))
    assert model.kernel[...].sharding == sharding
    np.testing.assert_array_equal(model.kernel[...], RECIPE.sample(jax.random.key(1))["weight"].T)


def test_a_recipe_needs_numbers_and_a_state_has_its_own(state: dict[str, np.ndarray]) -> None:
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="`rngs` must be given to draw the tensors of a recipe, got None"):
        jaxinit.nnx.load(model, RECIPE)
    with pytest.raises(
        ValueError, match=r"`rngs` draws the tensors of a recipe, got `rngs` with .*dict'>\. Read the file"
    ):
        jaxinit.nnx.load(model, state, rngs=jaxinit.TorchGenerator(0))
    with pytest.raises(TypeError, match="`rngs` must be nnx"):
        jaxinit.nnx.load(model, RECIPE, rngs="0")  # type: ignore[arg-type]  # which is refused


def test_rngs_draw_a_recipe_as_their_next_key() -> None:
    drawn, expected = RECIPE.sample(nnx.Rngs(3)), RECIPE.sample(nnx.Rngs(3).params())
    assert {name: array.tobytes() for name, array in drawn.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }
    with pytest.raises(
        TypeError, match=r"`key` must be a JAX PRNG key such as jax\.random\.key\(0\), got an array of shape"
    ):
        RECIPE.sample(np.zeros((3, 4)))  # type: ignore[arg-type]  # which is refused
