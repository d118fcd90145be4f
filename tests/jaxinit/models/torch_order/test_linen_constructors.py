"""From a TorchGenerator, Linen modules are drawn part by part: as `setup` sets the parts, or as they are made."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.torch_order.test_constructors import SIZE, TorchBefore, TorchHead, TorchNormal
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = as_on_avx2
ZEROS = nn.initializers.zeros
X = jnp.zeros((1, SIZE))
INITS: dict[str, jaxinit.Initializer] = {
    "first.kernel": jaxinit.normal(std=0.1),
    "after": jaxinit.uniform(),
    "token": jaxinit.normal(),
    "position": jaxinit.normal(std=0.02),
}


class Compact(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        position: Any = self.param("position", nn.with_partitioning(ZEROS, (None, None, None)), (1, 5, SIZE))
        y = nn.Dense(6, name="first")(x)
        token = self.param("token", ZEROS, (SIZE,))
        y += nn.Dense(6, name="last")(x + token[None])
        return y.sum() + self.param("after", ZEROS, (SIZE,)).sum() + position.sum()

    def reset_parameters(self, shapes: Any) -> dict[str, jaxinit.Initializer]:
        return INITS


class Setup(nn.Module):
    """Its parts are called in another order than they are set."""

    def setup(self) -> None:
        self.embedding = self.param("position", nn.with_partitioning(ZEROS, (None, None, None)), (1, 5, SIZE))
        self.first = nn.Dense(6)
        self.token = self.param("token", ZEROS, (SIZE,))
        self.last = nn.Dense(6)
        self.after = self.param("after", ZEROS, (SIZE,))

    def __call__(self, x: Any) -> Any:
        parts: Any = self.last(x), self.first(x), self.token, self.after, self.embedding
        return sum(part.sum() for part in parts)

    def reset_parameters(self, shapes: Any) -> dict[str, jaxinit.Initializer]:
        return INITS


class Head(nn.Dense):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        y = super().__call__(x)
        scale = self.param("scale", ZEROS, (SIZE,))
        return nn.Dense(6, name="more")(y).sum() + scale.sum()


jaxinit.linen.register(Head, lambda _, shapes: {"scale": jaxinit.normal()} if "scale" in shapes else None)


class Normal(nn.Dense):
    def reset_parameters(self, shapes: Any) -> dict[str, jaxinit.Initializer]:
        return {"kernel": jaxinit.normal(std=0.02), "bias": jaxinit.uniform()}


class Two(nn.Module):
    kind: Any
    options: Any = ()

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return self.kind(*self.options, name="b")(x).sum() + self.kind(*self.options, name="a")(x).sum()


@pytest.mark.parametrize(
    ("theirs", "block", "options"),
    [(TorchBefore, Compact, ()), (TorchBefore, Setup, ()), (TorchHead, Head, (6,)), (TorchNormal, Normal, (6,))],
)
def test_blocks_are_drawn_one_after_the_other(theirs: Any, block: Any, options: Any, seed: int) -> None:
    expected, state = torch.manual_seed(seed), dict[str, torch.Tensor]()
    for name in ("b", "a"):
        state |= {f"{name}.{own}": tensor for own, tensor in theirs().state_dict().items()}
    module = Two(block, options)
    built = jaxinit.linen.init(module, first := TorchGenerator(seed), X)
    reset = jaxinit.linen.reset_parameters(module, module.init(jax.random.key(0), X), second := TorchGenerator(seed), X)
    loaded, _ = jaxinit.linen.load(module, built, state, X)
    for variables, generator in ((built, first), (reset, second)):
        jax.tree.map(np.testing.assert_array_equal, variables, loaded)
        assert_same_state(generator, expected)


class Hidden(nn.Module):
    """Nothing shows whether torch has the parameter before the layer or behind it."""

    def setup(self) -> None:
        self.layer = nn.Dense(SIZE)
        self.doubled = 2 * self.param("gain", ZEROS, (SIZE,))

    def __call__(self, x: Any) -> Any:
        return self.layer(x) * self.doubled[None]


def test_an_order_that_nothing_shows_is_refused_by_name(seed: int) -> None:
    jaxinit.linen.register(Hidden, lambda *_: {"gain": jaxinit.normal()})
    with pytest.raises(
        ValueError,
        match="`order` must give torch's names, got None for the model, whose `setup` does not set the parameter gain",
    ):
        jaxinit.linen.init(Hidden(), TorchGenerator(seed), X)
    torch.manual_seed(seed)
    gain, layer = torch.empty(SIZE).normal_(), torch.nn.Linear(SIZE, SIZE)
    params = jaxinit.linen.init(Hidden(), TorchGenerator(seed), X, order=["gain", "layer"])["params"]
    np.testing.assert_array_equal(params["gain"], gain)
    np.testing.assert_array_equal(params["layer"]["kernel"].T, layer.weight.detach())
    jaxinit.linen.init(Hidden(), jax.random.key(0), X)
