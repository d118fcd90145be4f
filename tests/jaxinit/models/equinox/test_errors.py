"""What the functions for Equinox models refuse, by name."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TorchGenerator

KEY = jax.random.key(0)
LINEAR = eqx.nn.Linear(2, 3, key=KEY)
# Without types, as a checker would refuse them too.
KIND: Any = eqx.nn.Linear
BUILT: Any = LINEAR
THREE: Any = 3
NONE: Any = None
STATE = {"weight": np.ones((3, 2)), "bias": np.ones(3)}


def partly_biased(key: jax.Array) -> eqx.nn.MultiheadAttention:
    return eqx.nn.MultiheadAttention(2, 8, use_value_bias=True, use_output_bias=True, key=key)


def torch_attention() -> Any:
    theirs = torch.nn.MultiheadAttention(8, 2)
    torch.nn.init.ones_(theirs.in_proj_bias)
    return theirs.state_dict()


MODEL = "`model` must be an equinox.Module, or a pair of one and its equinox.nn.State, got "
MISUSES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: jaxinit.equinox.reset_parameters(KIND, KEY), TypeError, f"{MODEL}<class"),
    (lambda: jaxinit.equinox.initializers(THREE), TypeError, f"{MODEL}3"),
    (lambda: jaxinit.equinox.load((LINEAR, THREE), {}), TypeError, rf"{MODEL}\(Linear"),
    (lambda: jaxinit.equinox.init(lambda _: THREE, KEY), TypeError, "`build` must return an equinox.Module, or a"),
    (
        lambda: jaxinit.equinox.init(BUILT, KEY),
        TypeError,
        "`build` must be a function of a key, got a Linear that is built. Call jaxinit.equinox.reset_p",
    ),
    (
        lambda: jaxinit.equinox.reset_parameters(LINEAR, jax.random.split(KEY)),
        ValueError,
        r"`key` must be a single key \(use jax.vmap for a batch\), got keys of shape \(2,\)",
    ),
    (
        lambda: jaxinit.equinox.init(lambda _: LINEAR, THREE),
        TypeError,
        "`key` must be a JAX PRNG key .*, got 3",
    ),
    (lambda: jaxinit.equinox.register(KIND, NONE), TypeError, "`rule` must be a function of a layer, got None"),
    (lambda: jaxinit.equinox.register(int, NONE), TypeError, "`kind` must be a class of equinox.Module, got <class"),
    (
        lambda: jaxinit.equinox.apply(LINEAR, lambda _: {"kernel": jaxinit.ones()}, KEY),
        ValueError,
        r"`fn` must name parameters of the model \(Linear\), weight, bias, got 'kernel'",
    ),
    (
        lambda: jaxinit.equinox.apply(LINEAR, {"**/kernel": jaxinit.ones()}, KEY),
        ValueError,
        r"got '\*\*/kernel', which fits none\. Paths are weight, bias",
    ),
    (
        lambda: jaxinit.equinox.apply(LINEAR, {"*": jaxinit.ones()}, KEY, only=3),
        TypeError,
        "`only` must be a pattern, a filter or a list of them, got 3",
    ),
    (lambda: jaxinit.equinox.load(LINEAR, {"weight": np.ones((3, 2))}), ValueError, r"missing bias, of shape \(3,\)"),
    (
        lambda: jaxinit.equinox.load(LINEAR, {**STATE, "more": np.ones(1)}),
        ValueError,
        r"unexpected more, of shape \(1,\)",
    ),
    (lambda: jaxinit.equinox.load(LINEAR, STATE, key=KEY), ValueError, "`key` draws the tensors of a recipe"),
    (
        lambda: jaxinit.equinox.load(partly_biased(KEY), torch_attention()),
        ValueError,
        r"`in_proj_bias\[1\]` \(of 3 blocks\) is nonzero, but .* has no such bias\. Build the layer with use_query_",
    ),
    (
        lambda: jaxinit.equinox.state_dict(eqx.filter_eval_shape(lambda: LINEAR)),
        TypeError,
        "`model` must hold arrays, got an abstract Linear",
    ),
    (
        lambda: eqx.filter_jit(jaxinit.equinox.reset_parameters)(LINEAR, TorchGenerator(0)),
        TypeError,
        "TorchGenerator",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), MISUSES, ids=lambda value: "")
def test_misuse_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_attention_that_torch_lacks_is_four_linears() -> None:
    layer = eqx.nn.MultiheadAttention(2, 8, qk_size=3, key=KEY)
    inits = jaxinit.equinox.initializers(layer)
    assert inits == {
        f"{part}_proj.weight": jaxinit.defaults.linear(8, layout=jaxinit.TORCH)["kernel_init"]
        for part in ("query", "key", "value", "output")
    }


@pytest.mark.parametrize("names", [("q_proj", "k_proj", "v_proj", "o_proj"), ("query", "key", "value", "output.dense")])
def test_attention_may_be_four_linears_in_torch(names: tuple[str, ...]) -> None:
    layer = eqx.nn.MultiheadAttention(2, 8, key=KEY)
    state = {f"{name}.weight": np.full((8, 8), place) for place, name in enumerate(names)}
    new, _ = jaxinit.equinox.load(layer, state)
    parts = (new.query_proj, new.key_proj, new.value_proj, new.output_proj)
    assert [float(part.weight[0, 0]) for part in parts] == [0, 1, 2, 3]
