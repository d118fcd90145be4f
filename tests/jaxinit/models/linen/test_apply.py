"""`jaxinit.linen.apply` draws what a function of each module asks for."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxinit
from tests.jaxinit.models.linen.test_models import KEY, Block, X, arrays, changed, flaxs


def init_weights(module: Any) -> dict[str, Callable[..., jax.Array]] | None:
    if isinstance(module, nn.Dense):
        return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
    return {"conv.kernel": jax.nn.initializers.ones} if isinstance(module, Block) else None


def test_apply_asks_every_module() -> None:
    own = flaxs()
    after = jaxinit.linen.apply(Block(), own, init_weights, KEY, X)
    expected = {"hidden_0", "hidden_1", "head"}
    assert changed(own, after) == {f"{path}.{name}" for path in expected for name in ("kernel", "bias")} | {
        "conv.kernel"
    }
    assert (arrays(after)["head.bias"] == np.float32(0.01)).all()
    assert (arrays(after)["conv.kernel"] == 1).all()


def test_apply_gives_outer_modules_the_last_word_and_each_module_once() -> None:
    asked: list[str] = []

    def fn(module: Any) -> Any:
        asked.append(type(module).__name__)
        assert module.scope is None
        inits = {nn.Dense: {"bias": jaxinit.ones()}, Block: {"head.bias": jaxinit.constant(2)}}
        return inits.get(type(module))

    after = arrays(jaxinit.linen.apply(Block(), flaxs(), fn, KEY, X))
    assert (after["head.bias"] == 2).all()
    assert (after["hidden_0.bias"] == 1).all()
    assert asked[-1] == "Block"
    assert sorted(asked) == ["BatchNorm", "Block", "Conv", "Dense", "Dense", "Dense", "Dropout"]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("head", {"head.kernel", "head.bias"}),
        ("hidden_*.bias", {"hidden_0.bias", "hidden_1.bias"}),
        ("norm", set()),
    ],
)
def test_only_what_matches_is_drawn(only: str, expected: set[str]) -> None:
    own = flaxs()
    assert changed(own, jaxinit.linen.apply(Block(), own, init_weights, KEY, X, only=only)) == expected


@pytest.mark.parametrize(
    ("fn", "only", "error", "message"),
    [
        (lambda _: {"kernl": jaxinit.ones()}, None, ValueError, r"name parameters of conv \(Conv\), .*'kernl'"),
        (lambda _: jaxinit.ones(), None, TypeError, "`fn` must return a dict of initializers for conv"),
        (lambda _: None, "haed", ValueError, "`only` must match the path of a parameter, got 'haed'. Paths are .*head"),
    ],
)
def test_wrong_answers_name_what_is_right(fn: Any, only: str | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        jaxinit.linen.apply(Block(), flaxs(), fn, KEY, X, only=only)
