"""What `jaxinit.nnx.initializers` says is what `reset_parameters` draws."""

import jax
import numpy as np
from flax import nnx

import jaxinit


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(4, 6, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(6, rngs=rngs)
        self.unknown = nnx.Param(np.zeros(3, np.float32))


def test_each_parameter_is_drawn_from_its_own(seed: int) -> None:
    model, key = nnx.Linear(64, 256, rngs=nnx.Rngs(0)), jax.random.key(seed)
    jaxinit.nnx.reset_parameters(model, key)
    inits = jaxinit.nnx.initializers(model)
    assert list(inits) == ["kernel", "bias"]
    for name, init in inits.items():
        values = np.asarray(getattr(model, name)[...])
        assert isinstance(init, jaxinit.Initializer)
        assert np.abs(values).max() <= 1 / 8
        assert abs(values.std() * 8 - 3**-0.5) < 0.2


def test_the_same_initializers_through_apply_reach_the_same_numbers(seed: int) -> None:
    one, other = (nnx.Linear(5, 7, rngs=nnx.Rngs(index)) for index in range(2))
    key = jax.random.key(seed)
    jaxinit.nnx.reset_parameters(one, key)
    inits = jaxinit.nnx.initializers(other)
    jaxinit.nnx.apply(other, lambda module: inits if module is other else None, key)
    assert (one.kernel[...] == other.kernel[...]).all()


def test_paths_are_dotted_statistics_included_and_what_is_unknown_left_out() -> None:
    inits = jaxinit.nnx.initializers(Block(nnx.Rngs(0)))
    assert set(inits) == {"conv.kernel", "conv.bias", "norm.scale", "norm.bias", "norm.mean", "norm.var"}
    assert inits["norm.var"] == jaxinit.ones()


def test_an_abstract_model_will_do() -> None:
    model = nnx.eval_shape(lambda: Block(nnx.Rngs(0)))
    assert jaxinit.nnx.initializers(model)["conv.bias"] == jaxinit.uniform(-1 / 6, 1 / 6)
