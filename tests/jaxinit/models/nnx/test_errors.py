"""What the functions for NNX models refuse, by name."""

from collections.abc import Callable
from typing import Any

import jax
import pytest
import torch
from flax import nnx

import jaxinit
from tests.jaxinit.models.nnx.test_models import KEY, Block

# Without types, as a checker would refuse them too.
LINEAR: Any = nnx.Linear
THREE: Any = 3
NONE: Any = None


def test_torchs_generator_is_answered_with_the_one_of_jaxinit() -> None:
    generator: Any = torch.Generator()
    with pytest.raises(TypeError, match=r"got <torch\._C\.Generator .*>\. Pass jaxinit\.TorchGenerator\.from_state\("):
        jaxinit.nnx.init(Block, generator)
    jaxinit.nnx.init(Block, jaxinit.TorchGenerator.from_state(generator.get_state()))


MISUSES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: jaxinit.nnx.reset_parameters(LINEAR, KEY), TypeError, "`model` must be an nnx.Module, got <class"),
    (lambda: jaxinit.nnx.initializers(THREE), TypeError, "`model` must be an nnx.Module, got 3"),
    (lambda: jaxinit.nnx.init(lambda _: THREE, KEY), TypeError, "`build` must return an nnx.Module, got 3"),
    (
        lambda: jaxinit.nnx.init(Block(nnx.Rngs(0)), KEY),
        TypeError,
        "`build` must be a function of nnx.Rngs, got a Block that is built. Call jaxinit.nnx.reset_parameters",
    ),
    (
        lambda: jaxinit.nnx.reset_parameters(Block(nnx.Rngs(0)), jax.random.split(KEY)),
        ValueError,
        r"`rngs` must be a single key \(use jax.vmap for a batch\), got keys of shape \(2,\)",
    ),
    (lambda: jaxinit.nnx.register(Block, NONE), TypeError, "`rule` must be a function of a layer, got None"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISUSES, ids=lambda value: "")
def test_misuse_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("rngs", [0, "key", None])
def test_what_is_no_source_of_keys_is_refused(rngs: Any) -> None:
    model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match=r"`rngs` must be nnx\.Rngs, a JAX key or a TorchGenerator, got"):
        jaxinit.nnx.reset_parameters(model, rngs)
