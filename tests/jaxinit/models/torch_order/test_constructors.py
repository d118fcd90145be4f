"""From a TorchGenerator, NNX modules are drawn part by part, as the constructors of the same torch modules run."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.nnx.test_models import arrays
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = as_on_avx2
SIZE = 20


class TorchOwn(torch.nn.Module):
    """Its method draws after the modules in it."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.empty(SIZE))
        self.linear = torch.nn.Linear(SIZE, 6)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        torch.nn.init.normal_(self.gain, std=float(self.linear.weight.detach()[0, 0].abs()))


class Own(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.gain = nnx.Param(jnp.zeros(SIZE))
        self.linear = nnx.Linear(SIZE, 6, rngs=rngs)

    def reset_parameters(self, source: Any) -> None:
        self.gain[...] = jaxinit.normal(std=float(abs(self.linear.kernel[0, 0])))(source, (SIZE,))


class TorchBefore(torch.nn.Module):
    """Parameters before, between and after the modules in it, and a module that it draws again at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.position = torch.nn.Parameter(torch.empty(1, 5, SIZE).normal_(std=0.02))
        self.first = torch.nn.Linear(SIZE, 6)
        self.token = torch.nn.Parameter(torch.empty(SIZE).normal_())
        self.last = torch.nn.Linear(SIZE, 6)
        self.after = torch.nn.Parameter(torch.empty(SIZE).uniform_())
        torch.nn.init.normal_(self.first.weight, std=0.1)


class Before(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.position = nnx.Param(jnp.zeros((1, 5, SIZE)))
        self.first = nnx.Linear(SIZE, 6, rngs=rngs)
        self.token = nnx.Param(jnp.zeros(SIZE))
        self.last = nnx.Linear(SIZE, 6, rngs=rngs)
        self.after = nnx.Param(jnp.zeros(SIZE))


jaxinit.nnx.register(
    Before,
    lambda _: {
        "first.kernel": jaxinit.normal(std=0.1),
        "token": jaxinit.normal(),
        "after": jaxinit.uniform(),
        "position": jaxinit.normal(std=0.02),
    },
)


class TorchHead(torch.nn.Linear):
    """A layer with more parameters."""

    def __init__(self) -> None:
        super().__init__(SIZE, 6)
        self.scale = torch.nn.Parameter(torch.empty(SIZE).normal_())
        self.more = torch.nn.Linear(6, 6)


class Head(nnx.Linear):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(SIZE, 6, rngs=rngs)
        self.scale = nnx.Param(jnp.zeros(SIZE))
        self.more = nnx.Linear(6, 6, rngs=rngs)


jaxinit.nnx.register(Head, lambda _: {"scale": jaxinit.normal()})


class TorchNormal(torch.nn.Linear):
    """A layer whose method takes the place of the layer's own."""

    def __init__(self) -> None:
        super().__init__(SIZE, 6)

    def reset_parameters(self) -> None:
        torch.nn.init.normal_(self.weight, std=0.02)
        torch.nn.init.uniform_(self.bias)


class ByMethod(nnx.Linear):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(SIZE, 6, rngs=rngs)

    def reset_parameters(self, source: Any) -> None:
        self.kernel[...] = jaxinit.normal(std=0.02)(source, self.kernel.shape[::-1]).T
        assert self.bias is not None
        self.bias[...] = jaxinit.uniform()(source, self.bias.shape)


class ByRule(nnx.Linear):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(SIZE, 6, rngs=rngs)


jaxinit.nnx.register(ByRule, lambda _: {"kernel": jaxinit.normal(std=0.02), "bias": jaxinit.uniform()})


class TorchScaled(TorchHead):
    """A layer whose method calls the layer's own first."""

    def __init__(self) -> None:
        torch.nn.Linear.__init__(self, SIZE, 6)
        self.scale = torch.nn.Parameter(torch.empty(SIZE).normal_())


class Scaled(nnx.Linear):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(SIZE, 6, rngs=rngs)
        self.scale = nnx.Param(jnp.zeros(SIZE))

    def reset_parameters(self, source: Any) -> None:
        self.scale[...] = jaxinit.normal()(source, (SIZE,))


PAIRS: list[tuple[type[torch.nn.Module], Callable[[nnx.Rngs], nnx.Module]]] = [
    (TorchOwn, Own),
    (TorchBefore, Before),
    (TorchHead, Head),
    (TorchNormal, ByMethod),
    (TorchNormal, ByRule),
    (TorchScaled, Scaled),
]


class Twice(nnx.Module):
    """Two blocks, so that the second one shows where the first one ended."""

    def __init__(self, block: Callable[[nnx.Rngs], nnx.Module], rngs: nnx.Rngs) -> None:
        self.b, self.a = block(rngs), block(rngs)


@pytest.mark.parametrize(("theirs", "block"), PAIRS)
def test_blocks_are_drawn_one_after_the_other(
    theirs: type[torch.nn.Module], block: Callable[[nnx.Rngs], nnx.Module], seed: int
) -> None:
    expected, state = torch.manual_seed(seed), dict[str, torch.Tensor]()
    for name in ("b", "a"):
        state |= {f"{name}.{own}": tensor for own, tensor in theirs().state_dict().items()}
    reset = Twice(block, nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(reset, first := TorchGenerator(seed))
    built = jaxinit.nnx.init(lambda rngs: Twice(block, rngs), second := TorchGenerator(seed))
    for model, generator in ((reset, first), (built, second)):
        loaded = Twice(block, nnx.Rngs(0))
        jaxinit.nnx.load(loaded, state)
        for path, array in arrays(loaded).items():
            np.testing.assert_array_equal(arrays(model)[path], array, err_msg=path)
        assert_same_state(generator, expected)


def test_a_key_gives_what_the_rules_say() -> None:
    """The inner layer's own draw, which torch makes and overwrites, is not seen."""
    model = jaxinit.nnx.init(Before, nnx.Rngs(0))
    assert jaxinit.nnx.initializers(model)["first.kernel"] == jaxinit.normal(std=0.1)
    head = jaxinit.nnx.initializers(Head(nnx.Rngs(0)))
    assert head["scale"] == jaxinit.normal()
    assert head["bias"] == jaxinit.defaults.linear(SIZE)["bias_init"]
