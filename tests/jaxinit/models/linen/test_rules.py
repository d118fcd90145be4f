"""Rules for Linen layers: which modules have one, and what happens to the others."""

import math
import warnings
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxinit
from jaxinit._models.flax import linen_trace
from jaxinit._models.matching import Path
from tests.jaxinit.models.linen.test_models import KEY, ROW, SEQUENCE, Around, Own, arrays, assert_flax_drew, changed


def test_layers_without_a_rule_are_listed_and_as_flax_draws_them() -> None:
    own = Around().init(jax.random.key(1), ROW)
    with pytest.warns(UserWarning, match=r"no initialization rule for own\.gain\. .*linen\.register") as warned:
        reset = jaxinit.linen.reset_parameters(Around(), own, KEY, ROW)
    assert warned[0].filename == __file__
    assert changed(own, reset) == {f"{path}.{name}" for path in ("own.inner", "linear") for name in ("kernel", "bias")}
    with pytest.warns(UserWarning, match=r"own\.gain\. ") as warned:
        fresh = jaxinit.linen.init(Around(), KEY, ROW)
    assert warned[0].filename == __file__
    by_flax = Around().init(KEY, ROW)
    assert_flax_drew(fresh["params"]["own"]["gain"], by_flax["params"]["own"]["gain"])
    assert fresh["cache"] == by_flax["cache"]
    assert not changed({"params": reset["params"]["linear"]}, {"params": fresh["params"]["linear"]})


def test_a_subclass_that_keeps_other_parameters_has_no_rule() -> None:
    class Renamed(nn.Dense):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            w: jax.Array = self.param("w", jax.nn.initializers.ones, (3,))
            return x * w

    with pytest.warns(UserWarning, match=r"no initialization rule for w\. "):
        assert (arrays(jaxinit.linen.init(Renamed(3), KEY, ROW))["w"] == 1).all()
    jaxinit.linen.register(Renamed, lambda _, shapes: {"w": jaxinit.uniform(b=float(len(shapes["kernel"])))})
    with pytest.raises(KeyError, match="kernel"):
        jaxinit.linen.init(Renamed(3), KEY, ROW)


def test_a_rule_can_be_registered() -> None:
    class Mine(Own):
        pass

    class Below(Mine):
        pass

    seen = []

    def rule(layer: Mine, shapes: Any) -> dict[str, Any]:
        seen.append((type(layer), layer.size, dict(shapes)))
        return {"gain": jaxinit.constant(layer.size), "inner.kernel": jaxinit.zeros()}

    jaxinit.linen.register(Mine, rule)
    drawn = arrays(jaxinit.linen.init(Around(Below), KEY, ROW))
    assert seen == [(Below, 3, {"gain": (3,), "inner.kernel": (3, 3), "inner.bias": (3,)})]
    np.testing.assert_array_equal(drawn["own.gain"], [3, 3, 3])
    assert not drawn["own.inner.kernel"].any()
    assert drawn["own.inner.bias"].any()
    assert abs(drawn["own.inner.bias"]).max() <= 1 / math.sqrt(3)
    with pytest.raises(TypeError, match=r"`kind` must be a class of flax\.linen\.Module, got 3"):
        jaxinit.linen.register(3, lambda *_: None)  # type: ignore[arg-type]  # which is refused
    jaxinit.linen.register(Mine, lambda *_: {"gian": jaxinit.ones()})
    with pytest.raises(ValueError, match=r"`rule` must name parameters of own \(Below\), gain, .*, got 'gian'"):
        jaxinit.linen.init(Around(Below), KEY, ROW)


def test_a_method_of_its_own_speaks_for_the_modules_in_it() -> None:
    class Attention(Own):
        def reset_parameters(self, shapes: Any) -> Any:
            return {
                name: jaxinit.xavier_uniform(gain=100.0) if len(shape) > 1 else jaxinit.constant(self.size)
                for name, shape in shapes.items()
            }

    drawn = arrays(jaxinit.linen.init(Around(Attention), KEY, ROW))
    for name in ("gain", "inner.bias"):
        np.testing.assert_array_equal(drawn[f"own.{name}"], [3, 3, 3])
    assert 1 < abs(drawn["own.inner.kernel"]).max() <= 100
    assert abs(drawn["linear.kernel"]).max() <= 1


