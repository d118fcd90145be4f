"""Rules of depth and width: the numbers of their papers, and of their published code. tests/other_models has mup."""

import math
import pickle
from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit import FLAX, TORCH, Layout, TorchGenerator, scaling
from jaxinit._initializers.text import from_text
from jaxinit._models.correspondence import with_layout
from jaxinit._models.stacks import for_stack
from jaxinit.distributions import Constant, Normal

KEY = jax.random.key(0)
UNTYPED: Any = scaling


@pytest.mark.parametrize("layers", [1, 12, 24, 36, 48])
def test_gpt2_has_the_std_of_its_published_code(layers: int) -> None:
    """`std=initializer_range / math.sqrt(2 * n_layer)`, for the four published sizes and one layer."""
    init = scaling.gpt2_residual(jaxinit.normal(std=0.02), layers)
    assert init.distribution((768, 768)) == Normal(0.0, 0.02 / math.sqrt(2 * layers))
    tensor, generator = torch.empty(33, 5), torch.Generator().manual_seed(layers)
    torch.nn.init.normal_(tensor, std=0.02 / math.sqrt(2 * layers), generator=generator)
    np.testing.assert_array_equal(np.asarray(init(TorchGenerator(layers), (33, 5))), tensor.numpy())


def test_a_rule_takes_initializers_without_distribution() -> None:
    assert scaling.gpt2_residual(jaxinit.orthogonal(), 8) == jaxinit.orthogonal() / 4
    assert scaling.fixup(jaxinit.orthogonal(layout=TORCH), 16, 2) == 0.25 * jaxinit.orthogonal(layout=TORCH)


