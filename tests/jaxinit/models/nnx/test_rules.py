"""Rules for NNX layers: which modules have one, and what happens to the others."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from jaxinit.distributions import Uniform
from tests.jaxinit.models.nnx.test_models import KEY, Own, arrays, changed


def test_layers_without_a_rule_are_listed_and_untouched() -> None:
    class Around(nnx.Module):
        def __init__(self) -> None:
            self.own, self.linear = Own(), nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    model = Around()
    before = arrays(model)
    with pytest.warns(UserWarning, match=r"no initialization rule for own\.gain\. .*nnx\.register") as warned:
        jaxinit.nnx.reset_parameters(model, KEY)
    assert warned[0].filename == __file__
    assert changed(before, arrays(model)) == {"linear.kernel", "linear.bias"}


def test_a_rule_can_be_registered() -> None:
    class Mine(Own):
        pass

    class Below(Mine):
        pass

    jaxinit.nnx.register(Mine, lambda layer: {"gain": jaxinit.constant(len(layer.gain[...]))})
    model = Below()
    jaxinit.nnx.reset_parameters(model, KEY)
    np.testing.assert_array_equal(model.gain[...], [3, 3, 3])
    with pytest.raises(TypeError, match=r"`kind` must be a class of nnx.Module, got 3"):
        jaxinit.nnx.register(3, lambda _: None)  # type: ignore[arg-type]  # which is refused


def test_a_method_of_its_own_comes_after_the_modules_in_it() -> None:
    class Attention(nnx.Module):
        def __init__(self) -> None:
            self.project, self.scale = nnx.Linear(4, 4, rngs=nnx.Rngs(0)), nnx.Param(jnp.zeros(2))

        def reset_parameters(self, rngs: nnx.Rngs) -> None:
            self.project.bias = nnx.Param(jnp.full(4, 2.0))
            self.scale[...] = jax.random.normal(rngs.params(), (2,))

    for model in (Attention(), jaxinit.nnx.init(lambda _: Attention(), KEY)):
        jaxinit.nnx.reset_parameters(model, KEY)
        drawn = arrays(model)
        assert (drawn["project.bias"] == 2).all()
        assert abs(drawn["project.kernel"]).max() <= 0.5
        assert drawn["scale"].all()


def test_an_attention_that_torch_lacks_has_no_rule() -> None:
    model = nnx.MultiHeadAttention(2, 8, qkv_features=4, decode=False, rngs=nnx.Rngs(0))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        jaxinit.nnx.reset_parameters(model, KEY)
    # Its parts are plain layers, which have rules.
    assert not seen
    bound = abs(np.asarray(model.query.kernel[...])).max()
    assert isinstance(jaxinit.kaiming_uniform(a=5**0.5).distribution((8, 4)), Uniform)
    assert bound <= 1 / np.sqrt(8)