def test_parameters_with_a_rule_are_not_drawn_by_flax() -> None:
    def never(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
        def draw() -> np.ndarray:
            drawn.append(1)
            return np.ones(shape, dtype)

        drawn_by_host: jax.Array = jax.pure_callback(draw, jax.ShapeDtypeStruct(shape, dtype))
        return drawn_by_host

    class Mixed(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return Own()(nn.Dense(3, kernel_init=never)(x))

    drawn: list[int] = []
    arrays: dict[Path, Any] = {("params", "Dense_0", "kernel"): jnp.zeros((3, 3))}
    variables = jax.jit(lambda: linen_trace.init_with(Mixed(), arrays, KEY, (ROW,), {}))()
    assert not drawn
    assert not variables["params"]["Dense_0"]["kernel"].any()


def test_transformed_modules_have_rules() -> None:
    class Mapped(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> Any:
            x = nn.remat(nn.Dense)(3, name="remat")(x)
            x = nn.jit(nn.Dense)(3, name="jit")(x)
            return nn.RNN(nn.GRUCell(3, name="gru"))(x[None])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = arrays(jaxinit.linen.init(Mapped(), KEY, jnp.zeros((2, 3))))
    assert drawn["gru.hn.bias"].any()
    assert drawn["jit.bias"].any()
    assert drawn["remat.bias"].any()


def test_a_table_that_is_only_read_has_a_rule() -> None:
    class Tied(nn.Module):
        def setup(self) -> None:
            self.embed = nn.Embed(50, 40)

        def __call__(self, x: jax.Array) -> jax.Array:
            return x @ self.embed.embedding.T

    drawn = arrays(jaxinit.linen.init(Tied(), KEY, jnp.zeros((1, 40))))
    assert abs(drawn["embed.embedding"]).max() > 2


def test_weights_that_are_not_the_layers_own_have_no_rule() -> None:
    class Transposed(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            def flipped(variables: Any) -> Any:
                return jax.tree.map(lambda x: x.T, variables)

            dense = nn.map_variables(nn.Dense, "params", flipped, flipped, init=True, mutable=True)
            return dense(2, use_bias=False, name="dense")(x)

    own = Transposed().init(KEY, ROW)
    assert own["params"]["dense"]["kernel"].shape == (2, 3)
    with pytest.warns(UserWarning, match=r"dense\.kernel"):
        assert_flax_drew(jaxinit.linen.init(Transposed(), KEY, ROW), own)


def test_modules_that_share_a_scope_are_both_asked() -> None:
    class LowRank(nn.Module):
        def setup(self) -> None:
            self.inner = nn.Dense(3)
            nn.share_scope(self, self.inner)

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return self.inner(x) @ self.param("a", jax.nn.initializers.zeros, (3, 3))

        def reset_parameters(self, shapes: Any) -> Any:
            return {"a": jaxinit.eye()}

    drawn = arrays(jaxinit.linen.init(LowRank(), KEY, ROW))
    np.testing.assert_array_equal(drawn["a"], np.eye(3))
    assert drawn["bias"].any()


def test_a_module_run_by_itself_is_not_the_model() -> None:
    class Nested(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            other = nn.Dense(2)
            other.apply(other.init(jax.random.key(0), x), x)
            return nn.Dense(3, name="own")(x)

    assert arrays(jaxinit.linen.init(Nested(), KEY, ROW)).keys() == {"own.kernel", "own.bias"}


def test_an_attention_that_torch_lacks_is_made_of_linear_layers() -> None:
    drawn = arrays(jaxinit.linen.init(nn.MultiHeadDotProductAttention(2, qkv_features=4), KEY, SEQUENCE))
    assert 0.5 / math.sqrt(8) < abs(drawn["query.kernel"]).max() <= 1 / math.sqrt(8)
    assert drawn["query.bias"].any()
