"""Models that cannot be drawn from a TorchGenerator are refused, and stay unchanged."""

from collections.abc import Callable
from typing import Any

import jax
import pytest
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.nnx.test_models import arrays
from tests.jaxinit.models.torch_order.test_apply import init_weights
from tests.jaxinit.models.torch_order.test_models import Named
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2

pytestmark = as_on_avx2


@nnx.vmap(in_axes=0, out_axes=0)
def stacked(key: jax.Array) -> nnx.Linear:
    return nnx.Linear(2, 3, rngs=nnx.Rngs(key))


def two() -> nnx.Sequential:
    return nnx.Sequential(*(nnx.Linear(2, 2, rngs=nnx.Rngs(0)) for _ in range(2)))


class Pair(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.second, self.first = (nnx.Linear(2, 2, rngs=rngs) for _ in range(2))


def cloned_with(name: str) -> nnx.Module:
    """A cloned model, to which an attribute is added."""
    model = nnx.clone(Pair(nnx.Rngs(0)))
    setattr(model, name, True)
    return model


def foreign(module: Any) -> dict[str, Any] | None:
    return {"kernel": jax.nn.initializers.ones} if isinstance(module, nnx.Linear) else None


Draw = Callable[[Any, TorchGenerator], None]
ERRORS: list[tuple[Callable[[], Any], Draw, type[Exception], str]] = [
    (
        lambda: stacked(jax.random.split(jax.random.key(0), 4)),
        jaxinit.nnx.reset_parameters,
        ValueError,
        "`order` must give torch's names, got None for the model, whose attributes Flax sorted",
    ),
    (
        two,
        lambda model, generator: jaxinit.nnx.reset_parameters(model, generator, order=["layers.0.weight"]),
        ValueError,
        r"`order` must name every layer, got no name of layers\.1 \(Linear\)",
    ),
    (
        lambda: nnx.clone(Pair(nnx.Rngs(0))),
        jaxinit.nnx.reset_parameters,
        ValueError,
        "`order` must give torch's names, got None for the model, whose attributes Flax sorted when it was merged, cl",
    ),
    *(
        (
            lambda name=name: cloned_with(name),
            jaxinit.nnx.reset_parameters,
            ValueError,
            "`order` must give torch's names, got None for the model, whose attributes Flax sorted",
        )
        for name in ("seen", "added")  # behind the others and in front of them, when sorted
    ),
    (
        lambda: nnx.clone(Named(nnx.Rngs(0))),
        jaxinit.nnx.reset_parameters,
        ValueError,
        "`order` must give torch's names, got None for parts, whose attributes Flax sorted",
    ),
    (
        lambda: Pair(nnx.Rngs(0)),
        lambda model, generator: jaxinit.nnx.reset_parameters(model, generator, order="first"),
        TypeError,
        "`order` must be torch's names one by one, got 'first'",
    ),
    (
        lambda: Pair(nnx.Rngs(0)),
        lambda model, generator: jaxinit.nnx.reset_parameters(model, generator, order=[0]),  # type: ignore[list-item]  # refused
        TypeError,
        "`order` must be names, got 0",
    ),
    (
        lambda: nnx.clone(Pair(nnx.Rngs(0))),
        lambda model, generator: jaxinit.nnx.apply(model, init_weights, generator),
        ValueError,
        "`model` must have its attributes in the order in which they were set, got the model, whose attributes Flax s",
    ),
    (
        two,
        lambda model, generator: jaxinit.nnx.apply(model, foreign, generator),
        TypeError,
        r"a TorchGenerator needs an initializer of jaxinit for layers\.0\.kernel",
    ),
    (
        two,
        lambda model, generator: nnx.jit(lambda model: jaxinit.nnx.reset_parameters(model, generator))(model),
        TypeError,
        "`key` must be a JAX PRNG key under jit",
    ),
]


@pytest.mark.parametrize(("build", "draw", "error", "message"), ERRORS, ids=lambda value: "")
def test_what_is_refused_changes_nothing(
    build: Callable[[], Any], draw: Draw, error: type[Exception], message: str, seed: int
) -> None:
    model, generator = build(), TorchGenerator(seed)
    before = arrays(model)
    with pytest.raises(error, match=message):
        draw(model, generator)
    after = arrays(model)
    assert all((before[path] == after[path]).all() for path in before)
