"""`jaxinit.nnx.apply` draws what a function of each module asks for."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

import jaxinit
from tests.jaxinit.models.nnx.test_models import KEY, Block, arrays, changed


def init_weights(module: Any) -> dict[str, Callable[..., jax.Array]] | None:
    if isinstance(module, nnx.Linear):
        return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
    return {"conv.kernel": jax.nn.initializers.ones} if isinstance(module, Block) else None


def test_apply_asks_every_module() -> None:
    model = Block(nnx.Rngs(0))
    before = arrays(model)
    jaxinit.nnx.apply(model, init_weights, KEY)
    after = arrays(model)
    expected = {"hidden.0", "hidden.1", "head"}
    assert changed(before, after) == {f"{path}.{name}" for path in expected for name in ("kernel", "bias")} | {
        "conv.kernel"
    }
    assert (after["head.bias"] == np.float32(0.01)).all()
    assert (after["conv.kernel"] == 1).all()


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("head", {"head.kernel", "head.bias"}),
        ("hidden.*.bias", {"hidden.0.bias", "hidden.1.bias"}),
        ("*.kernel", {"hidden.0.kernel", "hidden.1.kernel", "head.kernel", "conv.kernel"}),
        ("norm", set()),
    ],
)
def test_only_what_matches_is_drawn(only: str, expected: set[str]) -> None:
    model = Block(nnx.Rngs(0))
    before = arrays(model)
    jaxinit.nnx.apply(model, init_weights, KEY, only=only)
    assert changed(before, arrays(model)) == expected
