"""Linen layers without a module in torch: Einsum, WeightNorm, and NNX modules in `nnx.bridge.ToLinen`."""

import warnings
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _every_layer_has_a_rule() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def test_fans_of_an_einsum_are_those_of_its_equation() -> None:
    x = jnp.ones((2, 5, 16))
    inits: Any = jaxinit.linen.initializers(nn.Einsum((16, 2, 3), "btd,dhk->bthk"), x)
    assert inits["bias"] == jaxinit.uniform(-1 / 4, 1 / 4)
    assert jaxinit.calculate_fan_in_and_fan_out((16, 2, 3), inits["kernel"].layout) == (16, 6)
    assert set(jaxinit.linen.initializers(nn.Einsum((16, 2, 3), "btd,dhk->bthk", use_bias=False), x)) == {"kernel"}
    assert not jaxinit.linen.initializers(nn.Einsum((16, 3)), x, "btd,dk->btk")  # known at the call alone


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, _: Any = None) -> tuple[jax.Array, None]:
        return nn.WeightNorm(nn.Dense(x.shape[-1]))(x), None


class Plain(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, _: Any = None) -> tuple[jax.Array, None]:
        return nn.Dense(x.shape[-1], name="Dense_0")(x), None


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("key", [KEY, TorchGenerator(0)])
def test_weight_norm_leaves_the_layer_as_it_is(axis: int | None, key: Any) -> None:
    def stacked(block: Any) -> Any:
        options: Any = {"variable_axes": {"params": axis}, "split_rngs": {"params": True}, "length": 3}
        return block() if axis is None else nn.scan(block, **options)()

    x = jnp.linspace(-1, 1, 10).reshape(2, 5)
    variables = jaxinit.linen.init(stacked(Normed), key, x)
    if key is KEY:
        variables = jaxinit.linen.reset_parameters(stacked(Normed), variables, key, x)
    alone = {"params": {"Dense_0": variables["params"]["Dense_0"]}}
    ours, _ = stacked(Normed).apply(variables, x)
    plain, _ = stacked(Plain).apply(alone, x)
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-5)


def test_an_nnx_module_in_linen_has_the_rules_of_its_layers() -> None:
    class Model(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.last, self.first = nnx.Linear(4, 4, rngs=rngs), nnx.Linear(64, 4, rngs=rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.last(self.first(x))

    class Around(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return nn.Dense(3)(nnx.bridge.ToLinen(Model, name="inner")(x))

    x = jnp.ones((1, 64))
    inits = jaxinit.linen.initializers(Around(), x)
    assert inits["inner.first.bias"] == jaxinit.uniform(-1 / 8, 1 / 8)
    variables = jaxinit.linen.init(Around(), KEY, x)
    assert 0.06 < abs(variables["params"]["inner"]["first"]["bias"]).max() <= 1 / 8

    def init_weights(module: Any) -> Any:
        return {"bias": jaxinit.constant(0.5)} if isinstance(module, nnx.Linear) else None

    params = jaxinit.linen.apply(Around(), variables, init_weights, KEY, x)["params"]
    assert (params["inner"]["last"]["bias"] == 0.5).all()
    assert (params["Dense_0"]["bias"] != 0.5).any()
    with pytest.raises(ValueError, match="got None for inner, an NNX module, whose order Linen does not show"):
        jaxinit.linen.init(Around(), TorchGenerator(0), x)
    order = ["inner.last", "inner.first", "Dense_0"]
    built = jaxinit.linen.init(Around(), TorchGenerator(0), x, order=order)["params"]
    expected = jaxinit.defaults.linear(4)["kernel_init"](TorchGenerator(0), (4, 4))
    np.testing.assert_array_equal(built["inner"]["last"]["kernel"], expected)
