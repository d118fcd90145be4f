"""What `jaxinit.linen.initializers` says is what `reset_parameters` draws."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxinit
from tests.jaxinit.models.linen.test_models import SEQUENCE, arrays


class Step(nn.Module):
    """The body of a scan."""

    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return nn.LayerNorm(name="norm")(nn.Dense(8, name="linear")(x)), None


class Model(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        stack: Any = nn.scan(Step, variable_axes={"params": 1}, split_rngs={"params": True}, length=3)
        x, _ = stack(name="steps")(x, None)
        x = nn.BatchNorm(use_running_average=True, name="norm")(nn.Conv(6, (3,), name="conv")(x))
        gain: jax.Array = self.param("unknown", nn.initializers.ones, (6,))
        return x * gain[None, None]


def test_paths_are_dotted_statistics_included_and_arrays_without_a_rule_left_out() -> None:
    inits = jaxinit.linen.initializers(Model(), SEQUENCE)
    steps = {"steps.linear.kernel", "steps.linear.bias", "steps.norm.scale", "steps.norm.bias"}
    assert set(inits) == steps | {"conv.kernel", "conv.bias", "norm.scale", "norm.bias", "norm.mean", "norm.var"}
    assert inits["norm.var"] == jaxinit.ones()


def test_a_stack_has_the_initializer_of_one_layer() -> None:
    inits: Any = jaxinit.linen.initializers(Model(), SEQUENCE)
    assert inits["steps.linear.kernel"] == jaxinit.linen.initializers(nn.Dense(8), SEQUENCE)["kernel"]
    assert inits["steps.linear.kernel"].distribution((8, 8)).support[1] == pytest.approx(8**-0.5)


def test_the_same_initializers_through_apply_reach_the_same_numbers(seed: int) -> None:
    module, key = Model(), jax.random.key(seed)
    variables = module.init(key, SEQUENCE)
    inits = jaxinit.linen.initializers(module, SEQUENCE)
    applied = jaxinit.linen.apply(
        module, variables, lambda own: inits if isinstance(own, Model) else None, key, SEQUENCE
    )
    with pytest.warns(UserWarning, match="unknown"):
        reset = jaxinit.linen.reset_parameters(module, variables, key, SEQUENCE)
    for path, array in arrays(reset).items():
        np.testing.assert_array_equal(array, arrays(applied)[path])


def test_abstract_inputs_will_do() -> None:
    inputs = jax.ShapeDtypeStruct((1, 64), jnp.float32)
    assert jaxinit.linen.initializers(nn.Dense(256), inputs)["bias"] == jaxinit.uniform(-1 / 8, 1 / 8)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`module` must be a flax\.linen\.Module, got 3"):
        jaxinit.linen.initializers(3)  # type: ignore[arg-type]  # which is refused