@pytest.mark.parametrize(
    ("layers", "published"),
    [(2, lambda branches: branches**-0.5), (3, lambda branches: branches**-0.25)],
    ids=["basic block", "bottleneck"],
)
def test_fixup_has_the_std_of_its_published_code(layers: int, published: Any) -> None:
    """The authors draw normals of std `sqrt(2 / (out * k * k)) * num_layers ** -0.5`, or `** -0.25` in bottlenecks."""
    for branches in (8, 16, 27):
        init = scaling.fixup(jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu"), branches, layers)
        std = math.sqrt(2 / (64 * 3 * 3)) * published(branches)
        assert math.isclose(init.distribution((3, 3, 32, 64)).std, std, rel_tol=1e-15)


@pytest.mark.parametrize("layers", [6, 18, 100, 500])
def test_deepnorm_is_figure_2_of_its_paper(layers: int) -> None:
    alpha, beta = scaling.deepnorm(layers)
    np.testing.assert_allclose([alpha**4, beta**-4], [2 * layers, 8 * layers], rtol=1e-14)
    (_, _), (alpha, beta) = scaling.deepnorm_encoder_decoder(7, layers)
    np.testing.assert_allclose([alpha**4, beta**-4], [3 * layers, 12 * layers], rtol=1e-14)
    (alpha, beta), (_, _) = scaling.deepnorm_encoder_decoder(7, layers)
    np.testing.assert_allclose([(alpha / 0.81) ** 16, (beta / 0.87) ** -16], [7**4 * layers] * 2, rtol=1e-13)


ROLES = {  # of table 8: the shape in the base model, and in a wider one
    "input": ((10, 64), (10, 256)),
    "hidden": ((64, 32), (256, 96)),
    "output": ((64, 10), (256, 10)),
}


@pytest.mark.parametrize("role", ROLES)
def test_mup_is_table_8_of_its_paper(role: str) -> None:
    """The variance is that of the base model for input and output weights, and falls as 1 / fan_in for hidden ones."""
    base, wide = ROLES[role]
    init = scaling.mup(jaxinit.normal(std=0.3), base)
    assert init.distribution(base) == Normal(0.0, 0.3)
    variance = 0.3**2 * (base[0] / wide[0] if role == "hidden" else 1)
    assert math.isclose(init.distribution(wide).std ** 2, variance, rel_tol=1e-14)


def test_mup_counts_the_fans_of_its_layout() -> None:
    init = scaling.mup(jaxinit.normal(), (3, 64, 32), layout=Layout(1, 2, batch_axis=0))
    assert init.distribution((8, 256, 64)) == Normal(0.0, 0.5)
    assert scaling.mup(jaxinit.xavier_normal(layout=TORCH), (32, 64)).layout == TORCH
    assert with_layout(scaling.mup(jaxinit.xavier_normal(layout=TORCH), (32, 64)), FLAX) == scaling.mup(
        jaxinit.xavier_normal(), (32, 64)
    )
    experts = jaxinit.at_call(scaling.mup(jaxinit.normal(), (8, 64, 32)))(KEY, (8, 256, 64), None, 1, 2)
    np.testing.assert_array_equal(experts, jaxinit.normal(std=0.5)(KEY, (8, 256, 64)))


@pytest.mark.parametrize("inner", [jaxinit.normal(std=0.02), jaxinit.kaiming_normal(nonlinearity="linear")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mup_of_stacked_weights_is_that_of_one(inner: Any, axis: int) -> None:
    one, shape = 0.5 * scaling.mup(inner, (64, 32)), (256, 128)
    inputs, outputs = (i for i in range(3) if i != axis)
    layout = Layout(inputs, outputs, batch_axis=axis)
    stack, base = [*shape], [64, 32]
    stack.insert(axis, 7)
    base.insert(axis, 3)
    laid_out: Any = with_layout(one, layout)
    assert laid_out.distribution(stack) == one.distribution(shape)
    laid_out = with_layout(inner, layout)
    whole = scaling.mup(laid_out, base, layout=layout)
    assert (0.5 * whole).distribution(stack) == one.distribution(shape)
    stacked = for_stack(one, 2, 1)(KEY, (3, 256, 128))
    assert math.isclose(float(stacked.std()), one.distribution(shape).std, rel_tol=0.05)
    assert jaxinit.at_call(one)(KEY, (3, 256, 128), None, -2, -1).shape == (3, 256, 128)


def test_apply_gives_mup_the_layout_of_the_layer() -> None:
    """4096 entries: the std is more than 10% off with probability 1e-19."""
    attention = nnx.MultiHeadAttention(4, 64, decode=False, rngs=nnx.Rngs(0))
    jaxinit.nnx.apply(attention, {"query/kernel": scaling.mup(jaxinit.normal(), (16, 2, 8))}, KEY)
    query = attention.query.kernel[...]
    assert query.shape == (64, 4, 16)
    assert abs(float(query.std()) / 0.5 - 1) < 0.1


VALUES = [
    scaling.mup(jaxinit.normal(std=0.02), (3, 4)),
    scaling.mup(jaxinit.normal(std=0.02, dtype="bfloat16"), (3, 4), layout=TORCH),
    scaling.mup(jaxinit.xavier_uniform(layout=TORCH), [3, 4], dtype="bfloat16"),
    0.5 * scaling.mup(jaxinit.composed.truncated(jaxinit.kaiming_normal(), keep_std=True), (3, 4)) / 3,
]


@pytest.mark.parametrize("init", VALUES, ids=repr)
def test_mup_is_a_value(init: Any) -> None:
    assert from_text(repr(init)) == init == pickle.loads(pickle.dumps(init))
    assert init(KEY, (6, 8)).dtype == (init.dtype or "float32")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_mup_has_the_numbers_of_a_scaled_initializer(dtype: str, seed: int) -> None:
    pairs: list[tuple[Any, Any]] = [
        (scaling.mup(jaxinit.normal(), (8, 32)), jaxinit.normal(std=0.5)),
        (scaling.mup(jaxinit.kaiming_normal(), (8, 32)), jaxinit.kaiming_normal()),
        (0.5 * scaling.mup(jaxinit.uniform(-1, 1), (8, 64)), jaxinit.uniform(-0.5, 0.5)),
    ]
    with jax.enable_x64(dtype == "float64"):
        for ours, plain in pairs:
            for source in (lambda: jax.random.key(seed), lambda: TorchGenerator(seed)):
                one, other = ours(source(), (32, 64), dtype), plain(source(), (32, 64), dtype)
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_mup_of_nothing_is_nothing() -> None:
    assert scaling.mup(jaxinit.normal(), (3, 4))(KEY, (0, 8)).shape == (0, 8)
    assert scaling.mup(jaxinit.zeros(), (3, 4)).distribution((6, 8)) == Constant(0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scaling.gpt2_residual(jaxinit.normal(), 0), "`layers` must be at least 1, got 0"),
        (lambda: UNTYPED.gpt2_residual(jaxinit.normal(), 1.5), r"`layers` must be an integer, got 1\.5"),
        (lambda: scaling.fixup(jaxinit.normal(), 0, 2), "`branches` must be at least 1, got 0"),
        (lambda: scaling.fixup(jaxinit.normal(), 8, 1), "`layers` must be at least 2, got 1"),
        (lambda: scaling.deepnorm(0), "`layers` must be at least 1, got 0"),
        (lambda: scaling.deepnorm_encoder_decoder(0, 6), "`encoder_layers` must be at least 1, got 0"),
        (lambda: scaling.deepnorm_encoder_decoder(6, 0), "`decoder_layers` must be at least 1, got 0"),
        (
            lambda: UNTYPED.mup(jaxinit.orthogonal(), (3, 4)),
            r"`init` must be an initializer of jaxinit with a distribution, such as jaxinit.normal\(\), got "
            "jaxinit.orthogonal",
        ),
        (lambda: UNTYPED.mup(jaxinit.normal(), 3), "`shape` must be a sequence of integers, got 3"),
        (lambda: scaling.mup(jaxinit.normal(), (3,)), "`shape` must have at least 2 dimensions for layout"),
        (lambda: scaling.mup(jaxinit.normal(), (3, 0)), r"`base_shape` must not have a size of 0, got \(3, 0\)"),
        (
            lambda: scaling.mup(jaxinit.normal(), (3, 4, 8)).distribution((5, 4, 8)),
            r"`shape` must have the spatial sizes of `base_shape` \(3, 4, 8\) for jaxinit.FLAX, got \(5, 4, 8\)",
        ),
    ],
)
def test_mistakes_are_refused(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()


@pytest.mark.parametrize("init", [0.02, jaxinit.normal, jax.nn.initializers.normal()])
def test_only_initializers_of_jaxinit_are_scaled(init: Any) -> None:
    with pytest.raises(TypeError, match=r"^`init` must be an initializer such as jaxinit\.normal\(\), got "):
        jaxinit.scaling.gpt2_residual(init, layers=8)
    with pytest.raises(TypeError, match=r"^`init` must be an initializer such as jaxinit\.normal\(\), got "):
        jaxinit.scaling.fixup(init, branches=8, layers=2)
