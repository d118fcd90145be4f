"""Stacked Linen layers, of `nn.scan` and `nn.vmap`: each is drawn as one."""

import math
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxinit
from jaxinit.distributions import Uniform
from tests.jaxinit.draws import assert_drawn
from tests.jaxinit.models.linen.test_models import KEY, SEQUENCE, arrays


class Step(nn.Module):
    """The body of a scan."""

    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        x = nn.MultiHeadDotProductAttention(2, name="attention")(x)
        return nn.LayerNorm(name="norm")(nn.Dense(8, name="linear")(x)), None


def scanned(axis: int, **given: Any) -> Any:
    return nn.scan(Step, variable_axes={"params": axis}, split_rngs={"params": True}, length=3, **given)()


@pytest.mark.parametrize("axis", [0, 1])
def test_stacked_layers_are_each_drawn_with_the_fans_of_one(axis: int) -> None:
    drawn = arrays(jaxinit.linen.init(scanned(axis), KEY, SEQUENCE, None))
    bounds = {"attention.query.kernel": math.sqrt(6 / 32), "linear.kernel": 8**-0.5, "linear.bias": 8**-0.5}
    for name, bound in bounds.items():
        layers = np.moveaxis(drawn[name], axis, 0)
        assert len(layers) == 3
        assert_drawn(layers, Uniform(-bound, bound))
    assert (drawn["norm.scale"] == 1).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    "init",
    [jaxinit.orthogonal(), jaxinit.orthogonal(layout=jaxinit.TORCH), jax.nn.initializers.orthogonal()],
    ids=["ours", "torch's layout", "jax's"],
)
def test_apply_draws_each_stacked_layer(axis: int, init: Any) -> None:
    def fn(module: Any) -> Any:
        return {"kernel": init, "bias": jaxinit.uniform()} if isinstance(module, nn.Dense) else None

    module = scanned(axis)
    own = module.init(KEY, SEQUENCE, None)
    after = arrays(jaxinit.linen.apply(module, own, fn, KEY, SEQUENCE, None))
    kernels = np.moveaxis(after["linear.kernel"], axis, 0)
    for kernel in kernels:
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=1e-5)
    assert abs(kernels[0] - kernels[1]).max() > 1e-3
    assert after["linear.bias"].shape == own["params"]["linear"]["bias"].shape


def test_experts_in_a_scan_are_stacked_twice() -> None:
    class Experts(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            experts = nn.vmap(
                nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, axis_size=5
            )
            return experts(8, name="experts")(x).sum(0), None

    stack = nn.scan(Experts, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)()
    drawn = arrays(jaxinit.linen.init(stack, KEY, SEQUENCE, None))
    assert drawn["experts.kernel"].shape == (3, 5, 8, 8)
    assert_drawn(drawn["experts.kernel"], Uniform(-(8**-0.5), 8**-0.5))


HEADS = 3


class Attention(nn.Module):
    """As many heads as layers."""

    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return nn.MultiHeadDotProductAttention(HEADS, name="attention")(x, x), None


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_axis_is_not_guessed_from_sizes(axis: int) -> None:
    module = nn.scan(Attention, variable_axes={"params": axis}, split_rngs={"params": True}, length=HEADS)()
    x = np.ones((1, 3, 3 * HEADS), np.float32)
    state: dict[str, Any] = {}
    rows = np.random.default_rng(0).normal(size=(HEADS, 3 * HEADS, 3 * HEADS)).astype(np.float32)
    for layer in range(HEADS):
        state |= {
            f"{layer}.attention.in_proj_weight": np.concatenate([rows[layer]] * 3),
            f"{layer}.attention.in_proj_bias": np.zeros(9 * HEADS),
            f"{layer}.attention.out_proj.weight": rows[layer],
            f"{layer}.attention.out_proj.bias": np.zeros(3 * HEADS),
        }
    variables, _ = jaxinit.linen.load(module, module.init(KEY, x, None), state, x, None)
    kernel = np.moveaxis(variables["params"]["attention"]["out"]["kernel"], axis, 0)
    np.testing.assert_array_equal(kernel.reshape(rows.shape).transpose(0, 2, 1), rows)


def test_an_axis_that_flax_does_not_tell_is_refused() -> None:
    def last(variables: Any) -> Any:
        return jax.tree.map(lambda box: jax.tree.leaves(box)[0], variables, is_leaf=lambda x: hasattr(x, "unbox"))

    class Mapped(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            mapped = nn.map_variables(scanned_dense, "params", trans_in_fn=lambda v: v, trans_out_fn=last, init=True)
            y: jax.Array = mapped(self, x)
            return y

    def scanned_dense(module: nn.Module, x: jax.Array) -> jax.Array:
        body = nn.scan(
            lambda dense, x, _: (dense(x), None), variable_axes={"params": 0}, split_rngs={"params": True}, length=3
        )
        y: jax.Array = body(nn.Dense(8, name="dense"), x, None)[0]  # type: ignore[no-untyped-call]  # Flax's
        return y

    with pytest.raises(ValueError, match=r"cannot tell which axes of params\.dense\.(kernel|bias) stack layers"):
        jaxinit.linen.initializers(Mapped(), SEQUENCE)


def test_a_scanned_function_may_read_the_variables_of_a_module() -> None:
    class Tied(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            def body(dense: nn.Module, x: jax.Array, _: None) -> tuple[jax.Array, None]:
                y = dense(x)
                return jax.numpy.dot(y, dense.variables["params"]["kernel"].T) @ dense.variables["params"][
                    "kernel"
                ], None

            scan = nn.scan(body, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
            y: jax.Array = scan(nn.Dense(8, name="dense"), x, None)[0]
            return y

    drawn = arrays(jaxinit.linen.init(Tied(), KEY, SEQUENCE))
    assert_drawn(drawn["dense.kernel"], Uniform(-(8**-0.5), 8**-0.5))
