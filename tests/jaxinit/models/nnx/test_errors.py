"""What the functions for NNX models refuse, by name, and that the model is then unchanged."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import jaxinit
from tests.jaxinit.models.nnx.test_apply import init_weights
from tests.jaxinit.models.nnx.test_models import KEY, Block, arrays, changed


def three_by_three(*_: Any) -> jax.Array:
    return jnp.zeros((3, 3), jnp.int32)


MISUSES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: jaxinit.nnx.reset_parameters(nnx.Linear, KEY), TypeError, "`model` must be an nnx.Module, got <class"),
    (lambda: jaxinit.nnx.initializers(3), TypeError, "`model` must be an nnx.Module, got 3"),
    (lambda: jaxinit.nnx.init(lambda _: 3, KEY), TypeError, "`build` must return an nnx.Module, got 3"),
    (lambda: jaxinit.nnx.init(Block(nnx.Rngs(0)), KEY), TypeError, "`build` must be a function of nnx.Rngs, got"),
    (
        lambda: jaxinit.nnx.reset_parameters(Block(nnx.Rngs(0)), jax.random.split(KEY)),
        ValueError,
        r"`rngs` must be a single key \(use jax.vmap for a batch\), got keys of shape \(2,\)",
    ),
    (lambda: jaxinit.nnx.register(Block, None), TypeError, "`rule` must be a function of a layer, got None"),
    (lambda: jaxinit.nnx.apply(Block(nnx.Rngs(0)), None, KEY), TypeError, "`fn` must be a function of a module"),
    (
        lambda: jaxinit.nnx.apply(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), lambda _: {"kernel": three_by_three}, KEY),
        ValueError,
        r"the initializer of kernel must return float32\[2, 2\], got int32\[3, 3\]",
    ),
    (
        lambda: jaxinit.nnx.apply(Block(nnx.Rngs(0)), init_weights, KEY, only=["head"]),
        TypeError,
        r"`only` must be a pattern as a string, got \['head'\]",
    ),
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


@pytest.mark.parametrize(
    ("fn", "only", "error", "message"),
    [
        (lambda _: {"kernl": jaxinit.ones()}, None, ValueError, r"name parameters of conv \(Conv\), .*'kernl'"),
        (lambda _: jaxinit.ones(), None, TypeError, "`fn` must return a dict of initializers for conv"),
        (lambda _: {"kernel": 1.0}, None, TypeError, "`fn` must return a dict of initializers for conv"),
        (lambda _: None, "haed", ValueError, "`only` must match the path of a parameter, got 'haed'. Paths are .*head"),
        (lambda m: {"bias": jaxinit.eye()} if type(m) is nnx.Linear else None, None, ValueError, "2 dimensions|axis"),
    ],
)  # fmt: skip
def test_a_wrong_answer_changes_nothing(
    fn: Callable[[Any], Any], only: str | None, error: type[Exception], message: str
) -> None:
    model = Block(nnx.Rngs(0))
    before = arrays(model)
    with pytest.raises(error, match=message):
        jaxinit.nnx.apply(model, fn, KEY, only=only)
    assert not changed(before, arrays(model))
